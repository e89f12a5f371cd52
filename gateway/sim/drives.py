"""Simulated cars around a car park, as their drivers' phones report them over MQTT (OwnTracks, JSON)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from random import Random
from typing import Final, Literal

import msgspec
from msgspec import Struct

from gateway.model import Fence, Message, Point, SiteMap
from gateway.sim.recorded import Entry, by_time

EARTH_M_PER_DEG: Final = 111_194.9266
"""Mean Earth radius 6,371,008.8 m (IUGG)."""
TICK_S: Final = 0.1

Kind = Literal["visit", "through", "past"]


class DriveModel(Struct, frozen=True):
    """How cars drive and how well phones know where they are. Speeds are assumed, for a road in a town."""

    road_kmh: float = 40.0
    turn_kmh: float = 15.0
    creep_kmh: float = 8.0
    through_kmh: float = 30.0
    approach_m: float = 250.0
    """Length of the road before and behind the car park."""
    interval_s: float = 1.0
    noise_m: float = 3.2
    """Standard deviation an axis; with it half of the fixes lie within 3.8 m and 68 % within 4.9 m, which
    GPS.gov gives for phones under open sky (van Diggelen and Enge, ION GNSS+ 2015)."""
    noise_s: float = 30.0
    """Time after which an error has forgotten 63 % (first-order Gauss-Markov); assumed."""
    delay_s: tuple[float, float] = (0.2, 0.8)
    """From the fix to its reception; assumed."""
    parked_s: float = 40.0
    """A parked car's phone falls silent after that long; assumed."""


class Car(Struct, frozen=True):
    """`visit` parks for `stay_s` and drives away, `through` cuts across, `past` stays outside."""

    vehicle: str
    """`<user>/<device>` of OwnTracks."""
    kind: Kind
    depart_s: float
    stay_s: float = 180.0


class _Knot(Struct):
    """A point of the way in metres, the speed there, and how long to stand."""

    x_m: float
    y_m: float
    speed_m_s: float
    stand_s: float = 0.0


