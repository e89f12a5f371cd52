"""One floor: zones, receivers and beacons over a grid in metres."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from gateway.drawing.labels import Box, extent_px2
from gateway.drawing.marks import LEFT_PX, NO_NOTES, Marks, Note, numbered
from gateway.drawing.sheet import Frame, Panel, escaped, frame_of, nice_m, number, scale_bar, tag
from gateway.model import Anchor, Floor, Point, SiteMap, Zone

WIDTH_PX = 900.0
MOST_PX = 640.0
"""Height of the ground."""
TOP_PX, RIGHT_PX = 44.0, 16.0
FOOT_PX = 52.0
SPOT_M = 0.9
"""A zone that is a point is drawn as large as a person with a trolley."""
MARGIN_M = 1.0
AROUND_PX = 9.0
"""Between parts and the outline of their zone."""


def floor_panels(site: SiteMap, notes: Mapping[str, Note] = NO_NOTES) -> list[Panel]:
    """In the order of the map; a floor with nothing that has a place is left out."""
    floors = site.floors or tuple(Floor(name, name) for name in _named_floors(site))
    drawn = (_floor(floor, site, notes) for floor in floors)
    return [panel for panel in drawn if panel is not None]


def unplaced(site: SiteMap) -> list[str]:
    """Names of zones and ids of anchors that have no place, and are no zone made of parts that have one."""
    parents = {zone.part_of for zone in site.zones if zone.part_of and _corners(zone)}
    zones = [zone.name for zone in site.zones if not _corners(zone) and zone.id not in parents]
    return zones + [anchor.id for anchor in (*site.receivers, *site.beacons) if anchor.at is None]


def _named_floors(site: SiteMap) -> list[str]:
    anchors = [anchor.floor for anchor in (*site.receivers, *site.beacons)]
    return list(dict.fromkeys([zone.floor for zone in site.zones] + anchors))


def _floor(floor: Floor, site: SiteMap, notes: Mapping[str, Note]) -> Panel | None:
    zones = [zone for zone in site.zones if zone.floor == floor.id]
    receivers = [a for a in site.receivers if a.floor == floor.id and a.at is not None]
    beacons = [a for a in site.beacons if a.floor == floor.id and a.at is not None]
    ground = list(_ground(floor, zones, [*receivers, *beacons]))
    if not ground:
        return None
    frame = frame_of(
        ground, width_px=WIDTH_PX - LEFT_PX - RIGHT_PX, most_px=MOST_PX, x_px=LEFT_PX, y_px=TOP_PX
    )
    marks = Marks(WIDTH_PX, TOP_PX + frame.height_px, notes)
    _shapes(marks, frame, zones, receivers, beacons)
    _names(marks, frame, zones, [*receivers, *beacons])
    foot, more_px = numbered(marks.numbered, TOP_PX + frame.height_px + FOOT_PX - 8, WIDTH_PX)
    height_px = TOP_PX + frame.height_px + FOOT_PX + more_px
    body = tag("rect", class_="ground", width=WIDTH_PX, height=height_px)
    body += tag("text", escaped(floor.name), class_="title", font_size=16.0, x=LEFT_PX, y=26)
    body += _grid(frame) + _walls(floor, frame) + marks.body
    body += scale_bar(frame, TOP_PX + frame.height_px + 36) + foot
    return Panel(floor.name, WIDTH_PX, height_px, body)


def _ground(floor: Floor, zones: Sequence[Zone], anchors: Sequence[Anchor]) -> Iterator[Point]:
    if floor.bounds is not None:
        yield from floor.bounds
    for zone in zones:
        for x, y in _corners(zone):
            spread = 0.0 if zone.polygon or floor.bounds else SPOT_M + MARGIN_M
            yield x - spread, y - spread
            yield x + spread, y + spread
    for anchor in anchors:
        if anchor.at is not None:
            spread = 0.0 if floor.bounds else MARGIN_M
            yield anchor.at[0] - spread, anchor.at[1] - spread
            yield anchor.at[0] + spread, anchor.at[1] + spread


def _corners(zone: Zone) -> Sequence[Point]:
    return zone.polygon or ((zone.at,) if zone.at else ())


def _radius_px(frame: Frame) -> float:
    return min(max(SPOT_M * frame.px_a_m, 7.0), 22.0)


def _shapes(
    marks: Marks, frame: Frame, zones: Sequence[Zone], receivers: Sequence[Anchor], beacons: Sequence[Anchor]
) -> None:
    radius_px = _radius_px(frame)
    for zone in zones:
        if zone.polygon:
            marks.area(zone.id, zone.name, zone.kind, [[frame.at(corner) for corner in zone.polygon]])
        elif zone.at:
            marks.spot(zone.id, zone.name, zone.kind, frame.at(zone.at), radius_px)
    for kind, anchors in (("receiver", receivers), ("beacon", beacons)):
        for anchor in anchors:
            if anchor.at is not None:
                marks.anchor(kind, anchor.id, frame.at(anchor.at[:2]))


def _names(marks: Marks, frame: Frame, zones: Sequence[Zone], anchors: Sequence[Anchor]) -> None:
    """Zones first, small before large, else in their order; of the anchors those for which there is room."""
    rings = {zone.id: [frame.at(corner) for corner in zone.polygon] for zone in zones if zone.polygon}
    for zone in sorted(zones, key=lambda zone: round(extent_px2([rings.get(zone.id, [])]))):
        if zone.id in rings:
            marks.name_area(zone.id, zone.name, rings[zone.id])
        elif zone.at:
            marks.name_spot(zone.id, zone.name, frame.at(zone.at), _radius_px(frame))
    for zone in zones:
        parts = [part for part in zones if part.part_of == zone.id]
        if any(map(_corners, parts)) and not _corners(zone):
            marks.parent(zone.id, zone.name, _around(parts, frame))
    for anchor in anchors:
        if anchor.at is not None:
            marks.name_anchor(anchor.id, frame.at(anchor.at[:2]))


def _around(parts: Sequence[Zone], frame: Frame) -> Box:
    reach = [
        (x, y, AROUND_PX + (0.0 if part.polygon else _radius_px(frame)))
        for part in parts
        for x, y in map(frame.at, _corners(part))
    ]
    return Box(
        min(x - more for x, _, more in reach),
        min(y - more for _, y, more in reach),
        max(x + more for x, _, more in reach),
        max(y + more for _, y, more in reach),
    )


def _grid(frame: Frame) -> str:
    """Lines at round metres of the map, with their numbers: to place things by."""
    step_m = nice_m(90 / frame.px_a_m)
    bottom = frame.y_px + frame.height_px
    right = frame.x_px + frame.width_px
    lines, numbers = "", ""
    for metre in _rounds(frame.left_m, frame.width_px / frame.px_a_m, step_m):
        x, _ = frame.at((metre, 0.0))
        lines += f"M{number(x)} {number(frame.y_px)}V{number(bottom)}"
        numbers += tag("text", f"{metre:g}", class_="tick", font_size=10.0, x=x, y=bottom + 14)
    for metre in _rounds(
        frame.top_m - frame.height_px / frame.px_a_m, frame.height_px / frame.px_a_m, step_m
    ):
        _, y = frame.at((0.0, metre))
        lines += f"M{number(frame.x_px)} {number(y)}H{number(right)}"
        numbers += tag("text", f"{metre:g}", class_="tick end", font_size=10.0, x=frame.x_px - 6, y=y + 4)
    return tag("path", class_="grid", d=lines) + numbers


def _rounds(first_m: float, span_m: float, step_m: float) -> Iterator[float]:
    n = -int(-(first_m - 1e-9) // step_m)
    while n * step_m <= first_m + span_m + 1e-9:
        yield round(n * step_m, 6)
        n += 1


def _walls(floor: Floor, frame: Frame) -> str:
    if floor.bounds is None:
        return ""
    (x1, y1), (x2, y2) = (frame.at(corner) for corner in floor.bounds)
    return tag("rect", class_="wall", x=min(x1, x2), y=min(y1, y2), width=abs(x2 - x1), height=abs(y2 - y1))
