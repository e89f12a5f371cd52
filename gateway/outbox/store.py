"""The outbox on disk: one SQLite file, owned by one thread.

Every write here is safe to repeat: an event that is still queued, a range that is already gone, a stay that
stands already change nothing. So a transaction whose commit failed is simply written again.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal

import msgspec

from gateway.consent.bars import OPEN, Bar, Withdrawal
from gateway.consent.release import Release
from gateway.errors import StoreError
from gateway.model import OpenStay, StayClosed

SCHEMA_VERSION = 2
_SCHEMA = """
BEGIN;
CREATE TABLE store (generation TEXT NOT NULL);
INSERT INTO store VALUES (lower(hex(randomblob(8))));

CREATE TABLE recipient (name TEXT PRIMARY KEY, last_sequence INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE queued (
    recipient TEXT NOT NULL, sequence INTEGER NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL,
    subject_key BLOB NOT NULL, purpose TEXT NOT NULL, zone TEXT NOT NULL, change TEXT NOT NULL,
    t_s REAL NOT NULL, expires_s REAL, stored_s REAL NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (recipient, sequence), UNIQUE (recipient, id)
) WITHOUT ROWID;
CREATE TRIGGER numbered AFTER INSERT ON queued BEGIN
    INSERT INTO recipient VALUES (NEW.recipient, NEW.sequence)
        ON CONFLICT (name) DO UPDATE SET last_sequence = NEW.sequence;
END;

CREATE TABLE open_stay (
    subject TEXT NOT NULL, zone TEXT NOT NULL, stay BLOB NOT NULL, PRIMARY KEY (subject, zone)
) WITHOUT ROWID;
CREATE TABLE bar (
    subject_key BLOB PRIMARY KEY, erased_version INTEGER NOT NULL, version INTEGER NOT NULL,
    event_time_s REAL, until_s REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE sweep (asked INTEGER NOT NULL, done INTEGER NOT NULL);
INSERT INTO sweep VALUES (0, 0);
PRAGMA user_version = 2;
COMMIT;
"""
_FROM_1 = "BEGIN; CREATE TABLE bar" + _SCHEMA.split("CREATE TABLE bar")[1]
_QUEUE = """
INSERT INTO queued VALUES (
    :recipient,
    (SELECT coalesce(max(last_sequence), 0) + 1 FROM recipient WHERE name = :recipient),
    :kind, :id, :subject_key, :purpose, :zone, :change, :t_s, :expires_s, :stored_s, :body
) ON CONFLICT (recipient, id) DO NOTHING
"""
_BACKLOG = """
SELECT name, (SELECT count(*) FROM queued WHERE recipient = name) FROM recipient
"""

_RANGES_PER_TOMBSTONE = 1000
"""Keeps a tombstone near 16 kB; scattered removals beyond that take several."""

Reason = Literal["withdrawn", "expired", "capped"]
Write = Callable[[], int]
"""One change inside a transaction; returns how many queued rows came or went."""


class Transaction(msgspec.Struct, frozen=True):
    """What one signal caused: stored together or not at all."""

    releases: list[Release] = []
    stays: list[OpenStay | StayClosed] = []


class Row(msgspec.Struct, frozen=True):
    """One queued message as a sink sends it."""

    recipient: str
    sequence: int
    kind: Literal["event", "removed"]
    id: str
    subject_key: bytes
    """Empty in a tombstone, which belongs to nobody."""
    purpose: str
    zone: str
    change: str
    """`removed` in a tombstone."""
    t_s: float
    expires_s: float | None
    stored_s: float
    """Real Unix time of the commit."""
    body: bytes
    """The release's own; of a tombstone `{"ranges": [[first, last], ...], "reason": ...}`."""


class Committed(msgspec.Struct, frozen=True):
    answers: list[int | Exception]
    """Of each write, in order; an exception where a write can never succeed."""
    last_sequence: dict[str, int]
    changed: bool


class Store:
    """Used from one thread; `commit` raises sqlite3.Error or MemoryError while nothing can be stored."""

    def __init__(self, path: Path, recipients: Collection[str], clock: Callable[[], float]) -> None:
        self._path = path
        self._recipients = recipients
        self._clock = clock
        self._stored_s = 0.0
        self._erased = False

    # --- open and close ---

    def open(self) -> dict[str, int]:
        """Returns `last_sequence`. StoreError, with what to do about it, when the file cannot be used."""
        try:
            _make_file(self._path)
            self._db = sqlite3.connect(self._path, timeout=0.2, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise StoreError(
                f"{self._path}: cannot be opened: {error}; the gateway needs a directory that it may write"
            ) from error
        try:
            self._prepare()
            return self.last_sequence()
        except (sqlite3.Error, StoreError) as error:
            self._db.close()
            if isinstance(error, StoreError):
                raise
            raise StoreError(f"{self._path}: {_advice(error)}") from error

    def _prepare(self) -> None:
        """Settings, then the schema in a new file. Small pages: a lone event costs whole pages to write."""
        self._db.executescript(
            "PRAGMA page_size = 1024; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA locking_mode = EXCLUSIVE;"
        )
        if self._one("PRAGMA journal_mode = WAL") != "wal":
            raise StoreError(f"{self._path}: its file system cannot hold a write-ahead log; use a local disk")
        self._db.executescript(
            "PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; PRAGMA temp_store = MEMORY;"
            "PRAGMA journal_size_limit = 4194304;"
        )
        version = self._one("PRAGMA user_version")
        if version == 1:
            self._db.executescript(f"PRAGMA auto_vacuum = INCREMENTAL; VACUUM; {_FROM_1}")
        if version > SCHEMA_VERSION:
            raise StoreError(
                f"{self._path}: made by a newer gateway (schema {version}, this one knows {SCHEMA_VERSION}); "
                "install that version again, or move the file away"
            )
        if version == 0:
            if self._one("SELECT count(*) FROM sqlite_schema"):
                raise StoreError(f"{self._path}: is a database, but no outbox; move the file away")
            self._db.executescript(_SCHEMA)
        self.generation: str = self._one("SELECT generation FROM store")
        self._db.executemany(
            "INSERT OR IGNORE INTO recipient VALUES (?, 0)", [(r,) for r in self._recipients]
        )

    def close(self) -> None:
        with contextlib.suppress(sqlite3.Error):  # what the log still holds is read at the next start
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._db.close()

    # --- the transaction ---

    def commit(self, writes: Sequence[Write]) -> Committed:
        """All of `writes` in one transaction; one that can never succeed is left out, the rest is stored."""
        before = self._db.total_changes
        answers = self._commit(writes)
        if self._erased:
            self._empty_log()
        return Committed(answers, self.last_sequence(), changed=self._db.total_changes != before)

    def _commit(self, writes: Sequence[Write]) -> list[int | Exception]:
        self._stored_s = self._clock()
        try:
            self._db.execute("BEGIN IMMEDIATE")
            answers: list[int | Exception] = [write() for write in writes]
            self._db.execute("COMMIT")
        except Exception as error:
            with contextlib.suppress(sqlite3.Error):
                self._db.rollback()
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
                values = (stay.subject, stay.zone, msgspec.json.encode(stay))
                self._db.execute("INSERT OR REPLACE INTO open_stay VALUES (?, ?, ?)", values)
        return sum(self._queue(release) for release in transaction.releases)

    def _queue(self, release: Release) -> int:
        values = {name: getattr(release, name) for name in Release.__slots__}
        return self._db.execute(_QUEUE, values | {"kind": "event", "stored_s": self._stored_s}).rowcount

    def acknowledge(self, recipient: str, ranges: Iterable[tuple[int, int]]) -> int:
        """Deletes events and tombstones alike."""
        delete = "DELETE FROM queued WHERE recipient = ? AND sequence BETWEEN ? AND ?"
        return sum(self._db.execute(delete, (recipient, first, last)).rowcount for first, last in ranges)

    def remove(self, recipient: str, sequences: Collection[int], reason: Reason) -> int:
        """Deletes those of `sequences` that are queued events and leaves a tombstone that names them."""
        delete = "DELETE FROM queued WHERE recipient = ? AND sequence = ? AND kind = 'event'"
        gone = [s for s in sorted(set(sequences)) if self._db.execute(delete, (recipient, s)).rowcount]
        ranges = list(_as_ranges(gone))
        for i in range(0, len(ranges), _RANGES_PER_TOMBSTONE):
            self._bury(recipient, ranges[i : i + _RANGES_PER_TOMBSTONE], reason)
        return len(gone)

    def _bury(self, recipient: str, ranges: list[tuple[int, int]], reason: Reason) -> None:
        tombstone = Row(
            recipient=recipient,
            sequence=0,  # the statement gives it the next one
            kind="removed",
            id=str(uuid.uuid4()),
            subject_key=b"",
            purpose="",
            zone="",
            change="removed",
            t_s=self._stored_s,
            expires_s=None,
            stored_s=self._stored_s,
            body=msgspec.json.encode({"ranges": ranges, "reason": reason}),
        )
        self._db.execute(_QUEUE, msgspec.structs.asdict(tombstone))

    def purge(self, withdrawals: Sequence[Withdrawal], reason: Reason) -> int:
        """Removes every queued event of the subjects at every recipient, and their open stays; keeps their
        bars; asks for a sweep.
        """
        self._erased = True
        subjects = {w.key for w in withdrawals}
        find = "SELECT recipient, sequence, subject_key FROM queued WHERE kind = 'event' ORDER BY 1, 2"
        found = [(name, sequence) for name, sequence, key in self._db.execute(find) if key in subjects]
        self._db.executemany("DELETE FROM open_stay WHERE subject = ?", [(w.subject,) for w in withdrawals])
        self._db.executemany(
            "INSERT OR REPLACE INTO bar VALUES (?, ?, ?, ?, ?)",
            [(w.key, *_bar_row(w.bar)) for w in withdrawals if w.bar != OPEN],
        )
        self._db.execute("DELETE FROM bar WHERE until_s <= ?", (self._stored_s,))
        self._db.execute("UPDATE sweep SET asked = asked + 1")
        by_recipient = groupby(found, key=itemgetter(0))
        return sum(
            self.remove(name, [sequence for _, sequence in rows], reason) for name, rows in by_recipient
        )

    def swept(self, asked: int) -> int:
        """The sweep that was asked for under this number is done."""
        self._db.execute("UPDATE sweep SET done = max(done, ?)", (asked,))
        return 0

    # --- between transactions ---

    def vacuum(self, pages: int) -> int:
        """Gives up to `pages` free pages back to the file system; how many are left."""
        self._db.execute(f"PRAGMA incremental_vacuum({int(pages)})").fetchall()
        self._erased = True
        self._empty_log()
        left: int = self._one("PRAGMA freelist_count")
        return left

    # --- reads ---

    def pending(self, recipient: str, after: int, limit: int) -> list[Row]:
        select = "SELECT * FROM queued WHERE recipient = ? AND sequence > ? ORDER BY sequence LIMIT ?"
        return [Row(*values) for values in self._db.execute(select, (recipient, after, limit))]

    def tombstones(self, recipient: str, after: int, limit: int) -> list[Row]:
        select = (
            "SELECT * FROM queued WHERE recipient = ? AND sequence > ? AND kind = 'removed' "
            "ORDER BY sequence LIMIT ?"
        )
        return [Row(*values) for values in self._db.execute(select, (recipient, after, limit))]

    def open_stays(self) -> list[OpenStay]:
        rows = self._db.execute("SELECT stay FROM open_stay ORDER BY subject, zone")
        return [msgspec.json.decode(stay, type=OpenStay) for (stay,) in rows]

    def backlog(self) -> dict[str, int]:
        """Rows queued, of every recipient of the settings and of every other that still has some."""
        counted = self._db.execute(_BACKLOG).fetchall()
        return {name: n for name, n in counted if n or name in self._recipients}

    def bars(self) -> list[tuple[bytes, Bar]]:
        """By subject key."""
        rows = self._db.execute("SELECT * FROM bar ORDER BY subject_key")
        return [
            (key, Bar(erased, version, float("-inf") if event_s is None else event_s, until_s))
            for key, erased, version, event_s, until_s in rows
        ]

    def sweep_due(self) -> int:
        """The number under which a sweep was asked for and is not done; 0: none."""
        asked, done = self._db.execute("SELECT asked, done FROM sweep").fetchone()
        return asked if asked > done else 0

    def queued_of(self, key: bytes) -> list[Row]:
        """Everything queued of one subject, at all recipients."""
        select = "SELECT * FROM queued WHERE subject_key = ? ORDER BY recipient, sequence"
        return [Row(*values) for values in self._db.execute(select, (key,))]

    def keys_queued(self) -> set[bytes]:
        """Of all subjects that have an event queued."""
        rows = self._db.execute("SELECT DISTINCT subject_key FROM queued WHERE kind = 'event'")
        return {key for (key,) in rows}

    def last_sequence(self) -> dict[str, int]:
        return dict(self._db.execute("SELECT name, last_sequence FROM recipient").fetchall())

    def _one(self, sql: str) -> Any:
        return self._db.execute(sql).fetchone()[0]


def _bar_row(bar: Bar) -> tuple[int, int, float | None, float]:
    """SQLite knows no -inf and keeps NULL instead."""
    event_s = None if bar.event_time_s == float("-inf") else bar.event_time_s
    return bar.erased_version, bar.version, event_s, bar.until_s


def _as_ranges(sequences: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Rising numbers as (first, last) of each unbroken run."""
    runs = groupby(enumerate(sequences), key=lambda item: item[1] - item[0])
    for _, run in runs:
        numbers = [number for _, number in run]
        yield numbers[0], numbers[-1]


def _make_file(path: Path) -> None:
    """Only the gateway's own user may read it; SQLite gives its log file the same mode."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)


def _may_pass(error: Exception) -> bool:
    """Whether the disk or the machine refused, not the data: the same write may succeed later."""
    return isinstance(error, sqlite3.OperationalError | MemoryError) or type(error) is sqlite3.DatabaseError


def _advice(error: sqlite3.Error) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return (
            f"is damaged ({error}); move it and the files beside it (-wal, -shm) away and start again: "
            "a new store begins, and what was queued in this one is not delivered"
        )
    if code == sqlite3.SQLITE_BUSY:
        return "is in use by another process; stop the other gateway first"
    return f"cannot be used: {error}"
