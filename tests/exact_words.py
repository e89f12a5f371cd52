"""Inside or not in rational numbers, for the tests of shapes and of the index."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from gateway.model import Point


def exactly_inside(rings: Sequence[Sequence[Point]], p: Point) -> bool:
    """Crossing number over the rings of one polygon; the border is inside."""
    odd = False
    y, x = map(Fraction, p)
    for ring in rings:
        corners = [(Fraction(lat), Fraction(lon)) for lat, lon in ring]
        for (ay, ax), (by, bx) in zip(corners, corners[1:] + corners[:1], strict=True):
            on_line = (bx - ax) * (y - ay) == (by - ay) * (x - ax)
            if on_line and min(ax, bx) <= x <= max(ax, bx) and min(ay, by) <= y <= max(ay, by):
                return True
            if (ay > y) != (by > y) and x < ax + (y - ay) * (bx - ax) / (by - ay):
                odd = not odd
    return odd
