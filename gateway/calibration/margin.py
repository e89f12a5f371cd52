"""How much the ground outside may be favoured before people in walked zones are taken to be there."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gateway.core.belief import CLIP, LAMBDA
from gateway.core.propagation import OUTSIDE
from gateway.model import Spot

SEEN_MAX = 500
"""Seconds of the walk that are looked at, evenly spread over it."""
TAIL = 20
"""The weakest twentieth of the walk sets the measure."""
SHARE, EVIDENCE_MAX = 1 / 3, 1.5

Row = tuple[float | None, ...]


def outside_evidence(rows: Sequence[Row], spots: Sequence[Spot]) -> float:
    """Evidence per step in favour of predicted places: a walked spot fits better than a predicted one ever
    can, and this evens it out. A third of the margin by which nearly all of the walk stays inside; 0 where
    walked and predicted places already sound alike."""
    outside = [spot for spot in spots if spot.zone == OUTSIDE]
    inside = [spot for spot in spots if spot.zone != OUTSIDE]
    if not outside or not inside or not rows:
        return 0.0
    seen = rows[:: max(1, len(rows) // SEEN_MAX)]
    margins = sorted(
        max(_evidence(row, spot) for spot in inside) - max(_evidence(row, spot) for spot in outside)
        for row in seen
    )
    return round(min(max(SHARE * margins[len(margins) // TAIL], 0.0), EVIDENCE_MAX), 2)


def _evidence(row: Row, spot: Spot) -> float:
    return -LAMBDA * sum(
        min(0.5 * ((rssi_dbm - m.mu_dbm) / m.sd_db) ** 2, CLIP) + math.log(m.sd_db)
        for rssi_dbm, m in zip(row, spot.links, strict=True)
        if rssi_dbm is not None
    )
