"""Drives on a straight road past, through and into a car park, as noisy fixes with truth.

Kept apart from the simulator that ships with the gateway: what one of them gets wrong about cars or receivers
is not tuned into the core unseen. Errors are correlated (first-order Gauss-Markov, 30 s), 0.5 % are outliers.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from random import Random
from typing import Literal, NamedTuple

from gateway.model import Fence, Fix, Point

Kind = Literal["visit", "queue", "through", "slow", "light", "beside"]
KINDS: tuple[Kind, ...] = ("visit", "visit", "queue", "through", "slow", "light", "beside", "beside")
START_S = 1_766_390_400.0
LAT, LON, DEGREE_M = 50.9, 6.9, 111_195.08
ERROR_S, OUTLIERS, OUTLIER_M = 30.0, 0.005, 60.0
TICK_S = 0.2


class Drive(NamedTuple):
    kind: Kind
    fence: Fence
    fixes: list[Fix]
    t_in_s: float | None
    """When the car truly crossed into the fence; None: never."""
    t_out_s: float | None
    """None: never, or not any more."""


class Leg(NamedTuple):
    x_m: float
    y_m: float
    kmh: float
    stand_s: float = 0.0


def place(x_m: float, y_m: float) -> Point:
    return LAT + y_m / DEGREE_M, LON + x_m / DEGREE_M / math.cos(math.radians(LAT))


def make(number: int, seed: int, *, interval_s: float = 1.0, sigma_m: float = 5.0) -> list[Drive]:
    """So many drives, kinds in turn, each at a lot of its own."""
    return [
        _drive(i, KINDS[i % len(KINDS)], Random(f"{seed}/{i}"), interval_s, sigma_m) for i in range(number)
    ]


def _drive(i: int, kind: Kind, rng: Random, interval_s: float, sigma_m: float) -> Drive:
    wide_m, deep_m = rng.uniform(50, 110), rng.uniform(45, 80)
    # The road is y = 0; a lot that cars cross covers it, a lot that they pass begins beside it.
    near_m = {"through": rng.uniform(-25, -9), "slow": rng.uniform(-25, -9)}.get(kind, rng.uniform(3, 30))
    box = (-wide_m / 2, near_m, wide_m / 2, near_m + deep_m)
    ring = tuple(
        place(x, y) for x, y in ((box[0], box[1]), (box[2], box[1]), (box[2], box[3]), (box[0], box[3]))
    )
    fence = Fence(f"lot-{i}", "car_park", f"lot-{i}", polygons=((ring,),), dwell_s=(120.0,))
    path = list(_path(_legs(kind, rng, box), rng))
    inside = [t for t, x, y, _ in path if box[0] <= x <= box[2] and box[1] <= y <= box[3]]
    t_in = START_S + inside[0] if inside else None
    t_out = START_S + inside[-1] if inside and inside[-1] < path[-1][0] else None
    return Drive(kind, fence, _fixes(f"car-{i}", path, rng, interval_s, sigma_m), t_in, t_out)


def _legs(kind: Kind, rng: Random, box: Sequence[float]) -> list[Leg]:
    west, south, east, north = box
    road = rng.uniform(30, 55)
    if kind in ("through", "beside"):
        return [Leg(-300, 0, road), Leg(250, 0, road)]
    if kind == "slow":
        crawl = rng.uniform(13, 22)
        return [Leg(-150, 0, crawl), Leg(150, 0, crawl)]
    if kind == "light":
        stop = rng.uniform(west - 20, east)
        return [
            Leg(-300, 0, road),
            Leg(stop - 40, 0, road),
            Leg(stop, 0, 4, rng.uniform(10, 60)),
            Leg(stop + 40, 0, road),
            Leg(300, 0, road),
        ]
    gate, bay = (
        west + 0.2 * (east - west),
        Leg(
            rng.uniform(west + 8, east - 8),
            rng.uniform(south + 0.4 * (north - south), north - 8),
            6,
            rng.uniform(180, 240),
        ),
    )
    wait_s = rng.uniform(20, 60) if kind == "queue" else 0.0
    creep = rng.uniform(8, 15)
    come = [
        Leg(-300, 0, road),
        Leg(gate - 40, 0, road),
        Leg(gate - 3, 0, creep, wait_s),
        Leg(gate, south, creep),
        Leg(gate, (south + bay.y_m) / 2, creep),
        bay,
    ]
    return [*come, Leg(gate, south, 10), Leg(gate + 4, 0, 12), Leg(gate + 50, 0, road), Leg(300, 0, road)]


def _path(legs: Sequence[Leg], rng: Random) -> Iterator[tuple[float, float, float, float]]:
    """(seconds, x, y, km/h); between two legs the speed changes evenly with the distance."""
    t_s, ripple = 0.0, rng.uniform(0, math.tau)
    for a, b in itertools.pairwise(legs):
        length_m, gone_m = math.dist(a[:2], b[:2]), 0.0
        while gone_m < length_m:
            part = gone_m / length_m
            kmh = max(a.kmh + part * (b.kmh - a.kmh), 3.0) * (1 + 0.08 * math.sin(t_s / 7 + ripple))
            yield t_s, a.x_m + part * (b.x_m - a.x_m), a.y_m + part * (b.y_m - a.y_m), kmh
            t_s, gone_m = t_s + TICK_S, gone_m + kmh / 3.6 * TICK_S
        for _ in range(round(b.stand_s / TICK_S)):
            yield t_s, b.x_m, b.y_m, 0.0
            t_s += TICK_S


def _fixes(
    car: str, path: Sequence[tuple[float, ...]], rng: Random, interval_s: float, sigma_m: float
) -> list[Fix]:
    error = [rng.gauss(0, sigma_m), rng.gauss(0, sigma_m)]
    keep = math.exp(-interval_s / ERROR_S)
    fresh_m, says_speed = math.sqrt(1 - keep * keep) * sigma_m, rng.random() < 0.5
    every, out = round(interval_s / TICK_S), []
    for t_s, x_m, y_m, kmh in path[rng.randrange(every) :: every]:
        error = [keep * e + rng.gauss(0, fresh_m) for e in error]
        wild = rng.random() < OUTLIERS
        dx, dy = (rng.gauss(0, OUTLIER_M), rng.gauss(0, OUTLIER_M)) if wild else (0.0, 0.0)
        lat, lon = place(x_m + error[0] + dx, y_m + error[1] + dy)
        speed = max(0.0, kmh + rng.gauss(0, 1)) if says_speed else None
        accuracy_m = 80.0 if wild else 1.5 * sigma_m
        t = START_S + t_s
        out.append(Fix(t, t, f"vehicle:{car}", lat, lon, accuracy_m, speed, subject=car))
    return out
