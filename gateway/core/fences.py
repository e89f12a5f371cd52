"""Which fences can matter to a position: boxes in a grid of several cell sizes, then the exact shape."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from gateway.core.geometry import DEGREE_M, Box, Shape, near, shape_of
from gateway.model import Fence, Point

CELL_SIZES_DEG = tuple(360 / 2**k for k in (17, 14, 11, 8, 5, 2))
"""From about 300 m up; a fence is entered at the finest size at which it covers few cells."""
CELLS_MAX = 64
FASTEST_MS = 200 / 3.6


class Place:
    """One fence and its shape."""

    def __init__(self, order: int, fence: Fence, shape: Shape) -> None:
        self.order, self.fence, self.shape = order, fence, shape
        self.id = fence.id
        self.reach_m = max(fence.approach_ring_m or 0.0, (fence.approach_eta_s or 0.0) * FASTEST_MS)
        """So far out a fix may announce an approach."""
        self.box = _grown(shape.box, self.reach_m)
        self._middle_lon = (self.box[2] + self.box[3]) / 2

    def reaches(self, lat: float, lon: float) -> bool:
        """The position is in the shape's box, grown by `reach_m`."""
        box = self.box
        return box[0] <= lat <= box[1] and box[2] <= near(lon, self._middle_lon) <= box[3]


class Fences:
    """All fences of a map that have a place; results come in the order of the map."""

    def __init__(self, fences: Iterable[Fence]) -> None:
        self._places = {
            fence.id: Place(i, fence, shape)
            for i, fence in enumerate(fences)
            if (shape := shape_of(fence)) is not None
        }
        levels: dict[float, dict[tuple[int, int], list[Place]]] = {}
        for place in self._places.values():
            size = next(
                (s for s in CELL_SIZES_DEG if _cell_count(place.box, s) <= CELLS_MAX), CELL_SIZES_DEG[-1]
            )
            for cell in _cells(place.box, size):
                levels.setdefault(size, {}).setdefault(cell, []).append(place)
        self._levels = sorted(levels.items())

    def __getitem__(self, fence: str) -> Place:
        return self._places[fence]

    def __contains__(self, fence: str) -> bool:
        return fence in self._places

    def __iter__(self) -> Iterator[Place]:
        return iter(self._places.values())

    def at(self, lat: float, lon: float) -> list[Place]:
        """Fences whose shape or approach may hold the position."""
        found: list[Place] = []
        for size, cells in self._levels:
            places = cells.get((math.floor(lat / size), math.floor((lon + 180.0) % 360.0 / size)))
            if places:
                found += [p for p in places if p.reaches(lat, lon)]
        return sorted(found, key=_order) if len(found) > 1 else found

    def along(self, start: Point, end: Point) -> Sequence[Place]:
        """Fences whose shape may have a point of the line; a superset of those at its end."""
        lon = near(start[1], end[1])
        box = (min(start[0], end[0]), max(start[0], end[0]), min(lon, end[1]), max(lon, end[1]))
        found = {
            p.order: p for size, cells in self._levels for c in _cells(box, size) for p in cells.get(c, ())
        }
        return [found[i] for i in sorted(found)]


def _order(place: Place) -> int:
    return place.order


def _grown(box: Box, by_m: float) -> Box:
    south, north, west, east = box
    high = by_m / DEGREE_M + 1e-9
    wide = high / max(math.cos(math.radians(max(abs(south), abs(north)))), 1e-6)
    return south - high, north + high, west - wide, east + wide


def _cell_count(box: Box, size: float) -> float:
    return ((box[1] - box[0]) / size + 1) * ((box[3] - box[2]) / size + 1)


def _cells(box: Box, size: float) -> Iterator[tuple[int, int]]:
    south, north, west, east = box
    around = round(360 / size)
    first, last = math.floor((west + 180.0) / size), math.floor((east + 180.0) / size)
    for column in range(first, min(last, first + around - 1) + 1):
        for row in range(math.floor(south / size), math.floor(north / size) + 1):
            yield row, column % around
