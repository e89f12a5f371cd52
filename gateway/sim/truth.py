"""What simulated drives really did at each fence, as truth lines (DESIGN §6.1)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Final, Literal

import msgspec
from msgspec import Struct

from gateway.model import SiteMap
from gateway.sim.drives import Car, DriveModel, Tick, lot_of, lots_of, reports, ticks
from gateway.sim.lots import Lot

Class = Literal["visit", "pass_through", "short_stop", "graze", "untouched"]

NEAR_M: Final = 150.0
"""A drive that never came closer to a fence has nothing to do with it."""
GRAZE_M: Final = 5.0
STOPPED_M_S, MOVING_M_S = 0.3, 1.4
VISIT_S, THROUGH_S = 180.0, 60.0


class Truth(Struct, frozen=True):
    """One stay of one device at one fence; of an untouched fence without times."""

    device: str
    zone: str
    t_in: float | None
    t_out: float | None
    classed: Class = msgspec.field(name="class")
    went_on: bool = False
    """The device was heard twice, and 20 s, after `t_out`."""


def truth_of(site: SiteMap, cars: Iterable[Car], seed: int, model: DriveModel) -> Iterator[Truth]:
    """Stays of the way really driven, at every fence that a car came near to."""
    lots = lots_of(site)
    for car in cars:
        way = list(ticks(car, lot_of(car, lots), model))
        places = [lot_of(car, lots).degrees(tick.x_m, tick.y_m) for tick in way]
        heard_s = sorted(report.fix_s for report in reports(car, lots, seed, model))
        for lot in lots.values():
            own = [lot.metres(place) for place in places]
            yield from _at(lot, car, way, own, heard_s)


def _at(
    lot: Lot, car: Car, way: list[Tick], places: list[tuple[float, float]], heard_s: list[float]
) -> Iterator[Truth]:
    device = car.vehicle.split("/")[1]
    stays = list(_stays(lot, places))
    if not stays and min(lot.border_m(*place) for place in places[::10]) < NEAR_M:
        yield Truth(device, lot.id, None, None, "untouched")
    for first, last in stays:
        t_in, t_out = car.depart_s + way[first].after_s, car.depart_s + way[last].after_s
        depth_m = max(lot.border_m(*place) for place in places[first : last + 1 : 5])
        slowest = min(tick.speed_m_s for tick in way[first : last + 1])
        on_both_sides = any(t < t_in for t in heard_s) and any(t > t_out for t in heard_s)
        after = [t for t in heard_s if t > t_out]
        classed = _class(t_out - t_in, depth_m, slowest, on_both_sides)
        went_on = len(after) > 1 and after[-1] > t_out + 20
        yield Truth(device, lot.id, round(t_in, 2), round(t_out, 2), classed, went_on)


def _class(stay_s: float, depth_m: float, slowest_m_s: float, on_both_sides: bool) -> Class:
    if depth_m < GRAZE_M:
        return "graze"
    if stay_s >= VISIT_S and slowest_m_s < STOPPED_M_S:
        return "visit"
    if slowest_m_s > MOVING_M_S and stay_s < THROUGH_S and on_both_sides:
        return "pass_through"
    return "short_stop"


def _stays(lot: Lot, places: list[tuple[float, float]]) -> Iterator[tuple[int, int]]:
    """First and last index of each unbroken run inside."""
    reach_m = max(math.hypot(*corner) for corner in lot.outline)
    first = None
    for n, place in enumerate(places):
        inside = math.hypot(*place) <= reach_m and lot.contains(*place)
        if inside and first is None:
            first = n
        elif not inside and first is not None:
            yield first, n
            first = None
    if first is not None:
        yield first, len(places) - 1
