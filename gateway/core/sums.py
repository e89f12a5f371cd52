"""What every step of the filter needs of a radio map, link by link: computed once a map, and remembered."""

from __future__ import annotations

import math
from array import array
from functools import lru_cache

from msgspec import Struct

from gateway.core.propagation import RadioMap

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
    """`evidence`, `silence`: how much a step's level and its being heard count. Of hundreds of zones it takes
    half a second, which a reload spends beforehand."""
    links = [[(m, max(m.sd_db, SD_FLOOR_DB)) for m in spot.links] for spot in radio_map.spots]
    columns = list(zip(*links, strict=True))
    return LinkSums(
        array("d", [m.mu_dbm for column in columns for m, _ in column]),
        array("d", [1 / sd**2 for column in columns for _, sd in column]),
        array("d", [math.log(1 - m.p_hear) for column in columns for m, _ in column]),
        array(
            "d",
            [
                silence * math.log(m.p_hear) - evidence * math.log(sd)
                for column in columns
                for m, sd in column
            ],
        ),
        array("d", [p for row in radio_map.moves for p in row]),
    )
