"""A file that remembers how far the store had come, to tell when its log was cut off behind its back.

SQLite takes what is left of a truncated log for all there was: the newest events would be missing, and their
sequences given to others. This is written after each commit and not forced to the disk, so it is never ahead
of what was committed; after a power cut it may be behind, and then says nothing.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from gateway.outbox.schema import DamagedStoreError

_NEWLINE = b"\n"


class _Seen(msgspec.Struct):
    generation: str
    last_sequence: dict[str, int]


class Witness:
    def __init__(self, store: Path) -> None:
        self._path = store.with_name(store.name + ".seen")
        self._descriptor: int | None = None
        self._noted: Mapping[str, int] = {}

    def compare(self, generation: str, last: Mapping[str, int]) -> None:
        """DamagedStoreError when the store was further once."""
        try:
            line, end, _ = self._path.read_bytes().partition(_NEWLINE)
            seen = msgspec.json.decode(line if end else b"", type=_Seen)
        except (OSError, msgspec.MsgspecError):
            return
        behind = any(last.get(name, 0) < n for name, n in seen.last_sequence.items())
        if seen.generation == generation and behind:
            raise DamagedStoreError("its newest events are gone: the log was cut off")

    def note(self, generation: str, last: Mapping[str, int]) -> None:
        """After a commit. What the disk refuses is left out: the next commit says it again."""
        if last == self._noted:
            return
        with contextlib.suppress(OSError):
            if self._descriptor is None:
                flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
                self._descriptor = os.open(self._path, flags, 0o600)
            line = msgspec.json.encode(_Seen(generation, dict(last))) + _NEWLINE
            os.pwrite(self._descriptor, line, 0)
            self._noted = dict(last)

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
            self._noted = {}
