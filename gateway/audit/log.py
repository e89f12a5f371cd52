"""The audit log as it is written: sealed, on disk when `append` returns, bounded in size and age."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import msgspec

from gateway.audit.chain import (
    BEGINNING,
    HEAD_FILE,
    MAX_LINE_BYTES,
    Damaged,
    Link,
    Lost,
    Mac,
    Rotated,
    Told,
    first_of,
    sealed,
    sealed_head,
    segment_path,
    segments,
)
from gateway.audit.recovery import first_t_of, left_behind
from gateway.consent.tally import Entry
from gateway.durable import replace_whole, sync_directory
from gateway.errors import StoreError

SEGMENTS = 8
"""Parts of the log; the oldest goes as a whole, so a line lives for seven to eight eighths of `keep_s`."""
MAX_WAITING = 10_000
"""Lines kept in memory while the disk refuses."""

_log = logging.getLogger("gateway.audit")


class AuditLog:
    """Use as `with AuditLog(...) as log`; everything blocks, so call it off the event loop, one at a time.

    StoreError when the directory cannot be used, and from `append` when the disk refuses: the lines are then
    kept (`MAX_WAITING`) and written by the next `append`. What an earlier run has left is looked at first: a
    torn tail behind the last confirmed line is cut off, anything worse is left as it lies for `verify` to
    find; both are logged, and told in a line of their own.
    """

    def __init__(
        self,
        directory: Path,
        mac: Mac,
        *,
        max_bytes: int = 16 * 1024 * 1024,
        keep_s: float = 90 * 86_400.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """At most `max_bytes` on disk, and no line older than `keep_s` while new ones come."""
        self._directory = directory
        self._mac = mac
        self._segment_bytes = max_bytes // SEGMENTS
        self._keep_s = keep_s
        self._clock = clock
        self._waiting: list[Told] = []
        self._segment = _Segment(directory)
        self._head_due = False
        self._rotated: list[Path] = []
        """To be removed once the line that says so is on disk."""
        self.head = Link(0, BEGINNING)
        """Of the last line on disk. Noted elsewhere, it fixes everything before it (`verify`, witnessed)."""

    def __enter__(self) -> Self:
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = left_behind(self._directory, self._mac, self._clock())
            self.head, self._waiting = found.last, found.told
            if found.is_new:
                self._write_head()  # from now on a missing head is a finding
            if found.segment is not None:
                self._segment.reopen(found.segment, found.good_bytes, found.begun_s)
        except OSError as error:
            raise StoreError(
                f"{self._directory}: the audit log cannot be opened: {error.strerror}"
            ) from error
        for entry in found.told:
            _log.warning("audit log: %s", msgspec.json.encode(entry).decode())
        return self

    def __exit__(self, *_: object) -> None:
        self._segment.close()

    def append(self, entries: Sequence[Entry]) -> None:
        """On disk when this returns; StoreError when the disk refuses. Without entries: what still waits."""
        self._waiting += entries
        if len(self._waiting) > MAX_WAITING:
            self._give_up_oldest(len(self._waiting) - MAX_WAITING + 1)
        try:
            while self._waiting:
                self._write_some()
            if self._head_due:
                self._write_head()
        except OSError as error:
            text = f"{self._directory}: the audit log cannot be written: {error.strerror}"
            raise StoreError(f"{text}; {len(self._waiting)} lines wait in memory") from error

    def _give_up_oldest(self, n: int) -> None:
        gone, kept = self._waiting[:n], self._waiting[n:]
        lines = sum(e.lines if isinstance(e, Lost) else 1 for e in gone)
        self._waiting = [Lost(t=self._clock(), lines=lines), *kept]

    def _write_some(self) -> None:
        """As many of the waiting lines as the segment has room for, in one write."""
        now_s = self._waiting[0].t
        if self._segment.is_open and self._segment.was_touched():
            self._segment.close()
            self._waiting.insert(0, Damaged(t=now_s, found="the open segment was changed by somebody else"))
        if not self._segment.size:
            self._segment.begun_s = now_s
        elif self._segment.begun_s < now_s - self._keep_s / SEGMENTS:
            self._segment.close()
        if not self._segment.is_open:
            self._begin_segment(now_s)
        raws: list[bytes] = []
        last, size = self.head, self._segment.size
        for entry in self._waiting:
            raw, link = self._seal(entry, last)
            if size and size + len(raw) > self._segment_bytes:
                break
            raws.append(raw)
            last, size = link, size + len(raw)
        if raws:
            self._segment.append(b"".join(raws))
            self.head, self._head_due = last, True
            del self._waiting[: len(raws)]
            self._write_head()
            self._remove_rotated()
        if self._waiting:
            self._segment.close()  # it is full

    def _seal(self, entry: Told, after: Link) -> tuple[bytes, Link]:
        raw, link = sealed(entry, after, self._mac)
        if len(raw) <= MAX_LINE_BYTES:
            return raw, link
        return sealed(Lost(t=entry.t, lines=1), after, self._mac)

    def _begin_segment(self, now_s: float) -> None:
        """A new file; the oldest ones go when there are too many, or when they are too old."""
        old = segments(self._directory)
        going = old[: max(0, len(old) - (SEGMENTS - 1))]
        limit_s = now_s - self._keep_s * (SEGMENTS - 1) / SEGMENTS
        for path in old[len(going) :]:
            if first_t_of(path, self._mac) >= limit_s:
                break
            going.append(path)
        self._segment.begin(self.head.n + 1, now_s)
        if going:
            kept = old[len(going) :]
            through = first_of(kept[0]) - 1 if kept else self.head.n
            self._waiting.insert(0, Rotated(t=now_s, through=through))
            self._rotated = going

    def _remove_rotated(self) -> None:
        for path in self._rotated:
            path.unlink(missing_ok=True)
        self._rotated = []

    def _write_head(self) -> None:
        """In one step, so that a power cut leaves the old one or the new one."""
        replace_whole(self._directory / HEAD_FILE, sealed_head(self.head, self._mac))
        self._head_due = False


class _Segment:
    """The file that is written to."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._path = directory
        self._descriptor = -1
        self.size = 0
        self.begun_s = 0.0
        """Time of its first line."""

    @property
    def is_open(self) -> bool:
        return self._descriptor >= 0

    def reopen(self, path: Path, good_bytes: int, begun_s: float) -> None:
        """Goes on behind `good_bytes`; what lies behind them is cut off."""
        self._open(path, 0)
        os.ftruncate(self._descriptor, good_bytes)
        os.fsync(self._descriptor)
        self.size, self.begun_s = good_bytes, begun_s

    def begin(self, first: int, begun_s: float) -> None:
        self._open(segment_path(self._directory, first), os.O_CREAT | os.O_EXCL)
        sync_directory(self._directory)
        self.size, self.begun_s = 0, begun_s

    def _open(self, path: Path, flags: int) -> None:
        self._path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | flags, 0o600)

    def append(self, raw: bytes) -> None:
        """All of it and on disk, or nothing of it."""
        try:
            written = 0
            while written < len(raw):
                written += os.write(self._descriptor, raw[written:])
            os.fsync(self._descriptor)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self.size)
            raise
        self.size += len(raw)

    def was_touched(self) -> bool:
        """Whether somebody else wrote to it, cut it, or put another file in its place."""
        try:
            there = self._path.stat()
        except OSError:
            return True
        return (there.st_ino, there.st_size) != (os.fstat(self._descriptor).st_ino, self.size)

    def close(self) -> None:
        if self.is_open:
            os.close(self._descriptor)
            self._descriptor = -1
