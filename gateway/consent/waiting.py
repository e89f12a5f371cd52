"""Where presences wait, in memory only, while nobody can say yet whether they may leave (DESIGN §6.3)."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from gateway.consent.register import Denial
from gateway.counts import Counts
from gateway.model import Presence

WAIT_S: Mapping[str, float] = {"clock": 600.0, "unmatched": 60.0, "never_confirmed": 60.0}
"""How long each doubt is waited out; of any other nothing is waited for."""
ROOM = 10_000
"""Presences; of more the oldest are denied."""


class WaitingRoom:
    """Counted in room `consent`: what was waited for in vain as denied, by its doubt, and `waiting_full`."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._waiting: deque[tuple[float, Denial, Presence]] = deque()
        """(until, why, what), in the order of emission."""

    def put(self, presence: Presence, doubt: Denial, now_s: float) -> None:
        wait_s = WAIT_S.get(doubt, 0.0)
        if not wait_s:
            self._counts.count("consent", f"denied_{doubt}")
            return
        if len(self._waiting) >= ROOM:
            self._counts.count("consent", "waiting_full")
            self._deny(self._waiting.popleft()[1])
        self._waiting.append((now_s + wait_s, doubt, presence))

    def expire(self, now_s: float) -> None:
        """Deny what has waited long enough."""
        if self._waiting and any(until_s <= now_s for until_s, _, _ in self._waiting):
            kept: deque[tuple[float, Denial, Presence]] = deque()
            for until_s, doubt, presence in self._waiting:
                if until_s <= now_s:
                    self._deny(doubt)
                else:
                    kept.append((until_s, doubt, presence))
            self._waiting = kept

    def leave(self) -> list[Presence]:
        """The doubt has passed: all that waits, in the order of emission."""
        waited = [presence for _, _, presence in self._waiting]
        self._waiting.clear()
        return waited

    def forget(self, subject: str) -> None:
        self._waiting = deque(w for w in self._waiting if w[2].subject != subject)

    def next_deadline(self) -> float | None:
        return min((until_s for until_s, _, _ in self._waiting), default=None)

    def _deny(self, doubt: Denial) -> None:
        self._counts.count("consent", f"denied_{doubt}")
