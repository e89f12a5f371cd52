"""What every step of the filter needs of a radio map, link by link: computed once a map, and remembered."""

from __future__ import annotations

import math
from array import array
from functools import lru_cache

from msgspec import Struct

from gateway.core.propagation import RadioMap
from gateway.model import Spot

SD_FLOOR_DB = 3.0


class LinkSums(Struct, frozen=True):
    """Doubles by link, and of each link by spot; never written to, as all who have this map share them."""

    mu_dbm: array[float]
    weight: array[float]
    """1/dB²."""
    log_miss: array[float]
    log_heard: array[float]
    """Of being heard at all, and of the spread, each as heavy as it counts in a step."""
    moves: array[float]
    """Of the radio map, by zone of departure and then of arrival."""


@lru_cache(maxsize=2)
def link_sums(radio_map: RadioMap, evidence: float, silence: float) -> LinkSums:
    """`evidence`, `silence`: how much a step's level and its being heard count."""
    spots = len(radio_map.spots)
    empty = bytes(8 * spots * len(radio_map.links))
    moves = array("d", [p for row in radio_map.moves for p in row])
    sums = LinkSums(array("d", empty), array("d", empty), array("d", empty), array("d", empty), moves)
    _fill(sums, radio_map.spots, evidence, silence)
    return sums


def _fill(sums: LinkSums, spots: tuple[Spot, ...], evidence: float, silence: float) -> None:
    mu_dbm, weight, log_miss, log_heard = sums.mu_dbm, sums.weight, sums.log_miss, sums.log_heard
    for i, spot in enumerate(spots):
        at = i
        for link in spot.links:
            p_hear, sd_db = link.p_hear, max(link.sd_db, SD_FLOOR_DB)
            mu_dbm[at] = link.mu_dbm
            weight[at] = 1 / (sd_db * sd_db)
            log_miss[at] = math.log(1 - p_hear)
            log_heard[at] = silence * math.log(p_hear) - evidence * math.log(sd_db)
            at += len(spots)
