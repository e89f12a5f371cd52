"""Which fences can matter to a position or a line, by the fence index."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from gateway.core.earth import DEGREE_M
from gateway.core.geometry import Box, Polygons, Shape, near, shape_of
from gateway.core.index import FenceIndex
from gateway.model import Fence, Point

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
    """All fences of a map that have a place; results come in the order of the map.

    `index` holds their shapes by their number in that order.
    """

    def __init__(self, fences: Iterable[Fence]) -> None:
        with_shape = [(fence, shape) for fence in fences if (shape := shape_of(fence)) is not None]
        places = [Place(number, fence, shape) for number, (fence, shape) in enumerate(with_shape)]
        self._in_order = places
        self._places = {place.id: place for place in places}
        self.index = FenceIndex([place.shape for place in places])
        self._announcing = [place for place in places if place.reach_m > 0.0]
        self._rings = FenceIndex([Polygons([[_corners(place.box)]]) for place in self._announcing])

    def __getitem__(self, fence: str) -> Place:
        return self._places[fence]

    def __contains__(self, fence: str) -> bool:
        return fence in self._places

    def __iter__(self) -> Iterator[Place]:
        return iter(self._places.values())

    def at(self, lat: float, lon: float) -> list[Place]:
        """Fences whose shape or approach may hold the position."""
        return [place for place in self.along((lat, lon), (lat, lon)) if place.reaches(lat, lon)]

    def along(self, start: Point, end: Point) -> list[Place]:
        """Fences whose shape or approach may have a point of the line; a superset of those at its end."""
        line = (*start, *end)
        numbers: Sequence[int] = self.index.near_line(*line)
        if self._announcing:
            rings = (self._announcing[k].order for k in self._rings.near_line(*line))
            numbers = sorted({*numbers, *rings})
        return [self._in_order[k] for k in numbers]


def _corners(box: Box) -> tuple[Point, ...]:
    south, north, west, east = box
    half = (west + east) / 2
    return (south, west), (south, half), (south, east), (north, east), (north, half), (north, west)


def _grown(box: Box, by_m: float) -> Box:
    south, north, west, east = box
    high = by_m / DEGREE_M + 1e-9
    wide = high / max(math.cos(math.radians(max(abs(south), abs(north)))), 1e-6)
    return south - high, north + high, west - wide, east + wide
