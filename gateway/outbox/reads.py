"""What is asked of the open store, each outside a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from typing import Any

import msgspec

from gateway.model import OpenStay
from gateway.outbox.rows import COLUMNS, DamagedRowError, Queued, Row, Waiting, row_of

_SELECT = f"SELECT {COLUMNS} FROM queued WHERE "  # noqa: S608 - a constant
_BACKLOG = "SELECT name, (SELECT count(*) FROM queued WHERE recipient = name) FROM recipient"
_QUEUED = """
SELECT name, last_sequence, count(sequence), coalesce(sum(kind = 'removed'), 0),
       coalesce(sum(length(body)), 0), min(stored_s), min(sequence), max(sequence)
FROM recipient LEFT JOIN queued ON recipient = name GROUP BY name ORDER BY name
"""
_WAITING = """
SELECT sequence, recipient, subject_key, purpose, zone, change, t_s, expires_s,
       stored_s + kept_s(change, purpose) <= ?
FROM queued WHERE recipient = ? AND sequence > ? AND kind = 'event' ORDER BY sequence LIMIT ?
"""


class Reads:
    def __init__(self, db: sqlite3.Connection, recipients: Collection[str]) -> None:
        self._db = db
        self._recipients = recipients

    def pending(self, recipient: str, after: int, limit: int, through: int | None = None) -> list[Row]:
        """Above `after`, up to `through` (included; None: to the end), rising."""
        select = _SELECT + "recipient = ? AND sequence > ? AND sequence <= ? ORDER BY sequence LIMIT ?"
        values = (recipient, after, 2**62 if through is None else through, limit)
        return self._rows(select, values)

    def tombstones(self, recipient: str, after: int, limit: int) -> list[Row]:
        select = _SELECT + "recipient = ? AND sequence > ? AND kind = 'removed' ORDER BY sequence LIMIT ?"
        return self._rows(select, (recipient, after, limit))

    def newest_before(self, recipient: str, stored_s: float) -> int:
        """The highest sequence queued that was stored before; 0: none. Looked for from the end."""
        select = (
            "SELECT sequence FROM queued WHERE recipient = ? AND stored_s < ? ORDER BY sequence DESC LIMIT 1"
        )
        found = self._db.execute(select, (recipient, stored_s)).fetchone()
        return found[0] if found else 0

    def count(self, recipient: str, after: int, through: int) -> int:
        """Rows queued with a sequence above `after`, up to `through`."""
        select = "SELECT count(*) FROM queued WHERE recipient = ? AND sequence > ? AND sequence <= ?"
        n: int = self._db.execute(select, (recipient, after, through)).fetchone()[0]
        return n

    def has_some(self, recipient: str) -> bool:
        """Whether anything is queued, without counting it."""
        select = "SELECT 1 FROM queued WHERE recipient = ? LIMIT 1"
        return self._db.execute(select, (recipient,)).fetchone() is not None

    def waiting(self, recipient: str, after: int, limit: int, now_s: float) -> list[Waiting]:
        """Events without their bodies; `now_s` is real Unix time."""
        found = self._db.execute(_WAITING, (now_s, recipient, after, limit))
        return [Waiting(*values) for values in found]

    def open_stays(self) -> list[OpenStay]:
        rows = self._db.execute("SELECT stay FROM open_stay ORDER BY subject, zone").fetchall()
        try:
            return [msgspec.json.decode(stay, type=OpenStay) for (stay,) in rows]
        except (TypeError, ValueError, msgspec.MsgspecError):
            raise DamagedRowError("an open stay is not what was written") from None

    def backlog(self) -> dict[str, int]:
        """Rows queued, of every recipient of the settings and of every other that still has some."""
        counted = self._db.execute(_BACKLOG).fetchall()
        return {name: n for name, n in counted if n or name in self._recipients}

    def queued(self) -> list[Queued]:
        """Of every recipient of the settings and of every other that still has some, by name."""
        found = [Queued(*values) for values in self._db.execute(_QUEUED).fetchall()]
        return [each for each in found if each.waiting or each.recipient in self._recipients]

    def sweep_due(self) -> int:
        """The number under which a sweep was asked for and is not done; 0: none."""
        asked, done = self._db.execute("SELECT asked, done FROM sweep").fetchone()
        return asked if asked > done else 0

    def queued_of(self, key: bytes) -> list[Row]:
        """Everything queued of one subject, at all recipients."""
        select = _SELECT + "subject_key = ? ORDER BY recipient, sequence"
        return self._rows(select, (key,))

    def keys_queued(self) -> set[bytes]:
        """Of all subjects that have an event queued."""
        rows = self._db.execute("SELECT DISTINCT subject_key FROM queued WHERE kind = 'event'")
        return {key for (key,) in rows}

    def _rows(self, select: str, values: tuple[Any, ...]) -> list[Row]:
        # All of them first: a statement that is still under way would keep a damaged file locked.
        return [row_of(found) for found in self._db.execute(select, values).fetchall()]

    def last_sequence(self) -> dict[str, int]:
        return dict(self._db.execute("SELECT name, last_sequence FROM recipient").fetchall())
