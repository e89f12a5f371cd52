"""`gateway calibrate`: from a walk to calibration.yaml, and what can be expected of it."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from gateway import progress, recording
from gateway.assembly import for_surveys
from gateway.calibration import Fitted, Sample, Separation, fit, samples, separations
from gateway.calibration.separation import CONFUSED
from gateway.counts import Counts
from gateway.durable import replace_whole
from gateway.errors import GatewayError, RecordingError
from gateway.identity import EveryDevice, Identification
from gateway.model import Label, Message, Reading, Sighting, SiteMap
from gateway.settings import load_site
from gateway.settings.calibration import FILE, map_digest, text, walked_map
from gateway.verbs import guide

Say = Callable[[str], None]
SHORT_S = 30
"""A zone walked for less deserves a word: 10 s of standing give 85 %, 30 s 95 % (DESIGN §5.1)."""


class Wanted(Struct, frozen=True):
    """What becomes of a walk."""

    directory: Path
    device_class: str | None
    write: bool


def from_recording(path: Path, wanted: Wanted, say: Say, device: str | None = None) -> None:
    """By all devices that carry labels, or by one. ConfigError, RecordingError where files cannot serve."""
    site = load_site(wanted.directory, walked=False)
    heard = _Heard(path, wanted.directory, site)
    walk = [sample for sample in samples(heard, _links(site)) if device in {None, sample.device}]
    if device is not None and not walk:
        raise RecordingError(f"{path.name}: {device} is not heard while a label says where it stands")
    try:
        _learn(walk, heard.last_s, site, wanted, say)
    except ValueError as error:
        raise RecordingError(f"{path.name}: {error}") from None


def guided(wanted: Wanted, wishes: guide.Wishes, say: Say) -> None:
    """GatewayError where nothing is heard; ConfigError where the files cannot serve."""
    site = load_site(wanted.directory, walked=False)
    terminal = sys.stderr.isatty()

    def shown(line: str) -> None:
        if not line.startswith("\r"):
            say(line)
        elif terminal:
            print(line, end="", file=sys.stderr, flush=True)

    walked = asyncio.run(guide.walk(wanted.directory, wishes, guide.Terminal(_ask, shown)))
    try:
        _learn(samples(walked.entries, _links(site)), walked.last_s, site, wanted, say)
    except ValueError as error:
        raise GatewayError(str(error)) from None


async def _ask(question: str) -> str:
    """A line from standard input without holding up what is heard meanwhile; at its end: `q`."""
    print(question, file=sys.stderr, flush=True)
    typed: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def wait() -> None:
        line = sys.stdin.readline()
        typed.get_loop().call_soon_threadsafe(typed.set_result, line.strip().lower() if line else "q")

    threading.Thread(target=wait, daemon=True).start()
    return await typed


def _links(site: SiteMap) -> tuple[str, ...]:
    return tuple(a.id for a in (*site.receivers, *site.beacons))


def _learn(walk: list[Sample], last_s: float, site: SiteMap, wanted: Wanted, say: Say) -> None:
    if walked_map(wanted.directory) not in (None, map_digest(site)):
        say(f"the map has changed since {FILE} was walked; this walk replaces it")
    device_class = wanted.device_class or site.device_class
    fitted = fit(_of_class(walk, device_class), site, _links(site))
    for line in report(fitted, separations(fitted.calibration), site):
        say(line)
    target = wanted.directory / FILE
    if not wanted.write:
        say(f"nothing is written without --write; it would be {target}")
        return
    out = text(
        msgspec.structs.replace(fitted.calibration, map_digest=map_digest(site)),
        {zone.zone: zone.seconds for zone in fitted.zones},
        walked=datetime.fromtimestamp(last_s, UTC),
        devices=sorted({sample.device for sample in walk}),
        device_class=device_class,
        before=target.read_text() if target.exists() else None,
    )
    _put(target, out)
    say(f"{target} is written")


def _put(target: Path, out: str) -> None:
    try:
        replace_whole(target, out.encode(), 0o644)
    except OSError as error:
        raise RecordingError(f"{target}: {error.strerror}") from None


def _of_class(walk: list[Sample], device_class: str) -> list[Sample]:
    """Store tags are all alike: none is louder than another, so they calibrate as one device."""
    if device_class != "store_tag":
        return walk
    return [msgspec.structs.replace(sample, device="store_tag") for sample in walk]


class _Heard:
    """Readings and labels of a recording, in its order."""

    def __init__(self, path: Path, directory: Path, site: SiteMap) -> None:
        self._path = path
        profiles, keys = for_surveys(directory, site, lambda text: print(text, file=sys.stderr))
        self._identification = Identification(site, profiles, EveryDevice(), Counts(), keys)
        self.last_s = 0.0

    def __iter__(self) -> Iterator[Reading | Label]:
        for entry in progress.shown(recording.read_labelled(self._path), "calibrate"):
            self.last_s = max(self.last_s, entry.t_s)
            if isinstance(entry, Label):
                yield entry
            elif isinstance(entry, Sighting | Message):
                for _, observation in self._identification.heard(entry):
                    if isinstance(observation, Reading):
                        yield observation


def report(fitted: Fitted, told: list[Separation], site: SiteMap) -> Iterator[str]:
    """One line a zone, then what to do about it."""
    apart = {separation.zone: separation for separation in told}
    for zone in fitted.zones:
        line = f"{zone.zone}: {zone.seconds} s, {zone.links} receiver{'' if zone.links == 1 else 's'}"
        near = apart.get(zone.zone)
        yield line if near is None else f"{line}; told apart from {near.neighbour}: {near.accuracy:.0%}"
    short = [zone.zone for zone in fitted.zones if zone.seconds < SHORT_S]
    if short:
        yield f"walked for less than {SHORT_S} s: {', '.join(short)}; a minute in each makes the figures firm"
    for pair in sorted({tuple(sorted((s.zone, s.neighbour))) for s in told if s.accuracy < CONFUSED}):
        yield f"{pair[0]} and {pair[1]} cannot be told apart: {_help(pair[0], pair[1], fitted, site)}"
    if fitted.not_walked:
        yield (
            f"not walked: {', '.join(fitted.not_walked)}. A learned and a guessed zone cannot be compared: "
            "while this calibration is used they are not reported, somebody there counts as outside"
        )
    if fitted.unknown:
        yield f"labels that name no zone of the map are left out: {', '.join(fitted.unknown)}"


def _help(a: str, b: str, fitted: Fitted, site: SiteMap) -> str:
    few = [z.zone for z in fitted.zones if z.zone in (a, b) and z.links < 3]
    if few:
        return f"fewer than three receivers hear {' and '.join(few)}; place one more near it"
    parents = {zone.id: zone.part_of for zone in site.zones}
    if parents.get(a) and parents.get(a) == parents.get(b):
        return f"rely on {parents[a]}, merge the two, or move a receiver to the far end of one of them"
    return "merge them, or move a receiver to the far end of one of them"
