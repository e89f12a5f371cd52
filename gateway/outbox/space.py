"""Keeps the store within its size: of what is worth least the oldest goes first, and leaves a tombstone."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from gateway.outbox.limits import PRIORITIES, Limits
from gateway.outbox.schema import PAGE_BYTES, one

_LOOK_AHEAD = 128
"""Victims found at a time."""
_LEAST_RESERVE = 192
"""Pages; the tables alone take some twenty."""


class _Victim(NamedTuple):
    stored_s: float
    sequence: int


class Space:
    """Of one open store; `make_room` inside a transaction of the caller's.

    The hard cap is SQLite's own (`max_page_count`). Events may fill seven eighths: what is left takes
    tombstones, withdrawals and bars at any time.
    """

    def __init__(
        self,
        db: sqlite3.Connection,
        limits: Limits,
        remove: Callable[[str, list[int]], int],
    ) -> None:
        """`remove(recipient, sequences)` deletes events and buries them as capped; how many."""
        self._db = db
        self._remove = remove
        self._pages = max(limits.max_bytes // PAGE_BYTES, 4 * _LEAST_RESERVE)
        self.events_pages = self._pages - max(_LEAST_RESERVE, self._pages // 8)
        self._room_pages = max(32, self._pages // 64)
        """Made at once, so that it is not made for each event."""
        self._passed: dict[tuple[int, str], int] = {}
        """(priority, recipient) → sequence up to which there is none of that priority any more."""
        db.create_function("priority", 2, limits.priority, deterministic=True)

    def set_cap(self) -> None:
        """Outside a transaction. A file that is larger already keeps its size until it is vacuumed."""
        one(self._db, f"PRAGMA max_page_count = {self._pages}")

    def used_pages(self) -> int:
        used: int = one(self._db, "PRAGMA page_count") - one(self._db, "PRAGMA freelist_count")
        return used

    def is_full(self) -> bool:
        """Events have reached into the reserve."""
        return self.used_pages() > self.events_pages

    def is_roomy(self) -> bool:
        return self.used_pages() < self.events_pages // 2

    def forget(self) -> None:
        """A transaction failed: what it removed is there again."""
        self._passed.clear()

    def make_room(self) -> int:
        """Removes events until there is room for some more; how many."""
        wanted = self.events_pages - self._room_pages
        gone = 0
        for priority in range(len(PRIORITIES)):
            while self.used_pages() > wanted and (removed := self._remove_oldest(priority, wanted)):
                gone += removed
        return gone

    def _remove_oldest(self, priority: int, wanted: int) -> int:
        """A handful of this priority across recipients; none: there are none."""
        names = [name for (name,) in self._db.execute("SELECT name FROM recipient")]
        waiting = {name: self._oldest(priority, name) for name in names}
        doomed: dict[str, list[int]] = {}
        for _ in range(min(_LOOK_AHEAD, max(1, (self.used_pages() - wanted) // 2))):
            heads = [(queue[0].stored_s, name) for name, queue in waiting.items() if queue]
            if not heads:
                break
            _, name = min(heads)
            doomed.setdefault(name, []).append(waiting[name].popleft().sequence)
        for name, sequences in doomed.items():
            self._passed[priority, name] = sequences[-1]
        return sum(self._remove(name, sequences) for name, sequences in doomed.items())

    def _oldest(self, priority: int, recipient: str) -> deque[_Victim]:
        passed = self._passed.get((priority, recipient), 0)
        select = (
            "SELECT stored_s, sequence FROM queued WHERE recipient = ? AND sequence > ? "
            "AND kind = 'event' AND priority(change, purpose) = ? ORDER BY sequence LIMIT ?"
        )
        found = self._db.execute(select, (recipient, passed, priority, _LOOK_AHEAD)).fetchall()
        if not found:
            last = self._db.execute("SELECT last_sequence FROM recipient WHERE name = ?", (recipient,))
            self._passed[priority, recipient] = last.fetchone()[0]
        return deque(_Victim(*values) for values in found)
