"""How well each zone is told apart from the one most like it, as the fitted model expects it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist

from msgspec import Struct

from gateway.core.belief import LAMBDA, LAMBDA_MISS
from gateway.core.propagation import OUTSIDE
from gateway.model import Calibration, LinkModel, Spot

CONFUSED = 0.75
"""Below, two zones cannot be told apart."""


class Separation(Struct, frozen=True):
    zone: str
    neighbour: str
    """The zone that it is most easily taken for."""
    accuracy: float
    """Expected share of single seconds in which the zone beats that neighbour."""


def separations(calibration: Calibration) -> list[Separation]:
    """One for each zone, where there are two or more."""
    by_zone: dict[str, list[Spot]] = {}
    for spot in calibration.spots:
        if spot.zone != OUTSIDE:
            by_zone.setdefault(spot.zone, []).append(spot)
    return [_nearest(zone, by_zone) for zone in by_zone if len(by_zone) > 1]


def _nearest(zone: str, by_zone: Mapping[str, Sequence[Spot]]) -> Separation:
    others = [
        Separation(zone, other, _accuracy(by_zone[zone], spots))
        for other, spots in by_zone.items()
        if other != zone
    ]
    return min(others, key=lambda s: (s.accuracy, s.neighbour))


def _accuracy(mine: Sequence[Spot], other: Sequence[Spot]) -> float:
    """Two normal classes of equal spread at distance d are told apart by a share of Φ(d/2); the mean over
    the spots of one zone against the nearest spot of the other."""
    return sum(min(_apart(a, b) for b in other) for a in mine) / len(mine)


def _apart(a: Spot, b: Spot) -> float:
    square = LAMBDA * sum(map(_square, a.links, b.links)) + LAMBDA_MISS * sum(map(_heard, a.links, b.links))
    return NormalDist().cdf(math.sqrt(square) / 2)


def _square(a: LinkModel, b: LinkModel) -> float:
    """Only as far as the link is heard at all."""
    return a.p_hear * b.p_hear * (a.mu_dbm - b.mu_dbm) ** 2 / ((a.sd_db**2 + b.sd_db**2) / 2)


def _heard(a: LinkModel, b: LinkModel) -> float:
    """What being heard or not tells: Jeffreys' divergence, which for normal classes of equal spread is d²."""
    return (a.p_hear - b.p_hear) * (_odds(a.p_hear) - _odds(b.p_hear))


def _odds(p: float) -> float:
    return math.log(p / (1.0 - p))
