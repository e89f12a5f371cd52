"""How much fixes say about a fence: on which side they lie, how surely, and whether the vehicle stops there.

No single rule is enough (DESIGN §5.2). An arrival needs two kinds of evidence. That the vehicle *stops*:
seconds inside count the more the slower it is, at a crawl only up to a bound, and a sharp turn on the way in
counts as well; 1 is enough. That it is *inside*: the odds of the side of the border on which the fix lies.
Errors of successive fixes are alike for half a minute, so more fixes make the place no surer; a turn or a
long stand do.
"""

from __future__ import annotations

import math
from array import array

from gateway.core.bits import INFINITE, UNKNOWN
from gateway.core.fences import Place
from gateway.core.listening import decay
from gateway.core.rows import Rows, widened
from gateway.core.windows import SURE_ACCURACY_M

OUT_HOLDS_S = 2.0
"""So long beyond the margin ends a stay, unless a fix is further out by `CLEARLY` times its accuracy."""
CLEARLY = 0.75
SHALLOW, CUT_SHALLOW = 0.5, 0.1
"""Part of the accuracy; less deep is not worth a word, for a fix and for a line. Asking for more depth
makes fewer false words beside a fence and later true ones: 0.1 more a fifth fewer, and 0.1 s later."""
STANDING, CRAWL, CALM, TURN_FADES, FAST = 1 / 3.0, 7 / 12.0, 13 / 12.0, 16 / 12.0, 5 / 3.0
"""Parts of the fence's slow speed: below the first the vehicle stands, above the second it crawls; above the
third it has not arrived; a turn ceases to count over the half below the fourth; above the last no second
counts."""
CRAWL_WORTH, TURN_WORTH = 0.6, 1.0
"""The most that a crawl and a turn add; a turn that is driven slowly is enough alone."""
TURN_FROM_DEG, TURN_FULL_DEG = 45.0, 75.0
"""A turn counts from here, and fully from there."""
TURN_TELLS = 0.1
"""So much of a turn tells that the vehicle did not stay on its road."""
TURN_FIXES = 3
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
CLOSING_MS = 2.0
"""Slower than this nobody approaches: it could be noise."""
AXIS_DEVIATIONS = 1.0677312395916867
"""The accuracy is the radius that holds 68 % of fixes, 1.51 standard deviations of an axis; over √2."""
TAIL_P, TAIL_1, TAIL_2, TAIL_3, TAIL_4, TAIL_5 = (
    0.3275911, 0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429
)  # fmt: skip
"""1 - erf x within 1.5e-7 (Abramowitz and Stegun 1964, 7.1.26). The C library's has another
last bit on aarch64, where it is built with fused operations, than on x86-64."""


class Undecided(Rows):
    """What is gathered at a fence while a vehicle's visit is not settled: seconds, metres, odds."""

    def __init__(self) -> None:
        super().__init__()
        self.since_s = array("d")
        self.inside_odds = array("d")
        """Logarithm of the odds that the last fix inside is inside."""
        self.sure = array("d")
        """Probability of the side of the border on which the last fix lies."""
        self.gaps = array("d")
        """Gaps between two fixes inside."""
        self.inside_s = array("d")
        """Their length."""
        self.standing_s = array("d")
        self.slowed = array("d")
        """Evidence of the seconds below a crawl, or so many that no one drives through for so long."""
        self.crawled = array("d")
        self.turn_deg = array("d")
        """The sharpest turn."""
        self.out_since_s = array("d")
        """Start of the unbroken run of fixes beyond the margin; INFINITE: there is none."""
        self.quiet_until_s = array("d")
        """Until then silence is no proof of staying."""
        self.closed_s = array("d")
        """When the last stay or crossing ended."""
        self.announced_s = array("d")
        """When the last approach was announced."""

    def begin(self) -> int:
        """A row for a visit of which nothing is known."""
        row = self.take()
        self.since_s[row] = self.sure[row] = self.quiet_until_s[row] = 0.0
        self.out_since_s[row] = INFINITE
        self.closed_s[row] = self.announced_s[row] = -INFINITE
        self.anew(row)
        return row

    def anew(self, row: int) -> None:
        """The first of a run of fixes inside: what was gathered does not count any more."""
        self.inside_odds[row] = self.gaps[row] = 0.0
        self.inside_s[row] = self.standing_s[row] = self.slowed[row] = self.crawled[row] = 0.0
        self.turn_deg[row] = 0.0

    def count(self, row: int, gap_s: float, speed_kmh: float, place: Place) -> None:
        """Another fix inside, `gap_s` after the last."""
        gap_s = min(gap_s, COUNTED_GAP_S)
        self.gaps[row] += 1.0
        self.inside_s[row] += gap_s
        if speed_kmh == UNKNOWN:
            self.slowed[row] += gap_s / UNKNOWN_SPEED_S
            return
        if not rolls(speed_kmh, place):
            self.standing_s[row] += gap_s
        worth = gap_s * rate(speed_kmh, place)
        if speed_kmh <= CRAWL * place.slow_kmh:
            self.slowed[row] += worth
        elif worth > 0.0:
            self.crawled[row] = min(self.crawled[row] + worth, CRAWL_WORTH)
        else:
            self.slowed[row] += gap_s * speed_kmh / 3.6 / (LENGTHS_TO_CONFIRM * max(place.across_m, 1.0))

    def is_arrival(self, row: int, speed_kmh: float, place: Place) -> bool:
        slow = 0.0 if speed_kmh == UNKNOWN else speed_kmh / place.slow_kmh
        turned = part(self.turn_deg[row], TURN_FROM_DEG, TURN_FULL_DEG)
        stops = self.slowed[row] + self.crawled[row]
        if self.gaps[row] >= TURN_FIXES:
            stops += TURN_WORTH * turned * part(slow, TURN_FADES, TURN_FADES - 0.5)
        if stops < 1.0 or (slow > CALM and self.slowed[row] < 1.5):
            return False
        if turned >= TURN_TELLS:
            needed = TURNED_ODDS
        else:
            needed = STRAIGHT_ODDS if self.gaps[row] <= MANY_FIXES else WAITING_ODDS
        needed -= max(self.standing_s[row] - STAND_S, 0.0) / STAND_ODDS_S
        return self.inside_odds[row] >= max(needed, LEAST_ODDS)

    def holds_out(self, row: int, t_s: float, depth_m: float, accuracy_m: float, place: Place) -> bool:
        """A fix outside ends the visit: it lies clearly outside, or in an unbroken run beyond the margin."""
        if accuracy_m <= SURE_ACCURACY_M and -depth_m >= place.leave_m + CLEARLY * accuracy_m:
            return True
        if -depth_m < max(place.leave_m, accuracy_m):
            self.out_since_s[row] = INFINITE
            return False
        self.out_since_s[row] = min(self.out_since_s[row], t_s)
        return t_s - self.out_since_s[row] >= OUT_HOLDS_S

    def _widen(self, room: int) -> None:
        self.since_s, self.sure = widened(self.since_s, "d", room), widened(self.sure, "d", room)
        self.inside_odds, self.gaps = widened(self.inside_odds, "d", room), widened(self.gaps, "d", room)
        self.inside_s, self.standing_s = (
            widened(self.inside_s, "d", room),
            widened(self.standing_s, "d", room),
        )
        self.slowed, self.crawled = widened(self.slowed, "d", room), widened(self.crawled, "d", room)
        self.turn_deg, self.out_since_s = (
            widened(self.turn_deg, "d", room),
            widened(self.out_since_s, "d", room),
        )
        self.quiet_until_s = widened(self.quiet_until_s, "d", room)
        self.closed_s, self.announced_s = (
            widened(self.closed_s, "d", room),
            widened(self.announced_s, "d", room),
        )


