"""Vehicles and their fixes: which of them are evidence, in what order, and how fast the vehicle is."""

from __future__ import annotations

import math
from array import array

from gateway.core.bits import ASSUMED, BY_RECEPTION, INFINITE, OFF, ON, STALE, UNKNOWN
from gateway.core.earth import DEGREE_M, RADIAN
from gateway.core.geometry import arc_m
from gateway.core.rows import NONE, Rows, widened
from gateway.core.windows import FASTEST_KMH, FIRST_S, LATE_S, STALE_S
from gateway.model import Fix

FUTURE_S = 86_400.0
COARSE_M = 100.0
"""A fix less accurate than this is no evidence."""
ASSUMED_ACCURACY_M = 10.0
"""For fixes that do not say: a phone or tracker under open sky."""
HISTORY_S, HISTORY_MAX = 35.0, 64
CONTRADICTION_KMH = 40.0
"""A reported speed so far below the derived one is no speed: hard braking explains less."""
SPEED_OVER_S, SPEED_AT_LEAST_S = 8.0, 3.0
SPEED_S_PER_M = 0.5
"""Speed is derived over so many seconds for each metre of accuracy, within these two bounds: errors of
successive fixes are alike, but what they differ by must not be kilometres per hour."""
TURN_LEG_M, TURN_LEG_MS, TURN_LEGS = 10.0, 1.0, 6
"""A turn is measured on so many legs, each at least so long and driven at least so fast."""
RECEPTION_SLACK_S = 10.0
"""Fixes stamped at reception may come bunched."""

REASONS = ("invalid", "coarse", "implausible", "too_late", "duplicate")
"""Why a fix is no evidence."""
INVALID, COARSE, IMPLAUSIBLE, TOO_LATE, DUPLICATE = -1, -2, -3, -4, -5
"""`admit` says so: minus the place in REASONS, counted from 1."""


class Samples(Rows):
    """Fixes that are evidence, of all vehicles; those of one vehicle are linked by time."""

    def __init__(self) -> None:
        super().__init__()
        self.t_s = array("d")
        """When the vehicle was there; never later than the reception."""
        self.lat = array("d")
        self.lon = array("d")
        self.accuracy_m = array("d")
        self.speed_kmh = array("d")
        """As reported, or UNKNOWN."""
        self.says = array("b")
        self.older = array("i")
        self.newer = array("i")

    def _widen(self, room: int) -> None:
        self.t_s, self.lat = widened(self.t_s, "d", room), widened(self.lat, "d", room)
        self.lon, self.accuracy_m = widened(self.lon, "d", room), widened(self.accuracy_m, "d", room)
        self.speed_kmh, self.says = widened(self.speed_kmh, "d", room), widened(self.says, "b", room)
        self.older, self.newer = widened(self.older, "i", room), widened(self.newer, "i", room)

    def write(self, fix: Fix, lat: float, lon: float, t_s: float, now_s: float) -> int:
        """A row with the fix, not yet linked; what is missing in it is assumed."""
        row = self.take()
        says = 0
        accuracy_m, speed_kmh, ignition = fix.accuracy_m, fix.speed_kmh, fix.ignition
        accurate_m = 0.0 if accuracy_m is None else accuracy_m
        if not 0.0 < accurate_m < INFINITE:
            accurate_m, says = ASSUMED_ACCURACY_M, ASSUMED
        kmh = UNKNOWN if speed_kmh is None else speed_kmh
        if not 0.0 <= kmh < INFINITE:
            kmh = UNKNOWN
        if ignition is not None:
            says += ON if ignition else OFF
        t_s = min(t_s, now_s)
        if fix.retained or now_s - t_s > STALE_S:
            says += STALE
        if fix.time_source == "reception":
            says += BY_RECEPTION
        self.t_s[row], self.lat[row], self.lon[row] = t_s, lat, lon
        self.accuracy_m[row], self.speed_kmh[row], self.says[row] = accurate_m, kmh, says
        return row

    def plausible(self, a: int, b: int) -> bool:
        """A vehicle can have come from one place to the other in the time between."""
        apart_s = max(abs(self.t_s[b] - self.t_s[a]), 1.0)
        if self.says[b] & BY_RECEPTION:
            apart_s += RECEPTION_SLACK_S
        return arc_m(self.lat[a], self.lon[a], self.lat[b], self.lon[b]) <= apart_s * FASTEST_KMH / 3.6

    def same(self, a: int, b: int) -> bool:
        """Time, place and ignition are equal."""
        if self.t_s[a] != self.t_s[b] or self.lat[a] != self.lat[b] or self.lon[a] != self.lon[b]:
            return False
        return (self.says[a] & (ON + OFF)) == (self.says[b] & (ON + OFF))

    def north_m(self, a: int, b: int) -> float:
        """From a to b, northward; flat, for ways short against the Earth."""
        return (self.lat[b] - self.lat[a]) * DEGREE_M

    def east_m(self, a: int, b: int) -> float:
        """From a to b, eastward."""
        apart_deg = self.lon[b] - self.lon[a]
        if apart_deg > 180.0:
            apart_deg -= 360.0
        elif apart_deg < -180.0:
            apart_deg += 360.0
        return apart_deg * DEGREE_M * math.cos(self.lat[b] * RADIAN)


