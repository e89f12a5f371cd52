"""A tempered sticky Bayes filter: where one device is, given what its links sound like (DESIGN §5.1).

Two things are added to the form given there. A zone is a few spots that sound different; the belief is held
by spot and summed by zone. And the offset of a phone (how loud it is on all links alike) is remembered from
step to step instead of being free at each: with every step it is known better, down to `OFFSET_SD_MIN_DB`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import Struct

from gateway.core.propagation import OUTSIDE, RadioMap

DWELL_S = 5.0
"""Time constant with which a belief without evidence moves on to the zones around."""
LAMBDA, LAMBDA_MISS = 0.6, 0.2
"""Neighbouring seconds are not independent: their evidence counts only so much."""
LAMBDA_MAP, LAMBDA_MISS_MAP = 0.8, 0.1
"""Without calibration; there the spread of the links says how little is known."""
CLIP = 8.0
OFFSET_SD_DB = {"phone": 10.0, "store_tag": 0.0}
"""Spread of what a device adds to all its links alike; two phones of one data set (UJI BLE RSS) differ by
20 dB. A store's tags are those that calibrated it."""
OFFSET_SD_MIN_DB, OFFSET_SHARE = 3.0, 0.02
"""How well an offset is ever known, and the share of one step in it."""
SD_FLOOR_DB = 3.0
LEAST = 1e-300
CONFIDENCE_SLOPE, CONFIDENCE_SHIFT = 0.4, 0.25
"""Consecutive steps repeat the same errors, so a posterior claims too much; logistic recalibration (Platt
1999) of its log-odds."""
ODDS_MAX = 7.0


class Offset(Struct):
    """What is known of a device's loudness."""

    db: float = 0.0
    variance_db2: float = -1.0
    """Negative: nothing yet."""


def confidence(p: float) -> float:
    """How often a zone believed with probability `p` is the right one; 0 for 0."""
    if p <= 0.0:
        return 0.0
    odds = math.log(p / (1 - p)) if p < 1.0 else ODDS_MAX
    odds = max(-ODDS_MAX, min(odds, ODDS_MAX))
    return 1 / (1 + math.exp(-(CONFIDENCE_SLOPE * odds + CONFIDENCE_SHIFT)))


class BeliefFilter:
    """The map's link models as the sums that a step needs."""

    def __init__(self, radio_map: RadioMap, device_class: str) -> None:
        spots = [[(m, max(m.sd_db, SD_FLOOR_DB)) for m in spot.links] for spot in radio_map.spots]
        self.zones = radio_map.zones
        self._lambda, self._miss = (
            (LAMBDA, LAMBDA_MISS) if radio_map.calibrated else (LAMBDA_MAP, LAMBDA_MISS_MAP)
        )
        index = {zone: z for z, zone in enumerate(self.zones)}
        self.zone_of = [index[spot.zone] for spot in radio_map.spots]
        count = [self.zone_of.count(z) for z in range(len(self.zones))]
        self._share = [1 / count[z] for z in self.zone_of]
        self._moves = radio_map.moves
        self._mu_dbm = [[m.mu_dbm for m, _ in row] for row in spots]
        self._weight = [[1 / sd**2 for _, sd in row] for row in spots]
        self._log_miss = [[math.log(1 - m.p_hear) for m, _ in row] for row in spots]
        favour = radio_map.outside_evidence
        self._bonus = [favour if spot.zone == OUTSIDE else 0.0 for spot in radio_map.spots]
        self._bonus[-1] = 0.0  # far outside is weak everywhere: a model of its own
        self._log_heard = [
            [
                self._miss * (math.log(m.p_hear) - math.log(1 - m.p_hear)) - self._lambda * math.log(sd)
                for m, sd in row
            ]
            for row in spots
        ]
        offset_sd_db = OFFSET_SD_DB[device_class if radio_map.calibrated else "phone"]
        self._offset_variance_db2 = offset_sd_db**2
        self._links = len(radio_map.links)
        self._masked: frozenset[int] = frozenset()
        self._silence = self._silence_of(self._masked)

    def unknowing(self) -> list[float]:
        """Every zone is as probable as any other."""
        return self.spread([1 / len(self.zones)] * len(self.zones))

    def spread(self, by_zone: Sequence[float]) -> list[float]:
        """A belief over zones, evenly over the spots of each."""
        return [by_zone[z] * share for z, share in zip(self.zone_of, self._share, strict=True)]

    def by_zone(self, belief: Sequence[float]) -> list[float]:
        """In the order of `zones`; the sum is that of `belief`."""
        out = [0.0] * len(self.zones)
        for z, b in zip(self.zone_of, belief, strict=True):
            out[z] += b
        return out

    def step(
        self,
        belief: Sequence[float],
        offset: Offset,
        heard: Sequence[tuple[int, float]],
        dt_s: float,
        masked: frozenset[int],
    ) -> list[float]:
        """The belief `dt_s` later: `heard` are (link, smoothed dBm), `masked` links say nothing by silence.

        Probabilities by spot, summing to 1; `offset` is brought up to date.
        """
        if masked != self._masked:
            self._masked, self._silence = masked, self._silence_of(masked)
        if offset.variance_db2 < 0:
            offset.variance_db2 = self._offset_variance_db2
        kept = math.exp(-dt_s / DWELL_S)
        held = self.by_zone(belief)
        arriving = [(1 - kept) * sum(map(float.__mul__, held, into)) for into in self._moves]
        logs, offsets_db = [], []
        for s, b in enumerate(belief):
            evidence, offset_db = self._evidence(s, heard, offset)
            prior = kept * b + arriving[self.zone_of[s]] * self._share[s]
            logs.append(math.log(prior + LEAST) + self._silence[s] + evidence)
            offsets_db.append(offset_db)
        top = max(logs)
        odds = [math.exp(x - top) for x in logs]
        total = sum(odds)
        now = [x / total for x in odds]
        if self._offset_variance_db2:
            self._learn(offset, sum(map(float.__mul__, now, offsets_db)))
        return now

    @staticmethod
    def _learn(offset: Offset, seen_db: float) -> None:
        offset.db += OFFSET_SHARE * (seen_db - offset.db)
        offset.variance_db2 = max(OFFSET_SD_MIN_DB**2, offset.variance_db2 * (1 - 2 * OFFSET_SHARE))

    def _evidence(self, s: int, heard: Sequence[tuple[int, float]], known: Offset) -> tuple[float, float]:
        mu_dbm, weight, log_heard = self._mu_dbm[s], self._weight[s], self._log_heard[s]
        links = [(rssi_dbm - mu_dbm[r], weight[r]) for r, rssi_dbm in heard]
        offset_db, cost = 0.0, 0.0
        if known.variance_db2:
            sure = 1 / known.variance_db2
            total = sum([w * d for d, w in links]) + known.db * sure
            offset_db = total / (sum([w for _, w in links]) + sure)
            cost = 0.5 * sure * (offset_db - known.db) ** 2
        for d, w in links:
            off_db = d - offset_db
            misfit = 0.5 * w * off_db * off_db
            cost += misfit if misfit < CLIP else CLIP
        return sum([log_heard[r] for r, _ in heard]) - self._lambda * cost, offset_db

    def _silence_of(self, masked: frozenset[int]) -> list[float]:
        return [
            bonus + self._miss * sum(row[r] for r in range(self._links) if r not in masked)
            for bonus, row in zip(self._bonus, self._log_miss, strict=True)
        ]
