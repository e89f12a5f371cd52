"""Edges against positions and cells: which lie west of a position, which touch a box.

`in_runs` answers from the records of raster.py, in whole numbers and without branches, so that a processor
compares several edges at once and guesses nothing; where rounding could matter it says so, and the original
corners decide. Compiled where a compiler was at hand (edges.pxd has the types).
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from gateway.core import raw
from gateway.core.geometry import side

UNSURE = 2


def in_runs(of: Sequence[int], at: int, second: int, qy: int, qx: int) -> int:
    """Whether an entry's fence holds the position in whole numbers, 0 or 1; UNSURE where rounding matters.

    `at` is where the entry's third number is, `second` what its second says.
    """
    odd, shift = second & 1, of[at] & 31
    qy, qx = (qy - of[at + 1]) >> shift, (qx - of[at + 2]) >> shift
    at += 3
    for _ in range(second >> 2):
        code = of[at + 1]
        edges = raw.padded(code >> 2)
        at += 2
        found = crossed(of, at, edges, qy, qx)
        if found >= UNSURE:
            return UNSURE
        odd ^= found ^ (code & (of[at] >> 16 < qy)) ^ (code >> 1 & (of[at + edges] >> 16 < qy))
        at += edges + 1
    return odd


def crossed(of: Sequence[int], first: int, edges: int, qy: int, qx: int) -> int:
    """How many of the edges lie west of the position, modulo 2; UNSURE and more where rounding matters.

    Rounding down moves a difference by less than 1, so a product of two by less than their sum plus 1.
    Single precision is enough: one factor has 17 bits at most, so that it adds a hundredth of this.
    """
    odd = unsure = 0
    zero, twice, more = 0.0, 2.0, 8.0
    for v in range(first, first + edges):
        ay, ax, by, bx = of[v] >> 16, of[v] & 65535, of[v + 1] >> 16, of[v + 1] & 65535
        high, wide, up, right = by - ay, bx - ax, qy - ay, qx - ax
        turned = wide * up - right * high
        slack = twice * (abs(high) + abs(wide) + abs(up) + abs(right)) + more
        crosses = (ay < qy) ^ (by < qy)
        unsure |= (crosses & (abs(turned) <= slack)) | (ay == qy) | (by == qy)
        odd ^= crosses & ((turned < zero) ^ (by < qy))
    return odd + UNSURE * unsure


def parity(corners: array[float], stream: array[int], first: int, end: int, y: float, x: float) -> int:
    """Of the edges of these runs that lie west of (y, x), and of their ends that count; an edge that (y, x)
    lies on is west of it."""
    odd = 0
    for k in range(first, end, 2):
        start, code = stream[k], stream[k + 1]
        last = start + code // 4
        for v in range(2 * start, 2 * last, 2):
            if (corners[v] < y) != (corners[v + 2] < y):
                turned = side(corners[v], corners[v + 1], corners[v + 2], corners[v + 3], y, x)
                odd ^= turned == 0 or (turned < 0) == (corners[v] < y)
        if code & 1:
            odd ^= corners[2 * start] < y
        if code & 2:
            odd ^= corners[2 * last] < y
    return odd


def touches(ay: float, ax: float, by: float, bx: float, high: float, wide: float) -> bool:
    """The segment ab may have a point in the box that reaches so far from the origin: no separating axis."""
    if (ay > high and by > high) or (ay < -high and by < -high):
        return False
    if (ax > wide and bx > wide) or (ax < -wide and bx < -wide):
        return False
    dy, dx = by - ay, bx - ax
    return abs(dx * ay - dy * ax) <= abs(dx) * high + abs(dy) * wide
