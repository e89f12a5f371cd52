"""Car parks laid around the stops and beside the roads of real drives: a recording with map and truth.

Phones at work are not like a simulator: fixes come five or six seconds apart, without accuracy, and their
errors are what they were. What the cars did is read from the same fixes, straight from one to the next. Only
stays that leave no doubt are kept: one a car and car park, not begun inside, and a drive-by that goes on.
"""

from __future__ import annotations

import csv
import gzip
import itertools
import json
import math
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

START_S = 1_766_390_400.0
DEGREE_M = 111_195.08
STOP_M, STOP_S = 25.0, 180.0
"""A stop: so long within so far of its first fix."""
NEAR_M = 150.0
"""Car parks that a drive never enters, but comes so near to, are `untouched`."""
BROKEN_S = 60.0
"""Nothing is known of what happens between fixes further apart."""
VISIT_S, PASS_S, STANDS_MS, ROLLS_MS, GRAZE_M = 180.0, 60.0, 0.3, 1.4, 5.0
"""The classes of the arrival scorer: a visit is so long and stops, a pass so short and never slower."""
HEARD_S = 15.0
"""A drive-by must be heard so long after."""

Ring = list[tuple[float, float]]


class Spot(NamedTuple):
    t_s: float
    x_m: float
    y_m: float
    speed_ms: float = 0.0


class Stay(NamedTuple):
    t_in_s: float
    t_out_s: float
    depth_m: float
    slowest_ms: float

    def kind(self) -> str:
        length_s = self.t_out_s - self.t_in_s
        if self.depth_m < GRAZE_M:
            return "graze"
        if length_s >= VISIT_S and self.slowest_ms < STANDS_MS:
            return "visit"
        return "pass_through" if length_s < PASS_S and self.slowest_ms > ROLLS_MS else "short_stop"


def make(tracks: Path, folder: Path, seed: int) -> None:
    """drives.jsonl.gz, config/site.yaml and truth.jsonl in `folder`.

    `tracks` is a csv.gz with columns trip_id, t_unix_s, lat, lon (degrees).
    """
    rng = Random(seed)
    drives, where = _read(tracks)
    lots = {
        f"lot-{n}": ring
        for n, ring in enumerate(itertools.chain.from_iterable(_lots(d, rng) for d in drives.values()))
    }
    (folder / "config").mkdir(parents=True)
    with (folder / "config" / "site.yaml").open("w") as site:
        site.write("site: {id: tracks, name: tracks, timezone: UTC}\nfences:\n")
        for name, ring in lots.items():
            corners = ", ".join("[{:.7f}, {:.7f}]".format(*where(*corner)) for corner in ring)
            site.write(f"  - {{id: {name}, kind: car_park, polygon: [{corners}]}}\n")
    lines = []
    with (folder / "truth.jsonl").open("w") as truth:
        for name, spots in drives.items():
            began_s = START_S + rng.uniform(0, 3600) - spots[0].t_s
            for spot in spots:
                lat, lon = where(spot.x_m, spot.y_m)
                at_s = began_s + spot.t_s
                lines.append((at_s, name, {"_type": "location", "tst": int(at_s), "lat": lat, "lon": lon}))
            for lot, ring in lots.items():
                for said in _truth(spots, ring, began_s):
                    truth.write(json.dumps({"device": name, "zone": lot} | said) + "\n")
    lines.sort(key=lambda line: line[:2])
    with gzip.open(folder / "drives.jsonl.gz", "wt") as recording:
        for at_s, name, payload in lines:
            mqtt = {"topic": f"owntracks/fleet/{name}", "payload": json.dumps(payload), "retain": False}
            recording.write(json.dumps({"t": round(at_s, 3), "mqtt": mqtt}) + "\n")


def _read(tracks: Path) -> tuple[dict[str, list[Spot]], Any]:
    """Drives in metres around the first fix, and what turns these into degrees; copies are left out."""
    fixes: dict[str, set[tuple[float, float, float]]] = {}
    with gzip.open(tracks, "rt") as file:
        for row in csv.DictReader(file):
            fix = float(row["t_unix_s"]), float(row["lat"]), float(row["lon"])
            fixes.setdefault(row["trip_id"], set()).add(fix)
    _, lat0, lon0 = min(next(iter(fixes.values())))
    wide = math.cos(math.radians(lat0))

    def where(x_m: float, y_m: float) -> tuple[float, float]:
        return round(lat0 + y_m / DEGREE_M, 7), round(lon0 + x_m / DEGREE_M / wide, 7)

    drives, known = {}, set()
    for name, trip in fixes.items():
        spots = [
            Spot(t, (lon - lon0) * DEGREE_M * wide, (lat - lat0) * DEGREE_M) for t, lat, lon in sorted(trip)
        ]
        if len(spots) >= 20 and spots[0] not in known:
            known.add(spots[0])
            drives[name] = spots
    return drives, where


