"""The outbox on disk: one SQLite file, owned by one thread.

Every write here is safe to repeat: an event that is still queued, a range that is already gone, a stay that
stands already change nothing. So a transaction whose commit failed is simply written again.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import msgspec

from gateway.consent.bars import OPEN, Bar, Withdrawal
from gateway.consent.release import Release
from gateway.errors import StoreError
from gateway.model import OpenStay, StayClosed
from gateway.outbox import quarantine, schema
from gateway.outbox.barbook import BarBook
from gateway.outbox.limits import Limits
from gateway.outbox.quarantine import Wreck
from gateway.outbox.reads import Reads
from gateway.outbox.rows import DamagedRowError, Reason, Transaction
from gateway.outbox.space import Space
from gateway.outbox.tombstones import Tombstones, queue
from gateway.outbox.witness import Witness

Write = Callable[[], int]
"""One change inside a transaction; returns how many queued rows came or went."""
_P = ParamSpec("_P")
_T = TypeVar("_T")

_SALVAGED_AT_ONCE = 1000
_OF_SUBJECTS = """
SELECT recipient, sequence FROM queued
WHERE kind = 'event' AND lower(hex(subject_key)) IN (SELECT value FROM json_each(?)) ORDER BY 1, 2
"""
_LOOK_EVERY = 16
"""Events between two looks at the size: what comes in between fits in the reserve."""
_DAMAGE = {
    sqlite3.SQLITE_IOERR_READ,
    sqlite3.SQLITE_IOERR_SHORT_READ,
    sqlite3.SQLITE_IOERR_CORRUPTFS,
}

_log = logging.getLogger("gateway.outbox")


class Committed(msgspec.Struct, frozen=True):
    answers: list[int | Exception]
    """Of each write, in order; an exception where a write can never succeed."""
    last_sequence: dict[str, int]
    changed: bool
    capped: int
    """Events that went because the store is full."""
    is_roomy: bool


class Store:
    """Used from one thread; `commit` raises sqlite3.Error or MemoryError while nothing can be stored.

    A damaged file is put aside whenever that is noticed, and a new one begins (`attempt`).
    """

    def __init__(
        self, path: Path, recipients: Collection[str], clock: Callable[[], float], limits: Limits
    ) -> None:
        self._path = path
        self._recipients = recipients
        self._clock = clock
        self._limits = limits
        self._bars = BarBook(path, clock)
        self._witness = Witness(path)
        self._stored_s = 0.0
        self._erased = False
        self._is_open = False
        self._capped = self._unlooked = 0
        self.generation = ""
        self.quarantined = 0
        """Damaged files that lie aside."""
        self.replaced = 0
        """Damaged files that were put aside by this object."""

    # --- open and close ---

    def open(self) -> dict[str, int]:
        """Returns `last_sequence`. StoreError, with what to do about it, when the file cannot be used."""
        try:
            self._open()
            return self.reads.last_sequence()
        except (OSError, sqlite3.Error) as error:
            self._shut()
            raise StoreError(f"{self._path}: {_advice(error)}") from error
        except StoreError:
            self._shut()
            raise

    def _open(self) -> None:
        try:
            self._use()
        except sqlite3.Error as error:
            if not _is_damage(error):
                raise
            self._put_aside(str(error))
            self._use()
        self._take_over()
        self.quarantined = len(quarantine.quarantined(self._path))

    def _use(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._path.exists():
            quarantine.put_aside(self._path)  # what a move that was cut off has left
        is_new = not self._path.exists() or not self._path.stat().st_size
        _make_file(self._path)
        self._db = schema.connect(self._path)
        self._is_open = True
        schema.prepare(self._db, self._path)
        self.generation = schema.one(self._db, "SELECT generation FROM store")
        self.reads = Reads(self._db, self._recipients)
        self._witness.compare(self.generation, self.reads.last_sequence())
        self._db.executemany(
            "INSERT OR IGNORE INTO recipient VALUES (?, 0)", [(r,) for r in self._recipients]
        )
        self._tombstones = Tombstones(self._db)
        self._space = Space(self._db, self._limits, self._cap)
        self._db.create_function("kept_s", 2, self._limits.kept_s, deterministic=True)
        is_first = is_new and not quarantine.quarantined(self._path)
        self._bars.open(self._db, is_new=is_new, is_first=is_first)
        self._fit()

    def _fit(self) -> None:
        """A smaller size may have been set since."""
        self._space.set_cap()
        if self._space.is_full():
            self._commit([self._space.make_room])
            self.vacuum(1 << 30)
            self._space.set_cap()

    def close(self) -> None:
        with contextlib.suppress(sqlite3.Error):  # what the log still holds is read at the next start
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._shut()

    def _shut(self) -> None:
        if self._is_open:
            self._is_open = False
            with contextlib.suppress(sqlite3.Error):
                self._db.close()
        self._witness.close()

    # --- damage ---

    def attempt(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Does it; where that shows that the file is damaged, on a new one."""
        try:
            if not self._is_open:  # the new one could not be made at once
                self._begin_anew()
            return work(*args, **kwargs)
        except sqlite3.Error as error:
            if not self._is_open or not _is_damage(error):
                raise
            self._put_aside(str(error))
            self._begin_anew()
            return work(*args, **kwargs)

    def _begin_anew(self) -> None:
        """To the end or not at all: what is half taken over is taken over again."""
        try:
            self._open()
        except BaseException:
            self._shut()
            raise

    def _put_aside(self, why: str) -> None:
        self._shut()
        aside = quarantine.put_aside(self._path)
        self.replaced += 1
        _log.error(
            "%s is damaged (%s): put aside as %s, kept for %d days at most; a new store and generation begin",
            self._path, why, aside.name if aside else "nothing", quarantine.KEPT_S // 86_400,
        )  # fmt: skip

    def _take_over(self) -> None:
        """What reads whole in damaged files is queued again: under its id, with a new sequence."""
        for aside in quarantine.unread(self._path):
            events = stays = 0
            with Wreck(aside) as wreck:
                batch: list[Write] = []
                for row in wreck.rows():
                    values = msgspec.structs.asdict(row)
                    batch.append(lambda values=values: queue(self._db, values) + self._keep_within())  # type: ignore[misc]
                    if len(batch) >= _SALVAGED_AT_ONCE:
                        self._commit(batch)
                        batch = []
                    events += 1
                for stay in wreck.open_stays():
                    batch.append(lambda stay=stay: self._write_stay(stay))  # type: ignore[misc]
                    stays += 1
                batch.append(lambda: self._ask_for_sweep(int(self._clock())))
                self._commit(batch)
            quarantine.is_read(aside)
            _log.error(
                "%s: %d events and %d open stays read whole and were taken over", aside.name, events, stays
            )

    def _ask_for_sweep(self, number: int) -> int:
        """Above every number of the store before: what had been asked for there may not be done."""
        self._db.execute("UPDATE sweep SET asked = max(asked + 1, ?)", (number,))
        return 0

    # --- the transaction ---

    def commit(self, writes: Sequence[Write]) -> Committed:
        """All of `writes` in one transaction; one that can never succeed is left out, the rest is stored."""
        before = self._db.total_changes
        self._capped = 0
        try:
            answers = self._commit(writes)
        except sqlite3.OperationalError:
            if not self._space.is_full():
                raise
            self._capped += sum(n for n in self._commit([self._space.make_room]) if isinstance(n, int))
            answers = self._commit(writes)
        if self._erased:
            self._empty_log()
        last = self.reads.last_sequence()
        self._witness.note(self.generation, last)
        changed = self._db.total_changes != before
        return Committed(answers, last, changed, self._capped, self._space.is_roomy())

    def _commit(self, writes: Sequence[Write]) -> list[int | Exception]:
        self._stored_s = self._clock()
        try:
            self._db.execute("BEGIN IMMEDIATE")
            answers: list[int | Exception] = [write() for write in writes]
            self._db.execute("COMMIT")
        except Exception as error:
            with contextlib.suppress(sqlite3.Error):
                self._db.rollback()
            self._space.forget()
            self._tombstones.forget()
            if _may_pass(error):
                raise
            if len(writes) == 1:
                return [error]
            return [answer for write in writes for answer in self._commit([write])]
        return answers

    def _empty_log(self) -> None:
        """What was erased must not stay readable in the write-ahead log; tried again when it fails."""
        with contextlib.suppress(sqlite3.Error):
            busy, *_ = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            self._erased = bool(busy)

    # --- writes, each inside a transaction ---

    def add(self, transaction: Transaction) -> int:
        """Events that are still queued under their id are left out and take no sequence."""
        for stay in transaction.stays:
            if isinstance(stay, StayClosed):
                self._db.execute(
                    "DELETE FROM open_stay WHERE subject = ? AND zone = ?", (stay.subject, stay.zone)
                )
            else:
                self._write_stay(stay)
        return sum(self._queue(release) for release in transaction.releases)

    def _write_stay(self, stay: OpenStay) -> int:
        values = (stay.subject, stay.zone, msgspec.json.encode(stay))
        self._db.execute("INSERT OR REPLACE INTO open_stay VALUES (?, ?, ?)", values)
        return 0

    def _queue(self, release: Release) -> int:
        values: dict[str, Any] = {name: getattr(release, name) for name in Release.__slots__}
        queued = queue(self._db, values | {"kind": "event", "stored_s": self._stored_s})
        return queued + self._keep_within()

    def _keep_within(self) -> int:
        self._unlooked += 1
        if self._unlooked >= _LOOK_EVERY:
            self._unlooked = 0
            if self._space.is_full():
                self._capped += self._space.make_room()
        return 0

    def _cap(self, recipient: str, sequences: list[int]) -> int:
        return self._remove(recipient, sequences, "capped")

    def acknowledge(self, generation: str, recipient: str, ranges: Iterable[tuple[int, int]]) -> int:
        """Deletes events and tombstones alike; nothing where `generation` is over."""
        if generation != self.generation:
            return 0
        delete = "DELETE FROM queued WHERE recipient = ? AND sequence BETWEEN ? AND ?"
        return sum(self._db.execute(delete, (recipient, first, last)).rowcount for first, last in ranges)

    def remove(self, generation: str, recipient: str, sequences: Collection[int], reason: Reason) -> int:
        """Deletes those of `sequences` that are queued events and leaves a tombstone that names them."""
        return 0 if generation != self.generation else self._remove(recipient, sequences, reason)

    def _remove(self, recipient: str, sequences: Collection[int], reason: Reason) -> int:
        self._erased = True
        delete = "DELETE FROM queued WHERE recipient = ? AND sequence = ? AND kind = 'event'"
        gone = [s for s in sorted(set(sequences)) if self._db.execute(delete, (recipient, s)).rowcount]
        self._tombstones.bury(recipient, gone, reason, self._stored_s)
        return len(gone)

    def divide(self, generation: str, recipient: str, sequence: int) -> int:
        if generation != self.generation:
            return 0
        return self._tombstones.divide(recipient, sequence, self._stored_s)

    def purge(self, withdrawals: Sequence[Withdrawal], reason: Reason) -> int:
        """Removes every queued event of the subjects at every recipient, and their open stays; keeps their
        bars; dooms what lies aside; asks for a sweep.
        """
        self._erased = True
        if self.quarantined:
            quarantine.doom(self._path)
        keys = msgspec.json.encode([w.key.hex() for w in withdrawals]).decode()
        found = self._db.execute(_OF_SUBJECTS, (keys,)).fetchall()
        self._db.executemany("DELETE FROM open_stay WHERE subject = ?", [(w.subject,) for w in withdrawals])
        self._bars.add({w.key: w.bar for w in withdrawals if w.bar != OPEN}, self._stored_s)
        self._ask_for_sweep(0)
        by_recipient = groupby(found, key=itemgetter(0))
        return sum(
            self._remove(name, [sequence for _, sequence in rows], reason) for name, rows in by_recipient
        )

    def swept(self, asked: int) -> int:
        """The sweep that was asked for under this number is done."""
        self._db.execute("UPDATE sweep SET done = max(done, ?)", (asked,))
        return 0

    # --- between transactions ---

    def vacuum(self, pages: int) -> int:
        """Gives up to `pages` free pages back to the file system; how many are left. After the last of them
        the log is emptied too.
        """
        self._db.executescript(f"PRAGMA incremental_vacuum({int(pages)})")  # `execute` stops after one page
        left: int = schema.one(self._db, "PRAGMA freelist_count")
        if not left:
            self._erased = True
            self._empty_log()
        return left

    def bars(self) -> list[tuple[bytes, Bar]]:
        """By subject key."""
        return sorted(self._bars.held.items())

    def discard_due(self) -> int:
        """Damaged files that a withdrawal or their age has doomed go; how many there were."""
        gone = quarantine.discard_due(self._path, self._clock())
        self.quarantined = len(quarantine.quarantined(self._path))
        return gone


def _make_file(path: Path) -> None:
    """Only the gateway's own user may read it; SQLite gives its log file the same mode."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)


def _is_damage(error: sqlite3.Error) -> bool:
    if isinstance(error, DamagedRowError | schema.DamagedStoreError):
        return True
    code = getattr(error, "sqlite_errorcode", 0)
    return code in _DAMAGE or code & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def _may_pass(error: Exception) -> bool:
    """Whether the disk or the machine refused, not the data: the same write may succeed later."""
    if isinstance(error, sqlite3.OperationalError | MemoryError | OSError):
        return True
    return isinstance(error, sqlite3.DatabaseError) and _is_damage(error)


def _advice(error: Exception) -> str:
    if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
        return "is in use by another process; stop the other gateway first"
    return f"cannot be opened: {error}; the gateway needs a directory that it may write"
