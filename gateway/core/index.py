"""The fence index: which fences hold a position, exactly, whatever their number and their corners.

One look-up in a dense grid, and in the blocks of 4 x 4 into which crowded cells are divided, finds the few
edges near the position (raster.py says how they decide). Compiled where a compiler was at hand (index.pxd
has the types); both forms give the same answers.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

from gateway.core import edges, geometry, raw
from gateway.core.bands import BANDS, as_given, by_band, in_order
from gateway.core.earth import DEGREE_M
from gateway.core.edges import touches
from gateway.core.geometry import Shape, arc_m, near
from gateway.core.raster import Raster, Tape

CIRCLE, UNSURE, METRES = 2, 2, DEGREE_M
"""As in raster.py and edges.py."""
COMPILED = not __file__.endswith(".py")
BLOCK, LINE = 128, 16
"""So many fixes are sifted at once; so many whole numbers come from memory together."""
BANDED, AT_ONCE = 4096, 1 << 20
"""So many fixes are worth sorting, and so many are taken at once, which takes 30 bytes each, ..."""
WIDE = 1 << 20
"""... where the records are more whole numbers than this: a smaller index stays near the processor."""
NAN = float("nan")
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
        self._next, self._who = array("i", bytes(4 * BLOCK + 4)), array("i", bytes(4 * BLOCK + 4))
        self._work = array("i", bytes(8 * BLOCK * 16))
        self._places, self._fraction = array("d", bytes(16 * BLOCK)), array("d", bytes(16 * BLOCK + 16))
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
        sort = COMPILED and len(ys) >= BANDED and len(self._records) >= WIDE
        scale = (self._south, self._per_lat * BANDS / self._rows)
        fixes, fences = array("i"), array("i")
        for first in range(0, len(ys), AT_ONCE):
            end = min(first + AT_ONCE, len(ys))
            if sort:
                places, who = by_band(ys, xs, first, end, scale)
                view = memoryview(places)
                found = self._pairs(view[::2], view[1::2], who, first)
            else:
                found = self._pairs(ys[first:end], xs[first:end], as_given(end - first), first)
            if end - first == len(ys):
                return found
            fixes.extend(found[0])
            fences.extend(found[1])
        return fixes, fences

    def _pairs(
        self, lats: Sequence[float], lons: Sequence[float], who: Sequence[int], base: int
    ) -> tuple[array[int], array[int]]:
        fixes, fences = Tape(len(who) // 4), Tape(len(who) // 4)
        for first in range(0, len(who), BLOCK):
            end = min(first + BLOCK, len(who))
            self._evaluate(self._sift(self._start(lats, lons, first, end, 0.0)), who, first, fixes, fences)
            if self._around:
                self._evaluate(
                    self._sift(self._start(lats, lons, first, end, 360.0)), who, first, fixes, fences
                )
        return in_order(len(who), fixes.data, fences.data, fixes.used, base)

    def _start(self, lats: Sequence[float], lons: Sequence[float], first: int, end: int, turn: float) -> int:
        """The root cells of these fixes that are not empty, `turn` degrees further east, as the first step of
        a sifting."""
        active = 0
        for k in range(first, end):
            y, x = lats[k], lons[k]
            if not -180.0 <= x < 180.0:
                x = x - 360.0 if 180.0 <= x <= 360.0 else x + 360.0 if -360.0 <= x < -180.0 else NAN
            x += turn
            gx, gy = (x - self._west) * self._per_lon, (y - self._south) * self._per_lat
            if 0.0 <= gx < self._columns and 0.0 <= gy < self._rows and -90.0 <= y <= 90.0:
                column, row = int(gx), int(gy)
                self._places[2 * (k - first)], self._places[2 * (k - first) + 1] = y, x
                self._fraction[2 * active], self._fraction[2 * active + 1] = gx - column, gy - row
                self._who[active] = k - first
                self._next[active] = self._cells[row * self._columns + column]
                active += self._next[active] != 0
        return active

    def _sift(self, active: int) -> int:
        """List the records with entries that these fixes meet, one step of all fixes after the other.

        Shuffled fixes wait for memory most of all, and reads that do not depend on each other wait together.
        What does not go on is left out without a branch, which would be guessed wrong half of the time.
        """
        records = raw.view(self._records)
        work = 0
        while active:
            for k in range(active):
                raw.fetch(records, self._next[k])
                raw.fetch(records, self._next[k] + LINE)
            kept = 0
            for k in range(active):
                at = self._next[k]
                self._work[2 * work], self._work[2 * work + 1] = self._who[k], at
                work += records[at + 1] > 0
                gx, gy = self._fraction[2 * k] * 4.0, self._fraction[2 * k + 1] * 4.0
                column, row = int(gx), int(gy)
                self._fraction[2 * kept], self._fraction[2 * kept + 1] = gx - column, gy - row
                self._who[kept] = self._who[k]
                inner = records[at + 2 + 4 * row + column]  # an entry, if the cell is not divided
                self._next[kept] = inner
                kept += (records[at] != 0) & (inner != 0)
            active = kept
        for k in range(work):
            for line in range(1, 5):
                raw.fetch(records, self._work[2 * k + 1] + line * LINE)
        return work

    def _evaluate(self, work: int, who: Sequence[int], first: int, fixes: Tape, fences: Tape) -> None:
        """Append the fixes and fences that the listed records hold."""
        for k in range(work):
            slot, at = self._work[2 * k], self._work[2 * k + 1]
            count = self._collect_cell(at, self._places[2 * slot], self._places[2 * slot + 1], 0)
            fixes.reserve(count)
            fences.reserve(count)
            for i in range(count):
                fixes.data[fixes.used], fences.data[fixes.used] = who[first + slot], self._hits[i]
                fixes.used += 1
            fences.used = fixes.used

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
        records, entries = raw.view(self._records), self._records[at + 1]
        at += 18 if records[at] else 2
        qy = int((y - self._south) * self._per_lat * self._fine)
        qx = int((x - self._west) * self._per_lon * self._fine)
        for _ in range(entries):
            fence, second = records[at], records[at + 1]
            at += 2
            if second & CIRCLE:
                held = int(self._in_circle(second >> 2, y, x))
            else:
                held = second & 1
                if second > 3:
                    held = edges.in_runs(records, at, second, qy, qx)
                    if held == UNSURE:
                        held = int(self._in_corners(at, second, y, x))
                    at += (records[at] >> 5) - 2
            if held and (count == 0 or self._hits[count - 1] != fence):
                self._hits[count] = fence
                count += 1
        return count

    def _in_corners(self, at: int, second: int, y: float, x: float) -> bool:
        odd = second & 1
        at += 3
        for _ in range(second >> 2):
            start, code = self._records[at], self._records[at + 1]
            last = start + (code >> 2)
            at += 3 + raw.padded(code >> 2)
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
            at += self._records[at + 2] >> 5 if second > 3 and not second & CIRCLE else 2
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
