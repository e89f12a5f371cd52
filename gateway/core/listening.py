"""What each device sounds like on each link at this moment: smoothed strength, and which links are fresh.

One row per device, one column per link of the radio map, in arrays. A calibration walk hears through this
too: just as the filter. Compiled where a compiler was at hand (listening.pxd has the types); both forms give
the same bits, because `decay` is arithmetic and not the C library's.
"""

from __future__ import annotations

import math
from array import array

TAU_S = 1.0
"""Time constant of a link's smoothed signal strength."""
SHARE_MIN = 0.05
SHARE_OF_REPORT = 0.3
"""Of each further reading at one time: a receiver that reports once a second tells of several adverts at
once, and the first of them is worth no more than the others."""
ONE_TIME_S = 0.0005
"""More than 32 bits take from the time of a link."""
FRESH_S, FRESH_INTERVALS = 3.0, 3.0
ADVERTISED_S = 1.0
"""Advertising interval of a device of which no gap has been seen."""
INTERVAL_SHARE, GAP_MAX_INTERVALS = 0.1, 3.0
"""Share of the newest gap in the interval, and how far a lost packet may stretch it."""
FADE_S = 300.0
"""A longer gap is an absence, no interval; a silent device without a stay is forgotten after so long."""
RSSI_MIN_DBM, RSSI_MAX_DBM = -120.0, -1.0
"""Values beyond are sentinels (127, -127, 0, +20), not measurements."""
ABSENCE_S = FADE_S
"""Under a name of its own: compiled, the constants of the hot loops cannot be imported."""
NEVER_S = float("-inf")
REBASE_S = 4096.0
"""Times of links count from the row's own base, in 32 bits: half a millisecond at worst."""
DECAY_MIN, LOG2_E = -40.0, 1.4426950408889634
LN2_HIGH, LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
"""ln 2 in two parts, the first with room for an exact product (Cody and Waite 1980)."""
HALVES = array("d", [0.5**k for k in range(64)])

Heard = list[tuple[int, float]]
"""Fresh links and their smoothed strength in dBm."""


def decay(x: float) -> float:
    """e^x for x ≤ 0, within 1e-15; 0 below -40. The same bits on every machine."""
    if x < DECAY_MIN:
        return 0.0
    k = int(0.5 - x * LOG2_E)
    r = (x + k * LN2_HIGH) + k * LN2_LOW
    r2 = r * r
    r4 = r2 * r2
    low = (0.5 + r * (1.0 / 6.0)) + r2 * (1.0 / 24.0 + r * (1.0 / 120.0))
    middle = (1.0 / 720.0 + r * (1.0 / 5040.0)) + r2 * (1.0 / 40320.0 + r * (1.0 / 362880.0))
    high = (1.0 / 3628800.0 + r * (1.0 / 39916800.0)) + r2 * (1.0 / 479001600.0)
    return ((low + r4 * (middle + r4 * high)) * r2 + r + 1.0) * HALVES[k]


def chances(interval_s: float) -> float:
    """Adverts within the time that a link is fresh."""
    return max(FRESH_S, FRESH_INTERVALS * interval_s) / max(interval_s, 0.05)


def is_strength(rssi_dbm: float) -> bool:
    """False for sentinels and NaN."""
    return RSSI_MIN_DBM <= rssi_dbm <= RSSI_MAX_DBM


