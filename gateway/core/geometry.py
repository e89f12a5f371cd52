"""Shapes on the ground: is a position inside, how deep, and does a line between two positions cut the shape?

Corners and positions are (latitude, longitude) in degrees WGS84, edges are straight in that plane. The border
counts as inside, and a test that rounding could turn is repeated in rational numbers. Longitudes are taken
within 180° of the shape's middle, so a shape may lie across the antimeridian, but not around a pole. Compiled
where a compiler was at hand (geometry.pxd has the types); both forms give the same bits.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

from gateway.core import raw
from gateway.core.earth import DEGREE_M, RADIAN
from gateway.model import Circle, Fence, Point, Ring

INFINITE, NAN = float("inf"), float("nan")

Box = tuple[float, float, float, float]
"""South, north, west, east; east may pass 180°."""


class Shape:
    """A place on the ground."""

    box: Box
    roomy_m: float
    """About how deep inside the shape one can be."""
    across_m: float
    """About the longest way through."""

    def contains(self, lat: float, lon: float) -> bool:
        raise NotImplementedError

    def depth_m(self, lat: float, lon: float) -> float:
        """Metres to the border, positive inside and negative outside."""
        raise NotImplementedError

    def crosses(self, lat1: float, lon1: float, lat2: float, lon2: float) -> bool:
        """The line between the two positions has a point in the shape."""
        raise NotImplementedError


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
    return arc_m(a[0], a[1], b[0], b[1])


def arc_m(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    """Great-circle distance (haversine)."""
    phi1, phi2 = lat1 * RADIAN, lat2 * RADIAN
    across, along = math.sin((phi2 - phi1) / 2), math.sin((lon2 - lon1) * RADIAN / 2)
    h = across * across + math.cos(phi1) * math.cos(phi2) * (along * along)
    return 2 * 6_371_008.8 * math.asin(min(1.0, math.sqrt(h)))


def side(ay: float, ax: float, by: float, bx: float, y: float, x: float) -> int:
    """The sign of (b - a) x (p - a), exact: -1 where the line from a to b, going up, has p on its right.

    The bound is Shewchuk's ccwerrboundA (1997), a little more, and products may underflow.
    """
    one, other = (bx - ax) * (y - ay), (x - ax) * (by - ay)
    turned = one - other
    bound = 3.4e-16 * (abs(one) + abs(other)) + 1e-290
    if turned > bound:
        return 1
    if turned < -bound:
        return -1
    if (bx == ax or y == ay) and (x == ax or by == ay):
        return 0
    return _exact_side(ay, ax, by, bx, y, x)


def _exact_side(ay: float, ax: float, by: float, bx: float, y: float, x: float) -> int:
    fay, fax = Fraction(ay), Fraction(ax)
    one = (Fraction(bx) - fax) * (Fraction(y) - fay)
    other = (Fraction(x) - fax) * (Fraction(by) - fay)
    return (one > other) - (one < other)


class Disc(Shape):
    """A native circle; its radius runs along great circles."""

    def __init__(self, circle: Circle) -> None:
        self.lat, self.lon, self.radius_m = circle.lat_deg, circle.lon_deg, circle.radius_m
        self.shrink = math.cos(circle.lat_deg * RADIAN)
        self.roomy_m, self.across_m = circle.radius_m, 2 * circle.radius_m
        high = circle.radius_m / DEGREE_M
        reach = math.sin(min(high, 90.0) * RADIAN) / max(self.shrink, 1e-9)
        wide = math.asin(reach) / RADIAN if reach < 1.0 else 180.0
        self.box = (self.lat - high, self.lat + high, self.lon - wide, self.lon + wide)

    def contains(self, lat: float, lon: float) -> bool:
        return arc_m(self.lat, self.lon, lat, lon) <= self.radius_m

    def depth_m(self, lat: float, lon: float) -> float:
        return self.radius_m - arc_m(self.lat, self.lon, lat, lon)

    def crosses(self, lat1: float, lon1: float, lat2: float, lon2: float) -> bool:
        if self.contains(lat1, lon1) or self.contains(lat2, lon2):
            return True
        west, east = (
            (near(lon1, self.lon) - self.lon) * self.shrink,
            (near(lon2, self.lon) - self.lon) * self.shrink,
        )
        square = from_origin(lat1 - self.lat, west, lat2 - self.lat, east)
        return math.sqrt(square) * DEGREE_M <= self.radius_m


class Polygons(Shape):
    """One polygon or more, each with holes; together they are their union. At least one corner.

    `corners` holds latitude and longitude in turn, ring after ring, each ring closed; longitudes follow one
    another by less than 180°. `rings` has the number of each ring's first corner and the end, `parts` the
    number of each polygon's first ring and the end.
    """

    def __init__(self, polygons: Sequence[Sequence[Ring]]) -> None:
        count = sum(len(ring) + 1 for polygon in polygons for ring in polygon)
        corners = array("d", bytes(16 * count))
        self.rings, self.parts = array("i", [0]), array("i", [0])
        middle, end = NAN, 0
        for polygon in polygons:
            begin = end
            for ring in polygon:
                if ring:
                    middle = near(ring[0][1], middle)
                    end = unwrap(ring, middle, corners, end)
                    self.rings.append(end)
            if end > begin:
                self.parts.append(len(self.rings) - 1)
        self.corners = corners[: 2 * end]
        self.box = box_of(self.corners, 0, end)
        self.middle_lon = (self.box[2] + self.box[3]) / 2
        shrink = math.cos(((self.box[0] + self.box[1]) / 2) * RADIAN)
        high, wide = self.box[1] - self.box[0], (self.box[3] - self.box[2]) * shrink
        self.across_m = DEGREE_M * math.sqrt(high * high + wide * wide)
        self.roomy_m = 0.0
        for first, _ in pairwise(self.parts):
            roomy = roominess(self.corners, self.rings[first], self.rings[first + 1], shrink)
            self.roomy_m = max(self.roomy_m, DEGREE_M * roomy)

    def contains(self, lat: float, lon: float) -> bool:
        x = near(lon, self.middle_lon)
        south, north, west, east = self.box
        if not (south <= lat <= north and west <= x <= east):
            return False
        return covers(
            raw.doubles(self.corners), raw.ints(self.rings), raw.ints(self.parts), len(self.parts) - 1, lat, x
        )

    def depth_m(self, lat: float, lon: float) -> float:
        x = near(lon, self.middle_lon)
        shrink = math.cos(lat * RADIAN)
        square = square_to_border(
            raw.doubles(self.corners), raw.ints(self.rings), len(self.rings) - 1, lat, x, shrink
        )
        away_m = math.sqrt(square) * DEGREE_M
        return away_m if self.contains(lat, lon) else -away_m

    def crosses(self, lat1: float, lon1: float, lat2: float, lon2: float) -> bool:
        if self.contains(lat1, lon1) or self.contains(lat2, lon2):
            return True
        x = near(lon1, self.middle_lon)
        corners, rings = raw.doubles(self.corners), raw.ints(self.rings)
        return touches_border(corners, rings, len(self.rings) - 1, lat1, x, lat2, near(lon2, x))


def unwrap(ring: Ring, lon: float, corners: array[float], end: int) -> int:
    """Write the ring, closed, from corner `end` on, its first longitude as given; where it ends."""
    begin = 2 * end
    for corner in ring:
        lon = near(corner[1], lon)
        corners[2 * end], corners[2 * end + 1] = corner[0], lon
        end += 1
    last = 2 * end - 2
    if last == begin or corners[last] != corners[begin] or corners[last + 1] != corners[begin + 1]:
        corners[2 * end], corners[2 * end + 1] = corners[begin], corners[begin + 1]
        end += 1
    return end


def box_of(corners: array[float], first: int, end: int) -> Box:
    """Of the corners from `first` to before `end`."""
    south = north = corners[2 * first]
    west = east = corners[2 * first + 1]
    for v in range(2 * first, 2 * end, 2):
        south, north = min(south, corners[v]), max(north, corners[v])
        west, east = min(west, corners[v + 1]), max(east, corners[v + 1])
    return south, north, west, east


def roominess(corners: array[float], first: int, end: int, shrink: float) -> float:
    """Twice a ring's area by its length, in degrees of latitude: a disc's radius, half a strip's width."""
    area = length = 0.0
    lat0, lon0 = corners[2 * first], corners[2 * first + 1]
    for v in range(2 * first, 2 * end - 2, 2):
        dy, dx = corners[v + 2] - corners[v], corners[v + 3] - corners[v + 1]
        area += (corners[v + 1] - lon0) * dy - dx * (corners[v] - lat0)
        length += math.sqrt(dy * dy + dx * dx * shrink * shrink)
    return abs(area) * shrink / length if length else 0.0


