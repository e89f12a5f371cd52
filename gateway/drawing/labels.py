"""Text that fits: how wide it is, where in a shape there is room, and what is taken already."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from unicodedata import combining, east_asian_width

from msgspec import Struct

from gateway.model import Point

SIZES_PX = (13.0, 12.0, 11.0, 10.0, 9.0)
"""Of letters, tried in this order; below the last nobody reads it."""
LINE = 1.2
"""Height of a line in sizes of its letters."""
_NARROW = frozenset("iljtfrI.,:;'|!()[] -")
_WIDE = frozenset("mwMW@%&")


class Box(Struct, frozen=True):
    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box) -> bool:
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )


class Label(Struct, frozen=True):
    """Lines of text around a centre, in pixels."""

    x: float
    y: float
    size_px: float
    lines: tuple[str, ...]
    upright: bool = False
    """Turned by 90°, to be read from the right."""

    @property
    def box(self) -> Box:
        wide = max(width_px(line, self.size_px) for line in self.lines) / 2
        high = len(self.lines) * self.size_px * LINE / 2
        if self.upright:
            wide, high = high, wide
        return Box(self.x - wide, self.y - high, self.x + wide, self.y + high)


def width_px(text: str, size_px: float) -> float:
    """Of a line in a sans serif, rather too wide than too narrow."""
    return size_px * sum(map(_em, text))


def _em(letter: str) -> float:
    if combining(letter):
        return 0.0
    if east_asian_width(letter) in "WF":
        return 1.05
    if letter in _NARROW:
        return 0.4
    return 0.95 if letter in _WIDE else 0.72 if letter.isupper() else 0.62


class Room:
    """A sheet on which no two words may lie on each other."""

    def __init__(self, width: float, height: float) -> None:
        self._width, self._height = width, height
        self._taken: list[Box] = []

    def take(self, box: Box) -> None:
        self._taken.append(box)

    def is_free(self, box: Box) -> bool:
        inside = box.left >= 0 and box.top >= 0 and box.right <= self._width and box.bottom <= self._height
        return inside and not any(box.meets(other) for other in self._taken)

    def inside(
        self, ring: Sequence[Point], text: str, spare: str = "", avoid: Sequence[Box] = ()
    ) -> Label | None:
        """The largest form of `text` that fits into the shape (pixels) and is free; None: there is none.

        `spare`: letters for which room is kept behind the last line. `avoid`: boxes that it may not meet.
        """
        for size_px in SIZES_PX:
            for lines in _forms(text):
                for label in _placed(ring, lines, size_px):
                    kept = _with_spare(label, spare)
                    box = kept.box
                    if _fits(ring, kept) and self.is_free(box) and not any(box.meets(b) for b in avoid):
                        self.take(box)
                        return label
        return None

    def beside(self, at: Point, gap: float, text: str, *, size_px: float, spare: str = "") -> Label | None:
        """Next to a mark: right, left, above, below; None where all is taken."""
        wide = width_px(text + spare, size_px) / 2
        high = size_px * LINE / 2
        around = ((gap + wide, 0), (-gap - wide, 0), (0, -gap - high), (0, gap + high),
                  (gap + wide, -gap - high), (gap + wide, gap + high),
                  (-gap - wide, -gap - high), (-gap - wide, gap + high))  # fmt: skip
        return self._first_free([(at[0] + dx, at[1] + dy) for dx, dy in around], text, size_px, spare)

    def along(self, box: Box, text: str, *, size_px: float, spare: str = "") -> Label | None:
        """Outside on the upper edge of `box`, from left to right, else below it; None where all is taken."""
        wide = width_px(text + spare, size_px) / 2
        high = size_px * LINE / 2 + 1
        steps = [box.left + wide + i * (box.right - box.left - 2 * wide) / 4 for i in range(5)]
        centres = [(x, y) for y in (box.top - high, box.bottom + high) for x in steps]
        return self._first_free(centres, text, size_px, spare)

    def _first_free(self, centres: Sequence[Point], text: str, size_px: float, spare: str) -> Label | None:
        for x, y in centres:
            label = Label(x, y, size_px, (text,))
            box = _with_spare(label, spare).box
            if self.is_free(box):
                self.take(box)
                return label
        return None


def _with_spare(label: Label, spare: str) -> Label:
    *first, last = label.lines
    return Label(label.x, label.y, label.size_px, (*first, last + spare), label.upright)


def _forms(text: str) -> Iterator[tuple[str, ...]]:
    """On one line, then on two and on three, all about as long."""
    yield (text,)
    words = text.replace("-", "- ").split()
    for most in (2, 3):
        if len(words) >= most:
            yield _broken(words, most)


def _broken(words: Sequence[str], most: int) -> tuple[str, ...]:
    """Greedily into lines of the least length that needs no more than `most` of them."""
    for length in range(max(map(len, words)), sum(map(len, words)) + len(words)):
        lines = [""]
        for word in words:
            joined = f"{lines[-1]}{'' if not lines[-1] or lines[-1].endswith('-') else ' '}{word}"
            if len(joined) <= length or not lines[-1]:
                lines[-1] = joined
            else:
                lines.append(word)
        if len(lines) <= most:
            break
    return tuple(lines)


def _placed(ring: Sequence[Point], lines: tuple[str, ...], size_px: float) -> Iterator[Label]:
    """Centres worth trying: in the middle of the shape's rows, from its middle outwards; beside a mark there;
    then upright."""
    low, high = min(y for _, y in ring), max(y for _, y in ring)
    for share in (0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8, 0.12, 0.88):
        y = low + share * (high - low)
        row = chord(ring, y)
        if row is not None:
            yield Label((row[0] + row[1]) / 2, y, size_px, lines)
    middle = chord(ring, (low + high) / 2) or (0.0, 0.0)
    for share in (0.25, 0.75):
        yield Label(middle[0] + share * (middle[1] - middle[0]), (low + high) / 2, size_px, lines)
    left, right = min(x for x, _ in ring), max(x for x, _ in ring)
    column = chord([(y, x) for x, y in ring], (left + right) / 2)
    if column is not None and high - low > right - left:
        yield Label((left + right) / 2, (column[0] + column[1]) / 2, size_px, lines, upright=True)


def _fits(ring: Sequence[Point], label: Label) -> bool:
    box, margin = label.box, 2.0
    for y in (box.top, (box.top + box.bottom) / 2, box.bottom):
        row = chord(ring, y, through=label.x)
        if row is None or row[0] > box.left - margin or row[1] < box.right + margin:
            return False
    return True


def chord(ring: Sequence[Point], y: float, through: float | None = None) -> tuple[float, float] | None:
    """Left and right end of the shape's widest part in this row, or of the one that holds `through`."""
    cuts = []
    for (x1, y1), (x2, y2) in zip(ring, (*ring[1:], ring[0]), strict=True):
        if (y1 > y) != (y2 > y):
            cuts.append(x1 + (y - y1) / (y2 - y1) * (x2 - x1))
    cuts.sort()
    rows = list(zip(cuts[::2], cuts[1::2], strict=False))
    if through is not None:
        rows = [row for row in rows if row[0] <= through <= row[1]]
    return max(rows, key=lambda row: row[1] - row[0], default=None)


def extent_px2(rings: Sequence[Sequence[Point]]) -> float:
    """Of the box around a shape; 0 where it has no corners."""
    xs, ys = [x for ring in rings for x, _ in ring], [y for ring in rings for _, y in ring]
    return (max(xs) - min(xs)) * (max(ys) - min(ys)) if xs else 0.0
