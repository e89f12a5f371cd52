"""One vehicle's fixes: which of them are evidence, in what order, and how fast the vehicle is."""

from __future__ import annotations

import math
from typing import Literal

from msgspec import Struct, field

from bench.objects.fences import distance_m
from gateway.core.earth import DEGREE_M, RADIAN
from gateway.model import Fix

STALE_S = 120.0
"""Older than this at reception: never `entering` or `approaching`."""
LATE_S = 30.0
FIRST_S = 600.0
"""After so long without a fix, the next one is first knowledge again."""
FUTURE_S = 86_400.0
FASTEST_KMH = 200.0
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

Rejection = Literal["invalid", "coarse", "implausible", "too_late", "duplicate"]


class Sample(Struct):
    """A fix that is evidence."""

    t_s: float
    """When the vehicle was there; never later than the reception."""
    lat: float
    lon: float
    accuracy_m: float
    speed_kmh: float | None
    """As reported; None: not known."""
    ignition: bool | None
    stale: bool
    by_reception: bool
    assumed_accuracy: bool

    @property
    def place(self) -> tuple[float, float]:
        return self.lat, self.lon


class Track(Struct):
    subject: str
    device: str
    newest_s: float = float("-inf")
    """Time of the newest fix."""
    received_s: float = float("-inf")
    """When a fix last came in."""
    samples: list[Sample] = field(default_factory=list)
    """The last half minute and the one before it, by time; the last one is the newest."""
    suspect: Sample | None = None
    """The last fix that was implausibly far away; one that agrees with it makes it true."""

    def admit(self, fix: Fix, now_s: float) -> Sample | Rejection:
        """The fix as evidence, or why it is none; its place in the history is taken by `add`."""
        lat, lon = fix.lat_deg, fix.lon_deg
        valid = abs(lat) <= 90.0 and abs(lon) <= 180.0 and (lat or lon) and fix.fix_t_s <= now_s + FUTURE_S
        if not valid or not math.isfinite(fix.fix_t_s):
            return "invalid"
        sample = _sample(fix, now_s)
        if sample.accuracy_m > COARSE_M:
            return "coarse"
        if sample.t_s < self.newest_s - LATE_S:
            return "too_late"
        before = self.before(sample.t_s)
        if before is not None:
            if (
                before.t_s == sample.t_s
                and before.place == sample.place
                and before.ignition == sample.ignition
            ):
                return "duplicate"
            if not plausible(before, sample):
                if sample.t_s < self.newest_s:
                    return "implausible"
                agreed = self.suspect is not None and plausible(self.suspect, sample)
                self.suspect = sample
                if not agreed:
                    return "implausible"
        return sample

    def before(self, t_s: float) -> Sample | None:
        """The last sample not after `t_s`; with a history, the oldest where all are after it."""
        for sample in reversed(self.samples):
            if sample.t_s <= t_s:
                return sample
        return self.samples[0] if self.samples else None

    def add(self, sample: Sample, now_s: float) -> None:
        self.received_s = now_s
        samples = self.samples
        if sample.t_s >= self.newest_s:
            self.newest_s = sample.t_s
            self.suspect = None
            samples.append(sample)
            oldest_s = sample.t_s - HISTORY_S
            if len(samples) > 2 and samples[1].t_s < oldest_s:
                kept = [s for s in samples if s.t_s >= oldest_s]
                self.samples = samples[-len(kept) - 1 :][-HISTORY_MAX:]
            elif len(samples) > HISTORY_MAX:
                del samples[0]
        else:
            i = len(samples)
            while i and samples[i - 1].t_s > sample.t_s:
                i -= 1
            samples.insert(i, sample)

    def speed_kmh(self, sample: Sample) -> float | None:
        """Reported, unless the positions clearly contradict; else derived from them; None: not known."""
        derived_kmh = self._derived_kmh(sample)
        if sample.speed_kmh is None:
            return derived_kmh
        if derived_kmh is not None and derived_kmh > sample.speed_kmh + CONTRADICTION_KMH:
            return derived_kmh
        return sample.speed_kmh

    def ahead_m(self, sample: Sample, seconds: float) -> tuple[float, float] | None:
        """Northward and eastward, where it will be then; None: not known."""
        base = self._base(sample)
        if base is None:
            return None
        ahead = seconds / (sample.t_s - base.t_s)
        north_m, east_m = _way_m(base, sample)
        return north_m * ahead, east_m * ahead

    def turn_deg(self) -> float:
        """By how much the last leg's direction differs from that of one of the few before it, in [0, 180]; 0:
        not known."""
        leg_m = max(TURN_LEG_M, self.samples[-1].accuracy_m)
        now: tuple[float, float] | None = None
        legs, turned, end = 0, 0.0, self.samples[-1]
        for earlier in reversed(self.samples):
            if earlier.accuracy_m > 2.0 * end.accuracy_m:
                continue
            north_m, east_m = _way_m(earlier, end)
            if north_m * north_m + east_m * east_m < leg_m * leg_m:
                continue
            if end.t_s - earlier.t_s > leg_m / TURN_LEG_MS:
                break
            if now is None:
                now = north_m, east_m
            else:
                across, along = now[0] * east_m - now[1] * north_m, now[0] * north_m + now[1] * east_m
                turned = max(turned, abs(math.atan2(across, along) / RADIAN))
            legs, end = legs + 1, earlier
            if legs == TURN_LEGS:
                break
        return turned

    def _derived_kmh(self, sample: Sample) -> float | None:
        """Straight from the earliest fix of the last seconds; over one long gap it is a mean."""
        base = self._base(sample)
        return None if base is None else distance_m(base.place, sample.place) / (sample.t_s - base.t_s) * 3.6

    def _base(self, sample: Sample) -> Sample | None:
        """The fix from which the speed at `sample` is derived."""
        base: Sample | None = None
        over_s = min(max(sample.accuracy_m * SPEED_S_PER_M, SPEED_AT_LEAST_S), SPEED_OVER_S)
        for earlier in reversed(self.samples):
            apart_s = sample.t_s - earlier.t_s
            if apart_s < SPEED_AT_LEAST_S or earlier.accuracy_m > 3 * sample.accuracy_m + 20.0:
                continue
            if base is not None and apart_s > over_s:
                break
            base = earlier
        return None if base is None or sample.t_s - base.t_s > FIRST_S else base


