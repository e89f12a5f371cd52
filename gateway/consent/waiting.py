"""Where presences wait, in memory only, while nobody can say yet whether they may leave (DESIGN §6.3)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

from gateway.consent.register import Denial
from gateway.model import Presence

WAIT_S: Mapping[str, float] = {"clock": 600.0, "unmatched": 60.0, "never_confirmed": 60.0}
"""How long each doubt is waited out; of any other nothing is waited for."""
ROOM = 10_000
"""Presences; of more the oldest are denied."""


class WaitingRoom:
    def __init__(self, deny: Callable[[Presence, Denial, float], None]) -> None:
        """`deny(presence, doubt, t_s)` is told what was waited for in vain, or found no room."""
        self._deny = deny
        self._waiting: deque[tuple[float, Denial, Presence]] = deque()
        """(until, why, what), in the order of emission."""

    def put(self, presence: Presence, doubt: Denial, now_s: float) -> None:
        wait_s = WAIT_S.get(doubt, 0.0)
        if not wait_s:
            self._deny(presence, doubt, now_s)
            return
        if len(self._waiting) >= ROOM:
            self.expire(now_s)
        if len(self._waiting) >= ROOM:
            _, oldest_doubt, oldest = self._waiting.popleft()
            self._deny(oldest, oldest_doubt, now_s)
        self._waiting.append((now_s + wait_s, doubt, presence))

    def expire(self, now_s: float) -> None:
        """Deny what has waited long enough."""
        for until_s, doubt, presence in [w for w in self._waiting if w[0] <= now_s]:
            self._deny(presence, doubt, until_s)
        self._waiting = deque(w for w in self._waiting if w[0] > now_s)

    def leave(self) -> list[Presence]:
        """The doubt has passed: all that waits, in the order of emission."""
        waited = [presence for _, _, presence in self._waiting]
        self._waiting.clear()
        return waited

    def forget(self, subject: str) -> None:
        self._waiting = deque(w for w in self._waiting if w[2].subject != subject)

    def next_deadline(self) -> float | None:
        return min((until_s for until_s, _, _ in self._waiting), default=None)
