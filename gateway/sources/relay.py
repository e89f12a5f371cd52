"""A Pi as a receiver for another one: what its radio hears goes out over MQTT in the generic raw form."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import Final, NoReturn

from gateway.counts import Counts
from gateway.errors import NotConnectedError, RefusedError
from gateway.links import Link
from gateway.model import Sighting, Signal
from gateway.mqtt import Connection
from gateway.mqtt_client import Endpoint, Will
from gateway.sources import rawform
from gateway.sources.frames import IdentityFrames

BATCH_S: Final = 0.25
"""A sighting waits so long at most: the gateway takes the time of reception for that of the sighting."""
BATCH: Final = 64
BATCH_BYTES: Final = 16_384
"""Of AD structures in one message, so that a few long ones do not make a huge one."""
WAITING: Final = 512
"""Sightings that wait for the broker; what is older is of no use, the oldest go."""
LOOK_S: Final = 0.5


class Relay:
    """Publishes until cancelled; says its retained state every 15 s and when a radio begins or ends to hear.

    Counted in room `relay`: `relayed`, `nobody` (identifies no device), `dropped`.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        client_id: str,
        *,
        site: str,
        receiver: str,
        frames: IdentityFrames,
        counts: Counts,
    ) -> None:
        self.link = Link(f"relay {endpoint.name}")
        self.radios: list[Link] = []
        """Links of the radios that hear for this relay."""
        self._topic = rawform.topic(site, receiver)
        self._state_topic = rawform.state_topic(site, receiver)
        self._frames = frames
        self._counts = counts
        self._waiting: deque[Sighting] = deque()
        self._full = asyncio.Event()
        self._said: bool | None = None
        self.progress = 0
        """Rises each time that what was heard has been carried on; stands still when that hangs."""
        self._connection = Connection(
            endpoint,
            client_id,
            self.link,
            on_up=self._greet,
            will=Will(self._state_topic, rawform.encode_state(alive=False)),
        )

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._connection.run())
            group.create_task(self._carry())
            group.create_task(self._beat())

    def hear(self, signal: Signal) -> None:
        """Take what a radio heard; never waits."""
        if not isinstance(signal, Sighting):
            return
        kept = self._frames.reduced(signal)
        if kept is None:
            self._counts.count("relay", "nobody")
            return
        self._waiting.append(kept)
        if len(self._waiting) > WAITING:
            self._waiting.popleft()
            self._counts.count("relay", "dropped")
        if len(self._waiting) >= BATCH:
            self._full.set()

    async def say_goodbye(self) -> None:
        """A clean stop does not trigger the last will. NotConnectedError."""
        await self._say(alive=False)

    async def _greet(self) -> None:
        with contextlib.suppress(NotConnectedError, RefusedError):
            await self._say(alive=self._hears())

    def _hears(self) -> bool:
        return any(radio.state == "up" for radio in self.radios)

    async def _say(self, *, alive: bool) -> None:
        self._said = alive
        await self._connection.publish(self._state_topic, rawform.encode_state(alive=alive), retain=True)

    async def _beat(self) -> NoReturn:
        looks = 0
        while True:
            await asyncio.sleep(LOOK_S)
            looks += 1
            if looks * LOOK_S < rawform.HEARTBEAT_S and self._hears() == self._said:
                continue
            looks = 0
            with contextlib.suppress(NotConnectedError, RefusedError):
                await self._say(alive=self._hears())

    async def _carry(self) -> NoReturn:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BATCH_S):
                    await self._full.wait()
            self._full.clear()
            while self._waiting:
                await self._publish(self._take())
            self.progress += 1

    def _take(self) -> list[Sighting]:
        batch: list[Sighting] = []
        size = 0
        while self._waiting and len(batch) < BATCH and size < BATCH_BYTES:
            batch.append(self._waiting.popleft())
            size += len(batch[-1].adv)
        return batch

    async def _publish(self, batch: list[Sighting]) -> None:
        try:
            await self._connection.publish(self._topic, rawform.encode(batch), qos=0)
            self._counts.count("relay", "relayed", len(batch))
        except NotConnectedError:
            self._counts.count("relay", "dropped", len(batch))
