"""Group commit: what is to be written waits a moment for company; what fails is tried until it succeeds."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from gateway.counts import Counts
from gateway.errors import StoreError
from gateway.links import Link, full_jitter
from gateway.outbox.store import Committed, Write

_LARGE_BATCH = 500
"""Writes; a batch of this size is not held back for more."""
_RETRY_BASE_S, _RETRY_CAP_S = 0.1, 1.0
_GIVE_UP_S = 2.0
"""How long the exit tries to store what is left; above the longest pause, below the 5 s of a clean stop."""

_log = logging.getLogger("gateway.outbox")


class _Pending(msgspec.Struct, frozen=True):
    write: Write
    finish: Callable[[int | Exception], None]
    """Called in the event loop with the write's answer, after the commit."""


class Writer:
    """`start` it in the event loop, where all calls belong. Counts commits, commit_failed and refused."""

    def __init__(
        self, path: Path, link: Link, counts: Counts, delay_s: float, committed: Callable[[Committed], None]
    ) -> None:
        """`committed` is told of each commit when all its writes have their answers."""
        self._path = path
        self._link = link
        self._counts = counts
        self._delay_s = delay_s
        self._committed = committed
        self._queue: list[_Pending] = []
        self._is_open = self._closing = False
        self._timer: asyncio.TimerHandle | None = None
        """Fires when the most urgent write in the queue has to be committed."""

    def start(self, commit: Callable[[Sequence[Write]], Awaitable[Committed]]) -> None:
        """`commit` raises what it cannot do now; an answer that is an exception is for ever."""
        self._commit = commit
        self._due = asyncio.Event()
        self._is_open = True
        self._task = asyncio.create_task(self._write_batches(), name="outbox")

    async def stop(self) -> None:
        """Commits what is queued, as far as the disk takes it within `_GIVE_UP_S`."""
        self._closing = True
        self._due.set()
        try:
            done, _ = await asyncio.wait({self._task}, timeout=_GIVE_UP_S)
            for task in done:
                task.result()
        finally:
            self._is_open = False
            if not self._task.done():
                self._task.cancel()

    def put(
        self,
        write: Write,
        finish: Callable[[int | Exception], None],
        *,
        within_s: float | None = None,
        at_once: bool = False,
    ) -> None:
        """Commits within `within_s`, the group commit's delay when left out. StoreError when not open."""
        if not self._is_open or self._task.done():
            raise StoreError(f"{self._path}: is not open")
        loop = asyncio.get_running_loop()
        due_s = loop.time() + (self._delay_s if within_s is None else within_s)
        if self._timer is None or due_s < self._timer.when():
            if self._timer is not None:
                self._timer.cancel()
            self._timer = loop.call_at(due_s, self._due.set)
        self._queue.append(_Pending(write, finish))
        if at_once or self._closing or len(self._queue) >= _LARGE_BATCH:
            self._due.set()

    def hurry(self) -> None:
        """What is queued is committed now."""
        self._due.set()

    async def written(self, write: Write, *, at_once: bool = False) -> int:
        """Queues a write behind all that was put, and returns its answer after the commit. StoreError when
        it is none, or when this is closed first.
        """
        answered: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def finish(answer: int | Exception) -> None:
            if answered.done():  # nobody waits any more
                return
            if isinstance(answer, int):
                answered.set_result(answer)
            else:
                answered.set_exception(StoreError(f"{self._path}: {answer}"))

        self.put(write, finish, at_once=at_once)
        either: set[asyncio.Future[Any]] = {answered, self._task}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not answered.done():
            raise StoreError(f"{self._path}: closed before this was stored: {self._link.detail}")
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
                await self._write(batch)
            del batch  # or whom it is about would be held until the next

    async def _write(self, batch: list[_Pending]) -> None:
        writes = [pending.write for pending in batch]
        for pause_s in full_jitter(_RETRY_BASE_S, _RETRY_CAP_S):
            try:
                committed = await self._commit(writes)
                break
            except (sqlite3.Error, MemoryError, OSError, StoreError) as error:
                self._counts.count("outbox", "commit_failed")
                if self._link.state == "up":  # the next words may differ, and say nothing new
                    self._link.down(f"{self._path}: cannot store: {error}; kept in memory and tried again")
                await asyncio.sleep(pause_s)
        self._link.up()
        self._counts.count("outbox", "commits", int(committed.changed))
        for pending, answer in zip(batch, committed.answers, strict=True):
            if isinstance(answer, Exception):
                self._counts.count("outbox", "refused")
                _log.error("a write that the store can never take is dropped: %s", type(answer).__name__)
            pending.finish(answer)
        self._committed(committed)
