"""How the fence index is built: every cell learns which fences hold it and which edges touch it.

A cell's fence is either a circle, or all of the cell, or runs of consecutive edges that touch the cell, with
one bit. How many edges lie west of a position in the cell, at its latitude, differs by a constant from the
count over these runs and over their ends that lie west of the cell and south of the position; the bit is
this constant, modulo 2. So no edge is clipped, and each comparison is one of original coordinates.

Grid coordinates count root cells east and north from the corner of all fences' box. They choose cells and
edges, with MARGIN to spare; rounded to whole numbers they also answer, where rounding could not matter.
"""

from __future__ import annotations

import math
import mmap
from array import array
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from gateway.core import edges, raw
from gateway.core.earth import DEGREE_M
from gateway.core.edges import touches
from gateway.core.geometry import Disc, Polygons, Shape, box_of

CELL_MIN_M = 200.0
CELLS_MIN = 4096
CELLS_A_FENCE = 8
ENTRIES_A_FENCE = 16
"""The root grid becomes coarser until the fences' boxes cover no more cells than this (and ENTRIES_FREE)."""
ENTRIES_FREE = 65_536
FENCES_MAX = 1_000_000
CORNERS_MAX = 10_000_000
CROWDED = 14
"""A cell with more edges is divided in 4 x 4, ..."""
SMALLEST_M = 10.0
"""... unless it is smaller than this."""
MARGIN = 1e-9
"""Of a root cell."""
HUGE = 1 << 22
CIRCLE, WHOLE = 2, 1
"""The bits of an entry's second number; above them the number of the circle, or of the runs."""


class Tape:
    """Whole numbers in a row, with room for more."""

    def __init__(self, room: int) -> None:
        self.data, self.used, self._room = array("i", bytes(4 * room)), 0, room

    def reserve(self, more: int) -> None:
        """Room for so many numbers beyond `used`; they are 0 where never written."""
        if self.used + more > self._room:
            self._grow(2 * (self.used + more))

    def _grow(self, room: int) -> None:
        grown = array("i", bytes(4 * room))
        grown[: self.used] = self.data[: self.used]
        self.data, self._room = grown, room

    def cut(self) -> Any:
        """What is used, and some zeros, so that reading ahead needs no test."""
        kept = _memory(4 * (self.used + 65))
        view = kept
        view[: self.used] = self.data[: self.used]
        return kept


