"""`gateway replay`: a recording and a configuration, and what to print of it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, time, tzinfo
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any
from zoneinfo import ZoneInfo

import msgspec

from gateway import assembly, progress, recording
from gateway import replay as stages
from gateway.calibration.remarks import remarks
from gateway.consent import Keys, Release
from gateway.consent.keys import KEY_BYTES, KeyUnusableError
from gateway.counts import Counts
from gateway.difference import Told, differences
from gateway.errors import RecordingError
from gateway.explanation import Explanation, as_json, explain
from gateway.identity import EveryDevice
from gateway.model import ConsentSignal, Presence, Signal
from gateway.settings import load_site
from gateway.story import story
from gateway.verbs import against


class Wanted:
    """The options of the verb. ValueError where they contradict each other."""

    def __init__(
        self,
        *,
        stage: str | None,
        all_devices: bool,
        device_class: str | None,
        speed: str,
        tail_s: float,
        out: Path | None,
        publish: str | None,
        reorder: str | None = None,
        against: Path | None = None,
        explain: str | None = None,
        at: str | None = None,
        as_json: bool = False,
    ) -> None:
        if explain is not None and (all_devices or against is not None or publish is not None):
            raise ValueError("--explain goes without --all-devices, --against and --publish")
        if explain is not None and (stage is not None or speed != "max"):
            raise ValueError("--explain tells events and who learns of them: no --stage and no --speed")
        if at is not None and explain is None:
            raise ValueError("--at goes with --explain")
        if against is not None and (publish is not None or speed != "max"):
            raise ValueError("--against compares two whole runs: no --publish and no --speed")
        if as_json and against is None and explain is None:
            raise ValueError("--json goes with --against and --explain; all else is JSON Lines already")
        if all_devices and stage == "release":
            raise ValueError("--all-devices stops before consent: there is nothing to release")
        self.stage = stage or ("presence" if all_devices else "release")
        self.all_devices = all_devices
        self.device_class = device_class
        self.speed = _speed(speed)
        self.tail_s = tail_s
        self.out = out
        self.publish = publish
        self.reorder = reorder
        self.against = against
        self.explain = explain
        self.at = at
        self.as_json = as_json


def replay(path: Path, directory: Path, wanted: Wanted) -> None:
    """ConfigError or RecordingError where the files cannot serve."""
    signals: Iterable[Signal] = recording.read(path)
    if wanted.publish is not None:
        _publish(signals, directory, wanted.publish)
        return
    if wanted.against is not None:
        _compare(path, directory, wanted.against, wanted)
        return
    if wanted.out is not None or not sys.stdout.isatty():  # where no events come in between
        signals = progress.shown(signals, "replay")
    if wanted.explain is not None:
        _explain(signals, directory, wanted, wanted.explain)
        return
    if wanted.speed is not None:
        signals = stages.paced(signals, wanted.speed)
    counts = Counts()
    with _output(wanted.out) as file:

        def emit(line: bytes) -> None:
            file.write(line + b"\n")

        counts = _play(signals, directory, wanted, emit, _keys)
    print(msgspec.json.encode(counts.by_room()).decode(), file=sys.stderr)


def _play(
    signals: Iterable[Signal],
    directory: Path,
    wanted: Wanted,
    emit: stages.Emit,
    keys: Callable[[assembly.Configuration], Keys],
) -> Counts:
    if wanted.all_devices:
        return _survey(signals, directory, wanted, emit)
    return _consented(signals, directory, wanted, emit, keys)


def _compare(path: Path, directory: Path, old: Path, wanted: Wanted) -> None:
    """Both runs have the same keys, so that pseudonyms are the same for the same person."""
    told: dict[Path, list[Told]] = {}
    length: int | None = None
    for each in (old, directory):
        signals = _Counted(recording.read(path), length)
        events: list[Told] = []

        def emit(line: bytes, events: list[Told] = events) -> None:
            events.append(against.told_of(line))

        shown = progress.shown(signals, f"replay {each}")
        _play(shown, each, wanted, emit, lambda _: Keys(bytes(KEY_BYTES)))
        length = signals.taken
        told[each] = events
    found = differences(told[old], told[directory])
    zone = ZoneInfo(load_site(directory).timezone)
    with _output(wanted.out) as file:
        for line in against.as_json(found) if wanted.as_json else against.as_table(found, zone):
            file.write(line.encode() + b"\n")
    print(against.summary(found, len(told[old]), len(told[directory])), file=sys.stderr)


class _Counted:
    """The first `most` signals, all for None; a recording that grows is as long for the second as for the
    first who reads it."""

    def __init__(self, signals: Iterable[Signal], most: int | None) -> None:
        self._signals = islice(signals, most)
        self.taken = 0
        self.ended_s: float | None = None
        """When the last of them was, as soon as there are no more."""

    def __iter__(self) -> Iterator[Signal]:
        last_s = None
        for signal in self._signals:
            self.taken += 1
            last_s = signal.t_s if last_s is None else max(last_s, signal.t_s)
            yield signal
        self.ended_s = last_s


def _survey(signals: Iterable[Signal], directory: Path, wanted: Wanted, emit: stages.Emit) -> Counts:
    """A map is enough: no consent, every profile, shipped or own; of settings identity keys only."""
    counts = Counts()
    site = load_site(directory)
    if wanted.device_class is not None:
        site = msgspec.structs.replace(site, device_class=wanted.device_class)
    for remark in remarks(site):
        print(remark, file=sys.stderr)
    profiles, keys = assembly.for_surveys(directory, site, lambda text: print(text, file=sys.stderr))
    tracker = assembly.tracker(site, profiles, EveryDevice(), counts, keys, hold=wanted.reorder == "hold")
    stages.survey(signals, tracker, tail_s=wanted.tail_s, emit=emit)
    return tracker.counted()


def _explain(signals: Iterable[Signal], directory: Path, wanted: Wanted, subject: str) -> None:
    assembled, configuration = _assembled(directory, wanted, _keys)
    zone = ZoneInfo(configuration.site.timezone)
    counted = _Counted(_with_consent(signals, configuration), None)
    signals = iter(counted)
    first = next(signals, None)
    if first is None:
        raise RecordingError("nothing is in this recording")
    at_s = None if wanted.at is None else moment_s(wanted.at, zone, first.t_s)
    said: list[dict[str, Any]] = []
    key = assembled.screen.subject_key(subject)
    with _output(wanted.out) as file:

        def show(explanation: Explanation) -> None:
            lines = [as_json(explanation).decode()] if wanted.as_json else [*story(explanation, zone), ""]
            for line in lines:
                file.write(line.encode() + b"\n")

        def tell(presence: Presence | None, releases: Sequence[Release]) -> None:
            replayed = partial(explain, assembled, subject, is_replayed=True, recorded_to_s=counted.ended_s)
            if presence is None:
                show(replayed(said=said))
                return
            event = msgspec.json.decode(stages.presence_line(presence))
            told = [
                release.recipient
                for release in releases
                if (release.subject_key, release.zone, release.change, release.t_s)
                == (key, presence.zone, presence.change, presence.t_s)
            ]
            if wanted.at is None:
                show(replayed(event=event, told=told))
            said.append(event)

        stages.explained(
            chain([first], signals),
            assembled.pipeline,
            subject,
            at_s=at_s,
            tail_s=wanted.tail_s,
            tell=tell,
        )
    if not said:
        print(f"no event of {subject} is in this recording up to then", file=sys.stderr)


def moment_s(text: str, zone: tzinfo, first_s: float) -> float:
    """Unix seconds of `--at`: RFC 3339, or a time of the shop's clock on the day on which the recording
    begins. RecordingError for anything else, and before that."""
    begins = datetime.fromtimestamp(first_s, zone)
    try:
        if len(text) <= len("09:30:00"):
            moment = datetime.combine(begins.date(), time.fromisoformat(text), zone)
        else:
            moment = datetime.fromisoformat(text)
    except ValueError:
        raise RecordingError(f"--at: expected 09:30:00 or 2025-12-22T09:30:00Z, got '{text}'") from None
    at_s = (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()
    if at_s < first_s:
        raise RecordingError(f"--at: the recording begins at {begins:%Y-%m-%d %H:%M:%S} ({zone})")
    return at_s


def _consented(
    signals: Iterable[Signal],
    directory: Path,
    wanted: Wanted,
    emit: stages.Emit,
    keys: Callable[[assembly.Configuration], Keys],
) -> Counts:
    assembled, configuration = _assembled(directory, wanted, keys)
    pipeline = assembled.pipeline

    def watch(presence: Presence) -> None:
        emit(stages.presence_line(presence))

    if wanted.stage == "presence":
        pipeline.watch = watch
    stages.releases(
        _with_consent(signals, configuration),
        pipeline,
        tail_s=wanted.tail_s,
        emit=emit if wanted.stage == "release" else lambda _: None,
    )
    return pipeline.counted()


def _assembled(
    directory: Path, wanted: Wanted, keys: Callable[[assembly.Configuration], Keys]
) -> tuple[assembly.Assembly, assembly.Configuration]:
    configuration = assembly.read_configuration(directory)
    if wanted.device_class is not None:
        configuration.site = msgspec.structs.replace(configuration.site, device_class=wanted.device_class)
    assembled = assembly.assemble(
        configuration, keys(configuration), hold=wanted.reorder == "hold", confirmed=True
    )
    assembled.pipeline.deny(configuration.denied, 0.0)
    return assembled, configuration


def _with_consent(signals: Iterable[Signal], configuration: assembly.Configuration) -> Iterator[Signal]:
    """The configuration's records at the time of the first signal, then the signals."""
    begun = False
    for signal in signals:
        if not begun:
            yield ConsentSignal(signal.t_s, tuple(configuration.consent_records), complete=True)
            begun = True
        yield signal


def _keys(configuration: assembly.Configuration) -> Keys:
    """The gateway's own, so that ids are those of the live events; else a key of zeros, and it says so."""
    try:
        path = configuration.settings.gateway.state_dir / "gateway.key"
        if configuration.settings.gateway.keys is None and not path.exists():
            raise KeyUnusableError(f"{path} is not there")
        return assembly.keys_of(configuration.settings)
    except KeyUnusableError as error:
        print(f"ids and pseudonyms are not those of the gateway: {error}", file=sys.stderr)
        return Keys(bytes(KEY_BYTES))


@contextmanager
def _output(path: Path | None) -> Iterator[IO[bytes]]:
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    try:
        with path.open("wb") as file:
            yield file
    except OSError as error:
        raise RecordingError(f"{path}: {error.strerror}") from None


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if not factor > 0:
        raise ValueError(f"--speed is a factor above 0 or max, not {text!r}")
    return factor


def _publish(signals: Iterable[Signal], directory: Path, where: str) -> None:
    from gateway.sim.publish import publish_to

    asyncio.run(publish_to(signals, directory, where))
