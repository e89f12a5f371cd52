"""Arrivals are told from drive-bys, and zones from one another, as well as the stored baselines say
(bench/accuracy), and no worse.

With the measuring data, other people's drives and scorer as well.
"""

from __future__ import annotations

import copy
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.cli import main

ROOT = Path(__file__).parent.parent


@pytest.fixture
def baseline(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("bench.accuracy.baseline")


def test_no_figure_is_worse_than_the_baseline(baseline: Any) -> None:
    stored = json.loads(baseline.ARRIVALS.read_text())
    figures = {name: baseline.measure(name) for name in baseline.CASES}
    assert baseline.regressions(figures, stored) == []
    for case in figures.values():
        assert case["order_faults"] == case["entered_again_pct"] == 0


WORSE = [
    ("visits_found_pct", -1.2),
    ("through_entered_pct", 1.7),
    ("entered_p50_s", 0.6),
    ("order_faults", 1),
]


@pytest.mark.parametrize(("figure", "by"), WORSE)
def test_a_worse_figure_is_named_and_a_better_one_is_not(baseline: Any, figure: str, by: float) -> None:
    stored = json.loads(baseline.ARRIVALS.read_text())
    case = "1 s, sigma 5 m"
    figures = copy.deepcopy(stored)
    figures[case][figure] += by
    assert [line.split(" ")[5] for line in baseline.regressions(figures, stored)] == [figure]
    figures[case][figure] -= 2 * by
    assert baseline.regressions(figures, stored) == []


@pytest.fixture
def zones(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("bench.accuracy.zones")


@pytest.mark.timeout(300)
def test_no_figure_of_radio_zones_is_worse_than_the_baseline(baseline: Any, zones: Any) -> None:
    stored = json.loads(baseline.ZONES.read_text())
    played = {name: zones.play(case) for name, case in zones.CASES.items()}
    figures = {name: zones.score(one) for name, one in played.items()}
    assert baseline.regressions(figures, stored) == []
    print(*zones.reliability([pair for one in played.values() for pair in one.judged]), sep="\n")
    assert figures["calibrated"]["accuracy_pct"] > figures["from the map alone"]["accuracy_pct"] + 10


def test_the_radio_score_counts_what_it_says(zones: Any) -> None:
    """Ten seconds in `a`, of which two are said to be in `b`; four outside, of which one is said to be in `a`."""
    seconds = [zones.Second("d", float(t), "a", "b" if t in (4, 5) else "a") for t in range(10)]
    seconds += [zones.Second("d", float(t), "-", "a" if t == 10 else None) for t in range(10, 14)]
    figures = zones.score(zones.Played(seconds, [(0.75, True), (0.75, False)]))
    assert figures == {
        "accuracy_pct": 80.0,
        "false_per_h": round(3600 / 14, 1),
        "apart_pct": 25.0,
        "false_presence_pct": 25.0,
    }


def test_the_report_has_a_picture_of_every_case(
    zones: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = importlib.import_module("bench.accuracy.report")
    monkeypatch.setattr(report, "CASES", {"one": zones.CASES["calibrated"]})
    monkeypatch.setattr(report, "play", lambda case: zones.play(case, minutes=2.0))
    report.write(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {"zones.md", "confusion-1.svg", "timeline-1.svg"}
    assert "| accuracy_pct |" in (tmp_path / "zones.md").read_text()
    assert "</svg>" in (tmp_path / "timeline-1.svg").read_text()


# --- measuring data ---


@pytest.fixture
def measure() -> Path:
    if "GATEWAY_MEASURE_DIR" not in os.environ:
        pytest.skip("GATEWAY_MEASURE_DIR names no measuring data")
    return Path(os.environ["GATEWAY_MEASURE_DIR"])


def scored(measure: Path, drives: Path, out: Path, interval_s: float) -> dict[str, float]:
    replay = ["replay", str(drives / "drives.jsonl.gz"), "--all-devices", "--out", str(out)]
    result = CliRunner().invoke(main, replay)
    assert result.exit_code == 0, result.output
    score = [measure / "tools" / "score_arrivals.py", drives / "truth.jsonl", out, "--interval", interval_s]
    return dict(json.loads(_python(*score)))


def _python(*arguments: object) -> str:
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.measure
def test_real_drives(measure: Path, tmp_path: Path) -> None:
    figures = scored(measure, measure / "data" / "drives" / "aracaju", tmp_path / "presence.jsonl", 6)
    assert figures["visits_found_pct"] >= 100 * 11 / 12
    assert figures["drive_bys_entered_pct"] == 0
    assert figures["order_faults"] == figures["open_entering"] == 0


SIMULATED = [
    # drives, options, {figure: (at least, at most)}; few lots of this seed are crossed, and those near a border
    (2000, (), {"visits_found_pct": (99, 100), "drive_bys_entered_pct": (0, 1), "entered_delay_p50_s": (0, 9.5), "entering_delay_p50_s": (0, 1.6), "untouched_entering_pct": (0, 3.5)}),
    (4000, ("--interval", 30), {"visits_found_pct": (93, 100), "drive_bys_seen_pct": (76, 100), "drive_bys_entered_pct": (0, 1), "untouched_seen_pct": (0, 8)}),
    (1000, ("--late", 0.05), {"visits_found_pct": (98.5, 100), "drive_bys_entered_pct": (0, 1)}),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.measure
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("drives", "options", "limits"), SIMULATED)
def test_simulated_drives(
    measure: Path,
    tmp_path: Path,
    drives: int,
    options: tuple[Any, ...],
    limits: dict[str, tuple[float, float]],
) -> None:
    _python(measure / "tools" / "make_drives.py", tmp_path, "--seed", 12, "--drives", drives, *options)
    interval_s = options[1] if "--interval" in options else 1
    figures = scored(measure, tmp_path, tmp_path / "presence.jsonl", interval_s)
    assert figures["order_faults"] == figures["open_entering"] == figures["duplicate_entered_per_visit"] == 0
    missed = {n: figures[n] for n, (low, high) in limits.items() if not low <= figures[n] <= high}
    assert missed == {}
