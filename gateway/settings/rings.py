"""Mistakes in the corners of a polygon, found before a wrong shape can mislead anybody."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.model import Point, Ring


def open_ring(points: Sequence[Point]) -> Ring:
    """The corners without the closing repeat of the first."""
    ring = tuple(points)
    return ring[:-1] if len(ring) > 1 and ring[0] == ring[-1] else ring


def around(ring: Ring) -> Ring:
    """(latitude, longitude) corners with longitudes counted on from the first, across the antimeridian."""
    first = ring[0][1]
    return tuple((lat, first + (lon - first + 180.0) % 360.0 - 180.0) for lat, lon in ring)


def ring_mistake(ring: Ring) -> str:
    """What is wrong with a ring on a plane, in an operator's words; empty when it encloses an area."""
    if len(set(ring)) < 3:
        return "a polygon needs three corners or more that differ"
    crossing = _crossing(ring)
    if crossing:
        a, b = crossing
        return f"the outline crosses itself: the side after corner {a + 1} cuts the one after corner {b + 1}"
    x0, y0 = ring[0]
    doubled = sum(
        (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        for (x1, y1), (x2, y2) in zip(ring, ring[1:] + ring[:1], strict=True)
    )
    wide = max(x for x, _ in ring) - min(x for x, _ in ring)
    high = max(y for _, y in ring) - min(y for _, y in ring)
    return (
        "the corners lie on one line: the polygon has no area" if abs(doubled) <= 1e-9 * wide * high else ""
    )


def _crossing(ring: Ring) -> tuple[int, int] | None:
    """Indices of two sides that properly cross; sides are compared only where their x spans overlap."""
    n = len(ring)
    sides = sorted((min(ring[i][0], ring[(i + 1) % n][0]), i) for i in range(n))
    open_sides: list[tuple[float, int]] = []
    for left, i in sides:
        open_sides = [(right, j) for right, j in open_sides if right >= left]
        for _, j in open_sides:
            if _cross(ring[i], ring[(i + 1) % n], ring[j], ring[(j + 1) % n]):
                return min(i, j), max(i, j)
        open_sides.append((max(ring[i][0], ring[(i + 1) % n][0]), i))
    return None


def _cross(a: Point, b: Point, c: Point, d: Point) -> bool:
    return _side(a, b, c) * _side(a, b, d) < 0 and _side(c, d, a) * _side(c, d, b) < 0


def _side(a: Point, b: Point, p: Point) -> int:
    turn = (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])
    return (turn > 0) - (turn < 0)
