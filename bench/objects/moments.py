"""One fix as it meets a fence, with what the fixes before it add: speed, direction and the line between."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from bench.objects.fences import Place, near
from bench.objects.judgement import CUT_SHALLOW, is_worth_a_word
from bench.objects.tracks import Sample, Track
from gateway.core.earth import DEGREE_M, RADIAN

AHEAD_S = 1.5
"""A shallow fix counts as inside when the vehicle heads inward: as deep as it will be so much later."""
LINE_GAP_S = 5.0
"""Fixes further apart have a line between them that may be deeper than they are."""
LINE_POINTS = 8


class Moment(NamedTuple):
    track: Track
    sample: Sample
    before: Sample | None
    """The fix before it; None where that is no help."""
    first: bool
    """It is first knowledge."""
    line: bool
    """The line from the fix before counts."""
    speed_kmh: float | None
    now_s: float

    def is_deep(self, place: Place, depth_m: float) -> bool:
        """A fix inside is more than noise beside it: by itself, by the line to it or by its heading."""
        sample, shape = self.sample, place.shape
        if is_worth_a_word(depth_m, sample.accuracy_m, shape):
            return True
        if self.before is not None and self.line and sample.t_s - self.before.t_s > LINE_GAP_S:
            return is_worth_a_word(self._deepest_m(place, self.before), sample.accuracy_m, shape)
        ahead = self.track.ahead_m(sample, AHEAD_S)
        if ahead is None:
            return False
        lat = min(max(sample.lat + ahead[0] / DEGREE_M, -90.0), 90.0)
        lon = sample.lon + ahead[1] / (DEGREE_M * max(math.cos(sample.lat * RADIAN), 1e-6))
        return is_worth_a_word(shape.depth_m(lat, lon), sample.accuracy_m, shape)

    def cuts(self, place: Place) -> bool:
        """This fix lies outside, the one before it too or nearly so, and the line between them does not."""
        if self.before is None or not self.line:
            return False
        if not place.shape.crosses(*self.before.place, *self.sample.place):
            return False
        accuracy_m = max(self.before.accuracy_m, self.sample.accuracy_m)
        deepest_m = self._deepest_m(place, self.before)
        if place.shape.contains(*self.before.place):
            return is_worth_a_word(deepest_m, accuracy_m, place.shape)
        return deepest_m >= CUT_SHALLOW * min(accuracy_m, place.shape.roomy_m)

    def _deepest_m(self, place: Place, before: Sample) -> float:
        """About how deep the line from the fix before lies."""
        (lat, lon), end_lat = before.place, self.sample.lat
        end_lon = near(self.sample.lon, lon)
        parts = [i / LINE_POINTS for i in range(1, LINE_POINTS)]
        return max(place.shape.depth_m(lat + (end_lat - lat) * p, lon + (end_lon - lon) * p) for p in parts)

    def evidence(self, depth_m: float, *, late: bool = False, reason: str = "") -> dict[str, Any]:
        sample = self.sample
        evidence: dict[str, Any] = {"depth_m": round(depth_m, 1)}
        if not sample.assumed_accuracy:
            evidence["accuracy_m"] = round(sample.accuracy_m, 1)
        if self.speed_kmh is not None:
            evidence["speed_kmh"] = round(self.speed_kmh, 1)
        if self.before is not None:
            evidence["interval_s"] = round(abs(sample.t_s - self.before.t_s), 1)
        if sample.by_reception:
            evidence["time_source"] = "reception"
        if late:
            evidence["late"] = True
        if reason:
            evidence["reason"] = reason
        return evidence
