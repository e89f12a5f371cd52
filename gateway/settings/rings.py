"""Mistakes in the corners of a polygon, found before a wrong shape can mislead anybody.

A ring is simple, as OGC 06-103r4 (Simple Features) 6.1.11 asks: its sides meet in their common corners alone.
Judged with exact signs, so that rounding raises no alarm; a corner that is repeated at once is read over.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from gateway.model import Point, Ring


def open_ring(points: Sequence[Point]) -> Ring:
    """The corners without the closing repeat of the first."""
    ring = tuple(points)
    return ring[:-1] if len(ring) > 1 and ring[0] == ring[-1] else ring


def around(ring: Ring) -> Ring:
    """(latitude, longitude) corners, each longitude within 180° of the one before, across the antimeridian.

    Only what lies beyond is turned: the others keep their bits.
    """
    found, before = [], ring[0][1]
    for lat, lon in ring:
        before = lon if abs(lon - before) <= 180.0 else lon - 360.0 if lon > before else lon + 360.0
        found.append((lat, before))
    return tuple(found)


def ring_mistake(ring: Ring) -> str:
    """What is wrong with a ring on a plane, in an operator's words; empty when it encloses an area."""
    if len(set(ring)) < 3:
        return "a polygon needs three corners or more that differ"
    if _has_no_area(ring):
        return "the corners lie on one line: the polygon has no area"
    numbers = [k for k in range(len(ring)) if ring[k] != ring[k - 1]]
    corners = [ring[k] for k in numbers]
    return _meeting(corners, numbers) or _Sweep(corners, numbers).mistake()


def _has_no_area(ring: Ring) -> bool:
    wide = max(x for x, _ in ring) - min(x for x, _ in ring)
    high = max(y for _, y in ring) - min(y for _, y in ring)
    x0, y0 = ring[0]
    middle = max(ring, key=lambda p: (p[0] - x0) ** 2 + (p[1] - y0) ** 2)
    off = max(abs((middle[0] - x0) * (y - y0) - (x - x0) * (middle[1] - y0)) for x, y in ring)
    return off <= 1e-9 * wide * high


def _meeting(corners: Sequence[Point], numbers: Sequence[int]) -> str:
    """Two corners at one place, or one at which the outline turns back on its own side."""
    seen: dict[Point, int] = {}
    for k, corner in enumerate(corners):
        first = seen.setdefault(corner, k)
        if first != k:
            return (
                f"the outline touches itself: corners {numbers[first] + 1} and {numbers[k] + 1} are one place"
            )
    for k, (x, y) in enumerate(corners):
        (ax, ay), (bx, by) = corners[k - 1], corners[(k + 1) % len(corners)]
        if (ax > x) == (bx > x) and (ay > y) == (by > y) and _side((ax, ay), (x, y), (bx, by)) == 0:
            return f"the outline runs back over itself at corner {numbers[k] + 1}"
    return ""


class _Sweep:
    """Shamos and Hoey, Geometric intersection problems (1976): a line sweeps over the sides, and two that
    meet are neighbours on it before. Corners all differ and no side turns back on the one before. Time grows
    with n log n.
    """

    def __init__(self, corners: Sequence[Point], numbers: Sequence[int]) -> None:
        self._numbers, self._corners = numbers, corners
        ends = zip(corners, [*corners[1:], corners[0]], strict=True)
        self._sides = [(a, b) if a < b else (b, a) for a, b in ends]
        self._open: list[int] = []
        """The sides that the sweep line cuts, in their order along it."""

    def mistake(self) -> str:
        """The first that the line comes upon, empty for a simple ring."""
        count = len(self._corners)
        for k in sorted(range(count), key=self._corners.__getitem__):
            beside = ((k - 1) % count, k)
            found = ""
            for s in beside:
                if self._sides[s][1] == self._corners[k]:
                    found = found or self._close(s)
            for s in beside:
                if self._sides[s][0] == self._corners[k]:
                    found = found or self._enter(s, k)
            if found:
                return found
        return ""

    def _enter(self, s: int, corner: int) -> str:
        """Open a side, whose lesser end this corner is; the mistake that shows then."""
        low, high = 0, len(self._open)
        while low < high:
            middle = (low + high) // 2
            other = self._open[middle]
            turn = _side(*self._sides[other], self._corners[corner])
            if turn == 0 and self._sides[other][0] == self._corners[corner]:
                turn = _side(*self._sides[other], self._sides[s][1])
            elif turn == 0:
                return self._touch(corner, other)
            low, high = (middle + 1, high) if turn > 0 else (low, middle)
        self._open.insert(low, s)
        above = self._judged(s, self._open[low + 1]) if low + 1 < len(self._open) else ""
        return above or (self._judged(self._open[low - 1], s) if low else "")

    def _close(self, s: int) -> str:
        """Close a side; the mistake that shows when its neighbours meet."""
        low, high = 0, len(self._open)
        end = self._sides[s][1]
        while low < high:
            middle = (low + high) // 2
            if self._open[middle] == s:
                low = high = middle
            elif _side(*self._sides[self._open[middle]], end) > 0:
                low = middle + 1
            else:
                high = middle
        if low == len(self._open) or self._open[low] != s:
            low = self._open.index(s)
        self._open.pop(low)
        return self._judged(self._open[low - 1], self._open[low]) if 0 < low < len(self._open) else ""

    def _judged(self, s: int, t: int) -> str:
        """Whether two sides have more in common than a corner of both."""
        count = len(self._corners)
        if (s - t) % count in (1, count - 1):
            return ""
        (a, b), (c, d) = self._sides[s], self._sides[t]
        if (
            b[0] < c[0]
            or d[0] < a[0]
            or max(a[1], b[1]) < min(c[1], d[1])
            or max(c[1], d[1]) < min(a[1], b[1])
        ):
            return ""
        for corner, of in ((a, t), (b, t), (c, s), (d, s)):
            if _is_between(corner, *self._sides[of]) and _side(*self._sides[of], corner) == 0:
                return self._touch(self._corners.index(corner), of)
        if _side(a, b, c) * _side(a, b, d) < 0 and _side(c, d, a) * _side(c, d, b) < 0:
            first, second = sorted((self._numbers[s] + 1, self._numbers[t] + 1))
            cuts = f"the side after corner {first} cuts the one after corner {second}"
            return f"the outline crosses itself: {cuts}"
        return ""

    def _touch(self, corner: int, of: int) -> str:
        on, after = self._numbers[corner] + 1, self._numbers[of] + 1
        return f"the outline touches itself: corner {on} lies on the side after corner {after}"


def _is_between(p: Point, a: Point, b: Point) -> bool:
    return min(a[0], b[0]) <= p[0] <= max(a[0], b[0]) and min(a[1], b[1]) <= p[1] <= max(a[1], b[1])


def _side(a: Point, b: Point, p: Point) -> int:
    """The sign of (b - a) x (p - a), exact: as in the core, rational where rounding could turn it."""
    one, other = (b[0] - a[0]) * (p[1] - a[1]), (b[1] - a[1]) * (p[0] - a[0])
    turn = one - other
    if abs(turn) <= 3.4e-16 * (abs(one) + abs(other)) + 1e-290:
        ax, ay = Fraction(a[0]), Fraction(a[1])
        exact = (b[0] - ax) * (p[1] - ay) - (b[1] - ay) * (p[0] - ax)
        return (exact > 0) - (exact < 0)
    return (turn > 0) - (turn < 0)
