"""What is due and when: at most one deadline per key, served in (deadline, subject, zone) order."""

from __future__ import annotations

from enum import IntEnum
from heapq import heappop, heappush
from typing import Protocol


class Due(IntEnum):
    """Kinds of deadlines; of one subject and zone at one moment they are served in this order."""

    STEP = 0
    """A belief is brought up to a whole second."""
    RECORD = 1
    """The next dwell threshold of a stay, or the end of a record that holds nothing."""
    RADIO_LEAVE = 2
    RADIO_FADE = 3
    SILENCE = 4
    """An open `entering` has heard nothing for too long."""
    LOST = 5
    TRACK_FADE = 6


Key = tuple[str, str, Due, str]
"""Subject, zone (empty where there is none), kind, device (empty where there is none)."""


class Room(Protocol):
    """A part of the core that sets deadlines."""

    def due_s(self, key: Key) -> float | None:
        """The deadline as it stands now; None: no longer any."""

    def serve(self, key: Key, now_s: float) -> None:
        """Do what is due; whatever repeats sets its next deadline itself."""


class Agenda:
    """A deadline may lie later by the time it comes up: the room is asked again before it is served.

    Rooms therefore move a deadline back in silence and only call `put` to bring one forward.
    """

    def __init__(self) -> None:
        self.rooms: dict[Due, Room] = {}
        self.soonest_s = float("inf")
        """No deadline lies before this."""
        self._heap: list[tuple[float, Key]] = []
        self._deadline_s: dict[Key, float] = {}

    def put(self, deadline_s: float, key: Key) -> None:
        if self._deadline_s.get(key) != deadline_s:
            self._deadline_s[key] = deadline_s
            heappush(self._heap, (deadline_s, key))
            self.soonest_s = self._heap[0][0]

    def clear(self) -> None:
        self._heap.clear()
        self._deadline_s.clear()
        self.soonest_s = float("inf")

    def first(self) -> tuple[float, Key] | None:
        """The next deadline that truly stands."""
        heap = self._heap
        while heap:
            deadline_s, key = heap[0]
            if self._deadline_s.get(key) == deadline_s:
                due_s = self.rooms[key[2]].due_s(key)
                if due_s == deadline_s:
                    self.soonest_s = deadline_s
                    return heap[0]
                del self._deadline_s[key]
                if due_s is not None:
                    self.put(due_s, key)
                    continue
            if heap[0] == (deadline_s, key):
                heappop(heap)
        self.soonest_s = float("inf")
        return None

    def serve_first(self, now_s: float) -> None:
        """Serve what `first` returned just now."""
        key = heappop(self._heap)[1]
        del self._deadline_s[key]
        self.soonest_s = self._heap[0][0] if self._heap else float("inf")
        self.rooms[key[2]].serve(key, now_s)
