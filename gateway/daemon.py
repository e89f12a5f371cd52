"""The daemon: sources, lanes, pump, outbox and couriers as tasks of one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from gateway import __version__
from gateway.assembly import Assembly, Configuration, outbox_of
from gateway.calibration.remarks import remarks
from gateway.clock import PipelineClock
from gateway.control import ControlServer, Request
from gateway.custody import Custody
from gateway.desk import Desk
from gateway.errors import GatewayError, NotConnectedError, RefusedError
from gateway.hearing import consent_sources_of, forgetting, radios_of, relay_of, sources_of
from gateway.lanes import Lanes
from gateway.links import LOOPBACK, Link, words_of
from gateway.model import ConsentSignal
from gateway.notify import Notifier
from gateway.outbox import Outbox
from gateway.outlets import FAREWELL_S, Outlets
from gateway.pump import Pump
from gateway.queues import queues_of
from gateway.reload import Reload
from gateway.settings import GatewaySettings
from gateway.sinks.questions import Questions
from gateway.sources import Source
from gateway.sources.relay import Relay
from gateway.status import Lookout, Reloaded, Status
from gateway.synchronisation import synchronised
from gateway.watch import watch

CLOCK_LOOK_S = 1.0

_log = logging.getLogger("gateway.daemon")


async def run(assembly: Assembly, configuration: Configuration, clock: PipelineClock) -> None:
    """Run until SIGTERM or SIGINT. StoreError or KeyUnusableError when the state directory cannot serve."""
    settings = assembly.settings
    _refuse_scaled_clock(settings, clock)
    for remark in remarks(configuration.site):
        _log.warning("%s", remark)
    stop, hang_up, notifier = asyncio.Event(), asyncio.Event(), Notifier()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, hang_up.set)  # one that comes early is made up for
    with only_one(settings.gateway.state_dir):
        if settings.is_relay_only and (relay := relay_of(assembly)) is not None:
            await _only_relay(relay, assembly, clock, stop, notifier)
            return
        if settings.gateway.clock.trust == "kernel" and not await _synchronised(stop, notifier):
            return
        clock.begin()  # it was made when the wall clock may still have said 1970
        async with outbox_of(settings, assembly.counts) as outbox:
            running = _Running(assembly, configuration, clock, outbox, notifier)
            await running.until(stop, hang_up, configuration)
    _log.info("stopped; counted: %s", msgspec.json.encode(assembly.pipeline.counted().by_room()).decode())


class _Running:
    """The tasks of one run, and how they end."""

    def __init__(
        self,
        assembly: Assembly,
        configuration: Configuration,
        clock: PipelineClock,
        outbox: Outbox,
        notifier: Notifier,
    ) -> None:
        self._assembly = assembly
        self._notifier = notifier
        self._clock = clock
        self._outbox = outbox
        self._lanes = Lanes(assembly.counts, heed=assembly.screen.heed)
        self._custody = Custody(assembly, outbox, self._lanes, clock)
        self._pump = Pump(self._lanes, assembly.pipeline, outbox, self._custody, clock)
        self._reloading = Reload(assembly, configuration, self._pump, self._lanes, clock)
        self._relay = relay_of(assembly)
        self._sources: list[Source] = list(
            sources_of(assembly, self._lanes, clock, role="in", persistent=True, relay=self._relay)
        )
        self._sources += consent_sources_of(assembly, self._lanes, clock, role="consent")
        self._desk = Desk(assembly, outbox, clock, self._custody.object)
        self._questions = Questions(self._overview, assembly.counts)
        self._outlets = Outlets(assembly, outbox, clock, state=self._state, questions=self._questions)
        self._custody.couriers = self._outlets.couriers
        outbox.on_replaced = self._outlets.restate
        lookout = Lookout(
            assembly, outbox, self._lanes, clock,
            links=self._links, progress=self._progress,
            batches=lambda: self._pump.batches, reload=self._reloaded,
        )  # fmt: skip
        self._status = Status(lookout, self._desk.journey, self._outlets.restate)

    async def until(self, stop: asyncio.Event, hang_up: asyncio.Event, configuration: Configuration) -> None:
        async with self._custody:
            await self._begin(configuration)
            await self._run_until(stop, hang_up)

    async def _run_until(self, stop: asyncio.Event, hang_up: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            asyncio.get_running_loop().add_signal_handler(
                signal.SIGHUP, lambda: group.create_task(self._reload())
            )
            if hang_up.is_set():
                group.create_task(self._reload())
            hearing = [group.create_task(source.run()) for source in self._sources]
            hearing.append(group.create_task(forgetting(self._assembly.profiles)))
            relaying = [group.create_task(self._relay.run())] if self._relay else []
            pumping = group.create_task(self._pump.run())
            keeping = group.create_task(self._custody.run())
            answering = group.create_task(
                ControlServer(self._assembly.settings.gateway.state_dir, self._answer).run()
            )
            carrying = self._outlets.start(group)
            if self._assembly.settings.gateway.watch:
                carrying.append(group.create_task(watch(self._reloading.files, self._reload)))
            self._notifier.ready()
            telling = group.create_task(self._notifier.watch(self._progress, lambda: words_of(self._links)))
            showing = group.create_task(self._status.run())
            await stop.wait()
            _log.info("stopping")
            self._notifier.stopping()
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            pumping.cancel()
            await self._pump.finish()
            for task in hearing:
                task.cancel()
            await _leave(self._relay)
            await self._outlets.farewell()
            for task in [telling, showing, keeping, answering, *relaying, *carrying]:
                task.cancel()

    async def _begin(self, configuration: Configuration) -> None:
        """Consent first, then what was open at the last stop, then signals."""
        pipeline, now_s = self._assembly.pipeline, self._clock()
        await self._pump.store(pipeline.deny(configuration.denied, now_s))
        records = tuple(configuration.consent_records)
        await self._pump.store(pipeline.feed([ConsentSignal(now_s, records, complete=True)]))
        stays, keys = await self._outbox.open_stays(), await self._outbox.keys_queued()
        await self._pump.store(pipeline.resume(stays, now_s, keys))
        await self._reloading.keep_map()

    async def _overview(self, subject: str) -> bytes:
        return msgspec.json.encode(await self._desk.show(subject))

    async def _answer(self, request: Request) -> dict[str, Any]:
        """What a verb of the command line asks."""
        match request.do:
            case "show":
                return msgspec.structs.asdict(await self._desk.show(request.subject))
            case "export":
                return await self._desk.export(request.subject)
            case "withdraw" | "erase":
                return await self._desk.object(request.subject, erase=request.do == "erase")
            case "why":
                return self._desk.why(request.subject)
            case "outbox":
                found = await queues_of(self._outbox, self._outlets.ways, time.time())
                return msgspec.structs.asdict(found)
            case "reload":
                return msgspec.structs.asdict(await self._reloading.everything())
            case "reread":
                await self._reloading.reread()
                return {}

    def _progress(self) -> float:
        """A disk that refuses is known and tried again; a new start would lose what waits for it."""
        return time.monotonic() if self._outbox.link.state == "down" else self._pump.progress

    @property
    def _links(self) -> list[Link]:
        return [*(source.link for source in self._sources), *self._outlets.links]

    def _reloaded(self) -> Reloaded:
        last = self._reloading.last
        refused = tuple(last.refused_places())
        return Reloaded(last.at_s, tuple(last.problems), refused, tuple(last.waiting))

    async def _reload(self) -> None:
        self._notifier.reloading()
        try:
            await self._reloading.everything()
        finally:
            self._notifier.ready()

    def _state(self, alive: bool) -> bytes:
        clock = {"time_s": self._clock(), "wall_s": time.time(), "rate": self._clock.rate}
        facts = {
            "version": __version__,
            "generation": self._outbox.generation,
            "damaged_stores": self._outbox.quarantined,
            "clock": clock,
        }
        if alive and self._status.health:
            facts["health"] = self._status.health
        return msgspec.json.encode({"alive": alive, **(facts if alive else {})})


async def _only_relay(
    relay: Relay, assembly: Assembly, clock: PipelineClock, stop: asyncio.Event, notifier: Notifier
) -> None:
    """Hear for another gateway: no pipeline, no store, and no clock that has to be right."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # there is no consent to read again
    async with asyncio.TaskGroup() as group:
        radios = list(radios_of(assembly, relay.hear, clock))
        relay.radios += (radio.link for radio in radios)
        tasks = [group.create_task(relay.run()), *(group.create_task(radio.run()) for radio in radios)]
        tasks.append(group.create_task(forgetting(assembly.profiles)))
        notifier.ready()
        links = [relay.link, *relay.radios]
        tasks.append(group.create_task(notifier.watch(lambda: relay.progress, lambda: words_of(links))))
        await stop.wait()
        _log.info("stopping")
        notifier.stopping()
        await _leave(relay)
        for task in tasks:
            task.cancel()
    _log.info("stopped; counted: %s", msgspec.json.encode(assembly.counts.by_room()).decode())


