"""A batch of fixes in the order of bands of latitude, and its answers back in the order of the fixes.

Fixes that lie near each other ask for the same memory: shuffled ones of a wide map wait for it longer than
the sorting takes. Compiled where a compiler was at hand (bands.pxd has the types).
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

BANDS = 256
"""As many as a byte can tell apart."""


def by_band(
    lats: Sequence[float], lons: Sequence[float], first: int, end: int, scale: tuple[float, float]
) -> tuple[array[float], array[int]]:
    """Fixes first to end - 1: latitude and longitude in turn, and which fix each one is, from 0 on.

    `scale` is where the first band begins, and how many there are in a degree of latitude.

    Band 0 also takes what lies in none, and what is no number.
    """
    south, per_lat = scale
    most = BANDS
    size = end - first
    places, who = array("d", bytes(16 * size)), array("i", bytes(4 * size))
    begins = array("i", bytes(4 * (BANDS + 1)))
    to, of, at, bands = places, who, begins, bytearray(size)
    band = bands
    for k in range(first, end):
        up = (lats[k] - south) * per_lat
        number = int(up) if 0.0 <= up < most else 0
        band[k - first] = number
        at[number + 1] += 1
    for k in range(BANDS):
        at[k + 1] += at[k]
    for k in range(first, end):
        number = band[k - first]
        slot = at[number]
        at[number] = slot + 1
        to[2 * slot], to[2 * slot + 1] = lats[k], lons[k]
        of[slot] = k - first
    return places, who


def as_given(size: int) -> array[int]:
    """Which fix each one is, where they are not sorted."""
    who = array("i", bytes(4 * size))
    of = who
    for k in range(size):
        of[k] = k
    return who


def in_order(
    count: int, fixes: Sequence[int], fences: Sequence[int], pairs: int, base: int
) -> tuple[array[int], array[int]]:
    """So many pairs of a fix below `count` and a fence, sorted, doubles dropped; fixes as from `base` on.

    Counted out by fix, then by insertion: the fences of one fix are few and nearly sorted.
    """
    sorted_fixes, sorted_fences = array("i", bytes(4 * pairs)), array("i", bytes(4 * pairs))
    begins = array("i", bytes(4 * (count + 1)))
    of, to, at = sorted_fixes, sorted_fences, begins
    for k in range(pairs):
        at[fixes[k] + 1] += 1
    for k in range(count):
        at[k + 1] += at[k]
    for k in range(pairs):
        fix = fixes[k]
        slot = at[fix]
        at[fix] = slot + 1
        of[slot], to[slot] = base + fix, fences[k]
    kept = 0
    for k in range(pairs):
        fix, fence, slot = of[k], to[k], kept
        while slot > 0 and of[slot - 1] == fix and to[slot - 1] > fence:
            slot -= 1
        if slot > 0 and of[slot - 1] == fix and to[slot - 1] == fence:
            continue
        for i in range(kept, slot, -1):
            to[i] = to[i - 1]
        of[kept], to[slot] = fix, fence
        kept += 1
    return (sorted_fixes, sorted_fences) if kept == pairs else (sorted_fixes[:kept], sorted_fences[:kept])
