"""The outbox as the event loop sees it: it never waits for the disk, one thread does all the writing."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import ParamSpec, Self, TypeVar

from gateway.consent.bars import Bar, Withdrawal
from gateway.counts import Counts
from gateway.errors import StoreError
from gateway.links import Link
from gateway.model import OpenStay
from gateway.outbox.limits import DEFAULTS, Limits
from gateway.outbox.reads import Reads
from gateway.outbox.rows import Queued, Reason, Row, Transaction, Waiting
from gateway.outbox.store import Committed, Store
from gateway.outbox.writer import Writer

_log = logging.getLogger("gateway.outbox")
_P = ParamSpec("_P")
_T = TypeVar("_T")

ACKNOWLEDGE_S = 2.0
"""How long an acknowledgement may wait for a commit that something else causes."""
_MANY_ACKNOWLEDGED = 100


class Outbox:
    """Stores transactions, hands rows out until they are acknowledged, and numbers them per recipient.

    Use as `async with Outbox(...)`: StoreError when the store cannot be opened; the exit commits what was
    submitted, and raises StoreError if the disk refuses it for 2 s. All calls belong to the event loop.
    A commit that fails is tried again until it succeeds, `link` says so, and `uncommitted` grows meanwhile.
    Counted in room `outbox`: commits, commit_failed, stored, already_queued, acknowledged, removed, refused,
    ack_wrong_generation, ack_out_of_range, capped, replaced.
    """

    def __init__(
        self,
        path: Path,
        recipients: Collection[str],
        *,
        commit_delay_s: float = 0.2,
        counts: Counts,
        clock: Callable[[], float] = time.time,
        limits: Limits = DEFAULTS,
    ) -> None:
        self.link = Link("outbox")
        self.generation = ""
        """Of the store, opaque; made with the database and constant over its life. A damaged database is put
        aside, and a new one begins with another: sequences of before mean nothing then.
        """
        self.on_replaced: Callable[[], None] = lambda: None
        """Called when that has happened while this is open."""
        self._store = Store(path, frozenset(recipients), clock, limits)
        self._is_full_said = False
        self._path = path
        self._clock = clock
        self._counts = counts
        self._writer = Writer(path, self.link, counts, commit_delay_s, self._committed)
        self._uncommitted = 0
        self._acknowledging = 0
        """Acknowledged rows that wait for the next commit, at most."""
        self._acknowledged: dict[str, int] = {}
        """Recipient → highest sequence among them, or among those before."""

    # --- open and close ---

    async def __aenter__(self) -> Self:
        self._news = asyncio.Event()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="outbox")
        try:
            self._last = await self._in_thread(self._store.open)
        except BaseException:
            self._thread.shutdown(wait=False)
            raise
        self._counts.count("outbox", "replaced", self._store.replaced)
        self.generation = self._store.generation
        # An earlier run may have sent all of it, and a cumulative acknowledgement of that is still good.
        self._handed_out = dict(self._last)
        self._writer.start(lambda writes: self._attempt(self._store.commit, writes))
        self.link.up()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        try:
            await self._writer.stop()
        finally:
            await self._in_thread(self._store.close)
            self._thread.shutdown(wait=False)
        if self._uncommitted:
            raise StoreError(
                f"{self._path}: {self._uncommitted} transactions could not be stored: {self.link.detail}"
            )

    # --- in ---

    def submit(self, transaction: Transaction, done: Callable[[], None] | None = None) -> None:
        """Queues it for the next commit.

        `done` is called in the event loop once it is on disk, in the order of submission; also for one that
        the store can never take (a NaN), which is counted as refused.
        """
        finish = partial(self._stored, len(transaction.releases), done)
        self._writer.put(partial(self._store.add, transaction), finish)
        self._uncommitted += 1

    @property
    def uncommitted(self) -> int:
        """Transactions submitted and not yet on disk."""
        return self._uncommitted

    def _stored(self, releases: int, done: Callable[[], None] | None, answer: int | Exception) -> None:
        self._uncommitted -= 1
        if isinstance(answer, int):
            self._counts.count("outbox", "stored", answer)
            self._counts.count("outbox", "already_queued", releases - answer)
        if done is not None:
            asyncio.get_running_loop().call_soon(done)

    # --- out ---

    async def pending(self, recipient: str, after: int, limit: int, through: int | None = None) -> list[Row]:
        """Up to `limit` committed rows with a sequence above `after`, up to `through` (None: to the end),
        rising.
        """
        if not after:  # what waits to be deleted must not go out again
            await self.settle()
        return self._hand_out(
            recipient, await self._read(lambda reads: reads.pending(recipient, after, limit, through))
        )

    def _hand_out(self, recipient: str, rows: list[Row]) -> list[Row]:
        if rows:
            self._handed_out[recipient] = max(self._handed_out.get(recipient, 0), rows[-1].sequence)
        return rows

    async def newest_before(self, recipient: str, stored_s: float) -> int:
        """The highest sequence queued that was stored before this real Unix time; 0: none."""
        return await self._read(lambda reads: reads.newest_before(recipient, stored_s))

    async def count(self, recipient: str, after: int, through: int) -> int:
        """Rows queued with a sequence above `after`, up to `through`."""
        return await self._read(lambda reads: reads.count(recipient, after, through))

    async def waiting(self, recipient: str, after: int, limit: int) -> list[Waiting]:
        """Events, tombstones left out, above `after`, rising, without what they say."""
        now_s = self._clock()
        return await self._read(lambda reads: reads.waiting(recipient, after, limit, now_s))

    async def settle(self) -> None:
        """What was acknowledged up to now is deleted when this returns."""
        if self._acknowledging:
            await self._writer.written(lambda: 0, at_once=True)

    async def tombstones(self, recipient: str, after: int, limit: int) -> list[Row]:
        """As `pending`, of the tombstones alone."""
        return self._hand_out(
            recipient, await self._read(lambda reads: reads.tombstones(recipient, after, limit))
        )

    async def wait(self, recipient: str, after: int) -> int:
        """Returns the recipient's highest sequence as soon as one above `after` is committed.

        `pending` may then still be empty (removed meanwhile): go on from the number returned here.
        """
        while (last := self._last.get(recipient, 0)) <= after:
            await self._news.wait()
        return last

    def acknowledge(
        self,
        recipient: str,
        generation: str,
        ranges: Sequence[tuple[int, int]],
        done: Callable[[int], None] | None = None,
    ) -> None:
        """Deletes the rows in `ranges` (first, last; both included); `done` is told how many there were.

        With the next commit, to spare the disk one of its own: within `ACKNOWLEDGE_S`, or at once for many. A
        crash before that has the rows sent again, under their ids. Ignored and counted: another generation,
        and each range that is none or that reaches beyond the highest sequence handed out, or committed
        before this start. Repeating it is harmless.
        """
        good = self._believed(recipient, generation, ranges)
        if not good:
            return

        def finish(answer: int | Exception) -> None:
            self._acknowledging -= n
            if isinstance(answer, int):
                self._counts.count("outbox", "acknowledged", answer)
                if done is not None:
                    done(answer)

        known = self._acknowledged.get(recipient, 0)
        n = 1 + sum(max(0, last - max(first - 1, known)) for first, last in good)
        self._acknowledging += n
        self._acknowledged[recipient] = max(known, *(last for _, last in good))
        write = partial(self._store.acknowledge, generation, recipient, good)
        self._writer.put(write, finish, within_s=ACKNOWLEDGE_S)
        if self._acknowledging >= _MANY_ACKNOWLEDGED:
            self._writer.hurry()

    def _believed(
        self, recipient: str, generation: str, ranges: Sequence[tuple[int, int]]
    ) -> list[tuple[int, int]]:
        if generation != self.generation:
            self._counts.count("outbox", "ack_wrong_generation")
            return []
        limit = self._handed_out.get(recipient, 0)
        good = [(first, last) for first, last in ranges if 1 <= first <= last <= limit]
        self._counts.count("outbox", "ack_out_of_range", len(ranges) - len(good))
        return good

    async def remove(
        self, recipient: str, sequences: Collection[int], reason: Reason, generation: str | None = None
    ) -> None:
        """Deletes those that are queued events and says so in a tombstone, in one transaction.

        `generation` in which these sequences were read; None: this one. In another they mean nothing.
        """
        of = self.generation if generation is None else generation
        removed = await self._writer.written(
            partial(self._store.remove, of, recipient, list(sequences), reason)
        )
        self._counts.count("outbox", "removed", removed)

    async def divide(self, recipient: str, sequence: int, generation: str) -> int:
        """Makes two tombstones of one, which name its sequence too; how many there are now. 0: it is gone, or
        stays as it is because it names few ranges.
        """
        return await self._writer.written(partial(self._store.divide, generation, recipient, sequence))

    async def purge(self, withdrawals: Sequence[Withdrawal], reason: Reason = "withdrawn") -> int:
        """Removes what these subjects have here, submitted or queued, with a tombstone per recipient, and
        their open stays; their bars stay, and a sweep is asked for, all in one transaction. Commits at once
        and empties the write-ahead log, so that nothing stays readable in the files. How many events went.
        """
        written = self._writer.written(partial(self._store.purge, list(withdrawals), reason), at_once=True)
        removed = await written
        self._counts.count("outbox", "removed", removed)
        return removed

    async def vacuum(self, pages: int) -> int:
        """Gives up to `pages` free pages back to the file system; how many are left."""
        return await self._asked(partial(self._store.vacuum, pages))

    async def sweep_due(self) -> int:
        """The number under which a sweep was asked for and is not done; 0: none."""
        return await self._read(lambda reads: reads.sweep_due())

    async def swept(self, asked: int) -> None:
        await self._writer.written(partial(self._store.swept, asked), at_once=True)

    async def discard_due(self) -> None:
        """Damaged stores that were put aside are deleted, where a withdrawal or their age has doomed them."""
        try:
            gone = await asyncio.to_thread(self._store.discard_due)  # no business of the database, and slow
        except OSError as error:
            raise StoreError(f"{self._path}: what was put aside cannot be deleted: {error}") from error
        if gone:
            _log.info("%d damaged stores that had been put aside are deleted", gone)

    # --- state ---

    async def open_stays(self) -> list[OpenStay]:
        """As committed, by subject and zone."""
        return await self._read(lambda reads: reads.open_stays())

    async def bars(self) -> list[tuple[bytes, Bar]]:
        """What outlived erased subjects, by subject key."""
        return await self._in_thread(self._store.bars)

    async def queued_of(self, key: bytes) -> list[Row]:
        """Everything committed and queued of one subject, at all recipients."""
        return await self._read(lambda reads: reads.queued_of(key))

    async def keys_queued(self) -> set[bytes]:
        """Subject keys of whoever has an event committed and queued."""
        return await self._read(lambda reads: reads.keys_queued())

    async def backlog(self) -> dict[str, int]:
        """Rows queued per recipient, also of one that the settings no longer name."""
        return await self._read(lambda reads: reads.backlog())

    async def queued(self) -> list[Queued]:
        """What waits, by recipient; what was acknowledged is deleted first."""
        await self.settle()
        return await self._read(lambda reads: reads.queued())

    async def is_empty(self, recipients: Collection[str]) -> bool:
        """Whether nothing is queued for any of them, nor acknowledged and still there."""
        await self.settle()
        return await self._read(lambda reads: not any(map(reads.has_some, recipients)))

    @property
    def quarantined(self) -> int:
        """Damaged stores that lie aside."""
        return self._store.quarantined

    # --- after a commit ---

    def _committed(self, committed: Committed) -> None:
        self._tell_of_space(committed)
        self._last = committed.last_sequence
        self._news.set()
        self._news = asyncio.Event()

    def _tell_of_space(self, committed: Committed) -> None:
        self._counts.count("outbox", "capped", committed.capped)
        if committed.capped and not self._is_full_said:
            self._is_full_said = True
            _log.warning("%s is full (`outbox: max_mb`): what is worth least goes first", self._path)
        elif self._is_full_said and committed.is_roomy:
            self._is_full_said = False
            _log.info("%s has room again", self._path)

    # --- the thread ---

    async def _read(self, ask: Callable[[Reads], _T]) -> _T:
        return await self._asked(lambda: ask(self._store.reads))

    async def _asked(self, work: Callable[[], _T]) -> _T:
        try:
            return await self._attempt(work)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"{self._path}: cannot be used now: {error}") from error

    async def _attempt(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """In the thread; where that has replaced a damaged store, the new one is taken up."""
        answer = await self._in_thread(partial(self._store.attempt, work, *args, **kwargs))
        if self._store.generation != self.generation:
            self.generation = self._store.generation
            self._counts.count("outbox", "replaced")
            self._last = await self._in_thread(self._store.reads.last_sequence)
            self._handed_out.clear()
            self._acknowledged.clear()
            self.on_replaced()
        return answer

    async def _in_thread(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, partial(work, *args, **kwargs))
