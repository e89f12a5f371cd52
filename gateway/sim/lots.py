"""A fence as simulated drivers know it: flat, in metres, with a road along its longest side."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Final

from gateway.model import Fence, Point

EARTH_M_PER_DEG: Final = 111_194.9266
"""Mean Earth radius 6,371,008.8 m (IUGG)."""


class Lot:
    """x along the longest side, from that side's middle; y inward, the road at y < 0. Metres.

    Of several polygons the first one's outer ring counts. What is inside is decided here anew and not by the
    core: truth must not come from the code that it judges.
    """

    def __init__(self, fence: Fence) -> None:
        self.id = fence.id
        self._ring = corners(fence)
        self._origin = self._ring[0]
        flat = [self._flat(corner) for corner in self._ring]
        (ax, ay), (bx, by) = max(
            zip(flat, [*flat[1:], flat[0]], strict=True), key=lambda side: math.dist(*side)
        )
        self.length_m = math.hypot(bx - ax, by - ay)
        self._along = ((bx - ax) / self.length_m, (by - ay) / self.length_m)
        self._middle = ((ax + bx) / 2, (ay + by) / 2)
        depths = [self._inward(x, y) for x, y in flat]
        self._side = 1.0 if max(depths) > -min(depths) else -1.0
        self.depth_m = max(abs(d) for d in depths)
        self.outline = [self._own(x, y) for x, y in flat]

    def degrees(self, x_m: float, y_m: float) -> Point:
        """Latitude and longitude of a place in this lot's own metres."""
        (ux, uy), y_m = self._along, y_m * self._side
        east_m, north_m = self._middle[0] + ux * x_m - uy * y_m, self._middle[1] + uy * x_m + ux * y_m
        lat, lon = self._origin
        return lat + north_m / EARTH_M_PER_DEG, lon + east_m / (EARTH_M_PER_DEG * math.cos(math.radians(lat)))

    def metres(self, place: Point) -> tuple[float, float]:
        """The opposite of `degrees`."""
        return self._own(*self._flat(place))

    def contains(self, x_m: float, y_m: float) -> bool:
        """By crossing number."""
        inside = False
        for (x1, y1), (x2, y2) in self._sides():
            if (y1 > y_m) != (y2 > y_m) and x_m < x1 + (y_m - y1) / (y2 - y1) * (x2 - x1):
                inside = not inside
        return inside

    def border_m(self, x_m: float, y_m: float) -> float:
        """Distance to the outline."""
        return min(_to_side_m(x_m, y_m, a, b) for a, b in self._sides())

    def _sides(self) -> list[tuple[Point, Point]]:
        return list(itertools.pairwise([*self.outline, self.outline[0]]))

    def _flat(self, corner: Point) -> Point:
        (lat, lon), (lat0, lon0) = corner, self._origin
        east_m = (lon - lon0) * EARTH_M_PER_DEG * math.cos(math.radians(lat0))
        return east_m, (lat - lat0) * EARTH_M_PER_DEG

    def _inward(self, east_m: float, north_m: float) -> float:
        (ux, uy), (mx, my) = self._along, self._middle
        return -uy * (east_m - mx) + ux * (north_m - my)

    def _own(self, east_m: float, north_m: float) -> Point:
        (ux, uy), (mx, my) = self._along, self._middle
        return ux * (east_m - mx) + uy * (north_m - my), self._inward(east_m, north_m) * self._side


def corners(fence: Fence) -> Sequence[Point]:
    """Of the first polygon, or sixteen of a circle."""
    if fence.circle is None:
        return fence.polygons[0][0]
    lat, lon, radius_deg = fence.circle.lat_deg, fence.circle.lon_deg, fence.circle.radius_m / EARTH_M_PER_DEG
    squeeze = math.cos(math.radians(lat))
    turns = [math.tau * i / 16 for i in range(16)]
    return [(lat + radius_deg * math.sin(a), lon + radius_deg * math.cos(a) / squeeze) for a in turns]


def _to_side_m(x_m: float, y_m: float, a: Point, b: Point) -> float:
    dx, dy = b[0] - a[0], b[1] - a[1]
    square = dx * dx + dy * dy
    part = 0.0 if square == 0.0 else max(0.0, min(1.0, ((x_m - a[0]) * dx + (y_m - a[1]) * dy) / square))
    return math.hypot(x_m - a[0] - part * dx, y_m - a[1] - part * dy)
