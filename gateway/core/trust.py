"""How much a posterior is worth: of the claims made with confidence 0.8, about 80 % should be right."""

from __future__ import annotations

import math

RECALIBRATION = {True: (0.42, -0.25), False: (0.29, -0.47)}
"""Slope and shift of a logistic recalibration (Platt 1999) of the log-odds, calibrated or from the map alone:
consecutive steps repeat the same errors, so a posterior claims too much, and that of a guessed model more.
Fitted with the same weight for each set; without any one of them the slopes differ by up to 0.03 and 0.04."""
ODDS_MAX = 7.0


def confidence(p: float, *, calibrated: bool = True) -> float:
    """How often a zone believed with probability `p` is the right one; 0 for 0."""
    if p <= 0.0:
        return 0.0
    odds = math.log(p / (1 - p)) if p < 1.0 else ODDS_MAX
    odds = max(-ODDS_MAX, min(odds, ODDS_MAX))
    slope, shift = RECALIBRATION[calibrated]
    return 1 / (1 + math.exp(-(slope * odds + shift)))
