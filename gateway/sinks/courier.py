"""Carries one recipient's queue from the outbox to its sink: each event until it is acknowledged.

What is live goes first. What has waited for longer than `LIVE_S` is backlog and goes beside it, at a bounded
rate; order holds within each of the two.

Two modes (DESIGN §6.2). `puback`: the transport's confirmation is the acknowledgement; complete only as far
as the broker can be trusted. `platform`: the application says what it has, by generation and ranges; what
it does not acknowledge is sent again.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Sequence
from itertools import takewhile
from typing import Annotated, Literal, NoReturn

import msgspec
from msgspec import Meta, Struct

from gateway.consent import ConsentScreen, Release
from gateway.consent.screen import Removal
from gateway.counts import Counts
from gateway.errors import NotConnectedError, RefusedError, StoreError, TooLargeError
from gateway.links import Link, full_jitter
from gateway.outbox import Outbox, Reason, Row
from gateway.sinks import Delivery, Sink, Tombstone
from gateway.sinks.pace import Pace

WINDOW = 100
"""Events that are sent before their confirmations are waited for."""
OUTSTANDING = 2_000
"""Events that may wait for the application's acknowledgement before no more are sent; half of it is kept for
what is live."""
BACKLOG_PER_S = 50.0
"""Events of a backlog that a recipient is sent in a second, when its settings do not say."""
RESEND_S = 60.0
"""Silence of the application after which everything unacknowledged is sent again."""
LIVE_S = 60.0
"""An event that waited longer than this is history, and backlog."""
STALLED_S = 0.5
"""How long a withdrawal waits for the confirmation of what is under way."""
REMOVALS: tuple[Reason, ...] = ("withdrawn", "expired", "capped")
PIECE_S = 0.5
"""Shortest pause between two pieces of a backlog, so that it goes in pieces and not one by one."""
LOOK_AGAIN_S = 1.0
"""How soon a new connection or a due resend is noticed."""


_Sequence = Annotated[int, Meta(ge=1)]


class Acknowledgement(Struct):
    """What the application has of one generation."""

    generation: str
    through: Annotated[int, Meta(ge=0)] = 0
    """Everything from sequence 1 on."""
    also: list[tuple[_Sequence, _Sequence]] = []
    """Ranges above it, first and last included."""


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
        backlog_per_s: float = BACKLOG_PER_S,
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
        self._pace = Pace(backlog_per_s, time.monotonic)
        self._connection = 0
        self._generation = ""
        """In which the numbers below were read."""
        self._cursor = 0
        """Sequence up to which everything was sent, or is backlog."""
        self._backlog: deque[tuple[int, int]] = deque()
        """(after, through) of what waited too long and is still to be sent, rising."""
        self._has_failed = False
        self._buried = 0
        """Tombstones up to here went ahead of the events before them."""
        self._outstanding = 0
        self._under_way: Counter[bytes] = Counter()
        """Sent and not confirmed, by subject key."""
        self._progress_s = time.monotonic()

    @property
    def outstanding(self) -> int:
        """Sent, and not acknowledged by the application."""
        return self._outstanding

    async def run(self) -> NoReturn:
        while True:
            try:
                await self._carry_some()
            except StoreError:  # the outbox's own link says so, and what is submitted waits for it
                self._has_failed = True
                await asyncio.sleep(next(self._pauses))

    async def _carry_some(self) -> None:
        connection = await self._sink.ready()
        is_new = connection != self._connection or self._outbox.generation != self._generation
        if is_new or self._has_failed or self._resend_due():
            self._connection = connection
            await self._start_over()
        room = await self._room()
        if room <= (OUTSTANDING // 2 if self._backlog else 0):
            await self._carry_tombstones()
        if room <= 0:
            await asyncio.sleep(LOOK_AGAIN_S / 10)
            return
        carried = await self._carry_live(min(WINDOW, room))
        carried += await self._carry_backlog(min(WINDOW, room - OUTSTANDING // 2))
        if not carried:
            await self._news()

    async def _carry_live(self, limit: int) -> int:
        """How many were looked at."""
        rows = await self._outbox.pending(self._recipient, self._cursor, limit)
        if self._outbox.generation != self._generation:
            return 0
        late = [row.sequence for row in rows if time.time() - row.stored_s > LIVE_S]
        if late:  # the link is slower than what happens
            self._backlog.append((self._cursor, late[-1]))
            self._cursor = late[-1]
            return len(late)
        carried = await self._carry(rows, historical=False)
        self._cursor = max(self._cursor, carried)
        return len(rows)

    async def _carry_backlog(self, limit: int) -> int:
        """Likewise; as many as the pace allows."""
        limit = min(limit, self._pace.allowed())
        if limit <= 0 or not self._backlog:
            return 0
        after, through = self._backlog[0]
        rows = await self._outbox.pending(self._recipient, after, limit, through)
        if self._outbox.generation != self._generation:
            return 0
        self._pace.spend(len(rows))
        after = max(after, await self._carry(rows, historical=True)) if rows else through
        self._backlog[0] = after, through
        if after >= through:
            self._backlog.popleft()
        return len(rows)

    async def _room(self) -> int:
        """How many may be sent before the application acknowledges some."""
        if self._outstanding >= OUTSTANDING // 2:  # what was removed meanwhile is not acknowledged
            ends = [0, *(end for span in self._backlog for end in span), self._cursor]
            sent = zip(ends[::2], ends[1::2], strict=True)
            counted = [await self._outbox.count(self._recipient, *span) for span in sent]
            self._outstanding = min(self._outstanding, sum(counted))
        return OUTSTANDING - self._outstanding

    def acknowledge(self, payload: bytes, *, retained: bool) -> None:
        """The application's word; what is wrong with it is counted, never believed."""
        if retained:
            self._counts.count("acks", "retained")
            return
        try:
            said = msgspec.json.decode(payload, type=Acknowledgement)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._counts.count("acks", "malformed")
            return
        ranges = [(1, said.through)] if said.through else []
        self._counts.count("acks", "taken")
        self._outbox.acknowledge(self._recipient, said.generation, [*ranges, *said.also], self._acknowledged)

    def _acknowledged(self, deleted: int) -> None:
        if deleted:
            self._outstanding = max(0, self._outstanding - deleted)
            self._progress_s = time.monotonic()

    async def withdraw(self, keys: Collection[bytes]) -> None:
        """What is under way of these subjects must not leave a stalled connection later: it is broken."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STALLED_S):
                while self._under_way.keys() & keys:  # noqa: ASYNC110 - confirmations come one by one
                    await asyncio.sleep(STALLED_S / 10)
                return
        self._sink.drop()

    async def _carry_tombstones(self) -> None:
        """They pass what waits: an application that counts through may be waiting for one of them."""
        after = max(self._backlog[0][0] if self._backlog else self._cursor, self._buried)
        last = await self._outbox.wait(self._recipient, 0)
        if last <= after:
            return
        rows = await self._outbox.tombstones(self._recipient, after, WINDOW)
        if self._outbox.generation != self._generation:
            return
        fates = await asyncio.gather(*(self._send(row, historical=False) for row in rows))
        await self._remove(rows, fates)
        if "failed" not in fates:  # what was looked through once is not looked through again
            self._buried = last if len(rows) < WINDOW else rows[-1].sequence

    async def _carry(self, rows: Sequence[Row], *, historical: bool) -> int:
        """The sequence up to which they are sent or removed; 0: none."""
        now_s = self._clock()
        known = list(takewhile(lambda row: not self._screen.is_unsure(row, now_s), rows))
        if not known:
            if rows:  # a word about it is on its way
                await asyncio.sleep(LOOK_AGAIN_S / 10)
            return 0
        fates = await asyncio.gather(*(self._send(row, historical=historical) for row in known))
        await self._remove(known, fates)
        confirmed = [row.sequence for row, fate in zip(known, fates, strict=True) if fate == "confirmed"]
        if self._mode == "platform":
            self._outstanding += len(confirmed)
        elif confirmed:
            ranges = [(sequence, sequence) for sequence in confirmed]
            self._outbox.acknowledge(self._recipient, self._generation, ranges)
        self._counts.count("sent", self._recipient, len(confirmed))
        if "failed" in fates:
            self._has_failed = True
            await asyncio.sleep(next(self._pauses))
            return 0
        self._pauses = full_jitter()
        self.link.up()
        return known[-1].sequence

    async def _remove(self, rows: Sequence[Row], fates: Sequence[str]) -> None:
        """What may not go or never will; of a tombstone that is too large smaller ones are made."""
        for reason in REMOVALS:
            of_reason = [row for row, fate in zip(rows, fates, strict=True) if fate == reason]
            sequences = [row.sequence for row in of_reason if row.kind == "event"]
            if sequences:
                await self._outbox.remove(self._recipient, sequences, reason, self._generation)
            for row in of_reason:
                if row.kind == "removed":
                    await self._outbox.divide(self._recipient, row.sequence, self._generation)

    def _content(self, row: Row) -> Release | Tombstone | Removal | None:
        """What may be sent of it now, why it goes, or None: not yet known."""
        if row.kind == "removed":
            return Tombstone(row.id, self._screen.recorded_s(self._recipient, row.stored_s), row.body)
        return self._screen.again(row, self._clock())

    def _delivery(self, row: Row, content: Release | Tombstone, *, historical: bool) -> Delivery:
        expires_in_s = None
        if self._mode == "platform" and row.expires_s is not None:
            expires_in_s = max(1, int(row.expires_s - self._clock()))
        return Delivery(
            content=content,
            sequence=row.sequence,
            generation=self._generation,
            recorded_s=self._screen.recorded_s(self._recipient, row.stored_s),
            historical=historical,
            expires_in_s=expires_in_s,
        )

    async def _send(self, row: Row, *, historical: bool) -> Literal["confirmed", "failed"] | Reason:
        """Asks again whether it may leave; nothing is awaited between the answer and the socket."""
        content = self._content(row)
        if content is None:
            return "failed"
        if isinstance(content, str):
            return content
        self._under_way[row.subject_key] += 1
        try:
            await self._sink.send(self._delivery(row, content, historical=historical))
        except NotConnectedError:
            return "failed"
        except TooLargeError as error:  # it would block the rest for ever: a tombstone goes in its place
            self._counts.count("too_large", self._recipient)
            what = "an event is given up" if row.kind == "event" else "a tombstone is divided, if it can be"
            self.link.down(f"{error}; {what}")
            return "capped"
        except RefusedError as error:
            self._counts.count("refused", self._recipient)
            self.link.down(str(error))
            return "failed"
        finally:
            self._under_way[row.subject_key] -= 1
            self._under_way = +self._under_way
        return "confirmed"

    async def _news(self) -> None:
        """Waits for something new, for an acknowledgement to make room, or for the pace of the backlog."""
        is_paced = bool(self._backlog) and self._pace.allowed() < 1
        pause_s = max(PIECE_S, self._pace.pause_s()) if is_paced else LOOK_AGAIN_S
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(pause_s, LOOK_AGAIN_S)):
                after = self._cursor
                last = await self._outbox.wait(self._recipient, after)
                left = await self._outbox.count(self._recipient, after, last)
                if not left and self._outbox.generation == self._generation:
                    self._cursor = last  # removed meanwhile

    def _resend_due(self) -> bool:
        silent = time.monotonic() - self._progress_s > RESEND_S
        return self._mode == "platform" and self._outstanding > 0 and silent

    async def _start_over(self) -> None:
        await self._outbox.settle()  # what waits to be deleted must not go out again
        self._cursor = await self._outbox.newest_before(self._recipient, time.time() - LIVE_S)
        self._generation, self._has_failed = self._outbox.generation, False
        self._backlog = deque([(0, self._cursor)] if self._cursor else [])
        self._outstanding = self._buried = 0
        self._progress_s = time.monotonic()
