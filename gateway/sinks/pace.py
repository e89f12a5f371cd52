"""How fast a backlog may go: so many a second, with a second's worth at once after a pause."""

from __future__ import annotations

from collections.abc import Callable


class Pace:
    def __init__(self, per_s: float, monotonic_s: Callable[[], float]) -> None:
        self._per_s = per_s
        self._now_s = monotonic_s
        self._saved = max(1.0, per_s)
        self._at_s = monotonic_s()

    def allowed(self) -> int:
        """How many may go now."""
        now_s = self._now_s()
        self._saved = min(max(1.0, self._per_s), self._saved + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        return int(self._saved)

    def spend(self, n: int) -> None:
        self._saved -= n

    def pause_s(self) -> float:
        """Until one more may go."""
        return max(0.0, 1.0 - self._saved) / self._per_s
