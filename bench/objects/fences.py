"""Which fences can matter to a line: boxes in a grid; and the core's geometry as plain Python."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import gateway.core
from gateway.core.earth import DEGREE_M
from gateway.model import Fence, Point

FASTEST_MS = 200 / 3.6
CELL_M = 300.0


def _plain(name: str) -> Any:
    """A module of the core from its source, whether or not there is a compiled form of it."""
    path = Path(gateway.core.__file__).with_name(f"{name}.py")
    spec = spec_from_file_location(f"bench.objects.plain_{name}", path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


geometry = _plain("geometry")
near, distance_m = geometry.near, geometry.distance_m


class Place:
    """One fence and its shape."""

    def __init__(self, fence: Fence, shape: Any) -> None:
        self.fence, self.shape, self.id = fence, shape, fence.id
        self.reach_m = max(fence.approach_ring_m or 0.0, (fence.approach_eta_s or 0.0) * FASTEST_MS)
        """So far out a fix may announce an approach."""
        south, north, west, east = shape.box
        high = self.reach_m / DEGREE_M + 1e-9
        wide = high / max(math.cos(math.radians(max(abs(south), abs(north)))), 1e-6)
        self.box = south - high, north + high, west - wide, east + wide
        self._middle_lon = (self.box[2] + self.box[3]) / 2

    def may_meet(self, start: Point, end: Point) -> bool:
        """The box of the line meets the box of the shape, grown by `reach_m`."""
        south, north, west, east = self.box
        if max(start[0], end[0]) < south or min(start[0], end[0]) > north:
            return False
        x1 = near(start[1], self._middle_lon)
        x2 = near(end[1], x1)
        return bool(max(x1, x2) >= west and min(x1, x2) <= east)


class Fences:
    """All fences that have a place; a grid holds which boxes touch a cell."""

    def __init__(self, fences: Iterable[Fence]) -> None:
        shapes = [(fence, geometry.shape_of(fence)) for fence in fences]
        self._places = {fence.id: Place(fence, shape) for fence, shape in shapes if shape is not None}
        self._cells: dict[tuple[int, int], list[Place]] = {}
        middle = [(place.box[0] + place.box[1]) / 2 for place in self._places.values()]
        self._rows = DEGREE_M / CELL_M
        self._columns = self._rows * math.cos(math.radians(sum(middle) / len(middle)))
        for place in self._places.values():
            south, north, west, east = place.box
            for cell in self._touched((south, west), (north, east)):
                self._cells.setdefault(cell, []).append(place)

    def __getitem__(self, fence: str) -> Place:
        return self._places[fence]

    def at(self, lat: float, lon: float) -> list[Place]:
        return self.along((lat, lon), (lat, lon))

    def along(self, start: Point, end: Point) -> list[Place]:
        """Fences whose shape or approach may have a point of the line."""
        found = {p.id: p for cell in self._touched(start, end) for p in self._cells.get(cell, ())}
        return [place for place in found.values() if place.may_meet(start, end)]

    def _touched(self, start: Point, end: Point) -> list[tuple[int, int]]:
        rows = sorted((int(start[0] * self._rows), int(end[0] * self._rows)))
        columns = sorted((int(start[1] * self._columns), int(end[1] * self._columns)))
        return [
            (row, column)
            for row in range(rows[0], rows[1] + 1)
            for column in range(columns[0], columns[1] + 1)
        ]
