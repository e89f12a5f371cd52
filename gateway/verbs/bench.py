"""`gateway bench`: the core against plain Python here, in CPU time, contenders in turn in one run."""

from __future__ import annotations

import gc
import math
import statistics
from collections.abc import Callable, Sequence
from time import process_time
from typing import Any

from gateway.core import Core
from gateway.core.earth import DEGREE_M
from gateway.core.form import core_form
from gateway.core.geometry import shape_of
from gateway.core.index import FenceIndex
from gateway.errors import GatewayError
from gateway.model import Fence, Fix, SiteMap
from gateway.sim.town import SHRINK, fixes, scene, town, traffic

ROUNDS, BATCH = 5, 256


class PlainPython:
    """What one would write without the index: boxes in a grid of 300 m, then ray casting or the haversine."""

    def __init__(self, fences: Sequence[Fence]) -> None:
        self._cells: dict[tuple[int, int], list[tuple[int, tuple[float, float, float, float], Fence]]] = {}
        self._lat_cells, self._lon_cells = DEGREE_M / 300, DEGREE_M * SHRINK / 300
        for number, fence in enumerate(fences):
            shape = shape_of(fence)
            assert shape is not None  # noqa: S101 - a scene's fences have places
            south, north, west, east = shape.box
            for row in range(int(south * self._lat_cells), int(north * self._lat_cells) + 1):
                for column in range(int(west * self._lon_cells), int(east * self._lon_cells) + 1):
                    self._cells.setdefault((row, column), []).append((number, shape.box, fence))

    def at(self, lat: float, lon: float) -> list[int]:
        cell = self._cells.get((int(lat * self._lat_cells), int(lon * self._lon_cells)), ())
        return [
            number
            for number, (south, north, west, east), fence in cell
            if south <= lat <= north and west <= lon <= east and _holds(fence, lat, lon)
        ]


def _holds(fence: Fence, lat: float, lon: float) -> bool:
    circle = fence.circle
    if circle is not None:
        phi, phi0 = math.radians(lat), math.radians(circle.lat_deg)
        h = math.sin((phi - phi0) / 2) ** 2
        h += math.cos(phi) * math.cos(phi0) * math.sin(math.radians(lon - circle.lon_deg) / 2) ** 2
        return 2 * 6_371_008.8 * math.asin(math.sqrt(h)) <= circle.radius_m
    odd = False
    for rings in fence.polygons:
        for ring in rings:
            ay, ax = ring[-1]
            for by, bx in ring:
                if (ay > lat) != (by > lat) and lon < ax + (lat - ay) * (bx - ax) / (by - ay):
                    odd = not odd
                ay, ax = by, bx
    return odd


def bench(count: int, fix_count: int, say: Callable[[str], None]) -> None:
    """GatewayError where the contenders differ."""
    fences = scene(count)
    lats, lons = fixes(fix_count, fences)
    plain, index = PlainPython(fences), index_of(fences)
    positions = list(zip(lats, lons, strict=True))
    taken = in_turns(
        {
            "plain Python, one fix a call": lambda: one_by_one(plain.at, positions),
            "index, one fix a call": lambda: one_by_one(index.at, positions),
            "index, bulk": lambda: index.pairs(lats, lons),
        }
    )
    say(f"{count:,} fences, {fix_count:,} fixes; core: {core_form()}")
    for line in table(taken, fix_count):
        say(line)
    build_s = least(lambda: index_of(fences))
    say(f"index: {index.nbytes / count:,.0f} bytes and {build_s / count * 1e6:.1f} µs a fence to build")
    places = town(count)
    cars = traffic(places, cars=max(fix_count // 100, 1), seconds=20)
    step_s = least(lambda: step(places, cars))
    say(f"vehicle step, from a fix to events, in batches of {BATCH}: {step_s / len(cars) * 1e6:.2f} µs a fix")


def step(fences: Sequence[Fence], cars: Sequence[Fix]) -> None:
    core = Core(SiteMap("town", fences=tuple(fences)))
    for first in range(0, len(cars), BATCH):
        core.observe(cars[first : first + BATCH])


def index_of(fences: Sequence[Fence]) -> FenceIndex:
    return FenceIndex([shape for fence in fences if (shape := shape_of(fence)) is not None])


def one_by_one(at: Callable[[float, float], Sequence[int]], positions: Sequence[tuple[float, float]]) -> Any:
    """All answers of one call a fix."""
    return [at(lat, lon) for lat, lon in positions]


def in_turns(contenders: dict[str, Callable[[], Any]], rounds: int = ROUNDS) -> dict[str, float]:
    """The median of each contender's CPU seconds; GatewayError unless all answer the same, as `pairs_of` has
    them. Rounds go through all of them, so that a busy machine is busy for all."""
    answers = {name: pairs_of(run()) for name, run in contenders.items()}
    first, *others = answers
    for name in others:
        if answers[name] != answers[first]:
            raise GatewayError(f"{name} and {first} differ in their answers")
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            taken[name].append(_once(run))
    return {name: statistics.median(times) for name, times in taken.items()}


def pairs_of(answer: Any) -> list[tuple[int, int]]:
    """Sorted (fix, fence), from two rows of numbers or from the fences of each fix."""
    if isinstance(answer, list):
        return [(fix, int(fence)) for fix, fences in enumerate(answer) for fence in sorted(fences)]
    return sorted(zip(map(int, answer[0]), map(int, answer[1]), strict=True))


def table(taken: dict[str, float], fix_count: int) -> list[str]:
    """Each contender's CPU time a fix, and its ratio to the last one's."""
    best = list(taken.values())[-1]
    return [
        f"  {name:52} {seconds / fix_count * 1e9:9,.0f} ns a fix {seconds / best:8.1f}"
        for name, seconds in taken.items()
    ]


def least(run: Callable[[], Any]) -> float:
    """CPU seconds of the quickest of some rounds."""
    return min(_once(run) for _ in range(ROUNDS))


def _once(run: Callable[[], Any]) -> float:
    gc.collect()
    begin = process_time()
    run()
    return process_time() - begin
