"""The vehicle step as one would write it in plain Python: an object for each track, sample, visit and record.

The peer of the benchmark, and a second opinion: tests hold the core to the same events. What only a daemon
needs (snapshots, restarts, withdrawal, another map) is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.objects.agenda import Agenda
from bench.objects.arrivals import Arrivals
from bench.objects.stays import Stays
from gateway.model import Fence, Fix, Presence


class Objects:
    """As `gateway.core.Core`, for fixes."""

    def __init__(self, fences: Iterable[Fence]) -> None:
        fences = tuple(fences)
        self.rejected: dict[str, int] = {}
        self._now_s = float("-inf")
        self._agenda = Agenda()
        self._stays = Stays(self._agenda)
        self._stays.know({fence.id: fence.dwell_s for fence in fences})
        self._arrivals = Arrivals(fences, self._agenda, self._stays, self._reject)

    def observe(self, batch: Sequence[Fix]) -> list[Presence]:
        for fix in batch:
            self._reach(fix.t_s)
            self._arrivals.observe(fix, self._now_s)
            self._serve(self._now_s)
        return self._stays.drain()

    def advance(self, t_s: float) -> list[Presence]:
        self._reach(t_s)
        return self._stays.drain()

    def _reject(self, reason: str) -> None:
        self.rejected[reason] = self.rejected.get(reason, 0) + 1

    def _reach(self, t_s: float) -> None:
        if t_s > self._now_s:
            self._serve(t_s)
            self._now_s = t_s

    def _serve(self, until_s: float) -> None:
        agenda = self._agenda
        while agenda.soonest_s <= until_s:
            first = agenda.first()
            if first is None or first[0] > until_s:
                return
            self._now_s = max(self._now_s, first[0])
            agenda.serve_first(self._now_s)
