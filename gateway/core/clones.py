"""A tag that is strong at two receivers at once which are too far apart: somebody has copied its identity."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gateway.core.loss import EXPONENT, POWER_AT_1M_DBM
from gateway.model import Anchor

STRONG_DBM = -72.0
FAR_M = 12.0
"""Only links so strong, of receivers so far apart, are looked at."""
LOUD_DB = 18.0
"""So much louder than usual may a device be."""
WALK_M_S = 2.0
"""So fast may it have gone from one receiver to the other between the two readings."""
TOP_DB = 3.0
"""One of the two is about the strongest of all: where a third is stronger, the device is there, and loud."""
COPIED_S = 10
"""So many seconds in a row is no accident: fading and a gap between bodies give three in simulated stores."""
FLOOR_M = 10.0
"""Receivers on two floors are at least so much further apart than the map shows."""

Loud = tuple[Anchor, float, float]
"""A receiver, the smoothed strength at it in dBm, and when it heard last."""


def apart_m(a: Anchor, b: Anchor) -> float:
    """0 where one has no place: nothing can be said then."""
    if a.at is None or b.at is None:
        return 0.0
    return math.dist(a.at, b.at) + (FLOOR_M if a.floor != b.floor else 0.0)


def reach_m(rssi_dbm: float) -> float:
    """The farthest that a loud device is away from a receiver at which it is so strong."""
    return max(1.0, 10 ** ((POWER_AT_1M_DBM + LOUD_DB - rssi_dbm) / (10 * EXPONENT)))


def is_cloned(heard: Sequence[Loud]) -> bool:
    """Whether no single device can be so strong at two of these, even one that is loud and walks fast."""
    strong = [one for one in heard if one[1] >= STRONG_DBM]
    top_dbm = max((rssi_dbm for _, rssi_dbm, _ in strong), default=0.0) - TOP_DB
    return any(
        max(rssi_a, rssi_b) >= top_dbm
        and apart_m(a, b) > max(FAR_M, reach_m(rssi_a) + reach_m(rssi_b) + WALK_M_S * abs(t_a - t_b))
        for i, (a, rssi_a, t_a) in enumerate(strong)
        for b, rssi_b, t_b in strong[:i]
    )