def _way_m(a: Sample, b: Sample) -> tuple[float, float]:
    """From a to b, northward and eastward; flat, for ways short against the Earth."""
    east_deg = b.lon - a.lon
    east_deg += -360.0 if east_deg > 180.0 else 360.0 if east_deg < -180.0 else 0.0
    return (b.lat - a.lat) * DEGREE_M, east_deg * DEGREE_M * math.cos(b.lat * RADIAN)


def _sample(fix: Fix, now_s: float) -> Sample:
    accuracy_m, speed_kmh = fix.accuracy_m, fix.speed_kmh
    assumed = accuracy_m is None or not 0.0 < accuracy_m < math.inf
    if accuracy_m is None or assumed:
        accuracy_m = ASSUMED_ACCURACY_M
    if speed_kmh is None or not 0.0 <= speed_kmh < math.inf:
        speed_kmh = None
    t_s = min(fix.fix_t_s, now_s)
    return Sample(
        t_s,
        fix.lat_deg,
        fix.lon_deg,
        accuracy_m,
        speed_kmh,
        fix.ignition,
        stale=fix.retained or now_s - t_s > STALE_S,
        by_reception=fix.time_source == "reception",
        assumed_accuracy=assumed,
    )


def plausible(a: Sample, b: Sample) -> bool:
    """A vehicle can have come from one place to the other in the time between."""
    apart_s = max(abs(b.t_s - a.t_s), 1.0) + (RECEPTION_SLACK_S if b.by_reception else 0.0)
    reach_m = apart_s * FASTEST_KMH / 3.6
    return distance_m(a.place, b.place) <= reach_m
