"""Which places of the map have ground in common, so that a count of one says something of the other."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

from msgspec import Struct

from gateway.model import Fence, Point, Ring, SiteMap
from gateway.settings.plane import metres

TOUCH_M = 0.1
"""Outlines that meet, or run into one another by no more than this, have nothing in common."""

_Side = tuple[Point, Point]


def common_ground(site: SiteMap, a: str, b: str) -> str:
    """Why two different places overlap, in an operator's words; empty: they do not, as far as the map says.

    A zone of a floor and a fence are never compared: the map does not say where on earth a floor lies.
    """
    parents = {zone.id: zone.part_of for zone in site.zones}
    for part, whole in ((a, b), (b, a)):
        above = parents.get(part)
        while above is not None and above != whole:
            above = parents.get(above)
        if above is not None:
            return f"{part} is part of {whole}"
    fences = {fence.id: fence for fence in site.fences}
    if a in fences and b in fences and _overlap(fences[a], fences[b]):
        return f"{a} and {b} overlap"
    return ""


class _Shape(Struct):
    """A fence in metres around a place near it, (east, north)."""

    rings: list[list[Point]]
    circle: tuple[Point, float] | None

    def sides(self) -> Iterator[_Side]:
        for ring in self.rings:
            yield from zip(ring, [*ring[1:], ring[0]], strict=True)

    def box(self) -> tuple[float, float, float, float]:
        if self.circle is not None:
            (x, y), radius_m = self.circle
            return x - radius_m, y - radius_m, x + radius_m, y + radius_m
        xs, ys = zip(*(p for ring in self.rings for p in ring), strict=True)
        return min(xs), min(ys), max(xs), max(ys)

    def holds(self, p: Point) -> bool:
        """Whether the point lies inside, even and odd over all rings, and not on the outline."""
        inside = False
        for (ax, ay), (bx, by) in self.sides():
            if (ay > p[1]) != (by > p[1]) and p[0] < ax + (p[1] - ay) / (by - ay) * (bx - ax):
                inside = not inside
        return inside and all(_distance_m(p, side) > TOUCH_M for side in self.sides())

    def within(self) -> Iterator[Point]:
        """Corners, middles of sides, and for each pair of neighbouring heights a point inside."""
        for a, b in self.sides():
            yield a
            yield (a[0] + b[0]) / 2, (a[1] + b[1]) / 2
        heights = sorted({y for ring in self.rings for _, y in ring})
        low, high = max(pairwise(heights), key=lambda pair: pair[1] - pair[0])
        y = (low + high) / 2
        xs = sorted(
            a[0] + (y - a[1]) / (b[1] - a[1]) * (b[0] - a[0])
            for a, b in self.sides()
            if (a[1] > y) != (b[1] > y)
        )
        yield from (((left + right) / 2, y) for left, right in zip(xs[::2], xs[1::2], strict=False))


def outlines_overlap(a: Ring, b: Ring) -> bool:
    """Whether two outlines of a floor, in metres, have ground in common."""
    return _meet(_Shape([list(a)], None), _Shape([list(b)], None))


def _overlap(a: Fence, b: Fence) -> bool:
    origin = _some_place(a)
    return _meet(_shape(a, origin), _shape(b, origin))


def _meet(one: _Shape, other: _Shape) -> bool:
    box, with_box = one.box(), other.box()
    if any(box[i] > with_box[i + 2] or with_box[i] > box[i + 2] for i in (0, 1)):
        return False
    if one.circle is not None and other.circle is not None:
        (p, r), (q, s) = one.circle, other.circle
        return math.dist(p, q) < r + s - TOUCH_M
    if one.circle is not None or other.circle is not None:
        round_one, edged = (one, other) if one.circle is not None else (other, one)
        assert round_one.circle is not None  # noqa: S101 - for the type checker
        centre, radius_m = round_one.circle
        near_m = min(_distance_m(centre, side) for side in edged.sides())
        return edged.holds(centre) or near_m < radius_m - TOUCH_M
    inside = any(other.holds(p) for p in one.within()) or any(one.holds(p) for p in other.within())
    return inside or _cross(one, other)


def _cross(one: _Shape, other: _Shape) -> bool:
    low_x, low_y, high_x, high_y = other.box()
    sides = [
        (a, b)
        for a, b in one.sides()
        if min(a[0], b[0]) <= high_x and max(a[0], b[0]) >= low_x
        and min(a[1], b[1]) <= high_y and max(a[1], b[1]) >= low_y
    ]  # fmt: skip
    return any(_cuts(s, t) and _cuts(t, s) for s in sides for t in other.sides())


def _cuts(side: _Side, line: _Side) -> bool:
    """Whether the ends of `side` lie on different sides of `line`, both clearly."""
    (ax, ay), (bx, by) = line
    length_m = math.dist(*line)
    off = [((bx - ax) * (y - ay) - (by - ay) * (x - ax)) / length_m if length_m else 0.0 for x, y in side]
    return min(off) < -TOUCH_M and max(off) > TOUCH_M


def _distance_m(p: Point, side: _Side) -> float:
    (ax, ay), (bx, by) = side
    length2 = (bx - ax) ** 2 + (by - ay) ** 2
    along = ((p[0] - ax) * (bx - ax) + (p[1] - ay) * (by - ay)) / length2 if length2 else 0.0
    along = min(1.0, max(0.0, along))
    return math.dist(p, (ax + along * (bx - ax), ay + along * (by - ay)))


def _some_place(fence: Fence) -> Point:
    if fence.circle is not None:
        return fence.circle.lat_deg, fence.circle.lon_deg
    return fence.polygons[0][0][0]


def _shape(fence: Fence, origin: Point) -> _Shape:
    rings = [[metres(corner, origin) for corner in ring] for polygon in fence.polygons for ring in polygon]
    if fence.circle is None:
        return _Shape(rings, None)
    centre = metres((fence.circle.lat_deg, fence.circle.lon_deg), origin)
    return _Shape(rings, (centre, fence.circle.radius_m))
