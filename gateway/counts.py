"""Counted outcomes: nothing is dropped without a number that says so."""

from __future__ import annotations

from collections.abc import Mapping


class Counts:
    """How often each outcome happened, by room and outcome (`profiles.ibeacon`, `too_short`).

    Names are taken from code and profile files, never from signals: a count holds no identity.
    """

    def __init__(self) -> None:
        self._counted: dict[tuple[str, str], int] = {}

    def count(self, room: str, outcome: str, n: int = 1) -> None:
        try:
            self._counted[room, outcome] += n
        except KeyError:
            self._counted[room, outcome] = n

    def adopt(self, room: str, outcomes: Mapping[str, int]) -> None:
        """Take over the numbers of a room that counts for itself."""
        for outcome, n in outcomes.items():
            self._counted[room, outcome] = n

    def of(self, room: str, outcome: str) -> int:
        return self._counted.get((room, outcome), 0)

    def total(self, room: str) -> int:
        return sum(n for (r, _), n in self._counted.items() if r == room)

    def by_room(self) -> dict[str, dict[str, int]]:
        """All counts as `{room: {outcome: n}}`, sorted by name."""
        rooms: dict[str, dict[str, int]] = {}
        for (room, outcome), n in sorted(self._counted.items()):
            rooms.setdefault(room, {})[outcome] = n
        return rooms
