"""Tombstones: which sequences were removed on purpose and why. Many small ones become few."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

import msgspec

from gateway.outbox.rows import COLUMNS, DamagedRowError, Reason, Row, check_sum, row_of

_RANGES = 100
"""In one tombstone: keeps it near 2 kB, which most brokers take; more scattered removals take several."""
_FEW = 4
"""Of so few ranges the tombstone around them is the larger part: to divide them wins nothing."""
_MANY = 32
"""Tombstones of one recipient and reason that wait; of more, fewer are made."""
_QUEUE = f"""
INSERT INTO queued ({COLUMNS}) VALUES (
    :recipient,
    (SELECT coalesce(max(last_sequence), 0) + 1 FROM recipient WHERE name = :recipient),
    :kind, :id, :subject_key, :purpose, :zone, :change, :t_s, :expires_s, :stored_s, :body, :check_sum
) ON CONFLICT (recipient, id) DO NOTHING
"""  # noqa: S608 - COLUMNS is a constant
"""Gives the row the recipient's next sequence, unless its id is queued already."""


_checked = itemgetter(*(name for name in COLUMNS.split(", ") if name not in ("sequence", "check_sum")))


def queue(db: sqlite3.Connection, row: dict[str, Any]) -> int:
    """Whether (1 or 0) it was queued; `row` is a `Row` as a mapping, its sequence not asked for."""
    return db.execute(_QUEUE, row | {"check_sum": check_sum(*_checked(row))}).rowcount


class _Said(msgspec.Struct):
    ranges: list[tuple[int, int]]
    reason: Reason


class Tombstones:
    """Of one open store; each call inside a transaction of the caller's."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._known: dict[tuple[str, Reason], list[int]] = {}
        """Sequences of what waits; some were acknowledged meanwhile: they are looked at first."""
        self._many: dict[tuple[str, Reason], int] = {}
        self._read()

    def forget(self) -> None:
        """A transaction failed: what it dug up is there again."""
        self._is_stale = True

    def _read(self) -> None:
        """DamagedRowError."""
        self._is_stale = False
        self._known.clear()
        select = "SELECT recipient, sequence, body FROM queued WHERE kind = 'removed'"
        for recipient, sequence, body in self._db.execute(select).fetchall():
            try:
                reason = msgspec.json.decode(body, type=_Said).reason
            except (TypeError, ValueError, msgspec.MsgspecError):
                raise DamagedRowError("a tombstone is not what was written") from None
            self._known.setdefault((recipient, reason), []).append(sequence)

    def bury(self, recipient: str, gone: Sequence[int], reason: Reason, now_s: float) -> None:
        """Says that the rows with these (rising) sequences were removed."""
        if not gone:
            return
        if self._is_stale:
            self._read()
        ranges = list(as_ranges(gone))
        whose = recipient, reason
        known = self._known.setdefault(whose, [])
        if len(known) >= self._many.get(whose, _MANY):
            ranges = merged([*ranges, *self._dig_up(recipient, reason)])
            self._many[whose] = max(_MANY, 2 * len(ranges) // _RANGES)
            known = self._known[whose] = []
        for i in range(0, len(ranges), _RANGES):
            known.append(self._write(recipient, ranges[i : i + _RANGES], reason, now_s))

    def divide(self, recipient: str, sequence: int, now_s: float) -> int:
        """Makes two of one that was too large for somebody; how many there are now. 0: it is gone, or stays
        as it is because it names few ranges.
        """
        said = self._said(recipient, sequence)
        if said is None or len(said.ranges) <= _FEW:
            return 0
        if self._is_stale:
            self._read()
        self._delete(recipient, sequence)
        known = self._known.setdefault((recipient, said.reason), [])
        ranges = merged([*said.ranges, (sequence, sequence)])
        middle = (len(ranges) + 1) // 2
        for half in (ranges[:middle], ranges[middle:]):
            known.append(self._write(recipient, half, said.reason, now_s))
        return 2

    def _dig_up(self, recipient: str, reason: Reason) -> Iterator[tuple[int, int]]:
        """Takes the tombstones back: what they said, and their own sequences, which are gone as well now."""
        for sequence in self._known[recipient, reason]:
            said = self._said(recipient, sequence)
            if said is not None and said.reason == reason:
                self._delete(recipient, sequence)
                yield from said.ranges
                yield sequence, sequence

    def _said(self, recipient: str, sequence: int) -> _Said | None:
        """None: there is no such tombstone. DamagedRowError."""
        select = f"SELECT {COLUMNS} FROM queued WHERE recipient = ? AND sequence = ? AND kind = 'removed'"  # noqa: S608
        values = self._db.execute(select, (recipient, sequence)).fetchone()
        return msgspec.json.decode(row_of(values).body, type=_Said) if values else None

    def _delete(self, recipient: str, sequence: int) -> None:
        self._db.execute("DELETE FROM queued WHERE recipient = ? AND sequence = ?", (recipient, sequence))

    def _write(self, recipient: str, ranges: list[tuple[int, int]], reason: Reason, now_s: float) -> int:
        tombstone = Row(
            recipient=recipient,
            sequence=0,  # the statement gives it the next one
            kind="removed",
            id=str(uuid.uuid4()),
            subject_key=b"",
            purpose="",
            zone="",
            change="removed",
            t_s=now_s,
            expires_s=None,
            stored_s=now_s,
            body=msgspec.json.encode(_Said(ranges, reason)),
        )
        queue(self._db, msgspec.structs.asdict(tombstone))
        select = "SELECT last_sequence FROM recipient WHERE name = ?"
        sequence: int = self._db.execute(select, (recipient,)).fetchone()[0]
        return sequence


def as_ranges(sequences: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Rising numbers as (first, last) of each unbroken run."""
    runs = groupby(enumerate(sequences), key=lambda item: item[1] - item[0])
    for _, run in runs:
        numbers = [number for _, number in run]
        yield numbers[0], numbers[-1]


def merged(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same numbers in as few ranges as there can be, rising."""
    made: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if made and first <= made[-1][1] + 1:
            made[-1] = made[-1][0], max(made[-1][1], last)
        else:
            made.append((first, last))
    return made
