"""Zones, fences and anchors as marks on a sheet, with the words that belong to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from msgspec import Struct

from gateway.drawing.labels import LINE, Box, Label, Room
from gateway.drawing.labels import width_px as width_of
from gateway.drawing.sheet import escaped, number, path, tag
from gateway.model import Point

SPARE = " 99"
"""Room for a count behind a name."""
MARK_PX = 6.0
LEFT_PX = 44.0
"""Where words and ground begin on a picture."""
ROW_PX = 16.0


class Note(Struct, frozen=True):
    """What is said behind a zone's name, and how much it is lit."""

    text: str
    level: Literal["", "1", "2", "3"] = ""


NO_NOTES: Final[Mapping[str, Note]] = {}


class Marks:
    """Shapes first, words above them; a shape without room for its name gets a number."""

    def __init__(self, width: float, height: float, notes: Mapping[str, Note] = NO_NOTES) -> None:
        """`notes`: by zone."""
        self.room = Room(width, height)
        self._notes = notes
        self._spare = max([SPARE, *(f" {note.text}" for note in notes.values())], key=len)
        self.numbered: list[str] = []
        """Names, in the order of their numbers from 1."""
        self._shapes: list[str] = []
        self._words: list[str] = []

    @property
    def body(self) -> str:
        return "".join(self._shapes + self._words)

    def area(self, zone: str, name: str, kind: str, rings: Sequence[Sequence[Point]]) -> None:
        """A zone or fence with an outline, in pixels; its words come with `name_area`."""
        self._shapes.append(
            tag(
                "path",
                title(name),
                class_=f"zone {kind}",
                data_zone=zone,
                d=path(rings),
                fill_rule="evenodd",
                **self._lit(zone),
            )
        )

    def name_area(self, zone: str, name: str, ring: Sequence[Point], avoid: Sequence[Box] = ()) -> None:
        """`avoid`: smaller shapes, in which the name would be taken for theirs."""
        label = self.room.inside(ring, name, self._spare, avoid)
        if label is None:
            label = self.room.inside(ring, name, self._spare)
        if label is None:
            label = self.room.inside(ring, self._number(name), self._spare)
        if label is None:
            left, top = min(x for x, _ in ring), min(y for _, y in ring)
            right, bottom = max(x for x, _ in ring), max(y for _, y in ring)
            middle = ((left + right) / 2, (top + bottom) / 2)
            gap = (bottom - top) / 2 + 2
            label = self.room.beside(middle, gap, self._number(name), size_px=10.0, spare=self._spare)
            self._say(label, zone, "out")
            return
        self._say(label, zone, "name")

    def spot(self, zone: str, name: str, kind: str, at: Point, radius_px: float) -> None:
        """A zone that is a point."""
        x, y = at
        self._shapes.append(
            tag(
                "circle",
                title(name),
                class_=f"zone {kind}",
                data_zone=zone,
                cx=x,
                cy=y,
                r=radius_px,
                **self._lit(zone),
            )
        )
        self.room.take(Box(x - radius_px, y - radius_px, x + radius_px, y + radius_px))

    def name_spot(self, zone: str, name: str, at: Point, radius_px: float) -> None:
        label = self.room.beside(at, radius_px + 3, name, size_px=12.0, spare=self._spare)
        if label is None:
            label = self.room.beside(at, radius_px + 3, self._number(name), size_px=10.0, spare=self._spare)
        self._say(label, zone, "out")

    def parent(self, zone: str, name: str, box: Box) -> None:
        """Around its parts, with the name on its upper edge."""
        self._shapes.append(
            tag(
                "rect",
                title(name),
                class_="parent",
                data_zone=zone,
                x=box.left,
                y=box.top,
                width=box.right - box.left,
                height=box.bottom - box.top,
            )
        )
        self._say(self.room.along(box, name, size_px=11.0, spare=self._spare), zone, "out")

    def anchor(self, kind: str, name: str, at: Point) -> None:
        """A receiver or a beacon."""
        x, y = at
        outline = triangle(at) if kind == "receiver" else diamond(at)
        self._shapes.append(tag("path", title(name), class_=kind, data_anchor=name, d=path([outline])))
        self.room.take(Box(x - MARK_PX, y - MARK_PX, x + MARK_PX, y + MARK_PX))

    def name_anchor(self, name: str, at: Point) -> None:
        label = self.room.beside(at, MARK_PX + 2, name, size_px=10.0)
        if label is not None:
            self._words.append(_text(label, "tick out", ""))

    def _lit(self, zone: str) -> dict[str, str]:
        note = self._notes.get(zone)
        return {"data_lit": note.level} if note and note.level else {}

    def _number(self, name: str) -> str:
        if name not in self.numbered:
            self.numbered.append(name)
        return str(self.numbered.index(name) + 1)

    def _say(self, label: Label | None, zone: str, kind: str) -> None:
        if label is not None:
            note = self._notes.get(zone)
            said = f" {escaped(note.text)}" if note else ""
            count = tag("tspan", said, class_="count", data_count=zone)
            named = {"data_name": zone} | self._lit(zone) if kind == "name" else {}
            self._words.append(_text(label, kind, count, **named))


def numbered(names: Sequence[str], top_px: float, width_px: float) -> tuple[str, float]:
    """What the numbers on a picture stand for, in columns, and how much height that takes."""
    columns = 3
    rows = -(-len(names) // columns)
    wide = width_px / columns
    body = ""
    for i, name in enumerate(names):
        x, y = LEFT_PX + i // rows * wide, top_px + (i % rows + 1) * ROW_PX
        said = f"{i + 1}  {shortened(name, wide - LEFT_PX)}"
        body += tag("text", escaped(said), class_="small", font_size=11.0, x=x, y=y)
    return body, rows * ROW_PX


def shortened(text: str, most_px: float) -> str:
    """The text, or as much of it as fits."""
    if width_of(text, 11.0) <= most_px:
        return text
    while text and width_of(text + "…", 11.0) > most_px:
        text = text[:-1]
    return text + "…"


def title(name: str) -> str:
    """What a pointer that rests on it shows."""
    return tag("title", escaped(name))


def triangle(at: Point) -> list[Point]:
    x, y = at
    return [(x, y - MARK_PX), (x + MARK_PX, y + MARK_PX - 1), (x - MARK_PX, y + MARK_PX - 1)]


def diamond(at: Point) -> list[Point]:
    x, y = at
    return [(x, y - MARK_PX), (x + MARK_PX, y), (x, y + MARK_PX), (x - MARK_PX, y)]


def _text(label: Label, kind: str, behind: str, **more: str) -> str:
    size = label.size_px
    turned = f"rotate(-90 {number(label.x)} {number(label.y)})"
    first = label.y - (len(label.lines) - 1) * size * LINE / 2 + size * 0.35
    spans = [
        tag("tspan", escaped(line), x=label.x, y=first + i * size * LINE)
        for i, line in enumerate(label.lines)
    ]
    if label.upright:
        more["transform"] = turned
    return tag("text", "".join(spans) + behind, class_=kind, font_size=size, **more)
