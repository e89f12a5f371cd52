"""Arrivals on recordings of drives with truth: simulated by the measuring tools, and real.

usage: GATEWAY_MEASURE_DIR=… python bench/accuracy_drives.py [--seeds 901,902] [--drives 6000] [--only NAME]

Each recording is replayed by `gateway replay` and scored by the measuring tools' scorer. Targets are those of
the project's plan; `real tracks` are car parks around the stops of real drives (bench/real_tracks.py).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import real_tracks
from measuring import replayed, tool

FIGURES = {
    "visits %": "visits_found_pct",
    "drive-bys entered %": "drive_bys_entered_pct",
    "drive-bys seen %": "drive_bys_seen_pct",
    "untouched entered %": "untouched_entered_pct",
    "untouched entering %": "untouched_entering_pct",
    "untouched seen %": "untouched_seen_pct",
    "entered p50 s": "entered_delay_p50_s",
    "entered p95 s": "entered_delay_p95_s",
    "entering p50 s": "entering_delay_p50_s",
    "entering again a stay": "duplicate_entering_per_stay",
    "entered again a visit": "duplicate_entered_per_visit",
    "left early %": "left_early_pct",
    "left missing %": "left_missing_pct",
    "stray % of visits": "stray_pct",
    "open entering": "open_entering",
    "order faults": "order_faults",
}
AT_LEAST = {"visits %", "drive-bys seen %"}


class Case(NamedTuple):
    name: str
    arguments: tuple[str, ...]
    """For the tool that makes drives; empty: a real recording."""
    target: dict[str, float]
    interval_s: float = 1.0


NONE_WRONG = {"entered again a visit": 0, "order faults": 0}
SIMULATED = (
    Case(
        "1 s",
        ("--interval", "1"),
        {
            "visits %": 99,
            "drive-bys entered %": 1,
            "untouched entered %": 0.05,
            "untouched entering %": 3,
            "untouched seen %": 3,
            "entered p50 s": 9,
            "entered p95 s": 21,
            "entering p50 s": 1.5,
            "entering again a stay": 0.03,
            "left early %": 1,
            "left missing %": 1,
            "stray % of visits": 0.2,
            "open entering": 0,
            **NONE_WRONG,
        },
    ),
    Case(
        "30 s",
        ("--interval", "30"),
        {
            "visits %": 93,
            "drive-bys seen %": 82,
            "drive-bys entered %": 1,
            "untouched seen %": 8,
            **NONE_WRONG,
        },
        30.0,
    ),
    Case("late", ("--late", "0.05"), {"visits %": 98.5, **NONE_WRONG}),
)
ARACAJU = Case("aracaju", (), {"visits %": 91.6, "drive-bys entered %": 0, **NONE_WRONG}, 6.0)
TRACKS = Case("real tracks", (), {"visits %": 98, "drive-bys entered %": 2.5, "entered p50 s": 22}, 6.0)


def score(measure: Path, folder: Path, case: Case) -> dict[str, Any]:
    """What the scorer says of one recording (drives.jsonl.gz, config/, truth.jsonl)."""
    with tempfile.TemporaryDirectory() as made:
        events = Path(made) / "presence.jsonl"
        replayed(folder / "drives.jsonl.gz", folder / "config", events)
        interval = ("--interval", str(case.interval_s))
        said = json.loads(tool(measure, "score_arrivals.py", folder / "truth.jsonl", events, *interval))
    said["stray_pct"] = round(100 * said["stray_entered"] / max(said["visits"], 1), 3)
    return dict(said)


def recordings(measure: Path, case: Case, seed: int, drives: int, into: Path) -> Path:
    if case is ARACAJU:
        return measure / "data" / "drives" / "aracaju"
    if case is TRACKS:
        real_tracks.make(measure / "data" / "tracks" / "gotrack_aracaju.csv.gz", into, seed)
    else:
        count = ("--drives", str(drives), "--seed", str(seed))
        tool(measure, "make_drives.py", into, *count, *case.arguments)
    return into


def is_met(figure: str, value: float | None, target: float) -> bool:
    return value is not None and (value >= target if figure in AT_LEAST else value <= target)


def show(case: Case, scores: dict[int, dict[str, Any]]) -> None:
    """A row a figure; a value that misses its target is bold."""
    print(f"\n**{case.name}**\n\n| figure | {' | '.join(f'seed {seed}' for seed in scores)} | target |")
    print("|---" * (len(scores) + 2) + "|")
    for figure, key in FIGURES.items():
        target = case.target.get(figure)
        if target is not None:
            shown = [
                f"{said[key]}" if is_met(figure, said[key], target) else f"**{said[key]}**"
                for said in scores.values()
            ]
            print(f"| {figure} | {' | '.join(shown)} | {'≥' if figure in AT_LEAST else '≤'} {target} |")
    counts = [f"{said['visits']} visits, {said['drive_bys']} drive-bys" for said in scores.values()]
    print(f"| of | {' | '.join(counts)} | |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", default="901,902", help="comma separated")
    parser.add_argument("--drives", type=int, default=6000)
    parser.add_argument("--only", help="the start of one case's name")
    options = parser.parse_args()
    measure = Path(os.environ["GATEWAY_MEASURE_DIR"])
    sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115 - the counts of every replay
    for case in (*SIMULATED, ARACAJU, TRACKS):
        if options.only and not case.name.startswith(options.only):
            continue
        scores = {}
        for seed in map(int, options.seeds.split(",") if case is not ARACAJU else ["0"]):
            with tempfile.TemporaryDirectory() as name:
                made = recordings(measure, case, seed, options.drives, Path(name))
                scores[seed] = score(measure, made, case)
        show(case, scores)


if __name__ == "__main__":
    main()
