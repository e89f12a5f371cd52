"""A core that waits until late fixes are in, for replays: what it says does not depend on their order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from typing import Any

from msgspec.structs import replace

from gateway.core.core import Core
from gateway.core.windows import LATE_S
from gateway.model import Fix, Observation, Presence, SiteMap

_Held = tuple[float, tuple[Any, ...], Fix]


class Holding(Core):
    """Fixes wait until they are `LATE_S` old and are then decided in the order of their own times.

    Any order of reception within that window gives identical events; `emitted_s` is the end of the wait. A
    fix that is older still when it comes in is observed at once, as live. Snapshots do not hold what waits.
    """

    def __init__(self, site: SiteMap) -> None:
        super().__init__(site)
        self._held: list[_Held] = []
        self._let_go_s = float("-inf")

    def observe(self, batch: Sequence[Observation]) -> list[Presence]:
        return [presence for observation in batch for presence in self.observe_one(observation)]

    def observe_one(self, observation: Observation) -> list[Presence]:
        if not math.isfinite(observation.t_s):
            return super().observe_one(observation)
        presences = self.advance(observation.t_s)
        if isinstance(observation, Fix):
            due_s = min(observation.fix_t_s, observation.t_s) + LATE_S
            if due_s > self._let_go_s:
                heappush(self._held, (due_s, _content(observation), replace(observation, t_s=due_s)))
                return presences
        return presences + super().observe_one(observation)

    def advance(self, t_s: float) -> list[Presence]:
        presences: list[Presence] = []
        self._let_go_s = max(self._let_go_s, t_s)
        while self._held and self._held[0][0] <= t_s:
            presences += super().observe_one(heappop(self._held)[2])
        return presences + super().advance(t_s)

    def next_deadline(self) -> float | None:
        deadline_s = super().next_deadline()
        if not self._held:
            return deadline_s
        return self._held[0][0] if deadline_s is None else min(deadline_s, self._held[0][0])

    def forget(self, subject: str) -> None:
        super().forget(subject)
        self._held = [held for held in self._held if held[2].subject != subject]
        heapify(self._held)


def _content(fix: Fix) -> tuple[Any, ...]:
    """Orders fixes of one time by what they say and not by when they came in."""
    unknown = (fix.accuracy_m is None, fix.speed_kmh is None, fix.heading_deg is None, fix.ignition is None)
    said = (fix.accuracy_m or 0.0, fix.speed_kmh or 0.0, fix.heading_deg or 0.0, bool(fix.ignition))
    place = (fix.subject, fix.device, fix.lat_deg, fix.lon_deg)
    return (*place, *unknown, *said, fix.retained, fix.time_source)
