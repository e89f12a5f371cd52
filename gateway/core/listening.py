"""What one device sounds like on each link at this moment: smoothed strength, and which links are fresh."""

from __future__ import annotations

import math
from collections.abc import Collection

from msgspec import Struct

TAU_S = 1.5
"""Time constant of a link's smoothed signal strength."""
SHARE_MIN = 0.05
FRESH_S, FRESH_INTERVALS = 3.0, 3.0
ADVERTISED_S = 1.0
"""Advertising interval of a device of which no gap has been seen."""
INTERVAL_SHARE, GAP_MAX_INTERVALS = 0.1, 3.0
"""Share of the newest gap in the interval, and how far a lost packet may stretch it."""
FADE_S = 300.0
"""A longer gap is an absence, no interval; a silent device without a stay is forgotten after so long."""
RSSI_MIN_DBM, RSSI_MAX_DBM = -120.0, -1.0
"""Values beyond are sentinels (127, -127, 0, +20), not measurements."""
NEVER_S = float("-inf")

Heard = list[tuple[int, float]]
"""Fresh links and their smoothed strength in dBm."""


class Listening(Struct):
    """One value per link of the radio map. A calibration walk hears through this too: just as the filter."""

    rssi_dbm: list[float]
    """Smoothed, by link."""
    link_heard_s: list[float]
    interval_s: float = ADVERTISED_S
    strongest: int = -1


def silence(links: int) -> Listening:
    return Listening([0.0] * links, [NEVER_S] * links)


def is_strength(rssi_dbm: float) -> bool:
    """False for sentinels and NaN."""
    return RSSI_MIN_DBM <= rssi_dbm <= RSSI_MAX_DBM


def hear(ears: Listening, link: int, rssi_dbm: float, now_s: float) -> None:
    gap_s = now_s - ears.link_heard_s[link]
    ears.link_heard_s[link] = now_s
    if gap_s > 3 * TAU_S:
        ears.rssi_dbm[link] = rssi_dbm
    else:
        share = max(1 - math.exp(-gap_s / TAU_S), SHARE_MIN)
        ears.rssi_dbm[link] += share * (rssi_dbm - ears.rssi_dbm[link])
    best = ears.strongest
    if link == best:
        if 0.0 < gap_s < FADE_S:
            counted_s = min(gap_s, GAP_MAX_INTERVALS * ears.interval_s)
            ears.interval_s += INTERVAL_SHARE * (counted_s - ears.interval_s)
    elif (
        best < 0
        or ears.rssi_dbm[link] > ears.rssi_dbm[best]
        or now_s - ears.link_heard_s[best] > fresh_s(ears)
    ):
        ears.strongest = link


def fresh_s(ears: Listening) -> float:
    """So old may a link's newest reading be."""
    return max(FRESH_S, FRESH_INTERVALS * ears.interval_s)


def heard(ears: Listening, now_s: float, masked: Collection[int] = ()) -> Heard:
    since_s = now_s - fresh_s(ears)
    return [
        (r, ears.rssi_dbm[r]) for r, t_s in enumerate(ears.link_heard_s) if t_s >= since_s and r not in masked
    ]
