"""Radio zones on labelled recordings: accuracy, false changes, outside, and whether confidence is honest.

usage: GATEWAY_MEASURE_DIR=… python bench/accuracy_radio.py [--sets sim16,uji_lib] [--map | --calibrated]
       [--unlearned]

Each set is made by the measuring tools, calibrated by `gateway calibrate` on its own walk, replayed by
`gateway replay` and scored by their scorers. Targets are those of the tables in the project's plan.
"""

from __future__ import annotations

import argparse
import collections
import csv
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from measuring import replayed, tool

from gateway.core import belief
from gateway.verbs import calibrate

NEVER_SURE = 2.0
"""No probability reaches it."""
START_S = 1_766_390_400
"""When every recording of the tools begins."""


class Case(NamedTuple):
    group: str
    source: str
    arguments: tuple[str, ...] = ()
    silenced: str = ""
    """A receiver is not heard from the middle on: `will`, with its last will; `quiet`, without a word."""


FLAT_RUNS = ("calib1", "calib2", "calib3", "calib4")
CASES = [
    Case("tetam", "tetam", ("--device-class", "store_tag")),
    *[Case("tetam splits", "tetam", ("--device-class", "store_tag", "--seed", s)) for s in ("1", "4", "6")],
    *[Case("flat leave one out", "flat", ("--test-tags", run)) for run in FLAT_RUNS],
    Case("uji_lib", "uji_lib"),
    *[Case("uji_lib splits", "uji_lib", ("--seed", s)) for s in ("1", "2", "5")],
    Case("sim8", "sim8"),
    Case("sim16", "sim16"),
    *[Case("sim16 splits", "sim16", ("--seed", s)) for s in ("1", "2", "3")],
    Case("simshelf", "simshelf"),
    *[Case("sim16 two dropped", "sim16", ("--drop-zones", z)) for z in ("r03,r20", "r00,r13", "r11,r22")],
    Case("sim16 last will", "sim16", silenced="will"),
    Case("sim16 silent", "sim16", silenced="quiet"),
]
TARGETS = {
    "calibrated": {
        "tetam": (63, 145),
        "flat leave one out": (72, None),
        "uji_lib": (64, 200),
        "sim8": (81, 24),
        "sim16": (67, 50),
        "simshelf": (63, 50),
    },
    "map": {
        "tetam": (49, None),
        "flat leave one out": (66, None),
        "uji_lib": (56, 300),
        "sim8": (80, 60),
        "sim16": (48, 60),
        "simshelf": (50, 40),
    },
}
BINS = (0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.01)


def silence_halfway(recording: Path, *, will: bool) -> None:
    """The receiver that hears most is not heard any more after the middle."""
    lines = [json.loads(line) for line in recording.open()]
    heard = collections.Counter(line["ble"]["receiver"] for line in lines if "ble" in line)
    victim = heard.most_common(1)[0][0]
    middle_s = (lines[0]["t"] + lines[-1]["t"]) / 2
    kept = [s for s in lines if s["t"] < middle_s or s.get("ble", {}).get("receiver") != victim]
    if will:
        kept.append({"t": middle_s, "receiver": {"id": victim, "alive": False}})
    kept.sort(key=lambda line: line["t"])
    recording.write_text("".join(json.dumps(line) + "\n" for line in kept))


def judged(events: Path, folder: Path) -> list[tuple[float, bool]]:
    """(confidence, was it the true zone) of each `entered` and `dwelled` at the moment it was told."""
    tag = {row["subject"]: row["tag_id"] for row in csv.DictReader((folder / "tags.csv").open())}
    said = csv.DictReader((folder / "truth.csv").open())
    truth = {(row["tag_id"], int(float(row["t_s"]))): row["zone"] for row in said}
    out = []
    for line in events.open():
        event = json.loads(line)
        second = int(event["emitted"] - START_S)
        zone = truth.get((tag.get(event["subject"], ""), second))
        if event["change"] in ("entered", "dwelled") and zone:
            near = {truth.get((tag[event["subject"]], second + d)) for d in range(-3, 4)}
            out.append((event["confidence"], event["zone"] in near))
    return out


