"""The cases, the stored figures and what counts as worse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.accuracy.drives import make
from bench.accuracy.score import score

BASELINE = Path(__file__).with_name("baseline.json")
CASES: dict[str, dict[str, Any]] = {
    "1 s, sigma 5 m": {"number": 240, "seed": 1, "interval_s": 1.0, "sigma_m": 5.0},
    "5 s, sigma 8 m": {"number": 240, "seed": 2, "interval_s": 5.0, "sigma_m": 8.0},
    "30 s, sigma 5 m": {"number": 400, "seed": 3, "interval_s": 30.0, "sigma_m": 5.0},
}
TOLERANCE_PCT, TOLERANCE_S = 1.0, 0.5
"""Worse by more than this is a regression; of 90 visits or 60 drive-bys one is more than one percent."""
MORE_IS_BETTER = frozenset({"visits_found_pct", "through_seen_pct"})


def measure(name: str, *, times: int = 1) -> dict[str, float]:
    case = CASES[name]
    return score(make(**{**case, "number": case["number"] * times, "seed": case["seed"] * times}))


def regressions(figures: dict[str, dict[str, float]], stored: dict[str, dict[str, float]]) -> list[str]:
    """One line for each figure that is worse than the stored one by more than the tolerance."""
    lines = []
    for case, values in figures.items():
        for name, value in values.items():
            was = stored[case][name]
            worse = was - value if name in MORE_IS_BETTER else value - was
            allowed = TOLERANCE_S if name.endswith("_s") else 0.0 if name == "order_faults" else TOLERANCE_PCT
            if worse > allowed:
                lines.append(f"{case}: {name} {value}, was {was}")
    return lines
