"""Simulated cars around car parks, as their drivers' phones report them over MQTT (OwnTracks, JSON)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from random import Random
from typing import Final, Literal

import msgspec
from msgspec import Struct

from gateway.model import Message, SiteMap
from gateway.sim.lots import Lot
from gateway.sim.recorded import Entry, by_time

TICK_S: Final = 0.1

Kind = Literal["visit", "drop_off", "through", "past", "slow", "light"]
SHARES: Final[dict[Kind, float]] = {
    "visit": 0.25, "drop_off": 0.05, "through": 0.2, "past": 0.35, "slow": 0.08, "light": 0.07,
}  # fmt: skip
"""How often each kind of drive comes; assumed."""


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
    outliers: float = 0.0
    """Share of fixes that are off by `outlier_m` an axis and say so in their accuracy."""
    outlier_m: float = 60.0
    lost: float = 0.0
    """Share of fixes that never arrive."""
    late: float = 0.0
    """Share of fixes that arrive `late_s` after their time."""
    late_s: tuple[float, float] = (5.0, 25.0)


STREET: Final = DriveModel(outliers=0.005, lost=0.02)
"""As things are: some fixes far off, some lost."""


class Car(Struct, frozen=True):
    """The plan of one drive.

    `visit` parks for `stay_s` and drives away, `drop_off` stops inside for `stay_s`, `through` cuts across
    without stopping, `past` stays outside, `slow` crawls past, `light` waits beside the fence for `wait_s`.
    """

    vehicle: str
    """`<user>/<device>` of OwnTracks."""
    kind: Kind
    depart_s: float
    stay_s: float = 180.0
    wait_s: float = 0.0
    """A queue before the entrance (`visit`), a red light (`light`)."""
    road_m: float = -12.0
    """The road's y: how far outside the fence it runs."""
    pace: float = 1.0
    """Of this driver, against the model's speeds."""
    stays: bool = False
    """Does not drive away again."""
    interval_s: float | None = None
    """None: the model's."""
    reports_speed: bool = True
    fence: str | None = None
    """Where; None: the map's first car park."""


class _Knot(Struct):
    """A point of the way in metres, the speed there, and how long to stand."""

    x_m: float
    y_m: float
    speed_m_s: float
    stand_s: float = 0.0


class Tick(Struct, frozen=True, gc=False):
    """Where a car really is, in its lot's metres."""

    after_s: float
    """Since departure."""
    x_m: float
    y_m: float
    speed_m_s: float


