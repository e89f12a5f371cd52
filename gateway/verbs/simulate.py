"""`gateway simulate`: a scene on a map, as a recording and with its truth."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from gateway.errors import RecordingError
from gateway.settings import load_site
from gateway.sim import recorded, scenes
from gateway.sim.recorded import Entry
from gateway.sim.scenes import Scene
from gateway.sim.truth import Truth


def write(scene: Scene, directory: Path, out: Path, *, seed: int, duration_s: float) -> None:
    """RecordingError when the map lacks what the scene needs, or the file cannot be written."""
    site = load_site(directory)
    with _said(directory):
        _recording(scenes.play(scene, site, duration_s=duration_s, seed=seed), out)


def write_drives(
    directory: Path,
    out: Path,
    *,
    truth: Path | None,
    seed: int,
    minutes: float,
    every_s: float,
    interval_s: Sequence[float],
    late: float,
) -> None:
    """As `write`, with the truth beside it."""
    site = load_site(directory)
    with _said(directory):
        entries, stays = scenes.street(
            site, duration_s=minutes * 60, seed=seed, every_s=every_s, interval_s=interval_s, late=late
        )
        _recording(entries, out)
        if truth is not None:
            _truth(stays, truth)


def _recording(entries: Iterable[Entry], out: Path) -> None:
    print(f"{out}: {recorded.write(entries, out)} lines", file=sys.stderr)


def _truth(stays: Iterable[Truth], out: Path) -> None:
    lines = [msgspec.json.encode(stay) + b"\n" for stay in stays]
    out.write_bytes(b"".join(lines))
    print(f"{out}: {len(lines)} lines", file=sys.stderr)


@contextmanager
def _said(directory: Path) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise RecordingError(f"{directory}: {error}") from None
    except OSError as error:
        raise RecordingError(f"{error.filename}: {error.strerror}") from None
