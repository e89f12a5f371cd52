"""Who withdrew or was erased here, kept twice: in the store and in a file beside it.

It must outlive a damaged store. The file is written first, so that it is never behind. Where neither can be
read, nobody knows who withdrew, and no consent from before that moment permits anything.
"""

from __future__ import annotations

import logging
import sqlite3
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from gateway.consent.bars import EVERYBODY, KEPT_S, OPEN, Bar
from gateway.durable import replace_whole

FILE = "bars.json"

_log = logging.getLogger("gateway.outbox")

_Kept = dict[str, tuple[int, int, float | None, float]]
"""Subject key in hex → erased version, version, event time (None: none), until."""


class _File(msgspec.Struct):
    check_sum: int
    """CRC-32 of `bars` as it stands."""
    bars: msgspec.Raw


class BarsUnknownError(Exception):
    """The copy is not there, or is not what was written."""


class BarBook:
    """Called with the open store. OSError when the disk refuses the file: then nothing has changed."""

    def __init__(self, store: Path, clock: Callable[[], float]) -> None:
        self._file = store.with_name(FILE)
        self._clock = clock
        self.held: dict[bytes, Bar] = {}
        """By subject key; of a store that was replaced while this runs too."""

    def open(self, db: sqlite3.Connection, *, is_new: bool, is_first: bool) -> None:
        """Takes over what the store and the file know, and has both know it.

        `is_new`: the store was made just now. `is_first`: and there was none here before.
        """
        self._db = db
        stored = {key: _bar(*values) for key, *values in db.execute("SELECT * FROM bar")}
        try:
            filed = read(self._file)
            if EVERYBODY not in filed and not self.held:  # somebody has put back the copy of before
                stored.pop(EVERYBODY, None)
                db.execute("DELETE FROM bar WHERE subject_key = ?", (EVERYBODY,))
        except BarsUnknownError as error:
            filed = {} if not is_new or is_first or self.held else self._doubt(str(error))
        known = joined(joined(stored, filed), self.held)
        self.held = {key: bar for key, bar in known.items() if bar.until_s > self._clock()}
        if filed != self.held or not self._file.exists():
            write(self._file, self.held)
        if stored != self.held:
            self._store(self.held)

    def add(self, bars: Mapping[bytes, Bar], now_s: float) -> None:
        """Inside a transaction of the store."""
        known = joined(self.held, bars)
        held = {key: bar for key, bar in known.items() if bar.until_s > now_s}
        if held != self.held:
            write(self._file, held)
            self.held = held
        self._store({key: held[key] for key in bars if key in held})
        self._db.execute("DELETE FROM bar WHERE until_s <= ?", (now_s,))

    def _store(self, bars: Mapping[bytes, Bar]) -> None:
        rows = [(key, *_plain(bar)) for key, bar in bars.items()]
        self._db.executemany("INSERT OR REPLACE INTO bar VALUES (?, ?, ?, ?, ?)", rows)

    def _doubt(self, why: str) -> dict[bytes, Bar]:
        _log.error(
            "who withdrew or was erased here cannot be known any more (%s): no consent that was given up to "
            "now permits anything, for %d days; put back a copy of this file from before, if there is one",
            why, KEPT_S // 86_400,
        )  # fmt: skip
        now_s = self._clock()
        return {EVERYBODY: Bar(event_time_s=now_s, until_s=now_s + KEPT_S)}


def write(path: Path, bars: Mapping[bytes, Bar]) -> None:
    """OSError when the disk refuses: then the old copy stays."""
    kept: _Kept = {key.hex(): _plain(bar) for key, bar in sorted(bars.items())}
    encoded = msgspec.json.encode(kept)
    replace_whole(path, msgspec.json.encode(_File(zlib.crc32(encoded), msgspec.Raw(encoded))))


def read(path: Path) -> dict[bytes, Bar]:
    """By subject key. BarsUnknownError when they cannot be known."""
    try:
        file = msgspec.json.decode(path.read_bytes(), type=_File)
        if zlib.crc32(file.bars) != file.check_sum:
            raise BarsUnknownError(f"{path}: is damaged")
        kept = msgspec.json.decode(file.bars, type=_Kept)
        return {bytes.fromhex(key): _bar(*values) for key, values in kept.items()}
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        raise BarsUnknownError(f"{path}: {error}") from error


def joined(one: Mapping[bytes, Bar], other: Mapping[bytes, Bar]) -> dict[bytes, Bar]:
    return {key: one.get(key, OPEN).join(other.get(key, OPEN)) for key in {*one, *other}}


def _plain(bar: Bar) -> tuple[int, int, float | None, float]:
    """JSON, like SQLite, knows no -inf."""
    event_s = None if bar.event_time_s == float("-inf") else bar.event_time_s
    return bar.erased_version, bar.version, event_s, bar.until_s


def _bar(erased_version: int, version: int, event_s: float | None, until_s: float) -> Bar:
    return Bar(erased_version, version, float("-inf") if event_s is None else event_s, until_s)
