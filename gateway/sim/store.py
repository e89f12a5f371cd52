"""A simulated store: shoppers walk from shelf to shelf, and receivers report over MQTT what they hear.

Everybody draws from a generator of their own: the same seed gives the same signals, and one shopper more
changes nothing for the others. Zones are taken for convex, and all of them for one floor.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from random import Random

import msgspec
from msgspec import Struct

from gateway.model import Anchor, Message, Point, ReceiverState, SiteMap, Zone
from gateway.sim import air
from gateway.sim.air import Air, Heard, Phone, Step
from gateway.sim.recorded import Entry, Label, by_time
from gateway.sim.shadows import Shadows

SHOPPERS_UUID = "5f3a9c1e-8b7d-4c52-9e60-2d4f81a7b3c6"
"""Proximity UUID of the phones that `simulate` makes up."""
SHOPPER_EVERY_S = 120
LONGEST_VISIT_S = 240


class StoreModel(Struct, frozen=True):
    """How people move and how their phones and the receivers are set."""

    speed_m_s: float = 1.0
    """Strolling; at ease people walk at 1.3 m/s (Bohannon, Age and Ageing 26, 1997)."""
    stand_s: tuple[float, float] = (25.0, 90.0)
    """Time at one stop, uniform; assumed."""
    fidget_s: tuple[float, float] = (4.0, 12.0)
    """Time between two small moves at a stop; assumed."""
    interval_s: float = 0.25
    """Between two advertisements: Android's ADVERTISE_MODE_BALANCED."""
    foreign_interval_s: float = 1.0
    """Android's ADVERTISE_MODE_LOW_POWER."""
    report_s: float = 1.0
    """How often a receiver says what it heard."""
    wall_db: float = 6.9
    """A heavy wall, between people outside and the receivers (COST 231, Final Report, table 4.7.2)."""
    beside_m: tuple[float, float] = (2.0, 8.0)
    """How far from the outermost zone they walk, uniform; assumed."""
    air: Air = Air()


FURNISHED = StoreModel(air=Air(shadowing_sd_db=2.0, standing_sd_db=4.5))
"""A store whose shelves stand where they stood when it was calibrated."""


class Trouble(Struct, frozen=True):
    """What goes wrong in a real store."""

    outside: int = 0
    """People with enrolled phones who walk past beside the store and never come in."""
    drift_db: float = 0.0
    """Spread of what each receiver's level has changed by since the calibration: shelves filled, a receiver
    turned."""
    dead: tuple[str, ...] = ()
    """Receivers that hear nothing in the second half."""
    will: bool = False
    """They say so, by their last will."""


class Shopper(Struct, frozen=True):
    """Somebody with a phone that sends an iBeacon."""

    identity: str
    """`ibeacon:<uuid>:<major>:<minor>`"""
    arrive_s: float
    stops: tuple[str, ...] = ()
    """Zone ids in the order of the visit; empty: drawn among the shelves."""


