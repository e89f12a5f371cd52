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
from typing import Any, ParamSpec, Self, TypeVar

import msgspec

from gateway.consent.bars import Bar, Withdrawal
from gateway.counts import Counts
from gateway.errors import StoreError
from gateway.links import Link, full_jitter
from gateway.model import OpenStay
from gateway.outbox.store import Reason, Row, Store, Transaction, Write

_log = logging.getLogger("gateway.outbox")
_P = ParamSpec("_P")
_T = TypeVar("_T")

ACKNOWLEDGE_S = 2.0
"""How long an acknowledgement may wait for a commit that something else causes."""
_MANY_ACKNOWLEDGED = 100
_LARGE_BATCH = 500
"""Writes; a batch of this size is not held back for more."""
_RETRY_BASE_S, _RETRY_CAP_S = 0.1, 1.0
_GIVE_UP_S = 2.0
"""How long the exit tries to store what is left; above the longest pause, below the 5 s of a clean stop."""


class _Pending(msgspec.Struct, frozen=True):
    write: Write
    finish: Callable[[int | Exception], None]
    """Called in the event loop with the write's answer, after the commit."""


class Outbox:
    """Stores transactions, hands rows out until they are acknowledged, and numbers them per recipient.

    Use as `async with Outbox(...)`: StoreError when the store cannot be opened; the exit commits what was
    submitted, and raises StoreError if the disk refuses it for 2 s. All calls belong to the event loop.
    A commit that fails is tried again until it succeeds, `link` says so, and `uncommitted` grows meanwhile.
    Counted in room `outbox`: commits, commit_failed, stored, already_queued, acknowledged, removed, refused,
    ack_wrong_generation, ack_out_of_range.
    """

    def __init__(
        self,
        path: Path,
        recipients: Collection[str],
        *,
        commit_delay_s: float = 0.2,
        counts: Counts,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.link = Link("outbox")
        self.generation = ""
        """Of the store, opaque; made with the database and constant over its life."""
        self._store = Store(path, frozenset(recipients), clock)
        self._path = path
        self._commit_delay_s = commit_delay_s
        self._counts = counts
        self._queue: list[_Pending] = []
        self._ticket = 0
        self._uncommitted = 0
        self._open = self._closing = False
        self._timer: asyncio.TimerHandle | None = None
        """Fires when the most urgent write in the queue has to be committed."""
        self._acknowledging = 0
        """Acknowledged rows that wait for the next commit, at most."""
        self._acknowledged: dict[str, int] = {}
        """Recipient → highest sequence among them, or among those before."""

    # --- open and close ---

    async def __aenter__(self) -> Self:
        self._due, self._news = asyncio.Event(), asyncio.Event()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="outbox")
        try:
            self._last = await self._in_thread(self._store.open)
        except BaseException:
            self._thread.shutdown(wait=False)
            raise
        self.generation = self._store.generation
        # An earlier run may have sent all of it, and a cumulative acknowledgement of that is still good.
        self._handed_out = dict(self._last)
        self._open = True
        self._writer = asyncio.create_task(self._write_batches(), name="outbox")
        self.link.up()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self._closing = True
        self._due.set()
        try:
            done, _ = await asyncio.wait({self._writer}, timeout=_GIVE_UP_S)
            for writer in done:
                writer.result()
        finally:
            self._open = False
            if not self._writer.done():
                self._writer.cancel()
            await self._in_thread(self._store.close)
            self._thread.shutdown(wait=False)
        if self._uncommitted:
            raise StoreError(
                f"{self._path}: {self._uncommitted} transactions could not be stored: {self.link.detail}"
            )

    # --- in ---

    def submit(self, transaction: Transaction, done: Callable[[], None] | None = None) -> int:
        """Queues it for the next commit and returns its ticket, one higher each time.

        `done` is called in the event loop once it is on disk, in ticket order; also for one that the store
        can never take (a NaN), which is counted as refused.
        """
        finish = partial(self._stored, len(transaction.releases), done)
        self._put(partial(self._store.add, transaction), finish)
        self._ticket += 1
        self._uncommitted += 1
        return self._ticket

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

    async def pending(self, recipient: str, after: int, limit: int) -> list[Row]:
        """Up to `limit` committed rows with a sequence above `after`, rising."""
        if not after:  # what waits to be deleted must not go out again
            await self.settle()
        rows = await self._read(self._store.pending, recipient, after, limit)
        if rows:
            self._handed_out[recipient] = max(self._handed_out.get(recipient, 0), rows[-1].sequence)
        return rows

    async def settle(self) -> None:
        """What was acknowledged up to now is deleted when this returns."""
        if self._acknowledging:
            await self._written(lambda: 0, at_once=True)

    async def tombstones(self, recipient: str, after: int, limit: int) -> list[Row]:
        """As `pending`, of the tombstones alone."""
        rows = await self._read(self._store.tombstones, recipient, after, limit)
        if rows:
            self._handed_out[recipient] = max(self._handed_out.get(recipient, 0), rows[-1].sequence)
        return rows

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
            self._acknowledging = 0
            if isinstance(answer, int):
                self._counts.count("outbox", "acknowledged", answer)
                if done is not None:
                    done(answer)

        known = self._acknowledged.get(recipient, 0)
        self._acknowledging += sum(max(0, last - max(first - 1, known)) for first, last in good)
        self._acknowledged[recipient] = max(known, *(last for _, last in good))
        self._put(partial(self._store.acknowledge, recipient, good), finish, within_s=ACKNOWLEDGE_S)
        if self._acknowledging >= _MANY_ACKNOWLEDGED:
            self._due.set()

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

    async def remove(self, recipient: str, sequences: Collection[int], reason: Reason) -> None:
        """Deletes those that are queued events and says so in a tombstone, in one transaction."""
        removed = await self._written(partial(self._store.remove, recipient, list(sequences), reason))
        self._counts.count("outbox", "removed", removed)

    async def purge(self, withdrawals: Sequence[Withdrawal], reason: Reason = "withdrawn") -> int:
        """Removes what these subjects have here, submitted or queued, with a tombstone per recipient, and
        their open stays; their bars stay, and a sweep is asked for, all in one transaction. Commits at once
        and empties the write-ahead log, so that nothing stays readable in the files. How many events went.
        """
        written = self._written(partial(self._store.purge, list(withdrawals), reason), at_once=True)
        removed = await written
        self._counts.count("outbox", "removed", removed)
        return removed

    async def vacuum(self, pages: int) -> int:
        """Gives up to `pages` free pages back to the file system; how many are left."""
        return await self._read(self._store.vacuum, pages)

    async def sweep_due(self) -> int:
        """The number under which a sweep was asked for and is not done; 0: none."""
        return await self._read(self._store.sweep_due)

    async def swept(self, asked: int) -> None:
        await self._written(partial(self._store.swept, asked), at_once=True)

    # --- state ---

    async def open_stays(self) -> list[OpenStay]:
        """As committed, by subject and zone."""
        return await self._read(self._store.open_stays)

    async def bars(self) -> list[tuple[bytes, Bar]]:
        """What outlived erased subjects, by subject key."""
        return await self._read(self._store.bars)

    async def queued_of(self, key: bytes) -> list[Row]:
        """Everything committed and queued of one subject, at all recipients."""
        return await self._read(self._store.queued_of, key)

    async def keys_queued(self) -> set[bytes]:
        """Subject keys of whoever has an event committed and queued."""
        return await self._read(self._store.keys_queued)

    async def backlog(self) -> dict[str, int]:
        """Rows queued per recipient, also of one that the settings no longer name."""
        return await self._read(self._store.backlog)

    # --- the writer ---

    def _put(
        self,
        write: Write,
        finish: Callable[[int | Exception], None],
        *,
        within_s: float | None = None,
        at_once: bool = False,
    ) -> None:
        """Commits within `within_s`, the group commit's delay when left out."""
        if not self._open or self._writer.done():
            raise StoreError(f"{self._path}: is not open")
        loop = asyncio.get_running_loop()
        due_s = loop.time() + (self._commit_delay_s if within_s is None else within_s)
        if self._timer is None or due_s < self._timer.when():
            if self._timer is not None:
                self._timer.cancel()
            self._timer = loop.call_at(due_s, self._due.set)
        self._queue.append(_Pending(write, finish))
        if at_once or self._closing or len(self._queue) >= _LARGE_BATCH:
            self._due.set()

    async def _written(self, write: Write, *, at_once: bool = False) -> int:
        """Queues a write behind all that was submitted, and returns its answer after the commit."""
        answered: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def finish(answer: int | Exception) -> None:
            if answered.done():  # nobody waits any more
                return
            if isinstance(answer, int):
                answered.set_result(answer)
            else:
                answered.set_exception(StoreError(f"{self._path}: {answer}"))

        self._put(write, finish, at_once=at_once)
        either: set[asyncio.Future[Any]] = {answered, self._writer}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not answered.done():
            raise StoreError(f"{self._path}: closed before this was stored: {self.link.detail}")
        return answered.result()

    async def _write_batches(self) -> None:
        while self._queue or not self._closing:
            await self._due.wait()
            self._due.clear()
            batch, self._queue = self._queue, []
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if batch:
                await self._commit(batch)

    async def _commit(self, batch: list[_Pending]) -> None:
        for pause_s in full_jitter(_RETRY_BASE_S, _RETRY_CAP_S):
            try:
                committed = await self._in_thread(self._store.commit, [pending.write for pending in batch])
                break
            except (sqlite3.Error, MemoryError) as error:
                self._counts.count("outbox", "commit_failed")
                self.link.down(f"{self._path}: cannot store: {error}; kept in memory and tried again")
                await asyncio.sleep(pause_s)
        self.link.up()
        self._counts.count("outbox", "commits", int(committed.changed))
        for pending, answer in zip(batch, committed.answers, strict=True):
            if isinstance(answer, Exception):
                self._counts.count("outbox", "refused")
                _log.error("a write that the store can never take is dropped: %s", type(answer).__name__)
            pending.finish(answer)
        self._last = committed.last_sequence
        self._news.set()
        self._news = asyncio.Event()

    # --- the thread ---

    async def _read(self, ask: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return await self._in_thread(ask, *args, **kwargs)
        except (sqlite3.Error, msgspec.MsgspecError) as error:
            raise StoreError(f"{self._path}: cannot be read: {error}") from error

    async def _in_thread(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, partial(work, *args, **kwargs))
