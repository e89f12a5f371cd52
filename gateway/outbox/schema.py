"""The outbox's tables, and how a file becomes one that has them."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

from gateway.errors import StoreError
from gateway.outbox.rows import COLUMNS, check_sum

SCHEMA_VERSION = 4
PAGE_BYTES = 1024
"""Small: a lone event costs whole pages to write."""
_QUEUED = """
CREATE TABLE queued (
    recipient TEXT NOT NULL, sequence INTEGER NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL,
    subject_key BLOB NOT NULL, purpose TEXT NOT NULL, zone TEXT NOT NULL, change TEXT NOT NULL,
    t_s REAL NOT NULL, expires_s REAL, stored_s REAL NOT NULL, check_sum INTEGER NOT NULL DEFAULT 0,
    body BLOB NOT NULL,
    PRIMARY KEY (recipient, sequence), UNIQUE (recipient, id)
);
"""
"""With a rowid: a page takes an event of 600 bytes whole then. Without one, SQLite puts all but its first 200
bytes on a page apart, which each event takes from the free list and gives back: two pages more to write.
"""
_NUMBERED = """
CREATE TRIGGER numbered AFTER INSERT ON queued BEGIN
    INSERT INTO recipient VALUES (NEW.recipient, NEW.sequence)
        ON CONFLICT (name) DO UPDATE SET last_sequence = NEW.sequence;
END;
"""
_SCHEMA = f"""
BEGIN;
CREATE TABLE store (generation TEXT NOT NULL);
INSERT INTO store VALUES (lower(hex(randomblob(8))));

CREATE TABLE recipient (name TEXT PRIMARY KEY, last_sequence INTEGER NOT NULL) WITHOUT ROWID;
{_QUEUED}{_NUMBERED}
CREATE TABLE open_stay (
    subject TEXT NOT NULL, zone TEXT NOT NULL, stay BLOB NOT NULL, PRIMARY KEY (subject, zone)
) WITHOUT ROWID;
CREATE TABLE bar (
    subject_key BLOB PRIMARY KEY, erased_version INTEGER NOT NULL, version INTEGER NOT NULL,
    event_time_s REAL, until_s REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE sweep (asked INTEGER NOT NULL, done INTEGER NOT NULL);
INSERT INTO sweep VALUES (0, 0);
PRAGMA user_version = 4;
COMMIT;
"""  # noqa: S608 - a constant
_CHECK = "check_sum(recipient, kind, id, subject_key, purpose, zone, change, t_s, expires_s, stored_s, body)"
_FROM_1 = _SCHEMA[_SCHEMA.index("CREATE TABLE bar") : _SCHEMA.index("PRAGMA user_version")]
_FROM_2 = f"""
ALTER TABLE queued ADD COLUMN check_sum INTEGER NOT NULL DEFAULT 0;
UPDATE queued SET check_sum = {_CHECK};
PRAGMA user_version = 3;
COMMIT;
"""  # noqa: S608 - a constant
_FROM_3 = f"""
BEGIN;
DROP TRIGGER numbered;
ALTER TABLE queued RENAME TO before;
{_QUEUED}
INSERT INTO queued ({COLUMNS}) SELECT {COLUMNS} FROM before ORDER BY recipient, sequence;
DROP TABLE before;
{_NUMBERED}
PRAGMA user_version = 4;
COMMIT;
"""  # noqa: S608 - a constant
_SHORT = 10_000
"""Events; a longer queue stays as it is until a later start: it reads alike, and moving it takes time."""


_TABLES = {
    1: frozenset({"store", "recipient", "queued", "open_stay"}),
    2: frozenset({"store", "recipient", "queued", "open_stay", "bar", "sweep"}),
    3: frozenset({"store", "recipient", "queued", "open_stay", "bar", "sweep"}),
    4: frozenset({"store", "recipient", "queued", "open_stay", "bar", "sweep"}),
}


class DamagedStoreError(sqlite3.DatabaseError):
    """The file is none that this gateway can go on with."""


def connect(path: Path) -> sqlite3.Connection:
    """For one owner: whoever comes second is told that it is in use."""
    db = sqlite3.connect(path, timeout=0.2, isolation_level=None)
    try:
        db.create_function("check_sum", 11, check_sum, deterministic=True)
        # First the lock: then there is no -shm file, for which a full disk has no room.
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        if one(db, "PRAGMA page_count") == 0:
            db.executescript(f"PRAGMA page_size = {PAGE_BYTES}; PRAGMA auto_vacuum = INCREMENTAL;")
        if one(db, "PRAGMA journal_mode = WAL") != "wal":
            raise StoreError(f"{path}: its file system cannot hold a write-ahead log; use a local disk")
        db.executescript(
            "PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; PRAGMA temp_store = MEMORY;"
            "PRAGMA journal_size_limit = 4194304;"
        )
    except BaseException:
        db.close()
        raise
    return db


def prepare(db: sqlite3.Connection, path: Path) -> None:
    """Makes the tables in a new file, brings an old one up to date, and looks whether the file is whole.

    StoreError for somebody else's database, DamagedStoreError or another sqlite3.Error for a damaged one.
    """
    version = one(db, "PRAGMA user_version")
    if version > SCHEMA_VERSION:
        raise DamagedStoreError(
            f"made by a newer gateway (schema {version}, this one knows {SCHEMA_VERSION})"
        )
    if version == 0:
        if one(db, "SELECT count(*) FROM sqlite_schema"):
            raise StoreError(f"{path}: is a database, but no outbox; move the file away")
        db.executescript(_SCHEMA)
        return
    if version not in _TABLES:
        raise DamagedStoreError(f"there is no schema {version}")
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if missing := sorted(_TABLES[version] - tables):
        raise DamagedStoreError(f"there is no table {missing[0]}")
    if (found := one(db, "PRAGMA quick_check(1)")) != "ok":
        raise DamagedStoreError(str(found).replace("\n", " "))
    if version == 1:
        db.executescript(f"PRAGMA auto_vacuum = INCREMENTAL; VACUUM; BEGIN; {_FROM_1} {_FROM_2}")
    elif version == 2:
        db.executescript(f"BEGIN; {_FROM_2}")
    if version < SCHEMA_VERSION and one(db, "SELECT count(*) FROM queued") <= _SHORT:
        _move(db)


def _move(db: sqlite3.Connection) -> None:
    """Into the table of now; where there is no room for that, the one of before goes on serving."""
    try:
        db.executescript(_FROM_3)
    except sqlite3.OperationalError:
        with contextlib.suppress(sqlite3.Error):
            db.rollback()


def one(db: sqlite3.Connection, sql: str) -> Any:
    """The first value of the first row. DamagedStoreError where there is no row."""
    row = db.execute(sql).fetchone()
    if row is None:
        raise DamagedStoreError("a row is missing that is always there")
    return row[0]
