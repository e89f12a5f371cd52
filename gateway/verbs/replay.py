"""`gateway replay`: a recording and a configuration, and what to print of it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec

from gateway import assembly, progress, recording
from gateway import replay as stages
from gateway.calibration.remarks import remarks
from gateway.consent import Keys
from gateway.consent.keys import KEY_BYTES, KeyUnusableError
from gateway.counts import Counts
from gateway.errors import RecordingError
from gateway.identity import EveryDevice
from gateway.model import ConsentSignal, Presence, Signal
from gateway.settings import load_site


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
    ) -> None:
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


def replay(path: Path, directory: Path, wanted: Wanted) -> None:
    """ConfigError or RecordingError where the files cannot serve."""
    signals: Iterable[Signal] = recording.read(path)
    if wanted.publish is not None:
        _publish(signals, directory, wanted.publish)
        return
    if wanted.out is not None or not sys.stdout.isatty():  # where no events come in between
        signals = progress.shown(signals, "replay")
    if wanted.speed is not None:
        signals = stages.paced(signals, wanted.speed)
    counts = Counts()
    with _output(wanted.out) as file:

        def emit(line: bytes) -> None:
            file.write(line + b"\n")

        if wanted.all_devices:
            counts = _survey(signals, directory, wanted, emit)
        else:
            counts = _consented(signals, directory, wanted, emit)
    print(msgspec.json.encode(counts.by_room()).decode(), file=sys.stderr)


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


def _consented(signals: Iterable[Signal], directory: Path, wanted: Wanted, emit: stages.Emit) -> Counts:
    configuration = assembly.read_configuration(directory)
    if wanted.device_class is not None:
        configuration.site = msgspec.structs.replace(configuration.site, device_class=wanted.device_class)
    assembled = assembly.assemble(
        configuration, _keys(configuration), hold=wanted.reorder == "hold", confirmed=True
    )
    pipeline = assembled.pipeline
    pipeline.deny(configuration.denied, 0.0)

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
