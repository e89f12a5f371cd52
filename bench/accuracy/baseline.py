"""The cases, the stored figures and what counts as worse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.accuracy.drives import make
from bench.accuracy.score import score

ARRIVALS, ZONES = Path(__file__).with_name("baseline.json"), Path(__file__).with_name("zones.json")
Figures = dict[str, dict[str, float]]
CASES: dict[str, dict[str, Any]] = {
    "1 s, sigma 5 m": {"number": 240, "seed": 1, "interval_s": 1.0, "sigma_m": 5.0},
    "5 s, sigma 8 m": {"number": 240, "seed": 2, "interval_s": 5.0, "sigma_m": 8.0},
    "30 s, sigma 5 m": {"number": 400, "seed": 3, "interval_s": 30.0, "sigma_m": 5.0},
}
TOLERANCE_PCT, TOLERANCE_S = 1.0, 0.5
"""Worse by more than this is a regression; of 90 visits or 60 drive-bys one is more than one percent."""
TOLERANCE_ZONES_PCT, TOLERANCE_PER_H = 2.0, 6.0
"""Radio zones: a few seconds at a border of zones, and two changes more in the 20 minutes of a case."""
ALLOWED = {"order_faults": 0.0, "false_per_h": TOLERANCE_PER_H, "apart_pct": 5.0}
ALLOWED |= dict.fromkeys(("accuracy_pct", "false_presence_pct"), TOLERANCE_ZONES_PCT)
MORE_IS_BETTER = frozenset({"visits_found_pct", "through_seen_pct", "accuracy_pct"})


def measure(name: str, *, times: int = 1) -> dict[str, float]:
    case = CASES[name]
    return score(make(**{**case, "number": case["number"] * times, "seed": case["seed"] * times}))


def regressions(figures: Figures, stored: Figures) -> list[str]:
    """One line for each figure that is worse than the stored one by more than the tolerance."""
    lines = []
    for case, values in figures.items():
        for name, value in values.items():
            was = stored[case][name]
            worse = was - value if name in MORE_IS_BETTER else value - was
            allowed = ALLOWED.get(name, TOLERANCE_S if name.endswith("_s") else TOLERANCE_PCT)
            if worse > allowed:
                lines.append(f"{case}: {name} {value}, was {was}")
    return lines
