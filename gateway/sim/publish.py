"""Puts the signals of a recording or of a simulation onto a broker, at the pace of a daemon's clock."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from gateway.errors import GatewayError, NotConnectedError
from gateway.links import LOOPBACK, Link
from gateway.model import Message, Sighting, Signal
from gateway.mqtt import Connection, Incoming
from gateway.mqtt_client import Endpoint
from gateway.settings import load_site

T = TypeVar("T")

BATCH_S: Final = 0.1
"""Pipeline time over which a receiver gathers sightings into one message."""
LATE_S: Final = 5.0
"""Pipeline time by which the first signal may have been missed."""
EARLY_S: Final = 600.0
"""Real time that is waited for the first signal at most."""
UNDER_WAY: Final = 100
"""Messages that may wait for the broker's acknowledgement."""
ANSWER_S: Final = 10.0


class Pace(Struct, frozen=True):
    """A daemon's clock: it showed `time_s` at `wall_s` and moves at `rate` pipeline seconds a second."""

    time_s: float
    wall_s: float
    rate: float

    def now_s(self) -> float:
        return self.time_s + (time.time() - self.wall_s) * self.rate

    def until_s(self, t_s: float) -> float:
        """Real seconds until the clock shows `t_s`; below 0 when it is past."""
        return (t_s - self.now_s()) / self.rate


class State(Struct):
    """As much of a gateway's retained state as concerns its clock."""

    alive: bool = False
    clock: Pace | None = None


def pace_of(payload: bytes) -> Pace | None:
    """The clock in a gateway's state message; None when it is not running, or the message is none."""
    try:
        state = msgspec.json.decode(payload, type=State)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return state.clock if state.alive else None


async def publish_to(signals: Iterable[Signal], directory: Path, where: str) -> int:
    """`publish` to the MQTT 5 broker at `where` (`HOST:PORT`), for the site of that configuration.

    GatewayError or ConfigError says what is missing.
    """
    host, _, port = where.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise GatewayError(f"expected HOST:PORT, for example 127.0.0.1:1883, not {where!r}")
    site = load_site(directory).site
    return await publish(signals, Endpoint(where, host.strip("[]"), int(port)), site)


async def publish(
    signals: Iterable[Signal],
    endpoint: Endpoint,
    site: str,
    *,
    pace: Pace | None = None,
    answer_s: float = ANSWER_S,
) -> int:
    """Each signal when the daemon's clock reaches its time; returns how many messages were sent.

    Messages go as they are, sightings as their receiver's messages in the generic raw form; what is neither
    has no topic and is left out. `pace` None: as a running daemon of the site says on this broker; `answer_s`
    is how long broker and daemon may take to be there.
    GatewayError: no broker, no daemon, its clock is not near the first signal, or it is scaled and the broker
    is not on loopback.
    """
    if pace is not None:
        _refuse_scaled(pace, endpoint)
    async with _connected(endpoint, site, answer_s) as (connection, heard):
        if pace is None:
            nobody = f"no gateway of {site} runs on {endpoint.host}:{endpoint.port}: start `gateway run`"
            pace = await _within(heard, answer_s, nobody)
            _refuse_scaled(pace, endpoint)
        return await _send(connection, batched(signals, site), pace)


def _refuse_scaled(pace: Pace, endpoint: Endpoint) -> None:
    """Invented times must not reach a real broker."""
    if pace.rate != 1.0 and endpoint.host not in LOOPBACK:
        raise GatewayError(f"a scaled clock is for brokers on loopback, and {endpoint.host} is not")


@contextlib.asynccontextmanager
async def _connected(
    endpoint: Endpoint, site: str, answer_s: float
) -> AsyncIterator[tuple[Connection, asyncio.Future[Pace]]]:
    """A connection that is up, and the clock of the first running daemon that is heard on it."""
    heard: asyncio.Future[Pace] = asyncio.get_running_loop().create_future()

    def hear(incoming: Incoming) -> None:
        pace = pace_of(incoming.payload)
        if pace is not None and not heard.done():
            heard.set_result(pace)

    connection = Connection(
        endpoint,
        f"{site}-publisher-{time.time_ns():x}",
        Link(f"publisher {endpoint.name}"),
        subscriptions=[(f"presence/v1/{site}/+/state", 1)],
        on_message=hear,
    )
    running = asyncio.create_task(connection.run())
    try:
        await _within(connection.wait_up(), answer_s, f"no broker answers at {endpoint.host}:{endpoint.port}")
        yield connection, heard
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def _within(awaited: Awaitable[T], answer_s: float, otherwise: str) -> T:
    try:
        async with asyncio.timeout(answer_s):
            return await awaited
    except TimeoutError:
        raise GatewayError(otherwise) from None


async def _send(connection: Connection, messages: Iterable[Message], pace: Pace) -> int:
    under_way: deque[asyncio.Task[None]] = deque()
    number = 0
    try:
        for number, message in enumerate(messages, 1):
            if number == 1:
                _check_start(message.t_s, pace)
            await asyncio.sleep(max(0.0, pace.until_s(message.t_s)))
            under_way.append(asyncio.create_task(_deliver(connection, message)))
            while under_way and (under_way[0].done() or len(under_way) > UNDER_WAY):
                await under_way.popleft()
        while under_way:
            await under_way.popleft()
    finally:
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
    return number


def _check_start(first_s: float, pace: Pace) -> None:
    began = datetime.fromtimestamp(first_s - 60.0, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    if pace.now_s() - first_s > LATE_S:
        raise GatewayError(
            f"the gateway's clock is past the first signal: start it with --clock {began},RATE"
        )
    if pace.until_s(first_s) > EARLY_S:
        raise GatewayError(f"the first signal is far ahead: start the gateway with --clock {began},RATE")


async def _deliver(connection: Connection, message: Message) -> None:
    """Until the broker has it: a message under way when a connection breaks is sent again, maybe twice."""
    while True:
        try:
            await connection.publish(message.topic, message.payload, retain=message.retain)
            return
        except NotConnectedError:
            await asyncio.sleep(0.1)
            await connection.wait_up()


def batched(signals: Iterable[Signal], site: str) -> Iterator[Message]:
    """Messages as they are; sightings per receiver, gathered for up to `BATCH_S`, at the last one's time."""
    waiting: dict[str, list[Sighting]] = {}
    for signal in signals:
        while waiting and (oldest := next(iter(waiting.values())))[0].t_s + BATCH_S <= signal.t_s:
            yield _raw(waiting.pop(oldest[0].receiver), site)
        if isinstance(signal, Message):
            yield signal
        elif isinstance(signal, Sighting):
            waiting.setdefault(signal.receiver, []).append(signal)
    for sightings in waiting.values():
        yield _raw(sightings, site)


def _raw(sightings: list[Sighting], site: str) -> Message:
    """The generic raw form of a remote receiver (DESIGN §6.4)."""
    items = [
        {"address": s.address, "address_type": s.address_type, "rssi": s.rssi_dbm, "adv": s.adv.hex()}
        for s in sightings
    ]
    topic = f"receivers/v1/{site}/{sightings[0].receiver}"
    return Message(sightings[-1].t_s, topic, msgspec.json.encode(items))
