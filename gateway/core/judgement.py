"""How much one fix says about a fence: inside or clearly outside, how probably, and how much of an arrival.

No single rule is enough (DESIGN §5.2), so an arrival is a score that grows with the seconds spent inside, the
faster the slower the vehicle and the deeper the fix lies for its accuracy; 1 confirms.
"""

from __future__ import annotations

import math

from gateway.core.geometry import Shape
from gateway.core.tracks import Sample, plausible
from gateway.model import Fence

SURE_ACCURACY_M = 50.0
"""A worse fix is inside only when it is deep inside, and makes no line."""
OUT_M = 20.0
"""A stay ends so far outside, or further out where the accuracy is worse."""
OUT_HOLDS_S = 2.0
"""So long, unless the fix is further out than its accuracy could explain."""
SLOW_KMH = 12.0
"""Slow enough to count as arrived when the vehicle then falls silent."""
SECONDS_TO_CONFIRM = ((4.0, 5.0), (9.0, 8.0), (15.0, 14.0))
"""Up to this speed in km/h, so many seconds deep inside confirm."""
UNKNOWN_SPEED_S = 45.0
LENGTHS_TO_CONFIRM = 3.0
"""At any speed: a way so many times as long as the fence is not a way through."""
COUNTED_GAP_S = 60.0
"""Between two fixes inside at most so much time counts."""
LINE_S = 120.0
"""Fixes further apart in time make no line."""
APPROACH_AGAIN = 1.5
"""Beyond so many times the ring an approach may be announced again."""
CLOSING_MS = 2.0
"""Slower than this nobody approaches: it could be noise."""
ENTERING_TRUST, SILENCE_TRUST = 0.5, 0.8
"""What the probability of the side is worth for a provisional word, and for one that silence decides."""


def is_inside(depth_m: float, accuracy_m: float) -> bool:
    return depth_m >= 0.0 and (accuracy_m <= SURE_ACCURACY_M or depth_m >= accuracy_m / 2)


def is_line(a: Sample, b: Sample) -> bool:
    """Whether the vehicle's way between two fixes may be taken for straight."""
    sure = a.accuracy_m <= SURE_ACCURACY_M and b.accuracy_m <= SURE_ACCURACY_M
    return sure and 0.0 < b.t_s - a.t_s <= LINE_S and plausible(a, b)


def announces(fence: Fence, was_m: float, is_m: float, gap_s: float) -> bool:
    """Coming from `was_m` outside to `is_m` outside enters the ring, or brings the arrival within the ETA."""
    ring_m, eta_s = fence.approach_ring_m, fence.approach_eta_s
    if ring_m is not None and is_m <= ring_m < was_m:
        return True
    closing_ms = (was_m - is_m) / gap_s if gap_s > 0.0 else 0.0
    return eta_s is not None and closing_ms >= CLOSING_MS and is_m / closing_ms <= eta_s


def is_beyond_margin(depth_m: float, accuracy_m: float) -> bool:
    return -depth_m >= max(OUT_M, accuracy_m)


def is_clearly_outside(depth_m: float, accuracy_m: float) -> bool:
    return -depth_m >= OUT_M + 2 * accuracy_m


def side_probability(depth_m: float, accuracy_m: float) -> float:
    """That the vehicle is on the side of the border on which the fix lies, in [0.5, 1).

    Normal error; the accuracy is the radius that holds 68 % of fixes, 1.51 standard deviations of an axis.
    """
    deviations = abs(depth_m) * 1.51 / accuracy_m
    return min(0.5 + 0.5 * math.erf(deviations / math.sqrt(2)), 0.999)


def arrival_score(depth_m: float, accuracy_m: float, speed_kmh: float | None, shape: Shape) -> float:
    """What a second inside adds."""
    deep = min(max(depth_m / max(min(accuracy_m, shape.roomy_m / 2), 0.1), 0.0), 1.0)
    return deep * _rate(speed_kmh, shape.across_m)


def _rate(speed_kmh: float | None, across_m: float) -> float:
    if speed_kmh is None:
        return 1 / UNKNOWN_SPEED_S
    by_length = speed_kmh / 3.6 / (LENGTHS_TO_CONFIRM * max(across_m, 1.0))
    for limit_kmh, seconds in SECONDS_TO_CONFIRM:
        if speed_kmh <= limit_kmh:
            return max(1 / seconds, by_length)
    return by_length
