"""The log-distance line of this very store, fitted from the walk (Recommendation ITU-R P.1238, section 3)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import Struct

from gateway.core.loss import DEVICE_HEIGHT_M, EXPONENT, POWER_AT_1M_DBM
from gateway.model import Anchor, Point

ROUNDS = 30
HEARD_MIN = 0.8
"""Links heard more rarely are left out: their mean is of the loud readings only."""
FULL_S = 5.0
LINK_CAUTION = 2.0
RIDGE = (0.01, 0.02)
"""Weights of the general line, for a walk of few zones."""


class Path(Struct, frozen=True):
    power_at_1m_dbm: float
    exponent: float
    link_db: tuple[float, ...]
    """What each link differs by: receivers and their antennas."""
    sd_db: float
    """Of zone means around the line."""

    def mu_dbm(self, way: float, link: int) -> float:
        """`way`: mean log10 of the distance in metres."""
        return self.power_at_1m_dbm - 10 * self.exponent * way + self.link_db[link]


class Cluster(Struct):
    """What a set of samples says of one link."""

    count: int = 0
    mean_dbm: float = 0.0
    square_db2: float = 0.0
    """Sum of the squared differences from the mean."""


def cluster(values_dbm: Sequence[float]) -> Cluster:
    if not values_dbm:
        return Cluster()
    mean_dbm = sum(values_dbm) / len(values_dbm)
    return Cluster(len(values_dbm), mean_dbm, sum((v - mean_dbm) ** 2 for v in values_dbm))


def way(points: Sequence[Point], anchor: Anchor) -> float:
    """Mean log10 of the distance in metres from somebody at one of the points; under 1 m counts as 1 m."""
    x, y, z = anchor.at or (0.0, 0.0, 0.0)
    logs = [math.log10(max(math.dist((x, y, z), (*p, DEVICE_HEIGHT_M)), 1.0)) for p in points]
    return sum(logs) / len(logs)


def fit_path(
    ways: Sequence[Sequence[float]], seen: Sequence[Sequence[Cluster]], seconds: Sequence[int]
) -> Path:
    """Rows are zones, columns links. Weighted least squares, offsets of links and the line in turn."""
    links = len(seen[0]) if seen else 0
    rows = [
        (ways[z][r], seen[z][r].mean_dbm, seen[z][r].count / (seen[z][r].count + FULL_S), r)
        for z in range(len(seen))
        for r in range(links)
        if seen[z][r].count > HEARD_MIN * seconds[z]
    ]
    link_db = [0.0] * links
    power_dbm, slope = POWER_AT_1M_DBM, -10 * EXPONENT
    for _ in range(ROUNDS):
        power_dbm, slope = _line([(x, y - link_db[r], w) for x, y, w, r in rows])
        total, weight = [0.0] * links, [LINK_CAUTION] * links
        for x, y, w, r in rows:
            total[r] += w * (y - power_dbm - slope * x)
            weight[r] += w
        link_db = [t / w for t, w in zip(total, weight, strict=True)]
    square = sum(w * (y - power_dbm - slope * x - link_db[r]) ** 2 for x, y, w, r in rows)
    sd_db = math.sqrt(square / max(sum(w for _, _, w, _ in rows), 1.0))
    return Path(power_dbm, -slope / 10, tuple(link_db), sd_db)


def _line(rows: Sequence[tuple[float, float, float]]) -> tuple[float, float]:
    """Intercept and slope of weighted (x, y, weight), held to the general line by `RIDGE`."""
    a, d = RIDGE
    b = 0.0
    u, v = a * POWER_AT_1M_DBM, d * -10 * EXPONENT
    for x, y, w in rows:
        a, b, d = a + w, b + w * x, d + w * x * x
        u, v = u + w * y, v + w * x * y
    determinant = a * d - b * b
    return (u * d - v * b) / determinant, (v * a - u * b) / determinant