class Tracks(Rows):
    """Vehicles by row, each with its fixes of the last half minute and the one before."""

    def __init__(self) -> None:
        super().__init__()
        self.samples = Samples()
        self.newest_s = array("d")
        """Time of the newest fix."""
        self.received_s = array("d")
        """When a fix last came in."""
        self.newest = array("i")
        self.oldest = array("i")
        self.count = array("i")
        self.suspect = array("i")
        """The last fix that was implausibly far away; one that agrees with it makes it true."""
        self.pair = array("i")
        """The first fence that it has to do with (a row of the stays' pairs)."""

    def _widen(self, room: int) -> None:
        self.newest_s, self.received_s = (
            widened(self.newest_s, "d", room),
            widened(self.received_s, "d", room),
        )
        self.newest, self.oldest = widened(self.newest, "i", room), widened(self.oldest, "i", room)
        self.count, self.suspect = widened(self.count, "i", room), widened(self.suspect, "i", room)
        self.pair = widened(self.pair, "i", room)

    def begin(self) -> int:
        track = self.take()
        self.newest_s[track] = self.received_s[track] = -INFINITE
        self.newest[track] = self.oldest[track] = self.suspect[track] = self.pair[track] = NONE
        self.count[track] = 0
        return track

    def end(self, track: int) -> None:
        """The vehicle and its fixes are forgotten."""
        while self.count[track]:
            self._forget_oldest(track)
        self._suspect(track, NONE)
        self.give(track)

    def admit(self, track: int, fix: Fix, now_s: float) -> int:
        """The fix as evidence, a row of `samples`, or why it is none: a negative number, see REASONS.

        Its place in the history is taken by `add`.
        """
        lat, lon, t_s = fix.lat_deg, fix.lon_deg, fix.fix_t_s
        if not (abs(lat) <= 90.0 and abs(lon) <= 180.0) or (lat == 0.0 and lon == 0.0):
            return INVALID
        if not -INFINITE < t_s <= now_s + FUTURE_S:
            return INVALID
        sample = self.samples.write(fix, lat, lon, t_s, now_s)
        verdict = self._verdict(track, sample)
        if verdict < 0:
            if self.suspect[track] != sample:
                self.samples.give(sample)
            return verdict
        return sample

    def _verdict(self, track: int, sample: int) -> int:
        samples = self.samples
        if samples.accuracy_m[sample] > COARSE_M:
            return COARSE
        if samples.t_s[sample] < self.newest_s[track] - LATE_S:
            return TOO_LATE
        before = self.before(track, samples.t_s[sample])
        if before == NONE:
            return 0
        if samples.same(before, sample):
            return DUPLICATE
        if not samples.plausible(before, sample):
            if samples.t_s[sample] < self.newest_s[track]:
                return IMPLAUSIBLE
            agreed = self.suspect[track] != NONE and samples.plausible(self.suspect[track], sample)
            if not agreed:
                self._suspect(track, sample)
                return IMPLAUSIBLE
        return 0

    def before(self, track: int, t_s: float) -> int:
        """The last sample not after `t_s`; with a history, the oldest where all are after it."""
        samples, sample = self.samples, self.newest[track]
        while sample != NONE:
            if samples.t_s[sample] <= t_s:
                return sample
            sample = samples.older[sample]
        return self.oldest[track]

    def add(self, track: int, sample: int, now_s: float) -> None:
        """Take the sample into the history, and forget what is too old there."""
        samples = self.samples
        t_s = samples.t_s[sample]
        self.link(track, sample)
        self.received_s[track] = now_s
        if t_s >= self.newest_s[track]:
            self.newest_s[track] = t_s
            self._suspect(track, NONE)
            while self.count[track] > 2 and samples.t_s[samples.newer[self.oldest[track]]] < t_s - HISTORY_S:
                self._forget_oldest(track)
            while self.count[track] > HISTORY_MAX:
                self._forget_oldest(track)

    def link(self, track: int, sample: int) -> None:
        """Put the sample where it belongs by its time, behind one of the same time."""
        samples = self.samples
        t_s = samples.t_s[sample]
        after, before = NONE, self.newest[track]
        while before != NONE and samples.t_s[before] > t_s:
            after, before = before, samples.older[before]
        samples.older[sample], samples.newer[sample] = before, after
        if before == NONE:
            self.oldest[track] = sample
        else:
            samples.newer[before] = sample
        if after == NONE:
            self.newest[track] = sample
        else:
            samples.older[after] = sample
        self.count[track] += 1

    def speed_kmh(self, track: int, sample: int) -> float:
        """Reported, unless the positions clearly contradict; else derived from them; UNKNOWN: not known."""
        samples = self.samples
        reported_kmh, derived_kmh = samples.speed_kmh[sample], self._derived_kmh(track, sample)
        if reported_kmh == UNKNOWN or derived_kmh > reported_kmh + CONTRADICTION_KMH:
            return derived_kmh
        return reported_kmh

    def turn_deg(self, track: int) -> float:
        """By how much the last leg's direction differs from that of one of the few before it, in [0, 180]; 0:
        not known."""
        samples, end = self.samples, self.newest[track]
        leg_m = max(TURN_LEG_M, samples.accuracy_m[end])
        now_north_m, now_east_m, turned = 0.0, 0.0, 0.0
        legs, earlier = 0, end
        while earlier != NONE and legs < TURN_LEGS:
            begin, earlier = earlier, samples.older[earlier]
            if samples.accuracy_m[begin] > 2.0 * samples.accuracy_m[end]:
                continue
            north_m, east_m = samples.north_m(begin, end), samples.east_m(begin, end)
            if north_m * north_m + east_m * east_m < leg_m * leg_m:
                continue
            if samples.t_s[end] - samples.t_s[begin] > leg_m / TURN_LEG_MS:
                break
            if legs == 0:
                now_north_m, now_east_m = north_m, east_m
            else:
                across = now_north_m * east_m - now_east_m * north_m
                along = now_north_m * north_m + now_east_m * east_m
                turned = max(turned, abs(math.atan2(across, along) / RADIAN))
            legs, end = legs + 1, begin
        return turned

    def base(self, track: int, sample: int) -> int:
        """The fix from which the speed at `sample` is derived; NONE where there is none."""
        samples, base = self.samples, NONE
        t_s, accuracy_m = samples.t_s[sample], samples.accuracy_m[sample]
        over_s = min(max(accuracy_m * SPEED_S_PER_M, SPEED_AT_LEAST_S), SPEED_OVER_S)
        earlier = self.newest[track]
        while earlier != NONE:
            apart_s = t_s - samples.t_s[earlier]
            if apart_s >= SPEED_AT_LEAST_S and samples.accuracy_m[earlier] <= 3 * accuracy_m + 20.0:
                if base != NONE and apart_s > over_s:
                    break
                base = earlier
            earlier = samples.older[earlier]
        if base == NONE or t_s - samples.t_s[base] > FIRST_S:
            return NONE
        return base

    # --- inner ---

    def _derived_kmh(self, track: int, sample: int) -> float:
        """Straight from the earliest fix of the last seconds; over one long gap it is a mean."""
        samples, base = self.samples, self.base(track, sample)
        if base == NONE:
            return UNKNOWN
        way_m = arc_m(samples.lat[base], samples.lon[base], samples.lat[sample], samples.lon[sample])
        return way_m / (samples.t_s[sample] - samples.t_s[base]) * 3.6

    def _suspect(self, track: int, sample: int) -> None:
        if self.suspect[track] != NONE:
            self.samples.give(self.suspect[track])
        self.suspect[track] = sample

    def _forget_oldest(self, track: int) -> None:
        oldest = self.oldest[track]
        newer = self.samples.newer[oldest]
        self.oldest[track] = newer
        if newer == NONE:
            self.newest[track] = NONE
        else:
            self.samples.older[newer] = NONE
        self.samples.give(oldest)
        self.count[track] -= 1