def covers(
    corners: array[float], rings: array[int], parts: array[int], count: int, y: float, x: float
) -> bool:
    """Some polygon has the position inside by the crossing number over all its rings, or on a border."""
    for part in range(count):
        found = 0
        for ring in range(parts[part], parts[part + 1]):
            found ^= passes(corners, rings[ring], rings[ring + 1] - 1, y, x)
            if found > 1:
                return True
        if found:
            return True
    return False


def passes(corners: array[float], first: int, end: int, y: float, x: float) -> int:
    """How many of these edges lie west of the position, at its latitude, modulo 2; 2 if it is on one.

    An edge's lower end does not belong to it here, so that two edges that meet count once.
    """
    odd = 0
    for v in range(2 * first, 2 * end, 2):
        ay, by = corners[v], corners[v + 2]
        if (ay < y) != (by < y):
            turned = side(ay, corners[v + 1], by, corners[v + 3], y, x)
            if turned == 0:
                return 2
            odd ^= (turned < 0) == (ay < y)
        elif ay == y and (corners[v + 1] == x or (by == y and (corners[v + 1] < x) != (corners[v + 3] < x))):
            return 2
    return odd


def square_to_border(
    corners: array[float], rings: array[int], count: int, y: float, x: float, shrink: float
) -> float:
    """Square of the distance to the nearest border, in degrees of latitude."""
    nearest = INFINITE
    for ring in range(count):
        for v in range(2 * rings[ring], 2 * rings[ring + 1] - 2, 2):
            ay, by = corners[v] - y, corners[v + 2] - y
            ax, bx = (corners[v + 1] - x) * shrink, (corners[v + 3] - x) * shrink
            nearest = min(nearest, from_origin(ay, ax, by, bx))
    return nearest


