"""A tempered sticky Bayes filter: where one device is, given what its links sound like (DESIGN §5.1)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gateway.core.propagation import RadioMap

TAU_S = 1.5
"""Time constant of a link's smoothed signal strength."""
DWELL_S = 15.0
"""Time constant with which a belief without evidence returns to knowing nothing."""
LAMBDA, LAMBDA_MISS = 0.5, 0.4
"""Neighbouring seconds are not independent: their evidence counts only so much."""
CLIP = 8.0
OFFSET_SD_DB = {"phone": 6.0, "store_tag": 0.0}
"""Spread of what a device adds to all its links alike; a store's tags are those that calibrated it."""
SD_FLOOR_DB = 3.0


class BeliefFilter:
    """The map's link models as the sums that a step needs."""

    def __init__(self, radio_map: RadioMap, device_class: str) -> None:
        models = [[(m, max(m.sd_db, SD_FLOOR_DB)) for m in row] for row in radio_map.models]
        self.zones = radio_map.zones
        self._mu_dbm = [[m.mu_dbm for m, _ in row] for row in models]
        self._weight = [[1 / sd**2 for _, sd in row] for row in models]
        self._log_miss = [[math.log(1 - m.p_hear) for m, _ in row] for row in models]
        self._log_heard = [
            [
                LAMBDA_MISS * (math.log(m.p_hear) - math.log(1 - m.p_hear)) - LAMBDA * math.log(sd)
                for m, sd in row
            ]
            for row in models
        ]
        offset_sd_db = OFFSET_SD_DB[device_class if radio_map.calibrated else "phone"]
        self._offset_weight = 1 / offset_sd_db**2 if offset_sd_db else 0.0
        self._links = len(radio_map.links)
        self._masked: frozenset[int] = frozenset()
        self._silence = self._silence_of(self._masked)

    def unknowing(self) -> list[float]:
        return [1 / len(self.zones)] * len(self.zones)

    def step(
        self, belief: Sequence[float], heard: Sequence[tuple[int, float]], dt_s: float, masked: frozenset[int]
    ) -> list[float]:
        """The belief `dt_s` later: `heard` are (link, smoothed dBm), `masked` links say nothing by silence.

        Probabilities in the order of `zones`, summing to 1.
        """
        if masked != self._masked:
            self._masked, self._silence = masked, self._silence_of(masked)
        kept = math.exp(-dt_s / DWELL_S)
        spread = (1 - kept) / len(belief)
        logs = [
            math.log(kept * b + spread) + silence + self._evidence(z, heard)
            for z, (b, silence) in enumerate(zip(belief, self._silence, strict=True))
        ]
        top = max(logs)
        odds = [math.exp(x - top) for x in logs]
        total = sum(odds)
        return [x / total for x in odds]

    def _evidence(self, z: int, heard: Sequence[tuple[int, float]]) -> float:
        mu_dbm, weight, log_heard = self._mu_dbm[z], self._weight[z], self._log_heard[z]
        links = [(rssi_dbm - mu_dbm[r], weight[r]) for r, rssi_dbm in heard]
        offset_db, cost = 0.0, 0.0
        if self._offset_weight:
            offset_db = sum([w * d for d, w in links]) / (sum([w for _, w in links]) + self._offset_weight)
            cost = 0.5 * self._offset_weight * offset_db**2
        for d, w in links:
            off_db = d - offset_db
            misfit = 0.5 * w * off_db * off_db
            cost += misfit if misfit < CLIP else CLIP
        return sum([log_heard[r] for r, _ in heard]) - LAMBDA * cost

    def _silence_of(self, masked: frozenset[int]) -> list[float]:
        return [
            LAMBDA_MISS * sum(row[r] for r in range(self._links) if r not in masked) for row in self._log_miss
        ]
