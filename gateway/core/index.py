"""The fence index: which fences hold a position, exactly, whatever their number and their corners.

One look-up in a dense grid, and in the blocks of 4 x 4 into which crowded cells are divided, finds the few
edges near the position (raster.py says how they decide). Compiled where a compiler was at hand (index.pxd
has the types); both forms give the same answers.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

from gateway.core import geometry, raw
from gateway.core.bands import BANDS, by_band, in_order
from gateway.core.earth import DEGREE_M
from gateway.core.geometry import Shape, arc_m, near
from gateway.core.raster import Raster, touches

CIRCLE, METRES = 2, DEGREE_M
"""As in raster.py."""
COMPILED = not __file__.endswith(".py")
BLOCK, FOUND = 128, 2048
"""So many fixes are sifted at once, where that is worth it: plain Python does not wait for memory."""
BANDED, BANDED_AT_ONCE = 4096, 1 << 20
"""So many fixes are worth sorting, and so many are sorted at once, which takes 30 bytes each, ..."""
WIDE = 1 << 20
"""... where the records are more whole numbers than this: a smaller index stays near the processor."""
FLAT_RADIUS_M, FLAT_LAT = 2_000.0, 70.0
"""Circles up to here are flat enough for the quick look ..."""
FLAT_ERROR = 2e-3
"""... whose error in the square of the distance is below this, and on the sphere where it matters."""


class FenceIndex:
    """Shapes by their number in `shapes`; numbers come in rising order. Border and corners count as inside.

    Positions that are none (NaN, beyond 90° of latitude or 360° of longitude) lie in no fence. ValueError for
    more fences or corners than raster.py allows.
    """

    def __init__(self, shapes: Sequence[Shape]) -> None:
        raster = Raster(shapes)
        self._corners, self._circles = (
            raster.corners or array("d", [0.0]),
            raster.circles or array("d", [0.0]),
        )
        self._cells, self._records = raster.cells, raster.records
        self._south, self._west, self._east = raster.south, raster.west, raster.east
        self._per_lat, self._per_lon = raster.per_lat, raster.per_lon
        self._columns, self._rows, self._fine = raster.columns, raster.rows, raster.fine
        self._around = self._east >= 180.0
        self._hits = array("i", bytes(8 * raster.polygons + 8))  # each polygon at most once, and once around
        self._next, self._who = array("i", bytes(4 * BLOCK)), array("i", bytes(4 * BLOCK))
        self._again, self._chain = array("i", bytes(4 * BLOCK)), array("i", bytes(4 * BLOCK))
        self._found = array("i", bytes(8 * FOUND))
        self._work, self._fraction = array("i", bytes(8 * BLOCK * 16)), array("d", bytes(16 * BLOCK))
        self._read = 0
        self._query, self._asked = 0, array("q", bytes(8 * len(shapes) + 8))
        self.near = array("i", bytes(4 * len(shapes) + 4))
        """What the last `seek` found."""
        self.nbytes = 8 * (len(self._corners) + len(self._circles)) + 4 * (
            len(self._cells) + len(self._records) + len(self._hits) + 3 * len(self.near)
        )

    def at(self, lat: float, lon: float) -> tuple[int, ...]:
        """The fences that hold the position."""
        count = self._search(lat, lon)
        if count == 0:
            return ()
        return (self._hits[0],) if count == 1 else tuple([self._hits[k] for k in range(count)])

    def pairs(self, lats: Any, lons: Any) -> tuple[array[int], array[int]]:
        """(fix, fence) for every fence that holds a fix: two arrays of C ints, in rising order.

        Takes two buffers of doubles of one length and one dimension (array, memoryview, numpy); ValueError
        for others.
        """
        ys, xs = memoryview(lats), memoryview(lons)
        if ys.format != "d" or xs.format != "d" or ys.ndim != 1 or xs.ndim != 1 or len(ys) != len(xs):
            raise ValueError("two buffers of doubles of the same length are needed")
        if not COMPILED or self._around or len(ys) < BANDED or len(self._records) < WIDE:
            return self._pairs(ys, xs)
        fixes, fences = array("i"), array("i")
        scale = (self._south, self._per_lat * BANDS / self._rows)
        for first in range(0, len(ys), BANDED_AT_ONCE):
            end = min(first + BANDED_AT_ONCE, len(ys))
            places, who = by_band(ys, xs, first, end, scale)
            view = memoryview(places)
            found = in_order(who, *self._pairs(view[::2], view[1::2]), first)
            fixes.extend(found[0])
            fences.extend(found[1])
        return fixes, fences

    def _pairs(self, lats: Sequence[float], lons: Sequence[float]) -> tuple[array[int], array[int]]:
        room = len(lats) // 4 + len(self._hits)
        fixes, fences = array("i", bytes(4 * room)), array("i", bytes(4 * room))
        of, to = fixes, fences
        used, sifting = 0, COMPILED and not self._around
        first = end = 0
        for fix in range(len(lats)):
            if fix == end:
                first, end = fix, min(fix + BLOCK, len(lats))
                if sifting:
                    self._sift(lats, lons, first, end)
            if sifting and not self._again[fix - first]:
                if not self._chain[fix - first]:
                    continue
                count = self._take(fix - first)
            else:
                count = self._search(lats[fix], lons[fix])
            if used + count > room:
                fixes, fences = fixes + fixes, fences + fences
                of, to = fixes, fences
                room = len(fixes)
            for k in range(count):
                of[used], to[used] = fix, self._hits[k]
                used += 1
        return fixes[:used], fences[:used]

    def _sift(self, lats: Sequence[float], lons: Sequence[float], first: int, end: int) -> None:
        """Chain up the fences that hold each of these fixes, one step of all of them after the other.

        Shuffled fixes wait for memory most of all, and reads that do not depend on each other wait together.
        """
        active = self._start(lats, lons, first, end)
        work = read = 0
        while active:
            for k in range(active):
                read += self._records[self._next[k]] + self._records[self._next[k] + 15]
            kept = 0
            for k in range(active):
                at = self._next[k]
                self._work[2 * work], self._work[2 * work + 1] = self._who[k], at
                work += self._records[at + 1] > 0
                gx, gy = self._fraction[2 * k] * 4.0, self._fraction[2 * k + 1] * 4.0
                column, row = int(gx), int(gy)
                self._fraction[2 * kept], self._fraction[2 * kept + 1] = gx - column, gy - row
                self._who[kept] = self._who[k]
                self._next[kept] = self._records[at + 2 + 4 * row + column]
                kept += self._records[at] > 0
            active = self._compact(kept)
        for k in range(work):
            at = self._work[2 * k + 1]
            read += (
                self._records[at + 16]
                + self._records[at + 32]
                + self._records[at + 48]
                + self._records[at + 64]
            )
        self._read = read
        self._evaluate(work, lats, lons, first)

    def _evaluate(self, work: int, lats: Sequence[float], lons: Sequence[float], first: int) -> None:
        """Chain up what the records hold of each fix; too much for the room there is will be searched for."""
        found = 1
        for k in range(work):
            fix, at = self._work[2 * k], self._work[2 * k + 1]
            if found + self._records[at + 1] > FOUND:
                self._again[fix] = 1
                continue
            for i in range(self._collect_cell(at, lats[first + fix], lons[first + fix], 0)):
                self._found[2 * found], self._found[2 * found + 1] = self._hits[i], self._chain[fix]
                self._chain[fix] = found
                found += 1

    def _take(self, fix: int) -> int:
        """Put the chain of this fix into `_hits`; how many they are."""
        count, link = 0, self._chain[fix]
        while link:
            self._hits[count], link = self._found[2 * link], self._found[2 * link + 1]
            count += 1
        return self._in_order(count) if count > 1 else count

    def _compact(self, count: int) -> int:
        """Leave out where the next cell is empty."""
        kept = 0
        for k in range(count):
            self._fraction[2 * kept] = self._fraction[2 * k]
            self._fraction[2 * kept + 1] = self._fraction[2 * k + 1]
            self._who[kept], self._next[kept] = self._who[k], self._next[k]
            kept += self._next[k] != 0
        return kept

    def _start(self, lats: Sequence[float], lons: Sequence[float], first: int, end: int) -> int:
        """The root cells of these fixes that are not empty, as the first step of a sifting."""
        active = 0
        for k in range(first, end):
            lat, lon = lats[k], lons[k]
            self._again[k - first], self._chain[k - first] = not -180.0 <= lon < 180.0, 0
            gx, gy = (lon - self._west) * self._per_lon, (lat - self._south) * self._per_lat
            if 0.0 <= gx < self._columns and 0.0 <= gy < self._rows:
                column, row = int(gx), int(gy)
                self._fraction[2 * active], self._fraction[2 * active + 1] = gx - column, gy - row
                self._who[active] = k - first
                self._next[active] = self._cells[row * self._columns + column]
                active += self._next[active] != 0
        return active

    def near_line(self, lat1: float, lon1: float, lat2: float, lon2: float) -> list[int]:
        """Fences that may have a point of the line in common; all that do are among them."""
        return [self.near[k] for k in range(self.seek(lat1, lon1, lat2, lon2))]

    def seek(self, lat1: float, lon1: float, lat2: float, lon2: float) -> int:
        """How many fences `near_line` would name; they are the first of `near`."""
        if not (-90.0 <= lat1 <= 90.0 and -90.0 <= lat2 <= 90.0):
            return 0
        if not (-360.0 <= lon1 <= 360.0 and -360.0 <= lon2 <= 360.0):
            return 0
        self._query += 1
        lon1 = near(lon1, lon2)
        count = self._along(lat1, lon1, lat2, lon2, 0)
        count = self._along(lat1, lon1 - 360.0, lat2, lon2 - 360.0, count)
        count = self._along(lat1, lon1 + 360.0, lat2, lon2 + 360.0, count)
        for k in range(1, count):
            fence, i = self.near[k], k
            while i > 0 and self.near[i - 1] > fence:
                self.near[i] = self.near[i - 1]
                i -= 1
            self.near[i] = fence
        return count

    # --- positions ---

    def _search(self, lat: float, lon: float) -> int:
        """How many fences hold the position; their numbers are the first of `_hits`."""
        if not (-90.0 <= lat <= 90.0 and -360.0 <= lon <= 360.0):
            return 0
        if lon > 180.0:
            lon -= 360.0
        elif lon < -180.0:
            lon += 360.0
        count = self._collect(lat, lon, 0)
        if self._around:
            count = self._collect(lat, lon + 360.0, count)
        if lon == 180.0:
            count = self._collect(lat, -180.0, count)
        return self._in_order(count) if count > 1 else count

    def _collect(self, y: float, x: float, count: int) -> int:
        """Append the fences of all cells that hold the position."""
        gx, gy = (x - self._west) * self._per_lon, (y - self._south) * self._per_lat
        if not (0.0 <= gx < self._columns and 0.0 <= gy < self._rows):
            return count
        column, row = int(gx), int(gy)
        at = self._cells[row * self._columns + column]
        while at:
            count = self._collect_cell(at, y, x, count)
            if not self._records[at]:
                return count
            gx, gy = (gx - column) * 4.0, (gy - row) * 4.0
            column, row = int(gx), int(gy)
            at = self._records[at + 2 + 4 * row + column]
        return count

    def _collect_cell(self, at: int, y: float, x: float, count: int) -> int:
        """Append the fences of one record that hold the position."""
        entries = self._records[at + 1]
        at += 18 if self._records[at] else 2
        for _ in range(entries):
            fence, second = self._records[at], self._records[at + 1]
            at += 2
            if second & CIRCLE:
                held = self._in_circle(second // 4, y, x)
            else:
                held = self._in_runs(at, second, y, x)
                if second > 3:
                    at += self._records[at] - 2
            if held and (count == 0 or self._hits[count - 1] != fence):
                self._hits[count] = fence
                count += 1
        return count

    def _in_runs(self, at: int, second: int, y: float, x: float) -> bool:
        """By whole numbers: sure, or repeated with the original corners."""
        odd, beside = second & 1, at + 1
        qy = int((y - self._south) * self._per_lat * self._fine)
        qx = int((x - self._west) * self._per_lon * self._fine)
        for _ in range(second // 4):
            code, ay, ax = self._records[beside + 1], self._records[beside + 2], self._records[beside + 3]
            beside += 4
            if code & 1:
                odd ^= ay < qy
            for v in range(beside, beside + 2 * (code // 4), 2):
                by, bx = self._records[v], self._records[v + 1]
                if (ay < qy) != (by < qy):
                    turned = (bx - ax) * (qy - ay) - (qx - ax) * (by - ay)
                    bound = abs(bx - ax) + abs(by - ay) + abs(qx - ax) + abs(qy - ay)
                    if abs(turned) <= 2 * bound + 8:
                        return self._in_corners(at, second, y, x)
                    odd ^= (turned < 0) == (ay < qy)
                if ay == qy:
                    return self._in_corners(at, second, y, x)
                ay, ax = by, bx
            if ay == qy:
                return self._in_corners(at, second, y, x)
            beside += 2 * (code // 4)
            if code & 2:
                odd ^= ay < qy
        return odd != 0

    def _in_corners(self, at: int, second: int, y: float, x: float) -> bool:
        odd = second & 1
        at += 1
        for _ in range(second // 4):
            start, code = self._records[at], self._records[at + 1]
            last = start + code // 4
            at += 4 + 2 * (code // 4)
            found = geometry.passes(raw.doubles(self._corners), start, last, y, x)
            if found > 1:
                return True
            odd ^= found
            if code & 1:
                odd ^= self._corners[2 * start] < y
            if code & 2:
                odd ^= self._corners[2 * last] < y
        return odd != 0

    def _in_circle(self, circle: int, y: float, x: float) -> bool:
        lat, lon = self._circles[4 * circle], self._circles[4 * circle + 1]
        radius_m, shrink = self._circles[4 * circle + 2], self._circles[4 * circle + 3]
        if radius_m <= FLAT_RADIUS_M and -FLAT_LAT <= lat <= FLAT_LAT:
            north, east = (y - lat) * METRES, (x - lon) * shrink * METRES
            square, full = north * north + east * east, radius_m * radius_m
            if abs(square - full) > FLAT_ERROR * full:
                return square < full
        return arc_m(lat, lon, y, x) <= radius_m

    def _in_order(self, count: int) -> int:
        """Sort the hits (insertion, they are few and nearly sorted) and drop doubles."""
        for k in range(1, count):
            fence, i = self._hits[k], k
            while i > 0 and self._hits[i - 1] > fence:
                self._hits[i] = self._hits[i - 1]
                i -= 1
            self._hits[i] = fence
        kept = 1
        for k in range(1, count):
            if self._hits[k] != self._hits[kept - 1]:
                self._hits[kept] = self._hits[k]
                kept += 1
        return kept

    # --- lines ---

    def _along(self, lat1: float, lon1: float, lat2: float, lon2: float, count: int) -> int:
        ay, by = (lat1 - self._south) * self._per_lat, (lat2 - self._south) * self._per_lat
        ax, bx = (lon1 - self._west) * self._per_lon, (lon2 - self._west) * self._per_lon
        first, last = int(max(min(ay, by) - 1e-6, 0.0)), int(min(max(ay, by) + 1e-6, self._rows - 0.5))
        for row in range(first, last + 1):
            west, east = min(ax, bx), max(ax, bx)
            if ay != by:
                x = ax + (bx - ax) * min(max((row - ay) / (by - ay), 0.0), 1.0)
                past = ax + (bx - ax) * min(max((row + 1 - ay) / (by - ay), 0.0), 1.0)
                west, east = min(x, past), max(x, past)
            left, right = int(max(west - 1e-6, 0.0)), int(min(east + 1e-6, self._columns - 0.5))
            for column in range(left, right + 1):
                at = self._cells[row * self._columns + column]
                if at:
                    count = self._gather(at, ay - row, ax - column, by - row, bx - column, count)
        return count

    def _gather(self, at: int, ay: float, ax: float, by: float, bx: float, count: int) -> int:
        """Append the fences of a cell of size 1 at the origin, and of those of its 4 x 4 on the line."""
        divided, entries, cells = self._records[at], self._records[at + 1], at + 2
        at += 18 if divided else 2
        for _ in range(entries):
            fence = self._records[at]
            if self._asked[fence] != self._query:
                self._asked[fence] = self._query
                self.near[count] = fence
                count += 1
            second = self._records[at + 1]
            at += self._records[at + 2] if second > 3 and not second & CIRCLE else 2
        if not divided:
            return count
        for k in range(16):
            y, x = k // 4, k % 4
            if self._records[cells + k] and touches(
                ay * 4 - y - 0.5, ax * 4 - x - 0.5, by * 4 - y - 0.5, bx * 4 - x - 0.5, 0.501, 0.501
            ):
                count = self._gather(
                    self._records[cells + k], ay * 4 - y, ax * 4 - x, by * 4 - y, bx * 4 - x, count
                )
        return count
