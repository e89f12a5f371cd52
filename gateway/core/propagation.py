"""What each radio link should look like from each zone, computed from the map alone.

A calibration walk replaces these numbers, one (zone, link) at a time; nothing else depends on their origin.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import Struct

from gateway.model import Anchor, Point, Ring, SiteMap, Zone

OUTSIDE = ""
"""Where somebody is who is in no zone of the map."""

POWER_AT_1M_DBM = -60.0
"""A tag or phone of unknown make."""
EXPONENT = 2.4
FLOOR_LOSS_DB, NEXT_FLOOR_LOSS_DB = 15.0, 4.0
DEVICE_HEIGHT_M = 1.2
SHADOWING_DB = 5.0
SENSITIVITY_DBM, SENSITIVITY_WIDTH_DB = -88.0, 4.0
OUTSIDE_LOSS_DB = 6.0
"""Outside, a link is so much weaker than in the zone that it reaches worst."""
P_HEAR_MIN, P_HEAR_MAX = 0.02, 0.98


class LinkModel(Struct, frozen=True):
    """One radio link as it is seen from one zone."""

    mu_dbm: float
    sd_db: float
    p_hear: float
    """Probability that the link is heard at all within `fresh` (DESIGN §5.1)."""


class RadioMap(Struct, frozen=True):
    """Models by zone and by link; the last zone is `OUTSIDE`."""

    zones: tuple[str, ...]
    links: tuple[str, ...]
    models: tuple[tuple[LinkModel, ...], ...]
    calibrated: bool = False
    """False: not even the transmit power of the store's own tags is known."""


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


def centroid(ring: Ring) -> Point:
    """Centre of area; the mean of the corners where the ring has no area."""
    x0, y0 = ring[0]
    area = x = y = 0.0
    for (x1, y1), (x2, y2) in zip(ring, ring[1:] + ring[:1], strict=True):
        cross = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        area += cross
        x += cross * (x1 + x2 - 2 * x0)
        y += cross * (y1 + y2 - 2 * y0)
    if area == 0.0:
        return sum(p[0] for p in ring) / len(ring), sum(p[1] for p in ring) / len(ring)
    return x0 + x / (3 * area), y0 + y / (3 * area)


def radio_map(site: SiteMap) -> RadioMap:
    """Every zone that has a place, seen by every receiver and beacon that has one.

    Parents and zones without a place are not in it, so they are never believed. Floors follow one
    another in the order in which the map first names them.
    """
    parents = {zone.part_of for zone in site.zones}
    placed = [
        (zone, place)
        for zone in site.zones
        if zone.id not in parents and (place := zone.at or (zone.polygon and centroid(zone.polygon)))
    ]
    anchors = [a for a in (*site.receivers, *site.beacons) if a.at is not None]
    floors = {
        f: i for i, f in enumerate(dict.fromkeys([z.floor for z in site.zones] + [a.floor for a in anchors]))
    }
    rows = [
        tuple(_model(_mu_dbm(zone, place, anchor, floors)) for anchor in anchors) for zone, place in placed
    ]
    return RadioMap(
        zones=(*(zone.id for zone, _ in placed), OUTSIDE),
        links=tuple(a.id for a in anchors),
        models=(*rows, _outside(rows)),
    )


def _mu_dbm(zone: Zone, place: Point, anchor: Anchor, floors: dict[str, int]) -> float:
    x, y, z = anchor.at or (0.0, 0.0, 0.0)
    distance_m = math.dist((x, y, z), (*place, DEVICE_HEIGHT_M))
    power_dbm = POWER_AT_1M_DBM if anchor.tx_power_dbm is None else anchor.tx_power_dbm
    return power_dbm - path_loss_db(distance_m, abs(floors[zone.floor] - floors[anchor.floor]))


def _model(mu_dbm: float) -> LinkModel:
    return LinkModel(mu_dbm, SHADOWING_DB, hearing_probability(mu_dbm))


def _outside(rows: Sequence[tuple[LinkModel, ...]]) -> tuple[LinkModel, ...]:
    weakest = (min(m.mu_dbm for m in seen) for seen in zip(*rows, strict=True))
    return tuple(_model(mu_dbm - OUTSIDE_LOSS_DB) for mu_dbm in weakest)