class Raster:
    """`cells`: for each root cell, row by row from the south, where its record in `records` begins, or 0.
    A record: whether the cell is divided; how many entries; if divided, where the records of its 4 x 4 cells
    begin, row by row, or 0; the entries.
    An entry: the number of a fence; a second number: CIRCLE plus four times the number of the circle, WHOLE,
    or the constant plus four times how many runs. With runs, 32 times the length of the entry plus how many
    bits its corners leave out, the place they are told from (latitude, longitude), and for each run the
    number of its first corner, four times how many edges, plus 1 if its first end counts, plus 2 if its last
    does, and its corners, the last one repeated until the edges are `raw.padded`. A corner is one number:
    latitude times 65536 plus longitude, in grid coordinates times `fine`, less those bits, rounded down.

    ValueError for more fences or corners than an index can hold, told before memory is taken.
    """

    def __init__(self, shapes: Sequence[Shape]) -> None:
        corners = sum(len(s.corners) // 2 for s in shapes if isinstance(s, Polygons))
        if len(shapes) > FENCES_MAX or corners > CORNERS_MAX:
            raise ValueError(f"{len(shapes)} fences with {corners} corners: more than an index can hold")
        self.corners, self.circles = array("d"), array("d")
        self._rings, self._parts, self._boxes = array("i"), array("i"), array("d")
        for number, shape in enumerate(shapes):
            self._add(number, shape)
        self.polygons = len(self._parts) // 3
        self._lay_out(len(shapes))
        room = 8 * len(self.corners) + 64
        self._cells, self._pool, self._records, self._stack = Tape(0), Tape(room), Tape(room), Tape(64)
        self._cells.reserve(self.columns * self.rows)
        self._cells.used, self._pool.used, self._records.used = self.columns * self.rows, 1, 1
        self._budget = 4 * ENTRIES_FREE + 128 * len(shapes) + 32 * len(self.corners)
        self._paint_all()
        self._seal_all()
        self.cells, self.records = self._cells.cut(), self._records.cut()

    def _add(self, number: int, shape: Shape) -> None:
        """Shapes lie from -180° on, those across the antimeridian beyond 180°."""
        south, north, west, east = shape.box
        turn = 360.0 if west < -180.0 else -360.0 if west >= 180.0 else 0.0
        if isinstance(shape, Disc):
            self._parts.extend((number, -1, len(self.circles) // 4))
            self._boxes.extend((south - 1e-9, north + 1e-9, west + turn - 1e-9, east + turn + 1e-9))
            self.circles.extend((shape.lat, shape.lon + turn, shape.radius_m, shape.shrink))
            return
        assert isinstance(shape, Polygons)  # noqa: S101 - there is no third kind of shape
        base, ring = len(self.corners) // 2, len(self._rings)
        corners, parts = shape.corners, shape.parts
        if turn != 0.0:
            corners = array("d", [c + turn if k % 2 else c for k, c in enumerate(corners)])
        self.corners.extend(corners)
        for v in shape.rings:
            self._rings.append(base + v)
        for k in range(len(parts) - 1):
            first, end = parts[k], parts[k + 1]
            self._parts.extend((number, ring + first, ring + end))
            self._boxes.extend(box_of(corners, shape.rings[first], shape.rings[end]))

    def _lay_out(self, fences: int) -> None:
        """The root grid: cells of CELL_MIN_M or more, so many as the fences are worth."""
        boxes = self._boxes or array("d", [0.0] * 4)
        self.south, north = min(boxes[::4]), max(boxes[1::4])
        self.west, self.east = min(boxes[2::4]), max(boxes[3::4])
        shrink = max(math.cos(math.radians((self.south + north) / 2)), 0.01)
        high_m, wide_m = (north - self.south) * DEGREE_M, (self.east - self.west) * DEGREE_M * shrink
        most = max(CELLS_A_FENCE * fences, CELLS_MIN)
        self.cell_m = max(CELL_MIN_M, math.sqrt(high_m * wide_m / most))
        while True:
            self.per_lat, self.per_lon = DEGREE_M / self.cell_m, DEGREE_M * shrink / self.cell_m
            self.columns = int((self.east - self.west) * self.per_lon) + 1
            self.rows = int((north - self.south) * self.per_lat) + 1
            if self.columns * self.rows <= 2 * most and self._fits(ENTRIES_A_FENCE * fences + ENTRIES_FREE):
                self.fine = 2.0**30 / max(self.columns, self.rows)
                return
            self.cell_m *= 1.5

    def _fits(self, entries: int) -> bool:
        """The boxes cover no more root cells than `entries`, or there is but one cell."""
        covered = 0.0
        for k in range(0, len(self._boxes), 4):
            high = (self._boxes[k + 1] - self._boxes[k]) * self.per_lat + 1.0
            covered += high * ((self._boxes[k + 3] - self._boxes[k + 2]) * self.per_lon + 1.0)
        return covered <= entries or self.columns * self.rows == 1

    # --- painting: parts in falling order, so that each cell's list has them in rising order ---

    def _paint_all(self) -> None:
        """Every part into the root cells; grid coordinates of the corners live as long as the painting."""
        self._points = self.corners
        self._scale()
        self._block, self._stride, self._left, self._low, self._size = 0, self.columns, 0.0, 0.0, 1.0
        for part in range(len(self._parts) // 3 - 1, -1, -1):
            self._fence = self._parts[3 * part]
            first, end = self._parts[3 * part + 1], self._parts[3 * part + 2]
            low = int(max((self._boxes[4 * part] - self.south) * self.per_lat - MARGIN, 0.0))
            high = int((self._boxes[4 * part + 1] - self.south) * self.per_lat + MARGIN) + 1
            left = int(max((self._boxes[4 * part + 2] - self.west) * self.per_lon - MARGIN, 0.0))
            right = int((self._boxes[4 * part + 3] - self.west) * self.per_lon + MARGIN) + 1
            right, high = min(right, self.columns), min(high, self.rows)
            if first < 0:
                self._paint_circle(end, left, right, low, high)
                continue
            self._stack.used = 0
            self._stack.reserve(2 * (end - first))
            for ring in range(first, end):
                sides = self._rings[ring + 1] - self._rings[ring] - 1
                self._stack.data[self._stack.used] = self._rings[ring]
                self._stack.data[self._stack.used + 1] = 4 * sides
                self._stack.used += 2
            self._paint(0, self._stack.used, left, right, low, high, 0)

    def _scale(self) -> None:
        """The corners in grid coordinates, and times `fine` as whole numbers."""
        grid, whole = array("d", bytes(8 * len(self.corners))), array("i", bytes(4 * len(self.corners)))
        to, of = whole, grid
        for v in range(0, len(self._points), 2):
            of[v] = (self._points[v] - self.south) * self.per_lat
            of[v + 1] = (self._points[v + 1] - self.west) * self.per_lon
            to[v], to[v + 1] = int(of[v] * self.fine), int(of[v + 1] * self.fine)
        self._grid, self._whole = grid, whole

    def _paint_circle(self, circle: int, left: int, right: int, low: int, high: int) -> None:
        for row in range(low, high):
            for column in range(left, right):
                self._push(self._block + row * self._stride + column, CIRCLE + 4 * circle, 0, 0)

    def _paint(self, first: int, end: int, left: int, right: int, low: int, high: int, odd: int) -> None:
        """The fence in some columns and rows of the block, from its runs there and their constant."""
        if first == end:
            if odd:
                for row in range(low, high):
                    for column in range(left, right):
                        self._push(self._block + row * self._stride + column, WHOLE, 0, 0)
            return
        if right - left == 1 and high - low == 1:
            cell = self._block + low * self._stride + left
            self._push(cell, odd + 4 * ((end - first) // 2), first, end)
        elif right - left >= high - low:
            middle = (left + right) // 2
            self._narrow(first, end, left, middle, low, high, odd)
            self._narrow(first, end, middle, right, low, high, odd)
        else:
            middle = (low + high) // 2
            self._narrow(first, end, left, right, low, middle, odd)
            self._narrow(first, end, left, right, middle, high, odd)

    def _narrow(self, first: int, end: int, left: int, right: int, low: int, high: int, odd: int) -> None:
        """Paint a part of where these runs hold."""
        west, east = self._left + left * self._size, self._left + right * self._size
        south, north = self._low + low * self._size, self._low + high * self._size
        x, y = (west + east) / 2, (south + north) / 2
        kept = self._stack.used
        self._keep(first, end, x, y, (east - west) / 2 + MARGIN, (north - south) / 2 + MARGIN)
        lat, lon = self.south + y / self.per_lat, self.west + x / self.per_lon
        odd ^= edges.parity(self._points, self._stack.data, first, end, lat, lon)
        odd ^= edges.parity(self._points, self._stack.data, kept, self._stack.used, lat, lon)
        self._paint(kept, self._stack.used, left, right, low, high, odd)
        self._stack.used = kept

    def _keep(self, first: int, end: int, x: float, y: float, wide: float, high: float) -> None:
        """Of these runs the edges that may touch the box around (x, y), as runs on top of the stack."""
        grid = self._grid
        for k in range(first, end, 2):
            v, last, start = self._stack.data[k], self._stack.data[k] + self._stack.data[k + 1] // 4, -1
            while v <= last:
                if v < last and touches(
                    grid[2 * v] - y,
                    grid[2 * v + 1] - x,
                    grid[2 * v + 2] - y,
                    grid[2 * v + 3] - x,
                    high,
                    wide,
                ):
                    if start < 0:
                        start = v
                elif start >= 0:
                    self._stack.reserve(2)
                    ends = (grid[2 * start + 1] < x) + 2 * (grid[2 * v + 1] < x)
                    self._stack.data[self._stack.used] = start
                    self._stack.data[self._stack.used + 1] = 4 * (v - start) + ends
                    self._stack.used += 2
                    start = -1
                v += 1

    def _push(self, cell: int, second: int, first: int, end: int) -> None:
        """An entry, to the front of the cell's list: the next one, the fence, the second number, the runs."""
        pool = self._pool
        pool.reserve(3 + end - first)
        at = pool.used
        pool.data[at], pool.data[at + 1], pool.data[at + 2] = self._cells.data[cell], self._fence, second
        for k in range(end - first):
            pool.data[at + 3 + k] = self._stack.data[first + k]
        self._cells.data[cell] = at
        pool.used = at + 3 + end - first

    # --- sealing: a cell's list becomes its record, or its block ---

    def _seal_all(self) -> None:
        for cell in range(self.columns * self.rows):
            if self._cells.data[cell]:
                self._seal(cell, cell % self.columns, cell // self.columns, 1.0)

    def _seal(self, cell: int, left: float, low: float, size: float) -> None:
        base = self._stack.used
        edges = self._list(self._cells.data[cell])
        end = self._stack.used
        block = -1
        if (
            edges > CROWDED
            and size * self.cell_m >= SMALLEST_M
            and self._pool.used + self._records.used < self._budget
        ):
            block = self._divide(base, end, left, low, size / 4)
            for k in range(16):
                if self._cells.data[block + k]:
                    self._seal(block + k, left + (k % 4) * size / 4, low + (k // 4) * size / 4, size / 4)
        self._cells.data[cell] = self._record(base, end, block)
        self._stack.used = base

    def _list(self, at: int) -> int:
        """Put where the entries are on the stack; how many edges they have."""
        edges = 0
        while at:
            self._stack.reserve(1)
            self._stack.data[self._stack.used] = at
            self._stack.used += 1
            edges += self._edges(at)
            at = self._pool.data[at]
        return edges

    def _edges(self, at: int) -> int:
        second, edges = self._pool.data[at + 2], 0
        if not second & CIRCLE:
            for k in range(second // 4):
                edges += self._pool.data[at + 4 + 2 * k] // 4
        return edges

    def _divide(self, base: int, end: int, left: float, low: float, size: float) -> int:
        """Make a block of 4 x 4 cells and paint it with all that does not hold the whole cell."""
        block = self._cells.used
        self._cells.reserve(16)
        self._cells.used += 16
        self._block, self._stride, self._left, self._low, self._size = block, 4, left, low, size
        for k in range(end - 1, base - 1, -1):
            at = self._stack.data[k]
            self._fence, second = self._pool.data[at + 1], self._pool.data[at + 2]
            first = self._stack.used
            if second & CIRCLE:
                self._paint_circle(second // 4, 0, 4, 0, 4)
            elif second != WHOLE:
                length = 2 * (second // 4)
                self._stack.reserve(length)
                for i in range(length):
                    self._stack.data[first + i] = self._pool.data[at + 3 + i]
                self._stack.used += length
                self._paint(first, self._stack.used, 0, 4, 0, 4, second & 1)
            self._stack.used = first
        return block

    def _record(self, base: int, end: int, block: int) -> int:
        """Write the cell's record: all its entries, or those that hold it whole and its block."""
        begin, count = self._records.used, 0
        self._records.reserve(18)
        self._records.used += 2
        if block >= 0:
            for k in range(16):
                self._records.data[begin + 2 + k] = self._cells.data[block + k]
                self._cells.data[block + k] = 0
            self._records.used, self._cells.used = begin + 18, block
        for k in range(base, end):
            at = self._stack.data[k]
            if block < 0 or self._pool.data[at + 2] == WHOLE:
                self._enter(at)
                count += 1
        self._records.data[begin], self._records.data[begin + 1] = block >= 0, count
        return begin

    def _enter(self, at: int) -> None:
        """Write an entry of the pool to the records."""
        tape, second = self._records, self._pool.data[at + 2]
        begin = tape.used
        tape.reserve(5)
        tape.data[begin], tape.data[begin + 1] = self._pool.data[at + 1], second
        tape.used += 2
        if second & CIRCLE or second == WHOLE:
            return
        tape.used += 3
        shift, whole = self._measure(at, begin + 3), self._whole
        south, west = tape.data[begin + 3], tape.data[begin + 4]
        for k in range(second >> 2):
            start, code = self._pool.data[at + 3 + 2 * k], self._pool.data[at + 4 + 2 * k]
            edges = code >> 2
            places = raw.padded(edges) + 1
            tape.reserve(2 + places)
            tape.data[tape.used], tape.data[tape.used + 1] = start, code
            tape.used += 2
            to, used = tape.data, tape.used
            for n in range(places):
                v = start + min(n, edges)
                to[used + n] = ((whole[2 * v] - south) >> shift) * 65536 + (
                    (whole[2 * v + 1] - west) >> shift
                )
            tape.used += places
        tape.data[begin + 2] = (tape.used - begin) * 32 + shift

    def _measure(self, at: int, origin: int) -> int:
        """Write the place that the entry's corners are told from; by how many bits they are told coarser."""
        whole = self._whole
        south, north, west, east = 1 << 30, -1, 1 << 30, -1
        for k in range(self._pool.data[at + 2] >> 2):
            start, code = self._pool.data[at + 3 + 2 * k], self._pool.data[at + 4 + 2 * k]
            for v in range(start, start + (code >> 2) + 1):
                y, x = whole[2 * v], whole[2 * v + 1]
                south, north, west, east = min(south, y), max(north, y), min(west, x), max(east, x)
        shift = 0
        while max(north - south, east - west) >> shift > 65535:
            shift += 1
        self._records.data[origin] = south + (32768 << shift)
        self._records.data[origin + 1] = west
        return shift


def _memory(size: int) -> Any:
    """Zeros, as C ints. Much memory comes in huge pages: a search jumps about, and looking up where a small
    page lies would cost as much as reading it."""
    if size < HUGE:
        return array("i", bytes(size))
    region = mmap.mmap(-1, size)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # a kernel without them
            region.madvise(mmap.MADV_HUGEPAGE)
    return memoryview(region).cast("i")
