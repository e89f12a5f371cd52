"""What was heard a moment ago, kept to be quick: forgotten after seconds, and bounded."""

from __future__ import annotations

from typing import Final, Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")
STRANGER_S: Final = 15.0
"""Nothing that names somebody who is not enrolled is kept for longer than twice that."""
MOST: Final = 4096
"""Beyond so many all are forgotten, which costs no more than to work them out again."""


class Freshness:
    """When it is time to forget: once every `STRANGER_S`. Time is an argument, in seconds."""

    def __init__(self) -> None:
        self.since_s = float("-inf")

    def is_over(self, now_s: float) -> bool:
        """True begins it anew; also where the clock was set back."""
        if 0 <= now_s - self.since_s < STRANGER_S:
            return False
        self.since_s = now_s
        return True


class Recent(Generic[K, V]):
    """Two halves: what was put lately, and what was put before that. Time is an argument, as above."""

    def __init__(self) -> None:
        self._now: dict[K, V] = {}
        self._before: dict[K, V] = {}
        self._freshness = Freshness()

    def __len__(self) -> int:
        return len(self._now) + len(self._before)

    def get(self, key: K) -> V | None:
        found = self._now.get(key)
        return self._before.get(key) if found is None else found

    def put(self, key: K, value: V, t_s: float) -> None:
        self.fade(t_s)
        if len(self._now) >= MOST:
            self._now, self._before = {}, {}
        self._now[key] = value

    def fade(self, t_s: float) -> None:
        """Forget what is too old at `t_s`; a clock that was set back forgets all."""
        age_s = t_s - self._freshness.since_s
        if self._freshness.is_over(t_s):
            self._now, self._before = {}, self._now if 0 <= age_s < 2 * STRANGER_S else {}

    def clear(self) -> None:
        self._now, self._before = {}, {}