def _lots(spots: list[Spot], rng: Random) -> Iterator[Ring]:
    """Two around each stop, two along the road."""
    i = 0
    while i < len(spots):
        j = i
        while j + 1 < len(spots) and _apart_m(spots[i], spots[j + 1]) < STOP_M:
            j += 1
        if spots[j].t_s - spots[i].t_s >= STOP_S:
            stop = spots[(i + j) // 2]
            for _ in range(2):
                yield _lot(stop, rng.uniform(0, math.pi), rng.uniform(-15, 15), rng)
            i = j
        i += 1
    for _ in range(2):
        k = rng.randrange(10, len(spots) - 5)
        here, then = spots[k], spots[k + 2]
        course = math.atan2(then.y_m - here.y_m, then.x_m - here.x_m)
        yield _lot(here, course, rng.choice((-1, 1)) * rng.uniform(5, 65), rng)


def _lot(spot: Spot, course: float, aside_m: float, rng: Random) -> Ring:
    """About 85 by 60 metres, along a course, its middle so far to the left."""
    w, d = rng.uniform(60, 110) / 2, rng.uniform(45, 75) / 2
    along, left = (math.cos(course), math.sin(course)), (-math.sin(course), math.cos(course))
    x, y = spot.x_m + left[0] * aside_m, spot.y_m + left[1] * aside_m
    corners = (-w, -d), (w, -d), (w - 6, d), (4 - w, d)
    return [(x + along[0] * a + left[0] * b, y + along[1] * a + left[1] * b) for a, b in corners]


def _truth(spots: list[Spot], ring: Ring, began_s: float) -> list[dict[str, Any]]:
    """What there is to say of a drive and a car park: nothing, if it is far off or in doubt."""
    (left, right), (low, high) = ((min(c) - NEAR_M, max(c) + NEAR_M) for c in zip(*ring, strict=True))
    way = [s for s in _way(spots) if left < s.x_m < right and low < s.y_m < high]
    if not way:
        return []
    stays = _stays(way, ring)
    if not stays:
        return [{"t_in": None, "t_out": None, "class": "untouched"}]
    last_s = spots[-1].t_s
    if len(stays) > 1 or stays[0].t_in_s - spots[0].t_s < STOP_S / 3:
        return []
    stay, kind = stays[0], stays[0].kind()
    if kind == "pass_through" and last_s < stay.t_out_s + HEARD_S:
        return []
    went_on = last_s > stay.t_out_s + 20.0
    return [
        {"t_in": began_s + stay.t_in_s, "t_out": began_s + stay.t_out_s, "class": kind, "went_on": went_on}
    ]


def _way(spots: list[Spot]) -> Iterator[Spot]:
    """The drive second by second."""
    for a, b in itertools.pairwise(spots):
        gap_s = b.t_s - a.t_s
        if gap_s <= BROKEN_S:
            speed_ms = _apart_m(a, b) / gap_s
            for k in range(max(1, int(gap_s))):
                part = k / gap_s
                x_m, y_m = a.x_m + part * (b.x_m - a.x_m), a.y_m + part * (b.y_m - a.y_m)
                yield Spot(a.t_s + k, x_m, y_m, speed_ms)


def _stays(way: list[Spot], ring: Ring) -> list[Stay]:
    stays = []
    for inside, group in itertools.groupby(way, lambda s: _inside(ring, s)):
        if inside:
            run = list(group)
            depth_m = max(_depth_m(ring, s) for s in run)
            stays.append(Stay(run[0].t_s, run[-1].t_s + 1, depth_m, min(s.speed_ms for s in run)))
    return stays


def _apart_m(a: Spot, b: Spot) -> float:
    return math.hypot(b.x_m - a.x_m, b.y_m - a.y_m)


def _inside(ring: Ring, spot: Spot) -> bool:
    """Even-odd rule."""
    inside = False
    for (x1, y1), (x2, y2) in zip(ring, ring[1:] + ring[:1], strict=True):
        if (y1 > spot.y_m) != (y2 > spot.y_m):
            inside ^= spot.x_m < x1 + (spot.y_m - y1) / (y2 - y1) * (x2 - x1)
    return inside


def _depth_m(ring: Ring, spot: Spot) -> float:
    """To the nearest border."""
    nearest_m = math.inf
    for (x1, y1), (x2, y2) in zip(ring, ring[1:] + ring[:1], strict=True):
        dx, dy = x2 - x1, y2 - y1
        part = ((spot.x_m - x1) * dx + (spot.y_m - y1) * dy) / (dx * dx + dy * dy)
        part = min(max(part, 0.0), 1.0)
        nearest_m = min(nearest_m, math.hypot(spot.x_m - x1 - part * dx, spot.y_m - y1 - part * dy))
    return nearest_m
