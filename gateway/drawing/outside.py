"""Fences as outlines in metres apart; those that lie far from the others get a picture of their own."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gateway.drawing.floors import FOOT_PX, MOST_PX, RIGHT_PX, TOP_PX, WIDTH_PX
from gateway.drawing.labels import Box, extent_px2
from gateway.drawing.marks import LEFT_PX, Marks, numbered
from gateway.drawing.sheet import Panel, escaped, frame_of, number, scale_bar, tag
from gateway.drawing.words import PlanWords
from gateway.model import Fence, Point, SiteMap
from gateway.settings.plane import metres

APART_M = 1000.0
"""Fences with more ground between them are not drawn in one picture."""
MOST_PANELS = 6
MOST_FENCES = 60
"""In one picture."""
CIRCLE_CORNERS = 72

_Box = tuple[float, float, float, float]
_Outline = list[list[Point]]


def outside_panels(site: SiteMap, words: PlanWords) -> tuple[list[Panel], int]:
    """Pictures, the one with most fences first, and how many fences are in none."""
    if not site.fences:
        return [], 0
    origin = _somewhere(site.fences[0])
    outlines = [_outline(fence, origin) for fence in site.fences]
    groups = sorted(
        _together([_box(outline) for outline in outlines]), key=lambda group: (-len(group), group)
    )
    drawn = [group[:MOST_FENCES] for group in groups[:MOST_PANELS]]
    pictures = [
        _picture([site.fences[i] for i in group], [outlines[i] for i in group], words) for group in drawn
    ]
    return pictures, len(site.fences) - sum(map(len, drawn))


def _somewhere(fence: Fence) -> Point:
    return (fence.circle.lat_deg, fence.circle.lon_deg) if fence.circle else fence.polygons[0][0][0]


def _outline(fence: Fence, origin: Point) -> _Outline:
    """Rings in metres east and north of `origin`."""
    if fence.circle is not None:
        x, y = metres((fence.circle.lat_deg, fence.circle.lon_deg), origin)
        turn = math.tau / CIRCLE_CORNERS
        r = fence.circle.radius_m
        return [[(x + r * math.cos(i * turn), y + r * math.sin(i * turn)) for i in range(CIRCLE_CORNERS)]]
    return [[metres(place, origin) for place in ring] for polygon in fence.polygons for ring in polygon]


def _box(outline: _Outline) -> _Box:
    xs = [x for ring in outline for x, _ in ring]
    ys = [y for ring in outline for _, y in ring]
    return min(xs), min(ys), max(xs), max(ys)


def _together(boxes: Sequence[_Box]) -> list[list[int]]:
    """Numbers of boxes, grouped so that between groups there is more than `APART_M`."""
    group_of = list(range(len(boxes)))

    def root(i: int) -> int:
        while group_of[i] != i:
            group_of[i] = group_of[group_of[i]]
            i = group_of[i]
        return i

    order = sorted(range(len(boxes)), key=lambda i: boxes[i][1])
    near: list[int] = []
    for i in order:
        near = [j for j in near if boxes[j][3] + APART_M >= boxes[i][1]]
        for j in near:
            if boxes[j][0] <= boxes[i][2] + APART_M and boxes[i][0] <= boxes[j][2] + APART_M:
                group_of[root(i)] = root(j)
        near.append(i)
    groups: dict[int, list[int]] = {}
    for i in range(len(boxes)):
        groups.setdefault(root(i), []).append(i)
    return list(groups.values())


def _picture(fences: Sequence[Fence], outlines: Sequence[_Outline], words: PlanWords) -> Panel:
    frame = frame_of(
        [corner for outline in outlines for ring in outline for corner in ring],
        width_px=WIDTH_PX - LEFT_PX - RIGHT_PX, most_px=MOST_PX / 2, x_px=LEFT_PX, y_px=TOP_PX,
    )  # fmt: skip
    marks = Marks(WIDTH_PX, TOP_PX + frame.height_px)
    drawn = [[[frame.at(corner) for corner in ring] for ring in outline] for outline in outlines]
    by_size = sorted(range(len(fences)), key=lambda i: extent_px2(drawn[i]))
    for i in reversed(by_size):
        marks.area(fences[i].id, fences[i].name, f"fence {fences[i].kind}", drawn[i])
    smaller: list[Box] = []
    for i in by_size:
        outer = max(drawn[i], key=lambda ring: extent_px2([ring]))
        marks.name_area(fences[i].id, fences[i].name, outer, smaller)
        smaller.append(Box(*_box([outer])))
    foot, more_px = numbered(marks.numbered, TOP_PX + frame.height_px + FOOT_PX - 8, WIDTH_PX)
    height_px = TOP_PX + frame.height_px + FOOT_PX + more_px
    body = tag("rect", class_="ground", width=WIDTH_PX, height=height_px)
    body += tag("text", escaped(words.outside), class_="title", font_size=16.0, x=LEFT_PX, y=26)
    body += marks.body + scale_bar(frame, TOP_PX + frame.height_px + 30) + _north(words.north) + foot
    return Panel(words.outside, WIDTH_PX, height_px, body)


def _north(word: str) -> str:
    x = WIDTH_PX - RIGHT_PX - 10
    arrow = f"M{number(x)} 34V12m-5 7l5 -7l5 7"
    return tag("path", class_="line", d=arrow) + tag("text", escaped(word), font_size=11.0, x=x - 14, y=28)
