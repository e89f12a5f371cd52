"""How much fixes say about a fence: on which side they lie, how surely, and whether the vehicle stops there.

No single rule is enough (DESIGN §5.2). An arrival needs two kinds of evidence. That the vehicle *stops*:
seconds inside count the more the slower it is, at a crawl only up to a bound, and a sharp turn on the way in
counts as well; 1 is enough. That it is *inside*: the odds of the side of the border on which the fix lies.
Errors of successive fixes are alike for half a minute, so more fixes make the place no surer; a turn or a
long stand do.
"""

from __future__ import annotations

import math
from typing import Any

from msgspec import Struct

from bench.objects.tracks import Sample, plausible
from gateway.model import Arrival, Fence

SURE_ACCURACY_M = 50.0
"""A worse fix is inside only when it is deep inside, makes no line and ends no stay."""
OUT_HOLDS_S = 2.0
"""So long beyond the margin ends a stay, unless a fix is further out by `CLEARLY` times its accuracy."""
CLEARLY = 0.75
SHALLOW, CUT_SHALLOW = 0.5, 0.1
"""Part of the accuracy; less deep is not worth a word, for a fix and for a line. Asking for more depth
makes fewer false words beside a fence and later true ones: 0.1 more a fifth fewer, and 0.1 s later."""
STANDING, CRAWL, CALM, TURN_FADES, FAST = 1 / 3, 7 / 12, 13 / 12, 16 / 12, 5 / 3
"""Parts of the fence's slow speed: below the first the vehicle stands, above the second it crawls; above the
third it has not arrived; a turn ceases to count over the half below the fourth; above the last no second
counts."""
CRAWL_WORTH, TURN_WORTH = 0.6, 1.0
"""The most that a crawl and a turn add; a turn that is driven slowly is enough alone."""
TURN_DEG = (45.0, 75.0)
"""A turn counts from here, and fully from there."""
TURN_FIXES, TURN_TELLS = 3, 0.1
"""Gaps between fixes inside before a turn counts."""
UNKNOWN_SPEED_S = 45.0
LENGTHS_TO_CONFIRM = 3.0
"""At any speed: a way so many times as long as the fence is not a way through."""
TURNED_ODDS, STRAIGHT_ODDS, WAITING_ODDS, LEAST_ODDS, MOST_ODDS = 0.15, 2.5, 4.0, 0.15, 4.0
"""Logarithms of the odds of being inside: needed after a turn; without one; without one after many fixes;
after any stand; and the most that a fix can tell."""
MANY_FIXES = 20
"""After so many gaps a vehicle that is not surely inside may wait outside, at a light or an entrance: each
fix is another chance to lie deep by error."""
STAND_S, STAND_ODDS_S = 20.0, 30.0
"""Beyond the first, standing so long makes up for one unit of them."""
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


class Stopping(Struct):
    """What the fixes inside say about stopping there."""

    gaps: int = 0
    """Gaps between two fixes inside."""
    inside_s: float = 0.0
    """Their length."""
    standing_s: float = 0.0
    slowed: float = 0.0
    """Evidence of the seconds below a crawl, or so many that no one drives through for so long."""
    crawled: float = 0.0
    turn_deg: float = 0.0
    """The sharpest turn."""

    def count(self, gap_s: float, speed_kmh: float | None, arrival: Arrival, across_m: float) -> None:
        """Another fix inside, `gap_s` after the last; `across_m`: the longest way through."""
        gap_s = min(gap_s, COUNTED_GAP_S)
        self.gaps += 1
        self.inside_s += gap_s
        if speed_kmh is not None and speed_kmh < STANDING * arrival.slow_kmh:
            self.standing_s += gap_s
        if speed_kmh is None:
            self.slowed += gap_s / UNKNOWN_SPEED_S
            return
        worth = gap_s * _rate(speed_kmh, arrival)
        if speed_kmh > CRAWL * arrival.slow_kmh:
            self.crawled = min(self.crawled + worth, CRAWL_WORTH)
            self.slowed += (
                gap_s * speed_kmh / 3.6 / (LENGTHS_TO_CONFIRM * max(across_m, 1.0)) * (worth == 0.0)
            )
        else:
            self.slowed += worth

    def is_arrival(self, speed_kmh: float | None, inside_odds: float, arrival: Arrival) -> bool:
        """`inside_odds`: see `side_odds`."""
        slow = 0.0 if speed_kmh is None else speed_kmh / arrival.slow_kmh
        turned = _part(self.turn_deg, *TURN_DEG)
        turn = TURN_WORTH * turned * _part(slow, TURN_FADES, TURN_FADES - 0.5)
        stops = self.slowed + self.crawled + (turn if self.gaps >= TURN_FIXES else 0.0)
        if stops < 1.0 or (slow > CALM and self.slowed < 1.5):
            return False
        if turned >= TURN_TELLS:
            needed = TURNED_ODDS
        else:
            needed = STRAIGHT_ODDS if self.gaps <= MANY_FIXES else WAITING_ODDS
        needed -= max(self.standing_s - STAND_S, 0.0) / STAND_ODDS_S
        return inside_odds >= max(needed, LEAST_ODDS)


def _rate(speed_kmh: float, arrival: Arrival) -> float:
    """What a second inside is worth: 1 / confirm_s standing, a third of it at the slow speed."""
    slow = speed_kmh / arrival.slow_kmh
    return 0.0 if slow > FAST else 1.0 / (arrival.confirm_s * (1.0 + 2.0 * slow * slow))


def _part(value: float, none: float, full: float) -> float:
    return min(max((value - none) / (full - none), 0.0), 1.0)


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
    if eta_s is None or gap_s <= 0.0:
        return False
    closing_ms = (was_m - is_m) / gap_s
    return closing_ms >= CLOSING_MS and is_m <= eta_s * closing_ms


def is_beyond_margin(depth_m: float, accuracy_m: float, arrival: Arrival) -> bool:
    return -depth_m >= max(arrival.leave_m, accuracy_m)


def is_clearly_outside(depth_m: float, accuracy_m: float, arrival: Arrival) -> bool:
    return accuracy_m <= SURE_ACCURACY_M and -depth_m >= arrival.leave_m + CLEARLY * accuracy_m


def is_worth_a_word(depth_m: float, accuracy_m: float, shape: Any) -> bool:
    """Deeper inside than noise beside the fence would often be."""
    return depth_m >= SHALLOW * min(accuracy_m, shape.roomy_m)


def side_probability(depth_m: float, accuracy_m: float) -> float:
    """That the vehicle is on the side of the border on which the fix lies, in [0.5, 1).

    Normal error; the accuracy is the radius that holds 68 % of fixes, 1.51 standard deviations of an axis.
    1 - erf x by Abramowitz and Stegun 1964, 7.1.26, within 1.5e-7.
    """
    x = abs(depth_m) * 1.51 / accuracy_m / 1.4142135623730951
    t = 1.0 / (1.0 + 0.3275911 * x)
    terms = 0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429
    tail = 0.0
    for factor in reversed(terms):
        tail = t * (factor + tail)
    return min(1.0 - 0.5 * tail * math.exp(-x * x), 0.999)


def side_odds(depth_m: float, accuracy_m: float, shape: Any) -> float:
    """Logarithm of the odds that the vehicle is inside, 0 and more.

    The middle of a fence that is small against the accuracy is as sure as it gets.
    """
    p = side_probability(max(depth_m, 0.0), min(accuracy_m, 0.75 * max(shape.roomy_m, 0.1)))
    return min(math.log(p / (1.0 - p)), MOST_ODDS)
