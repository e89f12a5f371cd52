"""Damaged stores: put aside, read for what is whole in them, and deleted before long.

They are personal data. A withdrawal cannot be carried out inside them, so it deletes them, and so does time.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any

import msgspec

from gateway.durable import sync_directory
from gateway.model import OpenStay
from gateway.outbox.rows import COLUMNS, DamagedRowError, Row, row_of

KEPT_S = 7 * 86_400.0
"""For whoever wants to know what happened to the disk."""
KEPT = 2
"""Of more the oldest go at once."""

_BESIDE = ("-wal", "-shm", "-journal")
_UNREAD, _READ, _DOOMED = ".unread-", ".damaged-", ".doomed-"


def put_aside(path: Path) -> Path | None:
    """Gives the store and what SQLite keeps beside it another name; a cut-off move is finished. The new name;
    None when there was nothing. OSError when the disk refuses.
    """
    aside = None
    beside = [path.with_name(path.name + end) for end in _BESIDE]
    if not any(file.exists() for file in (path, *beside)):
        return None
    if path.exists():
        aside = path.with_name(f"{path.name}{_UNREAD}{time.time_ns()}")
        path.rename(aside)
    if any(file.exists() for file in beside):
        # A log without its store would be read into the next one.
        last = aside or next(iter(_found(path, _UNREAD)), None)
        for file, end in zip(beside, _BESIDE, strict=True):
            if file.exists() and last is not None:
                file.rename(last.with_name(last.name + end))
            else:
                file.unlink(missing_ok=True)
    for old in [*_found(path, _DOOMED), *quarantined(path)[KEPT:]]:
        discard(old)
    sync_directory(path.parent)
    return aside


def quarantined(path: Path) -> list[Path]:
    """The newest first."""
    return sorted([*_found(path, _UNREAD), *_found(path, _READ)], key=_put_aside_ns, reverse=True)


def unread(path: Path) -> list[Path]:
    """Those whose rows have not been taken over to the end, the oldest first."""
    return _found(path, _UNREAD)[::-1]


def is_read(aside: Path) -> None:
    """Its rows are in the new store."""
    _rename(aside, aside.name.replace(_UNREAD, _READ))


def doom(path: Path) -> None:
    """A withdrawal cannot be carried out inside them: from now on all are due to be discarded."""
    for aside in quarantined(path):
        _rename(aside, aside.name.replace(_UNREAD, _DOOMED).replace(_READ, _DOOMED))


def discard_due(path: Path, now_s: float) -> int:
    """How many were doomed, older than `KEPT_S`, or from the future, and are gone."""
    old = [aside for aside in quarantined(path) if not 0 <= now_s - _put_aside_ns(aside) / 1e9 < KEPT_S]
    due = [*_found(path, _DOOMED), *old]
    for aside in due:
        discard(aside)
    return len(due)


def _rename(aside: Path, name: str) -> None:
    for end in ("", *_BESIDE):
        with contextlib.suppress(FileNotFoundError):
            aside.with_name(aside.name + end).rename(aside.with_name(name + end))
    sync_directory(aside.parent)


def discard(aside: Path) -> None:
    """Overwritten, then deleted."""
    for file in [aside.with_name(aside.name + end) for end in ("", *_BESIDE)]:
        with contextlib.suppress(FileNotFoundError):
            with contextlib.suppress(OSError), file.open("r+b", buffering=0) as content:
                for _ in range(0, file.stat().st_size, 1 << 16):
                    content.write(bytes(1 << 16))
                os.fsync(content.fileno())
            file.unlink()
    sync_directory(aside.parent)


_KEYS = (
    "SELECT recipient, sequence FROM queued ORDER BY recipient, sequence",
    "SELECT recipient, sequence FROM queued ORDER BY recipient DESC, sequence DESC",
)
_PLACES = (
    "SELECT recipient, sequence, rowid FROM queued NOT INDEXED ORDER BY rowid",
    "SELECT recipient, sequence, rowid FROM queued NOT INDEXED ORDER BY rowid DESC",
)
"""Past the index, which may be torn. A store of schema 3 has no rowid, and is walked by its keys alone."""
_BY_KEY = f"SELECT {COLUMNS} FROM queued WHERE recipient = ? AND sequence = ? AND kind = 'event'"  # noqa: S608
_BY_PLACE = f"SELECT {COLUMNS} FROM queued NOT INDEXED WHERE rowid = ? AND kind = 'event'"  # noqa: S608


class Wreck:
    """A damaged store, opened to read what is whole. Use `with`."""

    def __init__(self, aside: Path) -> None:
        self._aside = aside

    def __enter__(self) -> Wreck:
        self._db = sqlite3.connect(self._aside, timeout=0.2, isolation_level=None)
        with contextlib.suppress(sqlite3.Error):
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        return self

    def __exit__(self, *_exc: object) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._db.close()

    def rows(self) -> Iterator[Row]:
        """Events that read as they were written, in the order of each recipient; what is not is left out.

        Looked for from both ends, because one torn page ends a walk, by the index and past it. Tombstones
        name sequences of a generation that is over, and say nothing to the next.
        """
        places: dict[tuple[str, int], int | None] = {}
        for select in _KEYS:
            places |= {key: None for key in self._each(select) if tuple(map(type, key)) == (str, int)}
        for select in _PLACES:
            for name, sequence, place in self._each(select):
                if isinstance(name, str) and isinstance(sequence, int):
                    places[name, sequence] = place
        for key, place in sorted(places.items(), key=itemgetter(0)):
            found = self._each(_BY_KEY, key) if place is None else self._each(_BY_PLACE, (place,))
            for values in found:
                with contextlib.suppress(DamagedRowError):
                    yield row_of(values)

    def open_stays(self) -> Iterator[OpenStay]:
        for (stay,) in self._each("SELECT stay FROM open_stay"):
            with contextlib.suppress(msgspec.MsgspecError, TypeError):
                yield msgspec.json.decode(stay, type=OpenStay)

    def _each(self, select: str, values: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        with contextlib.suppress(sqlite3.Error):
            yield from self._db.execute(select, values)


def _found(path: Path, mark: str) -> list[Path]:
    """The newest first."""
    marked = path.parent.glob(f"{path.name}{mark}*")
    named = [file for file in marked if file.name.rpartition("-")[2].isdigit()]
    return sorted(named, key=_put_aside_ns, reverse=True)


def _put_aside_ns(aside: Path) -> int:
    return int(aside.name.rpartition("-")[2])