async def _leave(relay: Relay | None) -> None:
    if relay is None or relay.link.state != "up":
        return
    with contextlib.suppress(TimeoutError, NotConnectedError, RefusedError):
        async with asyncio.timeout(FAREWELL_S):
            await relay.say_goodbye()


def _refuse_scaled_clock(settings: GatewaySettings, clock: PipelineClock) -> None:
    """Events with an invented time must not reach a real platform."""
    hosts: dict[str, str | None] = {name: broker.host for name, broker in settings.brokers.items()}
    hosts |= {name: urlsplit(r.webhook.url).hostname for name, r in settings.recipients.items() if r.webhook}
    far = [name for name, host in hosts.items() if host not in LOOPBACK]
    if far and not clock.is_real:
        raise GatewayError(f"--clock is for brokers on loopback only (webhooks too), {', '.join(far)} is not")


async def _synchronised(stop: asyncio.Event, notifier: Notifier) -> bool:
    """Hear nothing before the clock can be trusted: an event with a wrong time cannot be judged.

    False when stopped meanwhile.
    """
    if await synchronised():
        return True
    _log.warning("clock: not synchronised; nothing is heard until it is (clock: {trust: always} overrides)")
    notifier.ready()  # it runs as it should, and the start of the machine need not wait
    notifier.status("waits for a synchronised clock")
    while not stop.is_set():
        if await synchronised():
            _log.info("clock: synchronised")
            return True
        notifier.alive()
        try:
            async with asyncio.timeout(CLOCK_LOOK_S):
                await stop.wait()
        except TimeoutError:
            continue
    return False


@contextmanager
def only_one(state_dir: Path) -> Iterator[None]:
    """Holds the lock of a state directory. GatewayError when another process does."""
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(state_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise GatewayError(f"{state_dir}: {error.strerror}") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise GatewayError(f"{state_dir} is in use by another gateway") from None
        yield
    finally:
        os.close(descriptor)