def rate(speed_kmh: float, place: Place) -> float:
    """What a second inside is worth: 1 / confirm_s standing, a third of it at the slow speed."""
    slow = speed_kmh / place.slow_kmh
    return 0.0 if slow > FAST else 1.0 / (place.confirm_s * (1.0 + 2.0 * slow * slow))


def rolls(speed_kmh: float, place: Place) -> bool:
    """The vehicle does not stand, as far as is known."""
    return speed_kmh == UNKNOWN or speed_kmh >= STANDING * place.slow_kmh


def part(value: float, none: float, full: float) -> float:
    return min(max((value - none) / (full - none), 0.0), 1.0)


def is_inside(depth_m: float, accuracy_m: float) -> bool:
    return depth_m >= 0.0 and (accuracy_m <= SURE_ACCURACY_M or depth_m >= accuracy_m / 2)


def announces(place: Place, was_m: float, is_m: float, gap_s: float) -> bool:
    """Coming from `was_m` outside to `is_m` outside enters the ring, or brings the arrival within the ETA."""
    if place.ring_m > 0.0 and is_m <= place.ring_m < was_m:
        return True
    if place.eta_s == 0.0 or gap_s <= 0.0:
        return False
    closing_ms = (was_m - is_m) / gap_s
    return closing_ms >= CLOSING_MS and is_m <= place.eta_s * closing_ms


def is_worth_a_word(depth_m: float, accuracy_m: float, place: Place) -> bool:
    """Deeper inside than noise beside the fence would often be."""
    return depth_m >= SHALLOW * min(accuracy_m, place.roomy_m)


def is_worth_a_crossing(depth_m: float, accuracy_m: float, place: Place) -> bool:
    """The same for a line between two fixes outside."""
    return depth_m >= CUT_SHALLOW * min(accuracy_m, place.roomy_m)


def side_probability(depth_m: float, accuracy_m: float) -> float:
    """That the vehicle is on the side of the border on which the fix lies, in [0.5, 1); normal error."""
    x = abs(depth_m) * AXIS_DEVIATIONS / accuracy_m
    t = 1.0 / (1.0 + TAIL_P * x)
    tail = t * (TAIL_1 + t * (TAIL_2 + t * (TAIL_3 + t * (TAIL_4 + t * TAIL_5)))) * decay(-x * x)
    return min(1.0 - 0.5 * tail, 0.999)


def side_odds(depth_m: float, accuracy_m: float, place: Place) -> float:
    """Logarithm of the odds that the vehicle is inside, 0 and more.

    The middle of a fence that is small against the accuracy is as sure as it gets.
    """
    p = side_probability(max(depth_m, 0.0), min(accuracy_m, 0.75 * max(place.roomy_m, 0.1)))
    return min(math.log(p / (1.0 - p)), MOST_ODDS)