def run(measure: Path, case: Case, *, calibrated: bool) -> tuple[dict[str, Any], list[tuple[float, bool]]]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tool(
            measure, "rssi_to_recording.py", measure / "data" / "rssi" / case.source, folder, *case.arguments
        )
        if case.silenced:
            silence_halfway(folder / "test.jsonl", will=case.silenced == "will")
        if calibrated:
            wanted_walk = calibrate.Wanted(folder / "config", None, True)
            calibrate.from_recording(folder / "train.jsonl", wanted_walk, lambda _: None)
        events = folder / "presence.jsonl"
        began_s = time.process_time()
        replayed(folder / "test.jsonl", folder / "config", events)
        cpu_s = time.process_time() - began_s
        reports = folder / "reports.csv"
        reports.write_text(tool(measure, "presence_to_reports.py", events, folder / "tags.csv"))
        score = json.loads(tool(measure, "score_zones.py", folder / "truth.csv", reports))
        return score | {"cpu_s": cpu_s}, judged(events, folder)


def row(group: str, scores: list[dict[str, Any]], target: tuple[float, float | None] | None) -> str:
    def mean(key: str) -> float | None:
        values = [s[key] for s in scores if s[key] is not None]
        return statistics.mean(values) if values else None

    def shown(value: float | None, form: str = ".1f") -> str:
        return "-" if value is None else format(value, form)

    accuracies = [s["accuracy_pct"] for s in scores]
    spread = f"±{statistics.stdev(accuracies):.1f}" if len(scores) > 1 else ""
    wanted = f"≥ {target[0]} (≤ {target[1]})" if target and target[1] else f"≥ {target[0]}" if target else ""
    return (
        f"| {group} | {shown(mean('accuracy_pct'))}{spread} ({shown(mean('false_per_h'), '.0f')}) | {wanted} "
        f"| {shown(mean('dwell_f1'), '.2f')} | {shown(mean('false_presence_pct'))} "
        f"| {shown(mean('latency_p50_s'))} | {sum(s['cpu_s'] for s in scores):.1f} |"
    )


def reliability(pairs: list[tuple[float, bool]]) -> None:
    print("\n| events that say | count | mean | right |\n|---|---|---|---|")
    for low, high in itertools.pairwise(BINS):
        inside = [(c, ok) for c, ok in pairs if low <= c < high]
        if inside:
            mean = statistics.mean(c for c, _ in inside)
            right = statistics.mean(ok for _, ok in inside)
            print(f"| {low:.1f} to {min(high, 1):.1f} | {len(inside)} | {mean:.2f} | {right:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", help="groups to run, comma separated; their first words are enough")
    parser.add_argument("--map", action="store_true", help="from the map alone only")
    parser.add_argument("--calibrated", action="store_true", help="calibrated only")
    parser.add_argument("--unlearned", action="store_true", help="nothing is learned without a calibration")
    options = parser.parse_args()
    if options.unlearned:
        belief.LEARN_SURE = NEVER_SURE
    measure = Path(os.environ["GATEWAY_MEASURE_DIR"])
    sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115 - the counts of every replay
    wanted = tuple(options.sets.split(",")) if options.sets else ("",)
    for name in ("calibrated", "map"):
        if (options.map and name != "map") or (options.calibrated and name == "map"):
            continue
        print(
            f"\n**{name}**\n\n"
            "| set | accuracy % (false/h) | target | dwell f1 | false presence % | latency s | CPU s |"
        )
        print("|---|---|---|---|---|---|---|", flush=True)
        groups: dict[str, list[Case]] = {}
        for case in CASES:
            if case.group.startswith(wanted):
                groups.setdefault(case.group, []).append(case)
        pairs: list[tuple[float, bool]] = []
        for group, cases in groups.items():
            results = [run(measure, case, calibrated=name == "calibrated") for case in cases]
            pairs += [pair for _, judgements in results for pair in judgements]
            print(row(group, [score for score, _ in results], TARGETS[name].get(group)), flush=True)
        reliability(pairs)


if __name__ == "__main__":
    main()
