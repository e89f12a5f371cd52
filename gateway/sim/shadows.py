"""Shadowing that belongs to places: shelves stand between the same two points today and tomorrow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

WAVES = 24
GRID_M = 0.25


class Shadows:
    """What each receiver hears more (in dB) or less of a place than its distance says.

    A Gaussian field whose correlation falls by e in `forgets_m` (form: Gudmundson, El. Letters 27, 1991), as
    a sum of waves with the spectrum of that correlation in the plane: of a share u of them the wave number is
    below sqrt((1 - u)^-2 - 1) / forgets_m.
    """

    def __init__(self, seed: str, receivers: Sequence[str], *, sd_db: float, forgets_m: float) -> None:
        self._scale_db = sd_db * math.sqrt(2 / WAVES)
        self._waves = [
            [_wave(rng, forgets_m) for _ in range(WAVES)]
            for rng in (Random(f"{seed}/{r}") for r in receivers)
        ]
        self._known: dict[tuple[int, int, int], float] = {}

    def db(self, receiver: int, x_m: float, y_m: float) -> float:
        """Receivers by their number in `receivers`; within a quarter of a metre it is the same."""
        place = (receiver, round(x_m / GRID_M), round(y_m / GRID_M))
        known = self._known.get(place)
        if known is None:
            x, y = place[1] * GRID_M, place[2] * GRID_M
            known = self._scale_db * sum(
                math.cos(kx * x + ky * y + turn) for kx, ky, turn in self._waves[receiver]
            )
            self._known[place] = known
        return known


def _wave(rng: Random, forgets_m: float) -> tuple[float, float, float]:
    number = math.sqrt((1.0 - 0.999 * rng.random()) ** -2 - 1.0) / forgets_m
    way = rng.uniform(0.0, math.tau)
    return number * math.cos(way), number * math.sin(way), rng.uniform(0.0, math.tau)
