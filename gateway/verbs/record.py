"""`gateway record`: the settings' sources into a recording, until told to stop or full."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Collection
from pathlib import Path

from msgspec import Struct

from gateway import assembly, recordings
from gateway.clock import PipelineClock
from gateway.consent import Keys, Register, load_consent_file
from gateway.consent.keys import KEY_BYTES
from gateway.errors import ConfigError
from gateway.hearing import consent_sources_of, sources_of
from gateway.identity import Enrolment, Identification
from gateway.lanes import Lanes
from gateway.model import ConsentSignal, DriverSignal, FeedState
from gateway.recorder import NamedDevices, Recorder
from gateway.settings.gateway import Consent

BATCH = 1_000
FLUSH_S = 1.0
FOLLOW_S = 5.0
PIECES = 24
"""Of a rolling window: one hour of a day goes at a time."""

_log = logging.getLogger("gateway.record")


class Limits(Struct, frozen=True):
    max_bytes: int
    max_s: float
    rolling: bool = False
    """The oldest goes instead of an end when the one or the other is reached."""

    @property
    def end_s(self) -> float | None:
        return None if self.rolling else self.max_s


async def record(directory: Path, out: Path, survey: Collection[str], limits: Limits) -> int:
    """Lines written. `survey` names the devices to record; empty: those enrolled with a usable consent."""
    configuration = assembly.read_configuration(directory)
    # Nothing is released here, so no key is needed.
    assembled = assembly.assemble(configuration, Keys(bytes(KEY_BYTES)))
    assembled.register.absorb(configuration.consent_records, complete=True)
    register = assembled.register
    register.deny(configuration.denied)
    enrolment: Enrolment = NamedDevices(survey, register) if survey else register
    identification = Identification(
        assembled.site, assembled.profiles, enrolment, assembled.counts, assembled.identity_keys
    )
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    clock, lanes = PipelineClock(), Lanes(assembled.counts)
    sources = list(sources_of(assembled, lanes, clock, role="record", persistent=False))
    sources += consent_sources_of(assembled, lanes, clock, role="record-consent")
    with Recorder(out, identification, max_bytes=limits.max_bytes, continues=limits.rolling) as recorder:
        if limits.rolling:
            recorder.trim(clock() - limits.max_s)
        if not survey:
            recordings.enlist(assembled.settings.gateway.state_dir, out)
        async with asyncio.TaskGroup() as group:
            hearing = [group.create_task(source.run()) for source in sources]
            keeping = _Window(limits, clock) if limits.rolling else None
            writing = group.create_task(_write(lanes, recorder, register, stop, keeping))
            hearing.append(group.create_task(_follow(assembled.settings.consent, register, clock)))
            try:
                async with asyncio.timeout(limits.end_s):
                    await stop.wait()
            except TimeoutError:
                pass
            for task in [*hearing, writing]:
                task.cancel()
        _drain(lanes, recorder, register)
    return recorder.lines


class _Window:
    """A recording of the last hours: what is older goes, a part of the window at a time."""

    def __init__(self, limits: Limits, clock: PipelineClock) -> None:
        self._limits, self._clock = limits, clock
        self._piece_s = max(limits.max_s / PIECES, 1.0)
        self._due_s = clock() + limits.max_s + self._piece_s

    async def keep(self, recorder: Recorder) -> None:
        """Nothing is written meanwhile; the lanes hold what is heard."""
        if self._clock() >= self._due_s or recorder.is_nearly_full:
            await asyncio.to_thread(recorder.trim, self._clock() - self._limits.max_s)
            self._due_s = self._clock() + self._piece_s


async def _write(
    lanes: Lanes, recorder: Recorder, register: Register, stop: asyncio.Event, window: _Window | None
) -> None:
    while not recorder.is_full:
        await lanes.wait(FLUSH_S)
        _drain(lanes, recorder, register)
        recorder.flush()
        if window is not None:
            await window.keep(recorder)
        await asyncio.sleep(0.1)
    stop.set()


async def _follow(consent: Consent | None, register: Register, clock: PipelineClock) -> None:
    """A consent file that is changed is read again: whoever withdrew is heard no more."""
    path = consent.feed.file if consent is not None else None
    if path is None:
        return
    changed_ns = path.stat().st_mtime_ns
    while True:
        await asyncio.sleep(FOLLOW_S)
        try:
            now_ns = path.stat().st_mtime_ns
            if now_ns != changed_ns:
                records = await asyncio.to_thread(load_consent_file, path)
                register.absorb(records, complete=True, t_s=clock())
                changed_ns = now_ns
        except (ConfigError, OSError) as error:
            _log.error("%s was not taken over: %s", path.name, error)


def _drain(lanes: Lanes, recorder: Recorder, register: Register) -> None:
    while arrivals := lanes.drain(BATCH):
        for arrival in arrivals:
            heard = arrival.signal
            match heard:
                case ConsentSignal():
                    register.absorb(heard.records, complete=heard.complete, t_s=heard.t_s)
                case FeedState():
                    register.confirm(heard)
                case DriverSignal():
                    register.drives(heard)
                case _ if register.doubt(heard.t_s) is None:
                    recorder.take(heard)
            if arrival.acknowledge is not None:
                arrival.acknowledge()
