"""Three bounded lanes between the transports and the pipeline (DESIGN §2).

Putting never blocks. Control (consent, receivers' wills) is never dropped; fixes have room of their own, so
that a flood of advertisements cannot push a car out; of sightings the oldest go, and are counted.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable

from msgspec import Struct

from gateway.counts import Counts
from gateway.model import Message, Sighting, Signal

Acknowledge = Callable[[], None]

SIGHTINGS = 20_000
SIGHTINGS_BYTES = 4 << 20
"""Of messages: one may hold a hundred advertisements."""
FIXES = 5_000


class Arrival(Struct, frozen=True, gc=False):
    number: int
    signal: Signal
    acknowledge: Acknowledge | None = None
    """Tells the transport that the signal is dealt with; called after the commit."""
    weight_bytes: int = 0
    """Of what is still to be decoded."""


class Lanes:
    def __init__(
        self,
        counts: Counts,
        *,
        sightings: int = SIGHTINGS,
        sightings_bytes: int = SIGHTINGS_BYTES,
        fixes: int = FIXES,
        heed: Callable[[Signal], None] | None = None,
    ) -> None:
        """`heed` sees what goes into the control lane at once, before its turn comes."""
        self._counts = counts
        self._heed = heed
        self._control: deque[Arrival] = deque()
        self._fixes: deque[Arrival] = deque()
        self._sightings: deque[Arrival] = deque()
        self._room = {"fixes": fixes, "sightings": sightings}
        self._room_bytes, self._held_bytes = sightings_bytes, 0
        """In the lane of sightings."""
        self._number = 0
        self._waiting: asyncio.Future[None] | None = None

    def control(self, signal: Signal) -> None:
        if self._heed is not None:
            self._heed(signal)
        self._put(self._control, signal, None)

    def fix(self, signal: Signal, acknowledge: Acknowledge | None = None) -> None:
        self._put(self._fixes, signal, acknowledge)
        self._shed("fixes", self._fixes)

    def sighting(self, signal: Signal, acknowledge: Acknowledge | None = None) -> None:
        weight_bytes = len(signal.payload) if isinstance(signal, Message) else 0
        self._held_bytes += weight_bytes
        self._put(self._sightings, signal, acknowledge, weight_bytes)
        self._shed("sightings", self._sightings, self._room_bytes)

    def hear(self, signal: Signal) -> None:
        """For a source that knows one kind only: its own radio."""
        if isinstance(signal, Sighting):
            self.sighting(signal)
        else:
            self.control(signal)

    async def wait(self, timeout_s: float | None) -> None:
        """Until something is there, or `timeout_s` real seconds have passed. For one task at a time.

        Without asyncio's Event and timeout, which cost more than decoding what arrives.
        """
        if len(self):
            return
        loop = asyncio.get_running_loop()
        waiting = self._waiting = loop.create_future()
        timer = None if timeout_s is None else loop.call_later(timeout_s, _wake, waiting)
        try:
            await waiting
        finally:
            self._waiting = None
            if timer is not None:
                timer.cancel()

    def drain(self, most: int, most_bytes: float = math.inf) -> list[Arrival]:
        """Up to `most` arrivals in the order of reception, whichever lane they came by, and no more once the
        sightings among them weigh `most_bytes`.
        """
        taken: list[Arrival] = []
        lanes = [self._control, self._fixes, self._sightings]
        stop_bytes = self._held_bytes - most_bytes
        while len(taken) < most and (waiting := [lane for lane in lanes if lane]):
            if self._held_bytes <= stop_bytes:
                break
            waiting.sort(key=lambda lane: lane[0].number)
            oldest = waiting[0]
            until = waiting[1][0].number if len(waiting) > 1 else self._number + 1
            while len(taken) < most and oldest and oldest[0].number < until:
                arrival = oldest.popleft()
                taken.append(arrival)
                if arrival.weight_bytes:
                    self._held_bytes -= arrival.weight_bytes
                    if self._held_bytes <= stop_bytes:
                        break
        return taken

    @property
    def waiting(self) -> dict[str, int]:
        """Signals in each lane."""
        return {
            "control": len(self._control),
            "fixes": len(self._fixes),
            "sightings": len(self._sightings),
        }

    @property
    def weight_bytes(self) -> int:
        """Of the messages in the lane of sightings."""
        return self._held_bytes

    @property
    def control_waiting(self) -> int:
        return len(self._control)

    def __len__(self) -> int:
        return len(self._control) + len(self._fixes) + len(self._sightings)

    def _put(
        self,
        lane: deque[Arrival],
        signal: Signal,
        acknowledge: Acknowledge | None,
        weight_bytes: int = 0,
    ) -> None:
        self._number += 1
        lane.append(Arrival(self._number, signal, acknowledge, weight_bytes))
        if self._waiting is not None:
            _wake(self._waiting)

    def _shed(self, name: str, lane: deque[Arrival], room_bytes: float = math.inf) -> None:
        while len(lane) > self._room[name] or self._held_bytes > room_bytes:
            oldest = lane.popleft()
            self._held_bytes -= oldest.weight_bytes
            self._counts.count("lanes", f"{name}_dropped")
            if oldest.acknowledge is not None:
                oldest.acknowledge()


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
