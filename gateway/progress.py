"""A line that says how far long work is, on a terminal and nowhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final, Protocol, Self, TextIO, TypeVar

EVERY_S: Final = 0.2
LOOK: Final = 256
"""Entries between two looks at the clock."""
_CLEAR: Final = "\r\x1b[2K"


class Timed(Protocol):
    @property
    def t_s(self) -> float: ...


_T = TypeVar("_T", bound=Timed)


class Line:
    """One line, written over while work goes on. Use `with`, which clears it; silent off a terminal."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self.is_shown = self._stream.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.show("")

    def show(self, text: str) -> None:
        if self.is_shown:
            self._stream.write(f"{_CLEAR}{text}")
            self._stream.flush()


def shown(entries: Iterable[_T], what: str, *, stream: TextIO | None = None) -> Iterable[_T]:
    """The same entries; on a terminal their number and time are shown while they pass, then cleared."""
    line = Line(stream)
    return _told(entries, what, line) if line.is_shown else entries


def _told(entries: Iterable[_T], what: str, line: Line) -> Iterator[_T]:
    said_at_s = time.monotonic()
    with line:
        for number, entry in enumerate(entries, 1):
            yield entry
            if number % LOOK == 0 and (now_s := time.monotonic()) - said_at_s >= EVERY_S:
                said_at_s = now_s
                at = datetime.fromtimestamp(entry.t_s, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
                line.show(f"{what}: {number:,} lines, {at}")