class Ears:
    """`rows` devices that have heard nothing yet; `grow` makes room for more."""

    def __init__(self, links: int, rows: int = 1) -> None:
        self.links, self.rows = links, 0
        self._rssi_dbm, self._heard_s = array("f"), array("f")
        self._base_s, self._last_s = array("d"), array("d")
        self._interval_s, self._strongest = array("f"), array("h")
        self.grow(rows)

    def grow(self, rows: int) -> None:
        more = rows - self.rows
        self._rssi_dbm = array("f", self._rssi_dbm) + array("f", [0.0]) * (more * self.links)
        self._heard_s = array("f", self._heard_s) + array("f", [NEVER_S]) * (more * self.links)
        self._base_s = array("d", self._base_s) + array("d", [0.0]) * more
        self._last_s = array("d", self._last_s) + array("d", [NEVER_S]) * more
        self._interval_s = array("f", self._interval_s) + array("f", [ADVERTISED_S]) * more
        self._strongest = array("h", self._strongest) + array("h", [-1]) * more
        self.rows = rows

    def clear(self, row: int, now_s: float) -> None:
        """The row is a device's of which nothing was heard."""
        for at in range(row * self.links, (row + 1) * self.links):
            self._rssi_dbm[at], self._heard_s[at] = 0.0, NEVER_S
        self._base_s[row], self._last_s[row] = math.floor(now_s), NEVER_S
        self._interval_s[row], self._strongest[row] = ADVERTISED_S, -1

    def hear(self, row: int, link: int, rssi_dbm: float, now_s: float) -> None:
        if now_s - self._base_s[row] >= REBASE_S:
            self._rebase(row, now_s)
        at = row * self.links + link
        after_s = now_s - self._base_s[row]
        gap_s = after_s - self._heard_s[at]
        self._heard_s[at] = after_s
        self._last_s[row] = now_s
        if gap_s > 3 * TAU_S:
            self._rssi_dbm[at] = rssi_dbm
        else:
            share = SHARE_OF_REPORT if gap_s < ONE_TIME_S else max(1.0 - decay(-gap_s / TAU_S), SHARE_MIN)
            self._rssi_dbm[at] += share * (rssi_dbm - self._rssi_dbm[at])
        best = self._strongest[row]
        if link == best:
            if 0.0 < gap_s < ABSENCE_S:
                counted_s = min(gap_s, GAP_MAX_INTERVALS * self._interval_s[row])
                self._interval_s[row] += INTERVAL_SHARE * (counted_s - self._interval_s[row])
            return
        strongest = row * self.links + best
        if (
            best < 0
            or self._rssi_dbm[at] > self._rssi_dbm[strongest]
            or after_s - self._heard_s[strongest] > self.fresh_s(row)
        ):
            self._strongest[row] = link

    def _rebase(self, row: int, now_s: float) -> None:
        base_s = math.floor(now_s)
        shift_s = base_s - self._base_s[row]
        for at in range(row * self.links, (row + 1) * self.links):
            self._heard_s[at] -= shift_s
        self._base_s[row] = base_s

    def touch(self, row: int, now_s: float) -> None:
        """It counts as heard now, on no link."""
        self._last_s[row] = now_s

    def fresh_s(self, row: int) -> float:
        """So old may a link's newest reading be."""
        return max(FRESH_S, FRESH_INTERVALS * self._interval_s[row])

    def interval_s(self, row: int) -> float:
        """Advertising interval, as seen on the strongest link."""
        return self._interval_s[row]

    def last_s(self, row: int) -> float:
        """When it was heard last on any link."""
        return self._last_s[row]

    def heard(self, row: int, now_s: float) -> Heard:
        since_s = now_s - self._base_s[row] - self.fresh_s(row)
        first = row * self.links
        return [
            (r, self._rssi_dbm[first + r]) for r in range(self.links) if self._heard_s[first + r] >= since_s
        ]

    def heard_s(self, row: int, link: int) -> float:
        """When the link was heard last."""
        return self._base_s[row] + self._heard_s[row * self.links + link]

    def dump(self, row: int) -> tuple[list[float], list[float], float, float, float, int]:
        """Strength and time by link, base and last time, interval, strongest link: what `load` takes."""
        links = range(row * self.links, (row + 1) * self.links)
        return (
            [self._rssi_dbm[at] for at in links],
            [self._heard_s[at] for at in links],
            self._base_s[row],
            self._last_s[row],
            self._interval_s[row],
            self._strongest[row],
        )

    def load(self, row: int, state: tuple[list[float], list[float], float, float, float, int]) -> None:
        rssi_dbm, heard_s, self._base_s[row], self._last_s[row], self._interval_s[row], strongest = state
        self._strongest[row] = strongest
        for link in range(self.links):
            self._rssi_dbm[row * self.links + link] = rssi_dbm[link]
            self._heard_s[row * self.links + link] = heard_s[link]

    @property
    def nbytes(self) -> int:
        """Of one row: strength and time of each link and the interval in 4 bytes, base and last time in 8,
        the strongest link in 2."""
        return self.links * (4 + 4) + 4 + 8 + 8 + 2