def simulate(
    site: SiteMap,
    *,
    start_s: float,
    duration_s: float,
    seed: int,
    shoppers: Sequence[Shopper] | None = None,
    foreign: int = 8,
    model: StoreModel | None = None,
    trouble: Trouble | None = None,
) -> Iterator[Entry]:
    """Receivers' reports in the generic raw form and, for the shoppers, where they really stood.

    `shoppers` None: one every two minutes. `foreign`: phones that nobody enrolled. Nothing comes after
    `duration_s`. ValueError when the map has no zone or no receiver with a place, or lacks a dead one.
    """
    model, trouble = model or StoreModel(), trouble or Trouble()
    places, receivers = _placed(site)
    drift_db = [Random(f"{seed}/drift/{r.id}").gauss(0.0, trouble.drift_db) for r in receivers]
    hearing = air.Site(receivers, drift_db, _shadows(receivers, seed, model.air))
    end_s = start_s + duration_s
    labels: list[Iterator[Label]] = []
    heard: list[Iterator[Heard]] = []
    for shopper in _one_after_another(start_s, duration_s) if shoppers is None else shoppers:
        rng = Random(f"{seed}/{shopper.identity}")
        walk = _walk(rng, places, shopper.arrive_s, shopper.stops, model)
        address = air.random_address(rng, air.STATIC)
        phone = Phone(address, air.ibeacon(shopper.identity), model.interval_s, walk)
        labels.append(_labels(walk, shopper.identity, end_s))
        heard.append(air.heard(rng, phone, hearing, model.air))
    for i in range(trouble.outside):
        rng = Random(f"{seed}/outside/{i}")
        walk = _past(rng, places, start_s + rng.uniform(0.0, 0.8 * duration_s), model)
        identity = f"ibeacon:{SHOPPERS_UUID}:2:{i + 1}"
        address = air.random_address(rng, air.STATIC)
        phone = Phone(address, air.ibeacon(identity), model.interval_s, walk, model.wall_db)
        labels.append(iter([Label(start_s, identity, None)]))
        heard.append(air.heard(rng, phone, hearing, model.air))
    for i in range(foreign):
        rng = Random(f"{seed}/foreign/{i}")
        walk = _walk(rng, places, start_s + rng.uniform(0.0, 0.8 * duration_s), (), model)
        address = air.random_address(rng, air.RESOLVABLE)
        phone = Phone(address, air.unknown(rng, i), model.foreign_interval_s, walk)
        heard.append(air.heard(rng, phone, hearing, model.air))
    middle_s = start_s + duration_s / 2
    dead = _numbers(trouble.dead, receivers)
    alive = (h for h in heapq.merge(*heard) if h.receiver not in dead or h.t_s < middle_s)
    topics = [f"receivers/v1/{site.site}/{receiver.id}" for receiver in receivers]
    wills = [ReceiverState(middle_s, receivers[i].id, False) for i in sorted(dead) if trouble.will]
    return by_time(*labels, _reports(alive, topics, start_s, end_s, every_s=model.report_s), wills)


def calibration_walk(
    site: SiteMap, *, start_s: float, stand_s: float, seed: int, model: StoreModel | None = None
) -> Iterator[Entry]:
    """One phone that stands in every zone of the map, one after the other, and says where (ValueError as
    `simulate`). It goes about the zone, as one who calibrates should."""
    model = msgspec.structs.replace(model or StoreModel(), stand_s=(stand_s, stand_s))
    places, receivers = _placed(site)
    parents = {zone.part_of for zone in site.zones}
    shopper = Shopper(f"ibeacon:{SHOPPERS_UUID}:3:1", start_s, tuple(z for z in places if z not in parents))
    rng = Random(f"{seed}/walk")
    walk = _walk(rng, places, start_s, shopper.stops, model)
    phone = Phone(air.random_address(rng, air.STATIC), air.ibeacon(shopper.identity), model.interval_s, walk)
    heard = air.heard(rng, phone, air.Site(receivers, (), _shadows(receivers, seed, model.air)), model.air)
    end_s = walk[-1].t_s
    topics = [f"receivers/v1/{site.site}/{receiver.id}" for receiver in receivers]
    reports = _reports(heard, topics, start_s, end_s, every_s=model.report_s)
    return by_time(_labels(walk, shopper.identity, end_s), reports)


def _shadows(receivers: Sequence[Anchor], seed: int, model: Air) -> Shadows | None:
    if not model.standing_sd_db:
        return None
    names = [receiver.id for receiver in receivers]
    return Shadows(f"{seed}/shadows", names, sd_db=model.standing_sd_db, forgets_m=model.shadowing_m)


def _placed(site: SiteMap) -> tuple[dict[str, Zone], list[Anchor]]:
    places = {zone.id: zone for zone in site.zones if zone.polygon or zone.at}
    receivers = [r for r in site.receivers if r.at is not None]
    if not places or not receivers:
        raise ValueError("a simulated store needs zones and receivers with a place")
    return places, receivers


def _numbers(names: Sequence[str], receivers: Sequence[Anchor]) -> set[int]:
    known = {receiver.id: i for i, receiver in enumerate(receivers)}
    for name in names:
        if name not in known:
            raise ValueError(f"no receiver '{name}' with a place in the map")
    return {known[name] for name in names}


def _one_after_another(start_s: float, duration_s: float) -> Iterator[Shopper]:
    for i, after_s in enumerate(range(0, max(1, int(duration_s) - LONGEST_VISIT_S), SHOPPER_EVERY_S), 1):
        yield Shopper(f"ibeacon:{SHOPPERS_UUID}:1:{i}", start_s + after_s)