class Report(Struct, frozen=True):
    """One fix as it is received, and when it was made."""

    fix_s: float
    message: Message


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

    `cars` None: those of `traffic`. At a fence, the longest side is taken for the one at the road.
    """
    model = model or DriveModel()
    lots = lots_of(site)
    if cars is None:
        cars = traffic(site, start_s=start_s, duration_s=duration_s, seed=seed)
    end_s = start_s + duration_s

    def heard(car: Car) -> Iterator[Message]:
        messages = (report.message for report in reports(car, lots, seed, model))
        return itertools.takewhile(lambda message: message.t_s < end_s, messages)

    return by_time(*map(heard, cars))


def traffic(
    site: SiteMap,
    *,
    start_s: float,
    duration_s: float,
    seed: int,
    every_s: float = 90.0,
    interval_s: Sequence[float | None] = (None,),
) -> list[Car]:
    """A car every `every_s` at one of the map's fences, of all kinds; each reports at one of `interval_s`."""
    rng, fences = Random(f"{seed}/cars"), sorted(lots_of(site))
    cars = []
    for n in range(max(1, int(duration_s // every_s))):
        kind = rng.choices(list(SHARES), list(SHARES.values()))[0]
        cars.append(
            Car(
                f"fleet/car-{n:04d}",
                kind,
                start_s + every_s * n,
                stay_s=rng.uniform(20, 80) if kind == "drop_off" else rng.uniform(185, 420),
                wait_s=rng.uniform(10, 90) if kind == "light" or rng.random() < 1 / 6 else 0.0,
                road_m=rng.uniform(-25.0, -7.0),
                pace=rng.uniform(0.7, 1.4),
                stays=kind == "visit" and rng.random() < 0.5,
                interval_s=rng.choice(interval_s),
                reports_speed=rng.random() < 0.5,
                fence=rng.choice(fences),
            )
        )
    return cars


def lots_of(site: SiteMap) -> dict[str, Lot]:
    """The map's fences by id, its first car park first. ValueError when there is none."""
    fences = sorted(site.fences, key=lambda fence: fence.kind != "car_park")
    if not fences:
        raise ValueError("simulated drives need a fence")
    return {fence.id: Lot(fence) for fence in fences}


def lot_of(car: Car, lots: dict[str, Lot]) -> Lot:
    return lots[car.fence] if car.fence is not None else next(iter(lots.values()))


def ticks(car: Car, lot: Lot, model: DriveModel) -> Iterator[Tick]:
    """The way really driven, every `TICK_S`; speed changes evenly with distance."""
    t_s = 0.0
    for a, b in itertools.pairwise(_way(car, lot, model)):
        length_m, gone_m = math.hypot(b.x_m - a.x_m, b.y_m - a.y_m), 0.0
        while gone_m < length_m:
            part = gone_m / length_m
            speed = max(1.0, a.speed_m_s + part * (b.speed_m_s - a.speed_m_s))
            yield Tick(t_s, a.x_m + part * (b.x_m - a.x_m), a.y_m + part * (b.y_m - a.y_m), speed)
            t_s, gone_m = t_s + TICK_S, gone_m + speed * TICK_S
        for _ in range(round(b.stand_s / TICK_S)):
            yield Tick(t_s, b.x_m, b.y_m, 0.0)
            t_s += TICK_S


def reports(car: Car, lots: dict[str, Lot], seed: int, model: DriveModel) -> list[Report]:
    """What is received of a drive, in order of reception."""
    rng, lot = Random(f"{seed}/{car.vehicle}"), lot_of(car, lots)
    error_m = [rng.gauss(0.0, model.noise_m), rng.gauss(0.0, model.noise_m)]
    interval_s = car.interval_s or model.interval_s
    keep = math.exp(-interval_s / model.noise_s)
    fresh_m = math.sqrt(1.0 - keep * keep) * model.noise_m
    every, standing_s, received_s = round(interval_s / TICK_S), 0.0, 0.0
    found = []
    for number, tick in enumerate(ticks(car, lot, model)):
        standing_s = standing_s + TICK_S if tick.speed_m_s == 0 else 0.0
        if number % every or standing_s > model.parked_s:
            continue
        error_m = [keep * e + rng.gauss(0.0, fresh_m) for e in error_m]
        fix_s = car.depart_s + tick.after_s
        received_s = max(received_s, fix_s + rng.uniform(*model.delay_s))
        wild = model.outliers > 0.0 and rng.random() < model.outliers
        off_m = [e + rng.gauss(0.0, model.outlier_m) for e in error_m] if wild else error_m
        location = _location(car, rng, lot.degrees(tick.x_m + off_m[0], tick.y_m + off_m[1]), fix_s, tick)
        location["acc"] = round(1.5 * (model.outlier_m if wild else model.noise_m))
        late_s = rng.uniform(*model.late_s) if model.late > 0.0 and rng.random() < model.late else 0.0
        if model.lost == 0.0 or rng.random() >= model.lost:
            topic = f"owntracks/{car.vehicle}"
            found.append(Report(fix_s, Message(received_s + late_s, topic, msgspec.json.encode(location))))
    return sorted(found, key=lambda report: report.message.t_s)


def _location(
    car: Car, rng: Random, place: tuple[float, float], fix_s: float, tick: Tick
) -> dict[str, str | float]:
    lat, lon = place
    device = car.vehicle.split("/")[1]
    location: dict[str, str | float] = {"_type": "location", "tst": int(fix_s), "lat": round(lat, 7),
                                        "lon": round(lon, 7), "tid": device[:2]}  # fmt: skip
    speed_kmh = 3.6 * tick.speed_m_s
    if car.reports_speed:
        location["vel"] = max(0, round(speed_kmh + rng.gauss(0.0, 0.5))) if speed_kmh else 0
    return location


def _way(car: Car, lot: Lot, model: DriveModel) -> list[_Knot]:
    road, turn, creep = (car.pace * kmh / 3.6 for kmh in (model.road_kmh, model.turn_kmh, model.creep_kmh))
    far_m, y_m = lot.length_m / 2 + model.approach_m, car.road_m
    come, go = _Knot(-far_m, y_m, road), _Knot(far_m, y_m, road)
    match car.kind:
        case "past":
            away_m = min(y_m, -40.0)
            return [_Knot(-far_m, away_m, road), _Knot(far_m, away_m, road)]
        case "slow":
            return [_Knot(-far_m, y_m, creep * 2), _Knot(far_m, y_m, creep * 2)]
        case "light":
            return [come, _Knot(-lot.length_m / 5, y_m, 0.0, car.wait_s), go]
        case "through":
            slow, inside_m = car.pace * model.through_kmh / 3.6, min(12.0, lot.depth_m / 3)
            edge_m = lot.length_m / 2 + 15.0
            return [come, _Knot(-edge_m, inside_m, slow), _Knot(edge_m, inside_m, slow), go]
    gate, bay = _Knot(0.0, 3.0, creep), _Knot(-lot.length_m / 5, 0.6 * lot.depth_m, 0.0, car.stay_s)
    queue = _Knot(-5.0, y_m, 0.0 if car.wait_s else turn, car.wait_s)
    arrive = [come, _Knot(-60.0, y_m, road), queue, gate, bay]
    return arrive if car.stays else [*arrive, gate, _Knot(5.0, y_m, turn), _Knot(60.0, y_m, road), go]
