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


def in_order(
    who: Sequence[int], slots: Sequence[int], fences: Sequence[int], first: int
) -> tuple[array[int], array[int]]:
    """Pairs of slot and fence, those of a slot together, as pairs of fix and fence, fixes in rising order."""
    pairs = len(slots)
    sorted_fixes, sorted_fences = array("i", bytes(4 * pairs)), array("i", bytes(4 * pairs))
    begins = array("i", bytes(4 * (len(who) + 1)))
    of, to, at = sorted_fixes, sorted_fences, begins
    for k in range(pairs):
        at[who[slots[k]] + 1] += 1
    for k in range(len(who)):
        at[k + 1] += at[k]
    for k in range(pairs):
        fix = who[slots[k]]
        slot = at[fix]
        at[fix] = slot + 1
        of[slot], to[slot] = first + fix, fences[k]
    return sorted_fixes, sorted_fences
