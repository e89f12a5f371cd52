"""Carries one recipient's queue from the outbox to its sink: each event until it is acknowledged.

Two modes (DESIGN §6.2). `puback`: the transport's confirmation is the acknowledgement; complete only as far
as the broker can be trusted. `platform`: the application says what it has, by generation and ranges; what
it does not acknowledge is sent again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Literal, NoReturn

import msgspec
from msgspec import Struct

from gateway.consent import ConsentScreen, Release
from gateway.counts import Counts
from gateway.links import Link, full_jitter
from gateway.mqtt import NotConnectedError, RefusedError
from gateway.outbox import Outbox, Row
from gateway.sinks import Delivery, Sink, Tombstone

WINDOW = 100
"""Events that are sent before their confirmations are waited for."""
OUTSTANDING = 2_000
"""Events that may wait for the application's acknowledgement before no more are sent."""
RESEND_S = 60.0
"""Silence of the application after which everything unacknowledged is sent again."""
LIVE_S = 60.0
"""An event that waited longer than this is history."""
LOOK_AGAIN_S = 1.0
"""How soon a new connection or a due resend is noticed."""


class _Acknowledgement(Struct):
    generation: str
    through: int = 0
    also: list[tuple[int, int]] = []


class Courier:
    def __init__(
        self,
        recipient: str,
        mode: Literal["platform", "puback"],
        *,
        sink: Sink,
        outbox: Outbox,
        screen: ConsentScreen,
        clock: Callable[[], float],
        counts: Counts,
    ) -> None:
        self._recipient = recipient
        self._mode = mode
        self._sink = sink
        self._outbox = outbox
        self._screen = screen
        self._clock = clock
        self._counts = counts
        self.link = Link(f"recipient {recipient}")
        self._pauses = full_jitter()
        self._connection = 0
        self._cursor = 0
        self._outstanding = 0
        self._progress_s = time.monotonic()

    async def run(self) -> NoReturn:
        while True:
            connection = await self._sink.ready()
            if connection != self._connection or self._resend_due():
                self._connection = connection
                self._start_over()
            room = OUTSTANDING - self._outstanding
            if room <= 0:
                await asyncio.sleep(LOOK_AGAIN_S / 10)
                continue
            last = await self._news()
            rows = await self._outbox.pending(self._recipient, self._cursor, min(WINDOW, room))
            if rows:
                await self._carry(rows)
            else:
                self._cursor = last

    async def acknowledge(self, payload: bytes, *, retained: bool) -> None:
        """The application's word; what is wrong with it is counted, never believed."""
        if retained:
            self._counts.count("acks", "retained")
            return
        try:
            said = msgspec.json.decode(payload, type=_Acknowledgement)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._counts.count("acks", "malformed")
            return
        ranges = [(1, said.through)] if said.through else []
        deleted = await self._outbox.acknowledge(self._recipient, said.generation, [*ranges, *said.also])
        self._counts.count("acks", "taken")
        if deleted:
            self._outstanding = max(0, self._outstanding - deleted)
            self._progress_s = time.monotonic()

    async def _carry(self, rows: Sequence[Row]) -> None:
        deliveries = []
        removed: dict[Literal["withdrawn", "expired"], list[int]] = {"withdrawn": [], "expired": []}
        for row in rows:
            content = self._content(row)
            if isinstance(content, str):
                removed[content].append(row.sequence)
            else:
                deliveries.append(self._delivery(row, content))
        for reason, sequences in removed.items():
            if sequences:
                await self._outbox.remove(self._recipient, sequences, reason)
        confirmed = await asyncio.gather(*(self._send(d) for d in deliveries))
        if self._mode == "puback":
            ranges = [(d.sequence, d.sequence) for d, ok in zip(deliveries, confirmed, strict=True) if ok]
            if ranges:
                await self._outbox.acknowledge(self._recipient, self._outbox.generation, ranges)
        else:
            self._outstanding += sum(confirmed)
        self._counts.count("sent", self._recipient, sum(confirmed))
        if all(confirmed):
            self._cursor = rows[-1].sequence
            self._pauses = full_jitter()
            self.link.up()
        else:
            self._start_over()
            await asyncio.sleep(next(self._pauses))

    def _content(self, row: Row) -> Release | Tombstone | Literal["withdrawn", "expired"]:
        if row.kind == "removed":
            return Tombstone(row.id, row.stored_s, row.body)
        return self._screen.again(row, self._clock())

    def _delivery(self, row: Row, content: Release | Tombstone) -> Delivery:
        expires_in_s = None
        if self._mode == "platform" and row.expires_s is not None:
            expires_in_s = max(1, int(row.expires_s - self._clock()))
        return Delivery(
            content=content,
            sequence=row.sequence,
            generation=self._outbox.generation,
            recorded_s=row.stored_s,
            historical=time.time() - row.stored_s > LIVE_S,
            expires_in_s=expires_in_s,
        )

    async def _send(self, delivery: Delivery) -> bool:
        try:
            await self._sink.send(delivery)
        except NotConnectedError:
            return False
        except RefusedError as error:
            self._counts.count("refused", self._recipient)
            self.link.down(f"{error}; is this client allowed to publish there?")
            return False
        return True

    async def _news(self) -> int:
        """The highest sequence there is, at once where it is above the cursor."""
        try:
            async with asyncio.timeout(LOOK_AGAIN_S):
                return await self._outbox.wait(self._recipient, self._cursor)
        except TimeoutError:
            return self._cursor

    def _resend_due(self) -> bool:
        silent = time.monotonic() - self._progress_s > RESEND_S
        return self._mode == "platform" and self._outstanding > 0 and silent

    def _start_over(self) -> None:
        self._cursor = self._outstanding = 0
        self._progress_s = time.monotonic()
