"""State as arrays: a row is taken when something begins and given back when it is over.

The classes made from this hold one array for each property. So a row costs the bytes of its properties and no
more, and compiled code (each module has its types in a `.pxd`) reads them without an object in between.
"""

from __future__ import annotations

from array import array
from typing import Any

NONE = -1
"""No row."""


class Rows:
    """Numbers rows from 0; a number that was given back is taken again before a new one."""

    def __init__(self) -> None:
        self.room = 0
        """Rows that there is memory for."""
        self.used = 0
        """No row from here on was ever taken."""
        self._given: list[int] = []

    def take(self) -> int:
        """A row; what it held before is still in it."""
        if self._given:
            return self._given.pop()
        if self.used == self.room:
            self.room += self.room // 4 + 16
            self._widen(self.room)
        self.used += 1
        return self.used - 1

    def give(self, row: int) -> None:
        self._given.append(row)

    def clear(self) -> None:
        """No row is taken any more."""
        self.used = 0
        self._given.clear()

    def _widen(self, room: int) -> None:
        """Make each array so long, with `widened`."""
        raise NotImplementedError


def widened(of: Any, code: str, room: int) -> Any:
    """An array of type `code`, `room` long, that begins as the buffer `of`."""
    wide = array(code, bytes(array(code).itemsize * room))
    if len(of):
        memoryview(wide)[: len(of)] = memoryview(of)
    return wide
