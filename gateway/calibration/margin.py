"""How much the ground outside may be favoured before people in walked zones are taken to be there."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from gateway.calibration.walk import Sample
from gateway.core.belief import CLIP, LAMBDA
from gateway.core.propagation import OUTSIDE
from gateway.model import Spot

FOLDS = 3
SEEN_MAX = 300
"""Seconds of each part that are looked at, evenly spread over it."""
QUARTER = 0.25
"""The weakest quarter of the walk sets the measure."""
SHARE, EVIDENCE_MIN, EVIDENCE_MAX = 0.4, -2.0, 1.2

Learn = Callable[[Sequence[Sample]], Sequence[Spot]]


def outside_evidence(walk: Sequence[Sample], learn: Learn) -> float:
    """Evidence per step in favour of predicted places: a walked spot fits better than a predicted one ever
    can, and this evens it out. A share of the margin by which three quarters of the walk stay inside, each
    third of it seen by a model that `learn` makes of the others; negative where predicted places sound more
    like the walk than it does itself. 0 where nothing is predicted."""
    margins: list[float] = []
    parts = _parts(walk)
    for part in sorted(set(parts)):
        spots = learn([s for s, p in zip(walk, parts, strict=True) if p != part])
        outside = [spot for spot in spots if spot.predicted]
        inside = [spot for spot in spots if spot.zone != OUTSIDE]
        seen = [s.rssi_dbm for s, p in zip(walk, parts, strict=True) if p == part and s.zone != OUTSIDE]
        if outside and inside:
            margins += [
                max(_evidence(row, spot) for spot in inside) - max(_evidence(row, spot) for spot in outside)
                for row in seen[:: max(1, len(seen) // SEEN_MAX)]
            ]
    if not margins:
        return 0.0
    margin = sorted(margins)[int(QUARTER * len(margins))]
    return round(min(max(SHARE * margin, EVIDENCE_MIN), EVIDENCE_MAX), 2)


def _parts(walk: Sequence[Sample]) -> list[int]:
    """Thirds that differ by device where there are several, else by the time spent in each zone."""
    devices = sorted({sample.device for sample in walk})
    if len(devices) > 1:
        turn = {device: i % FOLDS for i, device in enumerate(devices)}
        return [turn[sample.device] for sample in walk]
    total: dict[str, int] = {}
    for sample in walk:
        total[sample.zone] = total.get(sample.zone, 0) + 1
    seen: dict[str, int] = {}
    parts = []
    for sample in walk:
        n = seen[sample.zone] = seen.get(sample.zone, -1) + 1
        parts.append(n * FOLDS // total[sample.zone])
    return parts


def _evidence(row: Sequence[float | None], spot: Spot) -> float:
    return -LAMBDA * sum(
        min(0.5 * ((rssi_dbm - m.mu_dbm) / m.sd_db) ** 2, CLIP) + math.log(m.sd_db)
        for rssi_dbm, m in zip(row, spot.links, strict=True)
        if rssi_dbm is not None
    )
