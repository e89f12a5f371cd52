"""A town of fences and cars, for benchmarks and tests: what there is a lot of, without a story."""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Sequence

import msgspec

from gateway.core.earth import DEGREE_M
from gateway.model import Circle, Fence, Fix, Ring

LAT, LON = 50.9, 6.9
SHRINK = math.cos(math.radians(LAT))
SIDE_M = 100_000.0


def scene(count: int, *, seed: int = 1, side_m: float = SIDE_M, polygonal: bool = False) -> list[Fence]:
    """80 % star polygons of 6 to 60 corners, 1 in 10 with a hole, 20 % circles; radius log-normal with median
    80 m and sigma 0.7; scattered over a square. `polygonal` draws the circles as 64-gons."""
    rng = random.Random(seed)
    return [_fence(rng, f"f{k}", side_m, polygonal) for k in range(count)]


def _fence(rng: random.Random, name: str, side_m: float, polygonal: bool) -> Fence:
    lat, lon = _place(rng, side_m)
    radius_m = 80.0 * math.exp(rng.gauss(0.0, 0.7))
    if rng.random() < 0.2:
        if polygonal:
            ring = _ring(lat, lon, [radius_m] * 64)
            return Fence(name, "perimeter", name, polygons=((ring,),))
        return Fence(name, "perimeter", name, circle=Circle(lat, lon, radius_m))
    reach = [rng.uniform(0.5, 1.0) * radius_m for _ in range(rng.randint(6, 60))]
    rings = [_ring(lat, lon, reach)]
    if rng.random() < 0.1:
        rings.append(_ring(lat, lon, [r * 0.4 for r in reach]))
    return Fence(name, "perimeter", name, polygons=(tuple(rings),))


def _ring(lat: float, lon: float, reach_m: Sequence[float]) -> Ring:
    steps = [(2 * math.pi * k / len(reach_m), r / DEGREE_M) for k, r in enumerate(reach_m)]
    return tuple((lat + r * math.sin(a), lon + r * math.cos(a) / SHRINK) for a, r in steps)


def _place(rng: random.Random, side_m: float) -> tuple[float, float]:
    wide = side_m / DEGREE_M
    return LAT + rng.uniform(-0.5, 0.5) * wide, LON + rng.uniform(-0.5, 0.5) * wide / SHRINK


def fixes(
    count: int, fences: Sequence[Fence], *, seed: int = 2, side_m: float = SIDE_M
) -> tuple[array[float], array[float]]:
    """Shuffled positions, latitudes and longitudes: half anywhere, half of them within
    150 m of a corner or middle of some fence if there are any."""
    rng = random.Random(seed)
    lats, lons = array("d"), array("d")
    for _ in range(count):
        lat, lon = _place(rng, side_m)
        if fences and rng.random() < 0.5:
            fence = rng.choice(fences)
            lat, lon = (
                (fence.circle.lat_deg, fence.circle.lon_deg) if fence.circle else fence.polygons[0][0][0]
            )
            lat += rng.uniform(-150, 150) / DEGREE_M
            lon += rng.uniform(-150, 150) / DEGREE_M / SHRINK
        lats.append(lat)
        lons.append(lon)
    return lats, lons


def town(count: int) -> tuple[Fence, ...]:
    """Fences of `scene`, 10 of them on each square kilometre, with dwell thresholds."""
    fences = scene(count, side_m=math.sqrt(count / 10) * 1_000.0)
    return tuple(msgspec.structs.replace(fence, dwell_s=(30.0, 120.0)) for fence in fences)


def traffic(fences: Sequence[Fence], *, cars: int, seconds: int, seed: int = 3) -> list[Fix]:
    """Cars that drive from one fence to another near by, and stop at two of three; a fix a second each, with
    3 m of noise on each axis; half of them report their speed."""
    rng = random.Random(seed)
    middles = [_middle(fence) for fence in fences]
    fixes, states = [], []
    for _ in range(cars):
        lat, lon = rng.choice(middles)
        states.append([lat + rng.gauss(0, 300) / DEGREE_M, lon, lat, lon, 0.0, rng.uniform(8, 15)])
    for second in range(seconds):
        for car, state in enumerate(states):
            speed_ms = _drive(rng, state, middles)
            t_s = 1_766_390_400.0 + second + car / cars
            lat = state[0] + rng.gauss(0, 3) / DEGREE_M
            lon = state[1] + rng.gauss(0, 3) / DEGREE_M / SHRINK
            speed_kmh = speed_ms * 3.6 if car % 2 else None
            fixes.append(Fix(t_s, t_s, f"vehicle:{car}", lat, lon, 8.0, speed_kmh, subject=f"card-{car}"))
    return fixes


def _drive(rng: random.Random, state: list[float], middles: Sequence[tuple[float, float]]) -> float:
    """One second of a car: where it is, where it goes, how long it still stands, its speed on the road."""
    lat, lon, goal_lat, goal_lon, stands_s, road_ms = state
    if stands_s > 0:
        state[4] -= 1
        return 0.0
    north_m, east_m = (goal_lat - lat) * DEGREE_M, (goal_lon - lon) * DEGREE_M * SHRINK
    away_m = math.hypot(north_m, east_m)
    if away_m < 10:
        nearest = min(rng.sample(middles, min(50, len(middles))), key=lambda p: math.dist(p, (lat, lon)))
        state[2], state[3], state[4] = *nearest, rng.choice([0, 40, 150])
        return 2.0
    speed_ms = max(2.0, road_ms * min(away_m / 60, 1.0))
    state[0] += north_m / away_m * speed_ms / DEGREE_M
    state[1] += east_m / away_m * speed_ms / DEGREE_M / SHRINK
    return speed_ms


def parked(fence: Fence, cars: int) -> list[Fix]:
    """So many cars, each of a subject of its own, come to stand in the middle of the fence and switch off."""
    lat, lon = _middle(fence)
    fixes = []
    for car in range(cars):
        for second, (south_m, kmh, ignition) in enumerate([(400, 30, True), (20, 8, True), (0, 0, False)]):
            t_s = 1_766_390_400.0 + car + second * 60
            at = lat - south_m / DEGREE_M
            fix = Fix(t_s, t_s, f"vehicle:{car}", at, lon, 5.0, float(kmh), ignition=ignition)
            fixes.append(msgspec.structs.replace(fix, subject=f"card-{car}"))
    return sorted(fixes, key=lambda fix: fix.t_s)


def _middle(fence: Fence) -> tuple[float, float]:
    if fence.circle is not None:
        return fence.circle.lat_deg, fence.circle.lon_deg
    lats, lons = zip(*fence.polygons[0][0], strict=True)
    return sum(lats) / len(lats), sum(lons) / len(lons)
