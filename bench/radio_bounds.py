"""What holds radio zones back on one set: the price of fewer false changes, how soon outside can be known.

usage: GATEWAY_MEASURE_DIR=… python bench/radio_bounds.py [--set sim16] [--drop r03,r20]

1. Thresholds: accuracy against false changes and delay, calibrated and from the map alone.
2. Favour of places where nobody walked: false presence against accuracy (needs --drop).
3. Oracle: the gateway's own reports, but from so many seconds after somebody has left all zones of the map
   until the return nothing is reported (needs --drop).
4. Evidence of outside, second by second: belief against the misfit of the best zone, each as the probability
   that a second outside scores higher than one inside (area under the ROC curve; needs --drop).
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import re
import sys
import tempfile
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from accuracy_radio import START_S
from measuring import replayed, tool

from gateway import recording
from gateway.assembly import for_surveys
from gateway.core import radio
from gateway.core.belief import CLIP, Beliefs
from gateway.core.listening import Ears
from gateway.core.propagation import OUTSIDE, radio_map
from gateway.counts import Counts
from gateway.identity import EveryDevice, Identification
from gateway.model import Message, Reading, Sighting
from gateway.settings import load_site
from gateway.verbs import calibrate

THRESHOLDS = ((0.7, 0.7), (0.8, 0.8), (0.8, 0.99), (0.9, 0.9), (0.9, 0.99), (0.95, 0.99), (0.98, 0.995))
FAVOURS = (0.0, 0.5, 1.2, 2.0, 3.0)
DELAYS_S = (0, 1, 2, 3, 5, 8)
Truth = dict[str, dict[int, str]]


def scored(measure: Path, folder: Path, reports: str) -> dict[str, Any]:
    path = folder / "reports.csv"
    path.write_text(reports)
    score: dict[str, Any] = json.loads(tool(measure, "score_zones.py", folder / "truth.csv", path))
    return score


def reports_of(measure: Path, folder: Path) -> str:
    replayed(folder / "test.jsonl", folder / "config", folder / "presence.jsonl")
    return tool(measure, "presence_to_reports.py", folder / "presence.jsonl", folder / "tags.csv")


def line(name: str, score: dict[str, Any]) -> None:
    ghosts = score["false_presence_pct"]
    print(
        f"| {name} | {score['accuracy_pct']:.1f} | {score['false_per_h']:.0f} | {score['dwell_f1']:.2f} "
        f"| {score['latency_p50_s']:.0f} | {'-' if ghosts is None else f'{ghosts:.1f}'} |",
        flush=True,
    )


def heading(text: str) -> None:
    print(f"\n**{text}**\n\n| | accuracy % | false/h | dwell f1 | latency s | false presence % |")
    print("|---|---|---|---|---|---|", flush=True)


def thresholds(measure: Path, folder: Path, name: str) -> None:
    heading(f"{name}: probability to move, and soon after a move")
    kept = radio.THETA, radio.THETA_MAP, radio.NEW_THETA, radio.NEW_THETA_MAP
    for theta, soon in THRESHOLDS:
        radio.THETA = radio.THETA_MAP = theta
        radio.NEW_THETA = radio.NEW_THETA_MAP = soon
        line(f"{theta}, {soon}", scored(measure, folder, reports_of(measure, folder)))
    radio.THETA, radio.THETA_MAP, radio.NEW_THETA, radio.NEW_THETA_MAP = kept


def favours(measure: Path, folder: Path) -> None:
    heading("favour of places where nobody walked, evidence a second")
    path = folder / "config" / "calibration.yaml"
    walked = path.read_text()
    for favour in FAVOURS:
        path.write_text(re.sub(r"outside_evidence: \S+", f"outside_evidence: {favour}", walked))
        line(f"{favour}", scored(measure, folder, reports_of(measure, folder)))
    path.write_text(walked)


def truth_of(folder: Path) -> Truth:
    truth: Truth = {}
    for row in csv.DictReader((folder / "truth.csv").open()):
        truth.setdefault(row["tag_id"], {})[int(float(row["t_s"]))] = row["zone"]
    return truth


def oracle(measure: Path, folder: Path) -> None:
    heading("outside is known for certain after so many seconds")
    truth, said = truth_of(folder), list(csv.DictReader(reports_of(measure, folder).splitlines()))
    for delay_s in DELAYS_S:
        rows = ["t_s,tag_id,zone"]
        for tag, zones in truth.items():
            changes = [(float(row["t_s"]), row["zone"]) for row in said if row["tag_id"] == tag]
            rows += [f"{t_s},{tag},{zone}" for t_s, zone in _silenced(changes, zones, delay_s)]
        line(f"{delay_s} s", scored(measure, folder, "\n".join(rows) + "\n"))


def _silenced(
    changes: Sequence[tuple[float, str]], zones: dict[int, str], delay_s: int
) -> Iterator[tuple[int, str]]:
    """Second by second what was said, but nothing while this one and the last `delay_s` were outside."""
    times = [t_s for t_s, _ in changes]
    for t_s in range(max(zones) + 1):
        at = bisect_right(times, t_s)
        known = all(zones.get(t_s - d) == "-" for d in range(delay_s + 1))
        yield t_s, "" if known or at == 0 else changes[at - 1][1]


def evidence(folder: Path) -> None:
    """Seconds inside (any zone of the map) against seconds outside."""
    site, truth = load_site(folder / "config"), truth_of(folder)
    tags = {row["subject"]: row["tag_id"] for row in csv.DictReader((folder / "tags.csv").open())}
    profiles, keys = for_surveys(folder / "config", site, lambda _: None)
    identification = Identification(site, profiles, EveryDevice(), Counts(), keys)
    heard: dict[str, list[Reading]] = {}
    for entry in recording.read_labelled(folder / "test.jsonl"):
        if isinstance(entry, Sighting | Message):
            for _, observation in identification.heard(entry):
                if isinstance(observation, Reading) and observation.device in tags:
                    heard.setdefault(tags[observation.device], []).append(observation)
    model = radio_map(site)
    spots = [spot for spot in model.spots if spot.zone != OUTSIDE]
    seconds: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    for tag, readings in heard.items():
        ears, beliefs = Ears(len(model.links)), Beliefs(model, site.device_class)
        now_s = math.floor(readings[0].t_s) + 1.0
        beliefs.clear(0, now_s)
        for reading in readings:
            while reading.t_s > now_s:
                zone = truth.get(tag, {}).get(int(now_s - START_S))
                fresh = ears.heard(0, now_s)
                if beliefs.step(0, ears, now_s) and zone:
                    misfit = min(
                        sum(
                            min(((dbm - spot.links[r].mu_dbm) / spot.links[r].sd_db) ** 2, 2 * CLIP)
                            for r, dbm in fresh
                        )
                        for spot in spots
                    )
                    seconds[zone == "-"].append((beliefs.by_zone(0)[-1], misfit / len(fresh)))
                now_s += 1.0
            ears.hear(0, model.links.index(reading.link), reading.rssi_dbm, reading.t_s)
    print("\n**evidence of outside**\n\n| | outside above inside |\n|---|---|")
    for i, name in enumerate(("belief in outside", "misfit of the best zone")):
        print(f"| {name} | {_above(*([s[i] for s in seconds[out]] for out in (True, False))):.2f} |")


def _above(high: Sequence[float], low: Sequence[float]) -> float:
    """Probability that one of `high` is above one of `low`; equal counts half (Mann and Whitney 1947)."""
    below = sorted(low)
    wins = sum((bisect_left(below, x) + bisect_right(below, x)) / 2 for x in high)
    return wins / (len(high) * len(low))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--set", default="sim16")
    parser.add_argument("--drop", help="zones that the map does not have, comma separated")
    options = parser.parse_args()
    measure = Path(os.environ["GATEWAY_MEASURE_DIR"])
    sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115 - the counts of every replay
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        more = ("--drop-zones", options.drop) if options.drop else ()
        tool(measure, "rssi_to_recording.py", measure / "data" / "rssi" / options.set, folder, *more)
        thresholds(measure, folder, "from the map alone")
        wanted_walk = calibrate.Wanted(folder / "config", None, True)
        calibrate.from_recording(folder / "train.jsonl", wanted_walk, lambda _: None)
        thresholds(measure, folder, "calibrated")
        if options.drop:
            favours(measure, folder)
            oracle(measure, folder)
            evidence(folder)


if __name__ == "__main__":
    main()
