"""Shapes on the ground: is a position inside, how deep, and does a line between two positions cut the shape?

Corners and positions are (latitude, longitude) in degrees WGS84, edges are straight in that plane. The border
counts as inside, and a test that rounding could turn is repeated in rational numbers. Longitudes are taken
within 180° of the shape's middle, so a shape may lie across the antimeridian, but not around a pole.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Protocol

from gateway.model import Circle, Fence, Point, Ring

EARTH_M = 6_371_008.8
"""Mean radius R1 of the Earth, IUGG."""
DEGREE_M = math.radians(EARTH_M)
ROUNDING = 3.4e-16
"""Bound of the error of `turn`, relative to its two products (Shewchuk 1997, ccwerrboundA)."""

Box = tuple[float, float, float, float]
"""South, north, west, east; east may pass 180°."""


class Shape(Protocol):
    box: Box
    roomy_m: float
    """About how deep inside the shape one can be."""
    across_m: float
    """About the longest way through."""

    def contains(self, lat: float, lon: float) -> bool: ...

    def depth_m(self, lat: float, lon: float) -> float:
        """Metres to the border, positive inside and negative outside."""

    def crosses(self, start: Point, end: Point) -> bool:
        """The line between the two has a point in the shape."""


def shape_of(fence: Fence) -> Shape | None:
    """None for a fence without a place."""
    if fence.circle is not None:
        return Disc(fence.circle)
    has_corner = any(ring for rings in fence.polygons for ring in rings)
    return Polygons(fence.polygons) if has_corner else None


def near(lon: float, middle: float) -> float:
    """The same longitude within 180° of `middle`."""
    if lon - middle > 180.0:
        return lon - 360.0
    return lon + 360.0 if lon - middle < -180.0 else lon


def distance_m(a: Point, b: Point) -> float:
    """Great-circle distance (haversine)."""
    lat1, lat2 = math.radians(a[0]), math.radians(b[0])
    h = math.sin((lat2 - lat1) / 2) ** 2
    h += math.cos(lat1) * math.cos(lat2) * math.sin(math.radians(b[1] - a[1]) / 2) ** 2
    return 2 * EARTH_M * math.asin(min(1.0, math.sqrt(h)))


def turn(a: Point, b: Point, p: Point) -> float:
    """Positive, zero or negative: p lies right of, on or left of the line from a to b; the sign is exact."""
    left = (b[1] - a[1]) * (p[0] - a[0])
    right = (b[0] - a[0]) * (p[1] - a[1])
    turned = right - left
    if abs(turned) > ROUNDING * (abs(left) + abs(right)):
        return turned
    (ay, ax), (by, bx), (py, px) = (tuple(map(Fraction, q)) for q in (a, b, p))
    exact = (by - ay) * (px - ax) - (bx - ax) * (py - ay)
    return (exact > 0) - (exact < 0)


class Disc:
    """A native circle; its radius runs along great circles."""

    def __init__(self, circle: Circle) -> None:
        self._middle = (circle.lat_deg, circle.lon_deg)
        self._radius_m = circle.radius_m
        self._shrink = math.cos(math.radians(circle.lat_deg))
        self.roomy_m, self.across_m = circle.radius_m, 2 * circle.radius_m
        high = circle.radius_m / DEGREE_M
        reach = math.sin(math.radians(min(high, 90.0))) / max(self._shrink, 1e-9)
        wide = math.degrees(math.asin(reach)) if reach < 1.0 else 180.0
        lat, lon = self._middle
        self.box: Box = (lat - high, lat + high, lon - wide, lon + wide)

    def contains(self, lat: float, lon: float) -> bool:
        return distance_m(self._middle, (lat, lon)) <= self._radius_m

    def depth_m(self, lat: float, lon: float) -> float:
        return self._radius_m - distance_m(self._middle, (lat, lon))

    def crosses(self, start: Point, end: Point) -> bool:
        if self.contains(*start) or self.contains(*end):
            return True
        here = [
            ((lon - self._middle[1]) * self._shrink, lat - self._middle[0])
            for lat, lon in ((lat, near(lon, self._middle[1])) for lat, lon in (start, end))
        ]
        return _from_origin(*here) * DEGREE_M <= self._radius_m


class Polygons:
    """One polygon or more, each with holes; together they are their union. At least one corner."""

    def __init__(self, polygons: Sequence[Sequence[Ring]]) -> None:
        middle = next(ring[0][1] for rings in polygons for ring in rings if ring)
        unwrapped = ([_unwrapped(ring, middle) for ring in rings if ring] for rings in polygons)
        self._polygons = [rings for rings in unwrapped if rings]
        corners = [corner for rings in self._polygons for ring in rings for corner in ring]
        lats, lons = [c[0] for c in corners], [c[1] for c in corners]
        self.box: Box = (min(lats), max(lats), min(lons), max(lons))
        self._middle_lon = (self.box[2] + self.box[3]) / 2
        shrink = math.cos(math.radians((self.box[0] + self.box[1]) / 2))
        self.across_m = DEGREE_M * math.hypot(self.box[1] - self.box[0], (self.box[3] - self.box[2]) * shrink)
        self.roomy_m = max(_roominess_m(rings[0], shrink) for rings in self._polygons)

    def contains(self, lat: float, lon: float) -> bool:
        p = (lat, near(lon, self._middle_lon))
        south, north, west, east = self.box
        if not (south <= lat <= north and west <= p[1] <= east):
            return False
        return any(_within(rings, p) for rings in self._polygons)

    def depth_m(self, lat: float, lon: float) -> float:
        lon = near(lon, self._middle_lon)
        shrink = math.cos(math.radians(lat))
        nearest = math.inf
        for rings in self._polygons:
            for ring in rings:
                here = [((x - lon) * shrink, y - lat) for y, x in ring]
                nearest = min(nearest, *map(_from_origin, here[-1:] + here[:-1], here))
        return nearest * DEGREE_M if self.contains(lat, lon) else -nearest * DEGREE_M

    def crosses(self, start: Point, end: Point) -> bool:
        if self.contains(*start) or self.contains(*end):
            return True
        a = (start[0], near(start[1], self._middle_lon))
        b = (end[0], near(end[1], a[1]))
        return any(
            _touch(a, b, c, d)
            for rings in self._polygons
            for ring in rings
            for c, d in zip(ring[-1:] + ring[:-1], ring, strict=True)
        )


def _unwrapped(ring: Ring, middle: float) -> list[Point]:
    """Corners whose longitudes follow one another by less than 180°."""
    corners: list[Point] = []
    for lat, lon in ring:
        middle = near(lon, middle)
        corners.append((lat, middle))
    return corners


def _roominess_m(ring: list[Point], shrink: float) -> float:
    """Twice the area by the circumference: the radius of a disc, half the width of a square or a strip."""
    area = length = 0.0
    lat0, lon0 = ring[0]
    for (y1, x1), (y2, x2) in zip(ring[-1:] + ring[:-1], ring, strict=True):
        area += (x1 - lon0) * (y2 - lat0) - (x2 - lon0) * (y1 - lat0)
        length += math.hypot(y2 - y1, (x2 - x1) * shrink)
    return DEGREE_M * abs(area) * shrink / length if length else 0.0


def _within(rings: Sequence[Sequence[Point]], p: Point) -> bool:
    """Crossing number over all rings of one polygon; true on any of its borders."""
    odd = False
    y, x = p
    for ring in rings:
        a = ring[-1]
        for b in ring:
            if (a[0] > y) != (b[0] > y):
                side = turn(a, b, p)
                if side == 0:
                    return True
                odd ^= (side > 0) != (b[0] > a[0])
            elif a[0] == y and (a[1] == x or (b[0] == y and min(a[1], b[1]) <= x <= max(a[1], b[1]))):
                return True
            a = b
    return odd


def _touch(a: Point, b: Point, c: Point, d: Point) -> bool:
    """The closed segments ab and cd have a point in common."""
    if (
        max(a[0], b[0]) < min(c[0], d[0])
        or max(c[0], d[0]) < min(a[0], b[0])
        or max(a[1], b[1]) < min(c[1], d[1])
        or max(c[1], d[1]) < min(a[1], b[1])
    ):
        return False
    return turn(a, b, c) * turn(a, b, d) <= 0 and turn(c, d, a) * turn(c, d, b) <= 0


def _from_origin(a: Point, b: Point) -> float:
    """Distance of the segment ab from the origin of a plane."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    square = dx * dx + dy * dy
    along = -(a[0] * dx + a[1] * dy) / square if square else 0.0
    along = 0.0 if along < 0.0 else min(along, 1.0)
    return math.hypot(a[0] + along * dx, a[1] + along * dy)
