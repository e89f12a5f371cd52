"""Other people's recordings through `gateway replay`, and their scorers on what comes out.

Needs the measuring data; a map alone, no settings, no consent.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.cli import main

pytestmark = pytest.mark.measure


@pytest.fixture
def measure() -> Path:
    place = os.environ.get("GATEWAY_MEASURE_DIR")
    if place is None:
        pytest.skip("GATEWAY_MEASURE_DIR is not set")
    return Path(place)


def tool(path: Path, *arguments: str | Path) -> str:
    command = [sys.executable, str(path), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def replayed(recording: Path, out: Path) -> Path:
    result = CliRunner().invoke(
        main, ["replay", str(recording), "--all-devices", "--stage", "presence", "--out", str(out)]
    )
    assert result.exit_code == 0, result.output
    return out


@pytest.mark.parametrize(("name", "at_least_pct"), [("tetam", 47.0), ("sim16", 42.0)])
def test_radio_sets(measure: Path, tmp_path: Path, name: str, at_least_pct: float) -> None:
    """Better than the smoothed nearest receiver, from the map alone."""
    tools = measure / "tools"
    tool(
        tools / "rssi_to_recording.py",
        measure / "data" / "rssi" / name,
        tmp_path,
        "--device-class",
        "store_tag",
    )
    presence = replayed(tmp_path / "test.jsonl", tmp_path / "presence.jsonl")
    reports = tmp_path / "reports.csv"
    reports.write_text(tool(tools / "presence_to_reports.py", presence, tmp_path / "tags.csv"))
    score = json.loads(tool(tools / "score_zones.py", tmp_path / "truth.csv", reports))
    assert score["accuracy_pct"] > at_least_pct


def arrivals(measure: Path, truth: Path, presence: Path) -> dict[str, Any]:
    score: dict[str, Any] = json.loads(tool(measure / "tools" / "score_arrivals.py", truth, presence))
    return score


def test_simulated_drives(measure: Path, tmp_path: Path) -> None:
    tool(measure / "tools" / "make_drives.py", tmp_path, "--seed", "11", "--drives", "300")
    presence = replayed(tmp_path / "drives.jsonl.gz", tmp_path / "presence.jsonl")
    score = arrivals(measure, tmp_path / "truth.jsonl", presence)
    assert score["visits_found_pct"] > 97
    assert score["drive_bys_entered_pct"] < 4
    faults = ("duplicate_entered_per_visit", "open_entering", "order_faults")
    assert {fault: score[fault] for fault in faults} == dict.fromkeys(faults, 0)


def test_real_drives(measure: Path, tmp_path: Path) -> None:
    folder = measure / "data" / "drives" / "aracaju"
    score = arrivals(
        measure, folder / "truth.jsonl", replayed(folder / "drives.jsonl.gz", tmp_path / "presence.jsonl")
    )
    assert score["visits_found_pct"] > 80
    assert score["drive_bys_entered_pct"] == 0
    assert score["order_faults"] == 0
