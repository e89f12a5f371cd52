"""The parts of the outbox's property test: a store that fails on demand, and a receiver that keeps account."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from gateway.consent import ConsentScreen
from gateway.counts import Counts
from gateway.errors import NotConnectedError
from gateway.outbox import Outbox
from gateway.outbox.store import Committed, Store, Write
from gateway.sinks import Delivery, Tombstone
from gateway.sinks.cloudevents import encode
from gateway.sinks.courier import Courier

Fault = Literal["before", "between", "after", "full", "crash before", "crash between", "crash after"]
FAULTS: tuple[Fault, ...] = (
    "before", "between", "after", "full", "crash before", "crash between", "crash after",
)  # fmt: skip


class FailingStore:
    """Stands before a store's `commit`: the next ones meet what is in `faults`.

    A crash copies the files as a killed process would leave them, and everything fails from then on.
    """

    def __init__(self, store: Store, path: Path, wreckage: Path) -> None:
        self._store, self._commit = store, store.commit
        self._path, self._wreckage = path, wreckage
        self.faults: deque[Fault] = deque()
        self.has_crashed = False
        store.commit = self.commit  # type: ignore[method-assign]

    def commit(self, writes: Sequence[Write]) -> Committed:
        if self.has_crashed:
            raise sqlite3.OperationalError("no such process")
        fault = self.faults.popleft() if self.faults else None
        if fault in {"before", "crash before"}:
            self._fail(fault)
        if fault in {"between", "crash between"}:
            half = len(writes) // 2
            return self._commit([*writes[:half], lambda: self._fail(fault), *writes[half:]])
        if fault == "full":
            return self._on_a_full_disk(writes)
        committed = self._commit(writes)
        if fault is not None:
            self._fail(fault)
        return committed

    def _fail(self, fault: str | None) -> int:
        if fault is not None and fault.startswith("crash"):
            self.has_crashed = True
            self._wreckage.mkdir()
            for file in self._path.parent.iterdir():
                shutil.copy2(file, self._wreckage / file.name)
        raise sqlite3.OperationalError("disk I/O error")

    def _on_a_full_disk(self, writes: Sequence[Write]) -> Committed:
        db = self._store._db
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages}").fetchall()
        try:
            return self._commit(writes)
        finally:
            self._store._space.set_cap()


class Receiver:
    """A sink and the application behind it: events by id, tombstones heeded, every sequence accounted for."""

    def __init__(self) -> None:
        self.connection = 1
        self.is_up = True
        self.pass_ = 0
        """How often the courier has begun from the beginning."""
        self.events: dict[str, dict[str, Any]] = {}
        self.accounted: dict[str, set[int]] = {}
        """Generation → sequences received or named by a tombstone."""
        self.removed: dict[str, set[int]] = {}
        self.withdrawn: set[str] = set()
        """Subjects of whom nothing may come any more."""
        self._last: dict[tuple[bool, int], int] = {}
        self._sent: set[tuple[int, int]] = set()
        """(pass, sequence): nothing comes twice in one."""

    async def ready(self) -> int:
        while not self.is_up:  # noqa: ASYNC110 - the machine says so between two turns of the loop
            await asyncio.sleep(0.002)
        return self.connection

    def drop(self) -> None:
        self.connection += 1

    async def send(self, delivery: Delivery) -> None:
        if not self.is_up:
            raise NotConnectedError("cut off")
        event = msgspec.json.decode(encode(delivery, "/sites/s/gateways/g", "platform"))
        generation, sequence = event["generation"], int(event["sequence"])
        accounted = self.accounted.setdefault(generation, set())
        removed = self.removed.setdefault(generation, set())
        accounted.add(sequence)
        assert (self.pass_, sequence) not in self._sent, f"{sequence} came twice in one pass"
        self._sent.add((self.pass_, sequence))
        if isinstance(delivery.content, Tombstone):
            for first, last in event["data"]["ranges"]:
                removed.update(range(first, last + 1))
                accounted.update(range(first, last + 1))
            return
        assert event["subject"] not in self.withdrawn, "an event of somebody who withdrew"
        lane = event["historical"], self.pass_
        assert sequence > self._last.get(lane, 0), f"{sequence} after {self._last[lane]} in one lane"
        self._last[lane] = sequence
        if sequence not in removed:
            known = self.events.setdefault(event["id"], event)
            assert known["time"] == event["time"], "two events with one id"

    def courier(self, outbox: Outbox, screen: ConsentScreen, clock: Callable[[], float]) -> Courier:
        """One that tells when it begins from the beginning."""
        receiver = self

        class Telling(Courier):
            async def _start_over(self) -> None:
                await super()._start_over()
                receiver.pass_ += 1

        return Telling("platform", "platform", sink=self, outbox=outbox, screen=screen, clock=clock,
                       counts=Counts(), backlog_per_s=10_000)  # fmt: skip

    def reconnect(self, *, is_up: bool = True) -> None:
        self.connection += 1
        self.is_up = is_up

    def acknowledgement(self, generation: str) -> dict[str, Any]:
        numbers = sorted(self.accounted.get(generation, ()))
        through = next((n for n, number in enumerate(numbers) if number != n + 1), len(numbers))
        return {"generation": generation, "through": through, "also": [[n, n] for n in numbers[through:]]}
