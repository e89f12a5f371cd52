"""One fix as it meets a fence, with what the fixes before it add: speed, direction and the line between."""

from __future__ import annotations

import math
from typing import Any

from gateway.core.bits import ASSUMED, BY_RECEPTION, OFF, STALE, UNKNOWN
from gateway.core.earth import DEGREE_M, RADIAN
from gateway.core.fences import Place
from gateway.core.geometry import near
from gateway.core.judgement import is_worth_a_crossing, is_worth_a_word
from gateway.core.rows import NONE
from gateway.core.tracks import Tracks
from gateway.core.windows import FIRST_S, SURE_ACCURACY_M

LINE_S = 120.0
"""Fixes further apart in time make no line."""
AHEAD_S = 1.5
"""A shallow fix counts as inside when the vehicle heads inward: as deep as it will be so much later."""
LINE_GAP_S = 5.0
"""Fixes further apart have a line between them that may be deeper than they are. The vehicle's way is rarely
so straight: a line that cuts a corner of the fence is as likely to be too shallow as too deep."""
LINE_PART, LINE_PARTS = 0.125, 8
"""A line is looked at after each such part of it."""


class Moment:
    """The fix that is looked at now; there is one of this, filled in anew for each fix."""

    def __init__(self, tracks: Tracks) -> None:
        self._tracks, self._samples = tracks, tracks.samples
        self.track = self.sample = self.before = NONE
        """`before`: the fix before it; NONE where that is no help."""
        self.t_s = self.now_s = self.lat = self.lon = self.accuracy_m = 0.0
        self.gap_s = 0.0
        """Since the fix before."""
        self.speed_kmh = UNKNOWN
        self._turn_deg = UNKNOWN
        self.first = self.line = self.late = self.stale = self.off = False
        """It is first knowledge; the line from the fix before counts; it is older than the newest; it was old
        when it came in; its ignition is off."""

    def come(self, track: int, sample: int, before: int, newest_s: float, now_s: float) -> None:
        """Look at this fix, which is the newest; `newest_s`: the time of the one that was."""
        self._look(track, sample, before, now_s)
        self.late, self.first = False, self.t_s - newest_s > FIRST_S
        self.line = not self.first and before != NONE and self._is_line()

    def come_late(self, track: int, sample: int, before: int, now_s: float) -> None:
        """Look at this fix, which is older than the newest."""
        self._look(track, sample, before, now_s)
        self.first = self.line = False
        self.late = True

    def measure(self) -> None:
        """Find out the speed."""
        self.speed_kmh = self._tracks.speed_kmh(self.track, self.sample)

    def turn(self) -> float:
        """`turn_deg` of the track."""
        if self._turn_deg == UNKNOWN:
            self._turn_deg = self._tracks.turn_deg(self.track)
        return self._turn_deg

    def _look(self, track: int, sample: int, before: int, now_s: float) -> None:
        samples = self._samples
        self.track, self.sample, self.before, self.now_s = track, sample, before, now_s
        self.t_s, self.lat, self.lon = samples.t_s[sample], samples.lat[sample], samples.lon[sample]
        self.accuracy_m = samples.accuracy_m[sample]
        self.gap_s = 0.0 if before == NONE else self.t_s - samples.t_s[before]
        self.stale, self.off = samples.says[sample] & STALE != 0, samples.says[sample] & OFF != 0
        self.speed_kmh = self._turn_deg = UNKNOWN

    def _is_line(self) -> bool:
        """The vehicle's way from the fix before may be taken for straight."""
        samples = self._samples
        if self.accuracy_m > SURE_ACCURACY_M or samples.accuracy_m[self.before] > SURE_ACCURACY_M:
            return False
        return 0.0 < self.gap_s <= LINE_S and samples.plausible(self.before, self.sample)

    def is_deep(self, place: Place, depth_m: float) -> bool:
        """A fix inside is more than noise beside it: by itself, by the line to it or by its heading."""
        if is_worth_a_word(depth_m, self.accuracy_m, place):
            return True
        if self.line and self.gap_s > LINE_GAP_S:
            return is_worth_a_word(self._deepest_m(place), self.accuracy_m, place)
        samples, base = self._samples, self._tracks.base(self.track, self.sample)
        if base == NONE:
            return False
        ahead = AHEAD_S / (self.t_s - samples.t_s[base])
        lat = self.lat + samples.north_m(base, self.sample) * ahead / DEGREE_M
        wide_m = DEGREE_M * max(math.cos(self.lat * RADIAN), 1e-6)
        lon = self.lon + samples.east_m(base, self.sample) * ahead / wide_m
        return is_worth_a_word(place.shape.depth_m(min(max(lat, -90.0), 90.0), lon), self.accuracy_m, place)

    def cuts(self, place: Place) -> bool:
        """This fix lies outside, the one before it too or nearly so, and the line between them does not."""
        if not self.line:
            return False
        samples, before = self._samples, self.before
        lat, lon = samples.lat[before], samples.lon[before]
        if not place.shape.crosses(lat, lon, self.lat, self.lon):
            return False
        from_inside = place.shape.contains(lat, lon)
        if not from_inside and self.gap_s > LINE_GAP_S:
            return True
        accuracy_m, deepest_m = max(samples.accuracy_m[before], self.accuracy_m), self._deepest_m(place)
        if from_inside:
            return is_worth_a_word(deepest_m, accuracy_m, place)
        return is_worth_a_crossing(deepest_m, accuracy_m, place)

    def _deepest_m(self, place: Place) -> float:
        """About how deep the line from the fix before lies."""
        lat, lon = self._samples.lat[self.before], self._samples.lon[self.before]
        north, east = self.lat - lat, near(self.lon, lon) - lon
        deepest_m = place.shape.depth_m(lat + north * LINE_PART, lon + east * LINE_PART)
        for i in range(2, LINE_PARTS):
            part = i * LINE_PART
            deepest_m = max(deepest_m, place.shape.depth_m(lat + north * part, lon + east * part))
        return deepest_m

    def evidence(self, depth_m: float) -> dict[str, Any]:
        """For an event that this fix decides."""
        says = self._samples.says[self.sample]
        evidence: dict[str, Any] = {"depth_m": round(depth_m, 1)}
        if not says & ASSUMED:
            evidence["accuracy_m"] = round(self.accuracy_m, 1)
        if self.speed_kmh != UNKNOWN:
            evidence["speed_kmh"] = round(self.speed_kmh, 1)
        if self.before != NONE:
            evidence["interval_s"] = round(abs(self.gap_s), 1)
        if says & BY_RECEPTION:
            evidence["time_source"] = "reception"
        if self.late:
            evidence["late"] = True
        return evidence