def _walk(
    rng: Random, places: Mapping[str, Zone], arrive_s: float, stops: Sequence[str], model: StoreModel
) -> list[Step]:
    """In by the entrance, from stop to stop, out again; at a stop a small move every few seconds."""
    door = next((zone for zone in places.values() if zone.kind == "entrance"), next(iter(places.values())))
    shelves = [zone.id for zone in places.values() if zone.kind == "shelf"] or list(places)
    chosen = stops or rng.sample(shelves, min(len(shelves), rng.randint(2, 4)))
    steps = [Step(arrive_s, *_spot(rng, door))]

    def move(zone: Zone, inside: str | None, least_s: float) -> None:
        last, (x_m, y_m) = steps[-1], _spot(rng, zone)
        lasts_s = max(least_s, math.hypot(x_m - last.x_m, y_m - last.y_m) / model.speed_m_s)
        steps.append(Step(last.t_s + lasts_s, x_m, y_m, inside))

    for name in chosen:
        move(places[name], None, 0.0)
        leave_s = steps[-1].t_s + rng.uniform(*model.stand_s)
        while steps[-1].t_s < leave_s:
            move(places[name], name, rng.uniform(*model.fidget_s))
    move(door, None, 0.0)
    return steps


def _past(rng: Random, places: Mapping[str, Zone], arrive_s: float, model: StoreModel) -> list[Step]:
    """Along one side of the ground that the zones cover, slowly, with stops as at a shop window."""
    corners = [p for zone in places.values() for p in (zone.polygon or (zone.at or (0.0, 0.0),))]
    west, east = min(x for x, _ in corners), max(x for x, _ in corners)
    south, north = min(y for _, y in corners), max(y for _, y in corners)
    away_m = rng.uniform(*model.beside_m)
    ways = (
        ((west, south - away_m), (east, south - away_m)),
        ((west, north + away_m), (east, north + away_m)),
        ((west - away_m, south), (west - away_m, north)),
        ((east + away_m, south), (east + away_m, north)),
    )
    (x0, y0), (x1, y1) = rng.choice(ways)
    steps = [Step(arrive_s, x0, y0)]
    for part in (0.25, 0.5, 0.75, 1.0):
        way_s = math.hypot(x1 - x0, y1 - y0) / 4 / model.speed_m_s
        place = (x0 + part * (x1 - x0), y0 + part * (y1 - y0))
        steps.append(Step(steps[-1].t_s + max(way_s, 1.0), *place))
        steps.append(Step(steps[-1].t_s + rng.uniform(*model.fidget_s), *place))
    return steps


def _spot(rng: Random, zone: Zone) -> Point:
    """Somewhere in a convex polygon, nearer its middle than its rim, or within half a metre of a point."""
    if zone.polygon is None:
        x_m, y_m = zone.at or (0.0, 0.0)
        return x_m + rng.uniform(-0.5, 0.5), y_m + rng.uniform(-0.5, 0.5)
    weights = [rng.random() for _ in zone.polygon]
    corners = list(zip(weights, zone.polygon, strict=True))
    x_m, y_m = (sum(w * corner[axis] for w, corner in corners) / sum(weights) for axis in (0, 1))
    return x_m, y_m


def _labels(walk: Sequence[Step], device: str, end_s: float) -> Iterator[Label]:
    """Where a walk changes its zone, told at the beginning of the step."""
    zone = None
    for before, step in itertools.pairwise(walk):
        if step.zone != zone and before.t_s < end_s:
            zone = step.zone
            yield Label(before.t_s, device, zone)


def _reports(
    heard: Iterator[Heard], topics: Sequence[str], start_s: float, end_s: float, *, every_s: float
) -> Iterator[Message]:
    """What each receiver heard since its last report; the receivers take turns within `every_s`."""
    pending: list[list[dict[str, object]]] = [[] for _ in topics]
    due = [(start_s + every_s * (i + 1) / len(topics), i) for i in range(len(topics))]
    for one in heapq.merge(heard, [Heard(end_s, 0, 0, "", b"")]):
        while due[0][0] <= min(one.t_s, end_s):
            t_s, i = due[0]
            heapq.heapreplace(due, (t_s + every_s, i))
            if pending[i]:
                yield Message(t_s, topics[i], msgspec.json.encode(pending[i]))
                pending[i] = []
        if one.t_s >= end_s:
            return
        report = {
            "address": one.address,
            "address_type": "random",
            "rssi": one.rssi_dbm,
            "adv": one.adv.hex(),
        }
        pending[one.receiver].append(report)
