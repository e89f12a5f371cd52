"""The records of a feed by their keys: what it takes to compare them with a manifest, not what they say."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

MAX_RECORDS: Final = 200_000
MAX_BYTES: Final = 64 << 20
"""Of all payloads together."""


class Entry(Struct, frozen=True, gc=False):
    line: bytes
    """Its line in the digest."""
    bytes: int
    """Length of the payload."""
    subject: str | None
    """Whom it is about; None: it cannot be used."""
    enrols: bool
    """False: an erasure, or it cannot be used."""


class Holding:
    """Entries by record key, and the digest over them."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._bytes = 0
        self._ordered: list[bytes] = []
        """Lines at the last digest, sorted; since then came `_new` and went `_gone`."""
        self._new: set[bytes] = set()
        self._gone: set[bytes] = set()
        self._digest: str | None = None

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str) -> Entry | None:
        return self._entries.get(key)

    def has_room(self, key: str, size: int) -> bool:
        """Whether a payload of `size` bytes under `key` stays within the bounds."""
        old = self._entries.get(key)
        return (old is not None or len(self._entries) < MAX_RECORDS) and (
            self._bytes - (old.bytes if old else 0) + size <= MAX_BYTES
        )

    def put(self, key: str, entry: Entry) -> None:
        self.remove(key)
        self._entries[key] = entry
        self._bytes += entry.bytes
        if entry.line in self._gone:
            self._gone.discard(entry.line)
        else:
            self._new.add(entry.line)

    def remove(self, key: str) -> None:
        old = self._entries.pop(key, None)
        if old is None:
            return
        self._bytes -= old.bytes
        self._digest = None
        if old.line in self._new:
            self._new.discard(old.line)
        else:
            self._gone.add(old.line)

    def entries(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def digest(self) -> str:
        """SHA-256 over the sorted lines, hex. Sorts and hashes only when something changed since."""
        if self._new or self._gone or self._digest is None:
            kept = [line for line in self._ordered if line not in self._gone]
            self._ordered = sorted(kept + sorted(self._new))  # two sorted runs: merged, not sorted again
            self._new.clear()
            self._gone.clear()
            self._digest = hashlib.sha256(b"".join(self._ordered)).hexdigest()
        return self._digest
