"""A platform in small: receives the events of one site, tells them apart by id, and acknowledges them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from typing import Self

import msgspec
from msgspec import Struct, field

from gateway.errors import NotConnectedError
from gateway.links import Link
from gateway.mqtt import Connection, Incoming
from gateway.mqtt_client import Endpoint
from gateway.sim.publish import Pace, pace_of

ACKNOWLEDGE_S = 0.2
"""Acknowledgements are gathered for that long: one message says everything that is here."""


class Place(Struct):
    id: str = ""
    kind: str = ""
    name: str = ""


class Facts(Struct):
    zone: Place = field(default_factory=Place)
    dwell_s: float | None = None
    threshold_s: float | None = None
    confidence: float | None = None


class Event(Struct):
    """A CloudEvent of this program, as far as a reader at a terminal wants it."""

    id: str
    type: str
    time: datetime
    recipient: str
    sequence: str
    generation: str
    subject: str = ""
    data: Facts = field(default_factory=Facts)

    @property
    def change(self) -> str:
        return self.type.removeprefix("presence.").removesuffix(".v1")

    @property
    def number(self) -> int:
        return int(self.sequence)


class Subscriber:
    """`async with`: connected to all events of the site. `on_event` gets each of them once."""

    def __init__(
        self,
        endpoint: Endpoint,
        site: str,
        on_event: Callable[[Event], None],
        *,
        acknowledging: Collection[str] = (),
    ) -> None:
        """`acknowledging`: recipients for whom it acknowledges as their application does."""
        self.pace: asyncio.Future[Pace] = asyncio.get_running_loop().create_future()
        """The clock of the first running gateway that is heard."""
        self.events: dict[str, dict[str, Event]] = {}
        """By recipient and id."""
        self.acknowledged: dict[str, int] = {}
        """By recipient: how many events the broker took our word for."""
        self.unreadable = 0
        self._on_event = on_event
        self._acknowledging = acknowledging
        self._base = ""
        self._arrived = asyncio.Event()
        self._connection = Connection(
            endpoint,
            f"{site}-subscriber",
            Link("subscriber"),
            subscriptions=[(f"presence/v1/{site}/+/state", 1), (f"presence/v1/{site}/+/+/+", 1)],
            on_message=self._hear,
        )
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [
            asyncio.create_task(self._connection.run()),
            asyncio.create_task(self._acknowledge_in_turn()),
        ]
        await self._connection.wait_up()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def quiet(self, for_s: float) -> None:
        """Returns when nothing has arrived for that many seconds."""
        while True:
            self._arrived.clear()
            try:
                async with asyncio.timeout(for_s):
                    await self._arrived.wait()
            except TimeoutError:
                return

    def missing(self, recipient: str) -> list[int]:
        """Sequences up to the highest received that have not arrived."""
        numbers = {event.number for event in self.events.get(recipient, {}).values()}
        return [n for n in range(1, max(numbers, default=0) + 1) if n not in numbers]

    def _hear(self, incoming: Incoming) -> None:
        base, _, last = incoming.topic.rpartition("/")
        if last == "state":
            pace = pace_of(incoming.payload)
            if pace is not None and not self.pace.done():
                self.pace.set_result(pace)
            return
        if last == "ack":
            return
        try:
            event = msgspec.json.decode(incoming.payload, type=Event)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self.unreadable += 1
            return
        self._arrived.set()
        self._base = base.rpartition("/")[0]
        if self.events.setdefault(event.recipient, {}).setdefault(event.id, event) is event:
            self._on_event(event)

    async def _acknowledge_in_turn(self) -> None:
        while True:
            await asyncio.sleep(ACKNOWLEDGE_S)
            for recipient in self._acknowledging:
                events = self.events.get(recipient, {})
                if len(events) > self.acknowledged.get(recipient, 0):
                    await self._acknowledge(recipient, list(events.values()))

    async def _acknowledge(self, recipient: str, events: list[Event]) -> None:
        through, also = ranges(event.number for event in events)
        said = {"generation": events[-1].generation, "through": through, "also": also}
        try:
            await self._connection.publish(f"{self._base}/{recipient}/ack", msgspec.json.encode(said))
        except NotConnectedError:
            return  # the next turn says it again
        self.acknowledged[recipient] = len(events)


def ranges(numbers: Iterable[int]) -> tuple[int, list[tuple[int, int]]]:
    """(`through`, `also`) of an acknowledgement: all from 1 on without a gap, then runs beyond a gap."""
    runs: list[tuple[int, int]] = []
    for number in sorted(set(numbers)):
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    if runs and runs[0][0] == 1:
        return runs[0][1], runs[1:]
    return 0, runs
