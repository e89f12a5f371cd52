"""How a radio link fades with distance: what it should look like from a place where nobody has listened."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gateway.model import Anchor, LinkModel, Point

POWER_AT_1M_DBM = -60.0
"""A tag or phone of unknown make."""
EXPONENT = 2.4
FLOOR_LOSS_DB, NEXT_FLOOR_LOSS_DB = 15.0, 4.0
DEVICE_HEIGHT_M = 1.2
SHADOWING_DB, SHADOWING_DECADE_DB = 3.0, 3.0
"""Spread at 1 m, and how much it grows with every tenfold distance: walls and shelves add up."""
SENSITIVITY_DBM, SENSITIVITY_WIDTH_DB = -88.0, 4.0
P_HEAR_MIN, P_HEAR_MAX = 0.02, 0.98


def path_loss_db(distance_m: float, floors_apart: int = 0) -> float:
    """Loss beyond 1 m; log-distance form with a floor term, Recommendation ITU-R P.1238, section 3.

    Distances under 1 m count as 1 m.
    """
    loss_db = 10 * EXPONENT * math.log10(max(distance_m, 1.0))
    if floors_apart:
        loss_db += FLOOR_LOSS_DB + NEXT_FLOOR_LOSS_DB * (floors_apart - 1)
    return loss_db


def hearing_probability(mu_dbm: float) -> float:
    """Logistic around the receiver's sensitivity, within [0.02, 0.98]."""
    p = 1 / (1 + math.exp((SENSITIVITY_DBM - mu_dbm) / SENSITIVITY_WIDTH_DB))
    return min(max(p, P_HEAR_MIN), P_HEAR_MAX)


def distance_m(place: Point, anchor: Anchor) -> float:
    """From a device carried at `DEVICE_HEIGHT_M`."""
    x, y, z = anchor.at or (0.0, 0.0, 0.0)
    there_x, there_y = place
    east_m, north_m, up_m = there_x - x, there_y - y, DEVICE_HEIGHT_M - z
    return math.sqrt(east_m * east_m + north_m * north_m + up_m * up_m)


def link_model(places: Sequence[Point], floors_apart: int, anchor: Anchor) -> LinkModel:
    """Of somebody who may stand at any of `places`, one or more, so many floors from the anchor's."""
    power_dbm = POWER_AT_1M_DBM if anchor.tx_power_dbm is None else anchor.tx_power_dbm
    n, mu_dbm, p_hear, decades, square_db2 = len(places), 0.0, 0.0, 0.0, 0.0
    mus_dbm = []
    for place in places:
        way_m = distance_m(place, anchor)
        at_dbm = power_dbm - path_loss_db(way_m, floors_apart)
        mus_dbm.append(at_dbm)
        mu_dbm += at_dbm
        p_hear += hearing_probability(at_dbm)
        decades += math.log10(max(way_m, 1.0))
    mu_dbm /= n
    for at_dbm in mus_dbm:
        square_db2 += (at_dbm - mu_dbm) * (at_dbm - mu_dbm)
    shadowing_db = SHADOWING_DB + SHADOWING_DECADE_DB * (decades / n)
    return LinkModel(mu_dbm, math.sqrt(shadowing_db * shadowing_db + square_db2 / n), p_hear / n)
