"""Which fences can matter to a position or a line, by the fence index."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable

from gateway.core.earth import DEGREE_M
from gateway.core.geometry import Box, Polygons, Shape, near, shape_of
from gateway.core.index import FenceIndex
from gateway.core.windows import FASTEST_KMH
from gateway.model import Fence, Point


class Place:
    """One fence, its shape and what the map says of arriving there, as numbers."""

    def __init__(self, number: int, fence: Fence, shape: Shape) -> None:
        self.number, self.id, self.fence, self.shape = number, fence.id, fence, shape
        self.confirm_s, self.slow_kmh = fence.arrival.confirm_s, fence.arrival.slow_kmh
        self.leave_m = fence.arrival.leave_m
        self.ring_m, self.eta_s = fence.approach_ring_m or 0.0, fence.approach_eta_s or 0.0
        """0: none."""
        self.reach_m = max(self.ring_m, self.eta_s * FASTEST_KMH / 3.6)
        """So far out a fix may announce an approach."""
        self.roomy_m, self.across_m = shape.roomy_m, shape.across_m
        self.box = _grown(shape.box, self.reach_m)
        self._south, self._north, self._west, self._east = self.box
        self._middle_lon = (self._west + self._east) / 2

    def may_meet(self, lat1: float, lon1: float, lat2: float, lon2: float) -> bool:
        """The box of the line meets the box of the shape, grown by `reach_m`."""
        if max(lat1, lat2) < self._south or min(lat1, lat2) > self._north:
            return False
        x1 = near(lon1, self._middle_lon)
        x2 = near(lon2, x1)
        return max(x1, x2) >= self._west and min(x1, x2) <= self._east


class Fences:
    """All fences of a map that have a place, numbered in the order of their ids.

    `index` holds their shapes by that number.
    """

    def __init__(self, fences: Iterable[Fence]) -> None:
        with_shape = [(fence, shape) for fence in fences if (shape := shape_of(fence)) is not None]
        with_shape.sort(key=lambda pair: pair[0].id)
        self.places = [Place(number, fence, shape) for number, (fence, shape) in enumerate(with_shape)]
        self.index = FenceIndex([place.shape for place in self.places])
        self._announcing = [place.number for place in self.places if place.reach_m > 0.0]
        boxes = [self.places[number].box for number in self._announcing]
        self._rings = FenceIndex([Polygons([[_corners(box)]]) for box in boxes])
        self._rings_count = len(boxes)
        self.found = array("i", bytes(8 * len(self.places) + 8))
        """What the last `seek` found."""

    def seek(self, lat1: float, lon1: float, lat2: float, lon2: float) -> int:
        """How many fences there are whose shape or approach may have a point of the line.

        Their numbers are the first of `found`, in rising order.
        """
        count, nearby = 0, self.index.seek(lat1, lon1, lat2, lon2)
        for k in range(nearby):
            place = self.places[self.index.near[k]]
            if place.may_meet(lat1, lon1, lat2, lon2):
                self.found[count] = place.number
                count += 1
        if self._rings_count:
            count = self._with_rings(lat1, lon1, lat2, lon2, count)
        return count

    def along(self, start: Point, end: Point) -> list[Place]:
        """The fences that `seek` finds."""
        return [self.places[self.found[k]] for k in range(self.seek(start[0], start[1], end[0], end[1]))]

    def _with_rings(self, lat1: float, lon1: float, lat2: float, lon2: float, count: int) -> int:
        """Merge in those that may announce an approach."""
        for k in range(self._rings.seek(lat1, lon1, lat2, lon2)):
            place = self.places[self._announcing[self._rings.near[k]]]
            if not place.may_meet(lat1, lon1, lat2, lon2):
                continue
            number, i = place.number, count
            while i > 0 and self.found[i - 1] > number:
                i -= 1
            if i > 0 and self.found[i - 1] == number:
                continue
            for j in range(count, i, -1):
                self.found[j] = self.found[j - 1]
            self.found[i] = number
            count += 1
        return count


def _corners(box: Box) -> tuple[Point, ...]:
    south, north, west, east = box
    half = (west + east) / 2
    return (south, west), (south, half), (south, east), (north, east), (north, half), (north, west)


def _grown(box: Box, by_m: float) -> Box:
    south, north, west, east = box
    high = by_m / DEGREE_M + 1e-9
    wide = high / max(math.cos(math.radians(max(abs(south), abs(north)))), 1e-6)
    return south - high, north + high, west - wide, east + wide
