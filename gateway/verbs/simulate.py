"""`gateway simulate`: a scene on a map, as a recording and with its truth."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from gateway import progress
from gateway.errors import RecordingError
from gateway.settings import load_site
from gateway.sim import recorded, scenes, store
from gateway.sim.recorded import Entry
from gateway.sim.scenes import Scene
from gateway.sim.store import Trouble
from gateway.sim.truth import Truth


def write(scene: Scene, directory: Path, out: Path, *, seed: int, duration_s: float) -> None:
    """RecordingError when the map lacks what the scene needs, or the file cannot be written."""
    site = load_site(directory)
    with _said(directory):
        _recording(scenes.play(scene, site, duration_s=duration_s, seed=seed), out)


def write_store(
    directory: Path,
    out: Path,
    *,
    seed: int,
    minutes: float,
    walk: Path | None,
    stand_s: float,
    foreign: int,
    trouble: Trouble,
) -> None:
    """As `write`; `walk`: the walk that calibrates this store, before anything has gone wrong in it."""
    site = load_site(directory)
    with _said(directory):
        start_s, duration_s = scenes.START_S, minutes * 60
        entries = store.simulate(
            site,
            start_s=start_s,
            duration_s=duration_s,
            seed=seed,
            foreign=foreign,
            model=store.FURNISHED,
            trouble=trouble,
        )
        _recording(entries, out)
        if walk is not None:
            walked = store.calibration_walk(
                site, start_s=start_s, stand_s=stand_s, seed=seed, model=store.FURNISHED
            )
            _recording(walked, walk)


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
    print(f"{out}: {recorded.write(progress.shown(entries, 'simulate'), out)} lines", file=sys.stderr)


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