def simulate(
    site: SiteMap,
    *,
    start_s: float,
    duration_s: float,
    seed: int,
    cars: Sequence[Car] | None = None,
    model: DriveModel | None = None,
) -> Iterator[Entry]:
    """Fixes of all cars in order of reception. ValueError when the map has no fence.

    `cars` None: one every 90 s, of which 40 % visit. They drive at the map's first car park, else its first
    fence, whose longest side is taken for the one at the road.
    """
    model = model or DriveModel()
    lot = _Lot(next((f for f in site.fences if f.kind == "car_park"), None) or _first(site.fences))
    if cars is None:
        rng = Random(f"{seed}/cars")
        kinds: list[Kind] = rng.choices(
            ["visit", "through", "past"], [4, 4, 2], k=max(1, int(duration_s // 90))
        )
        cars = [Car(f"fleet/car-{i:03d}", kind, start_s + 90.0 * i) for i, kind in enumerate(kinds)]
    end_s = start_s + duration_s
    return by_time(*(_report(car, lot, Random(f"{seed}/{car.vehicle}"), end_s, model) for car in cars))


def _first(fences: Sequence[Fence]) -> Fence:
    if not fences:
        raise ValueError("simulated drives need a fence")
    return fences[0]


class _Lot:
    """A fence in metres: x along its longest side, from that side's middle; y inward, the road at y < 0."""

    def __init__(self, fence: Fence) -> None:
        self._ring = _corners(fence)
        self._origin = self._ring[0]
        flat = [self._flat(corner) for corner in self._ring]
        sides = list(zip(flat, [*flat[1:], flat[0]], strict=True))
        (ax, ay), (bx, by) = max(sides, key=lambda side: math.dist(*side))
        length_m = math.hypot(bx - ax, by - ay)
        self._along = ((bx - ax) / length_m, (by - ay) / length_m)
        self._middle = ((ax + bx) / 2, (ay + by) / 2)
        depths = [self._inward(x, y) for x, y in flat]
        self._side = 1.0 if max(depths) > -min(depths) else -1.0
        self.depth_m = max(abs(d) for d in depths)
        self.length_m = length_m

    def degrees(self, x_m: float, y_m: float) -> Point:
        """Latitude and longitude of a place in this fence's own metres."""
        (ux, uy), y_m = self._along, y_m * self._side
        east_m, north_m = self._middle[0] + ux * x_m - uy * y_m, self._middle[1] + uy * x_m + ux * y_m
        lat, lon = self._origin
        return lat + north_m / EARTH_M_PER_DEG, lon + east_m / (EARTH_M_PER_DEG * math.cos(math.radians(lat)))

    def _flat(self, corner: Point) -> Point:
        (lat, lon), (lat0, lon0) = corner, self._origin
        east_m = (lon - lon0) * EARTH_M_PER_DEG * math.cos(math.radians(lat0))
        return east_m, (lat - lat0) * EARTH_M_PER_DEG

    def _inward(self, east_m: float, north_m: float) -> float:
        (ux, uy), (mx, my) = self._along, self._middle
        return -uy * (east_m - mx) + ux * (north_m - my)


def _corners(fence: Fence) -> Sequence[Point]:
    if fence.circle is None:
        return fence.polygons[0][0]
    lat, lon, radius_deg = fence.circle.lat_deg, fence.circle.lon_deg, fence.circle.radius_m / EARTH_M_PER_DEG
    turns = [math.tau * i / 16 for i in range(16)]
    squeeze = math.cos(math.radians(lat))
    return [(lat + radius_deg * math.sin(a), lon + radius_deg * math.cos(a) / squeeze) for a in turns]


def _way(car: Car, lot: _Lot, model: DriveModel) -> list[_Knot]:
    road, turn, creep = (kmh / 3.6 for kmh in (model.road_kmh, model.turn_kmh, model.creep_kmh))
    far_m = lot.length_m / 2 + model.approach_m
    if car.kind == "past":
        return [_Knot(-far_m, -40.0, road), _Knot(far_m, -40.0, road)]
    if car.kind == "through":
        slow, y_m = model.through_kmh / 3.6, min(12.0, lot.depth_m / 3)
        edge_m = lot.length_m / 2 + 15.0
        inside = [_Knot(-edge_m, y_m, slow), _Knot(edge_m, y_m, slow)]
        return [_Knot(-far_m, -12.0, road), *inside, _Knot(far_m, -12.0, road)]
    gate, bay = _Knot(0.0, 3.0, creep), _Knot(-lot.length_m / 5, 0.6 * lot.depth_m, 0.0, car.stay_s)
    arrive = [_Knot(-far_m, -12.0, road), _Knot(-60.0, -12.0, road), _Knot(-5.0, -12.0, turn), gate]
    leave = [gate, _Knot(5.0, -12.0, turn), _Knot(60.0, -12.0, road), _Knot(far_m, -12.0, road)]
    return [*arrive, bay, *leave]


def _drive(way: list[_Knot]) -> Iterator[tuple[float, float, float, float]]:
    """(seconds since the start, x, y, speed in m/s) every `TICK_S`; speed changes evenly with distance."""
    t_s = 0.0
    for a, b in itertools.pairwise(way):
        length_m, gone_m = math.hypot(b.x_m - a.x_m, b.y_m - a.y_m), 0.0
        while gone_m < length_m:
            part = gone_m / length_m
            speed = max(1.0, a.speed_m_s + part * (b.speed_m_s - a.speed_m_s))
            yield t_s, a.x_m + part * (b.x_m - a.x_m), a.y_m + part * (b.y_m - a.y_m), speed
            t_s, gone_m = t_s + TICK_S, gone_m + speed * TICK_S
        for _ in range(round(b.stand_s / TICK_S)):
            yield t_s, b.x_m, b.y_m, 0.0
            t_s += TICK_S


def _report(car: Car, lot: _Lot, rng: Random, end_s: float, model: DriveModel) -> Iterator[Message]:
    user, device = car.vehicle.split("/")
    error_m = [rng.gauss(0.0, model.noise_m), rng.gauss(0.0, model.noise_m)]
    keep = math.exp(-model.interval_s / model.noise_s)
    fresh_m = math.sqrt(1.0 - keep * keep) * model.noise_m
    standing_s, received_s = 0.0, 0.0
    every = round(model.interval_s / TICK_S)
    for tick, (after_s, x_m, y_m, speed_m_s) in enumerate(_drive(_way(car, lot, model))):
        standing_s = standing_s + TICK_S if speed_m_s == 0 else 0.0
        if tick % every or standing_s > model.parked_s:
            continue
        error_m = [keep * e + rng.gauss(0.0, fresh_m) for e in error_m]
        fix_s = car.depart_s + after_s
        received_s = max(received_s, fix_s + rng.uniform(*model.delay_s))
        if received_s >= end_s:
            return
        lat, lon = lot.degrees(x_m + error_m[0], y_m + error_m[1])
        location = {
            "_type": "location",
            "tst": int(fix_s),
            "lat": round(lat, 7),
            "lon": round(lon, 7),
            "acc": round(1.5 * model.noise_m),
            "vel": max(0, round(3.6 * speed_m_s + rng.gauss(0.0, 0.5))) if speed_m_s else 0,
            "tid": device[:2],
        }
        yield Message(received_s, f"owntracks/{user}/{device}", msgspec.json.encode(location))
