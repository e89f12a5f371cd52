"""`gateway record`: the settings' sources into a recording, until told to stop or full."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Collection
from pathlib import Path

from msgspec import Struct

from gateway import assembly
from gateway.clock import PipelineClock
from gateway.consent import Keys, Register
from gateway.consent.keys import KEY_BYTES
from gateway.hearing import consent_sources_of, sources_of
from gateway.identity import Enrolment, Identification
from gateway.lanes import Lanes
from gateway.model import ConsentSignal, DriverSignal, FeedState
from gateway.recorder import NamedDevices, Recorder

BATCH = 1_000


class Limits(Struct, frozen=True):
    max_bytes: int
    max_s: float


async def record(directory: Path, out: Path, survey: Collection[str], limits: Limits) -> int:
    """Lines written. `survey` names the devices to record; empty: those enrolled with a usable consent."""
    configuration = assembly.read_configuration(directory)
    # Nothing is released here, so no key is needed.
    assembled = assembly.assemble(configuration, Keys(bytes(KEY_BYTES)))
    assembled.register.absorb(configuration.consent_records, complete=True)
    enrolment: Enrolment = NamedDevices(survey) if survey else assembled.register
    identification = Identification(
        assembled.site, assembled.profiles, enrolment, assembled.counts, assembled.identity_keys
    )
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    clock, lanes = PipelineClock(), Lanes(assembled.counts)
    sources = list(sources_of(assembled, lanes, clock, role="record", persistent=False))
    if not survey:
        sources += consent_sources_of(assembled, lanes, clock, role="record-consent")
    with Recorder(out, identification, max_bytes=limits.max_bytes) as recorder:
        async with asyncio.TaskGroup() as group:
            hearing = [group.create_task(source.run()) for source in sources]
            writing = group.create_task(_write(lanes, recorder, assembled.register, stop))
            try:
                async with asyncio.timeout(limits.max_s):
                    await stop.wait()
            except TimeoutError:
                pass
            for task in [*hearing, writing]:
                task.cancel()
        _drain(lanes, recorder, assembled.register)
        return recorder.lines


async def _write(lanes: Lanes, recorder: Recorder, register: Register, stop: asyncio.Event) -> None:
    while not recorder.is_full:
        await lanes.wait(None)
        _drain(lanes, recorder, register)
        await asyncio.sleep(0)
    stop.set()


def _drain(lanes: Lanes, recorder: Recorder, register: Register) -> None:
    while arrivals := lanes.drain(BATCH):
        for arrival in arrivals:
            match arrival.signal:
                case ConsentSignal(t_s, records, complete):
                    register.absorb(records, complete=complete, t_s=t_s)
                case FeedState() as state:
                    register.confirm(state)
                case DriverSignal() as said:
                    register.drives(said)
            recorder.take(arrival.signal)
            if arrival.acknowledge is not None:
                arrival.acknowledge()
