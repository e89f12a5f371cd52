"""What is due and when: at most one deadline for each row of a room, in (deadline, subject, zone) order."""

from __future__ import annotations

from array import array
from bisect import insort
from enum import IntEnum
from typing import Protocol

from gateway.core.rows import Rows, widened
from gateway.core.windows import LATER_S


class Due(IntEnum):
    """Kinds of deadlines; of one subject and zone at one moment they are served in this order."""

    STEP = 0
    """A belief is brought up to a whole second."""
    RECORD = 1
    """The next dwell threshold of a stay, or the end of a record that holds nothing."""
    RADIO_LEAVE = 2
    RADIO_FADE = 3
    VEHICLE = 4
    """An open `entering` or a stay has heard nothing for too long, or a track is forgotten."""


Key = tuple[str, str, int, str]
"""Subject, zone (empty where there is none), kind, device (empty where there is none): the order of what is
due at one moment."""


class Room(Protocol):
    """A part of the core that sets deadlines for rows of its own."""

    def due_s(self, kind: int, row: int) -> float:
        """The deadline as it stands now; LATER_S: no longer any."""

    def key(self, kind: int, row: int) -> Key:
        """For a row that is due."""

    def serve(self, kind: int, row: int, now_s: float) -> None:
        """Do what is due; whatever repeats sets its next deadline itself."""


class Agenda(Rows):
    """A heap of deadlines.

    A deadline may lie later by the time it comes up: the room is asked again before it is served. Rooms
    therefore move a deadline back in silence and only call `put` to bring one forward.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rooms: dict[int, Room] = {}
        self.soonest_s = LATER_S
        """No deadline lies before this."""
        self._deadline_s = array("d")
        self._row = array("i")
        self._kind = array("b")
        self._armed = [array("d") for _ in Due]
        """By kind and row, the one deadline that counts; others of the same row in the heap are stale."""

    def put(self, kind: int, row: int, deadline_s: float) -> None:
        armed = self._armed[kind]
        if row >= len(armed):
            armed.extend([LATER_S] * (row + 1 - len(armed)))
        if armed[row] != deadline_s:
            armed[row] = deadline_s
            self._push(deadline_s, kind, row)

    def drop(self, kind: int, row: int) -> None:
        """The row is given back: it has no deadline."""
        armed = self._armed[kind]
        if row < len(armed):
            armed[row] = LATER_S

    def clear(self) -> None:
        super().clear()
        self._armed = [array("d") for _ in Due]
        self.soonest_s = LATER_S

    def first_s(self) -> float:
        """The next deadline that truly stands; LATER_S: none."""
        while self.used:
            deadline_s, kind, row = self._deadline_s[0], self._kind[0], self._row[0]
            due_s = self._standing_s(deadline_s, kind, row)
            if due_s == deadline_s:
                break
            self._pop()
            if due_s != LATER_S:
                self.put(kind, row, due_s)
        self.soonest_s = self._deadline_s[0] if self.used else LATER_S
        return self.soonest_s

    def serve(self, until_s: float, now_s: float) -> float:
        """Serve all that is due at or before `until_s`, each at its own time but not before `now_s`.

        The time of the last one, or `now_s`.
        """
        while self.soonest_s <= until_s:
            deadline_s = self.first_s()
            if deadline_s > until_s:
                break
            now_s = max(now_s, deadline_s)
            self._serve_all(deadline_s, now_s)
        return now_s

    # --- inner ---

    def _serve_all(self, deadline_s: float, now_s: float) -> None:
        """All of one moment, in the order of their keys, with what is put meanwhile for this moment."""
        due: list[tuple[Key, int]] = []
        while True:
            while self.used and self._deadline_s[0] == deadline_s:
                kind, row = self._kind[0], self._row[0]
                due_s = self._standing_s(deadline_s, kind, row)
                self._pop()
                if due_s == deadline_s:
                    insort(due, (self.rooms[kind].key(kind, row), row))
                elif due_s != LATER_S:
                    self.put(kind, row, due_s)
            if not due:
                return
            key, row = due.pop(0)
            kind = key[2]
            room, armed = self.rooms[kind], self._armed[kind]
            if armed[row] != deadline_s:  # listed twice, as where a row was given back and taken again
                continue
            due_s = room.due_s(kind, row)
            if due_s == deadline_s and room.key(kind, row) != key:
                insort(due, (room.key(kind, row), row))
                continue
            armed[row] = LATER_S
            if due_s == deadline_s:
                room.serve(kind, row, now_s)
            elif due_s != LATER_S:
                self.put(kind, row, due_s)

    def _standing_s(self, deadline_s: float, kind: int, row: int) -> float:
        """When this entry of the heap is due; LATER_S for a stale one. It counts as armed no longer unless it
        stands."""
        armed = self._armed[kind]
        if row >= len(armed) or armed[row] != deadline_s:
            return LATER_S
        due_s = self.rooms[kind].due_s(kind, row)
        if due_s != deadline_s:
            armed[row] = LATER_S
        return due_s

    # --- the heap ---

    def _push(self, deadline_s: float, kind: int, row: int) -> None:
        i = self.take()
        while i > 0 and self._deadline_s[(i - 1) // 2] > deadline_s:
            self._move((i - 1) // 2, i)
            i = (i - 1) // 2
        self._deadline_s[i], self._kind[i], self._row[i] = deadline_s, kind, row
        self.soonest_s = self._deadline_s[0]

    def _pop(self) -> None:
        self.used -= 1
        last, i, child = self.used, 0, 1
        while child < last:
            if child + 1 < last and self._deadline_s[child + 1] < self._deadline_s[child]:
                child += 1
            if self._deadline_s[child] >= self._deadline_s[last]:
                break
            self._move(child, i)
            i, child = child, 2 * child + 1
        self._move(last, i)
        self.soonest_s = self._deadline_s[0] if last else LATER_S

    def _move(self, source: int, to: int) -> None:
        self._deadline_s[to] = self._deadline_s[source]
        self._kind[to], self._row[to] = self._kind[source], self._row[source]

    def _widen(self, room: int) -> None:
        self._deadline_s = widened(self._deadline_s, "d", room)
        self._kind, self._row = widened(self._kind, "b", room), widened(self._row, "i", room)
