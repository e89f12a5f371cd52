"""What the outbox keeps: rows as sinks send them, and the transactions they come in."""

from __future__ import annotations

import sqlite3
import zlib
from typing import Any, Literal

import msgspec

from gateway.consent.release import Release
from gateway.model import OpenStay, StayClosed

Reason = Literal["withdrawn", "expired", "capped"]

COLUMNS = (
    "recipient, sequence, kind, id, subject_key, purpose, zone, change, t_s, expires_s, stored_s, body, "
    "check_sum"
)


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


class Waiting(msgspec.Struct, frozen=True):
    """A queued event without what it says: enough to ask whether it may stay."""

    sequence: int
    recipient: str
    subject_key: bytes
    purpose: str
    zone: str
    change: str
    t_s: float
    expires_s: float | None
    is_overdue: int
    """1: it waited longer than its class allows."""


class Queued(msgspec.Struct, frozen=True):
    """What waits for one recipient, counted."""

    recipient: str
    last_sequence: int
    """Highest that was ever given in this generation."""
    waiting: int
    """Events and tombstones that are not acknowledged yet."""
    tombstones: int
    """Of those."""
    body_bytes: int
    oldest_stored_s: float | None
    """Real Unix time; None where nothing waits, as below."""
    first: int | None
    """Lowest sequence that waits."""
    last: int | None


class DamagedRowError(sqlite3.DatabaseError):
    """A row does not read as it was written: SQLite itself has no check sums."""


def check_sum(*fields: Any) -> int:
    """CRC-32 over a row's columns from `recipient` to `body`, without the sequence."""
    *others, t_s, expires_s, stored_s, body = fields
    times_s = (float(t_s), None if expires_s is None else float(expires_s), float(stored_s))
    return zlib.crc32(repr((others, times_s)).encode(), zlib.crc32(body))


def row_of(values: tuple[Any, ...]) -> Row:
    """The row in `COLUMNS`. DamagedRowError when it is not what was written."""
    *fields, said = values
    try:
        is_whole = check_sum(fields[0], *fields[2:]) == said
    except (TypeError, ValueError):
        is_whole = False
    if not is_whole:
        raise DamagedRowError("a row is not what was written")
    return Row(*fields)
