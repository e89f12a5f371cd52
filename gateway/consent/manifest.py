"""The manifest of a consent feed over MQTT (DESIGN §6.3): how many records there are, and their digest."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any, Final

from msgspec import Struct

MAX_COUNT: Final = 1 << 31
_HEX: Final = frozenset("0123456789abcdef")


class Manifest(Struct, frozen=True, gc=False):
    time_s: float
    """Unix seconds at which the set was so."""
    count: int
    digest: str
    """SHA-256, lower case hex, over the sorted lines of all records (`line`)."""
    generation: int
    """Rises when the set is rebuilt."""

    def supersedes(self, other: Manifest | None) -> bool:
        """Whether it is not older: an old one may come again, and says nothing about now."""
        return other is None or (self.generation >= other.generation and self.time_s >= other.time_s)

    def is_same_set(self, other: Manifest) -> bool:
        return (self.count, self.digest) == (other.count, other.digest)


def parse_manifest(value: Any) -> Manifest | None:
    """`{time, count, digest, generation}` as decoded from JSON; None where it is malformed."""
    if not isinstance(value, dict):
        return None
    time_s, digest = moment_s(value.get("time")), value.get("digest")
    count, generation = _whole(value.get("count")), _whole(value.get("generation"))
    if time_s is None or count is None or generation is None:
        return None
    if not isinstance(digest, str) or len(digest) != 64 or not _HEX.issuperset(digest):
        return None
    return Manifest(time_s, count, digest, generation)


def moment_s(text: Any) -> float | None:
    """Unix seconds of an RFC 3339 time with its zone; None for anything else."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo is not None else None


def line(key: str, payload: bytes) -> bytes:
    """One record's line of the digest."""
    return f"{key} {hashlib.sha256(payload).hexdigest()}\n".encode()


def _whole(value: Any) -> int | None:
    is_whole = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_COUNT
    return value if is_whole else None