def touches_border(
    corners: array[float], rings: array[int], count: int, ay: float, ax: float, by: float, bx: float
) -> bool:
    """The closed segment ab has a point in common with some edge."""
    for ring in range(count):
        for v in range(2 * rings[ring], 2 * rings[ring + 1] - 2, 2):
            cy, cx, dy, dx = corners[v], corners[v + 1], corners[v + 2], corners[v + 3]
            if max(cy, dy) < min(ay, by) or max(ay, by) < min(cy, dy):
                continue
            if max(cx, dx) < min(ax, bx) or max(ax, bx) < min(cx, dx):
                continue
            if side(ay, ax, by, bx, cy, cx) * side(ay, ax, by, bx, dy, dx) > 0:
                continue
            if side(cy, cx, dy, dx, ay, ax) * side(cy, cx, dy, dx, by, bx) <= 0:
                return True
    return False


def from_origin(ay: float, ax: float, by: float, bx: float) -> float:
    """Square of the distance of the segment ab from the origin of a plane."""
    dy, dx = by - ay, bx - ax
    square = dx * dx + dy * dy
    along = -(ax * dx + ay * dy) / square if square else 0.0
    along = 0.0 if along < 0.0 else min(along, 1.0)
    y, x = ay + along * dy, ax + along * dx
    return y * y + x * x
