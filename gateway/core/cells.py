"""The ground that each radio zone of a map covers, as a handful of points, and how near zones are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from msgspec import Struct

from gateway.model import Anchor, Point, Ring, SiteMap, Zone

SPACING_ALONE_M = 4.0
"""Distance to the next zone where there is none."""
GRID = 4
"""Points of a cell are a quarter of the spacing apart."""
AWAY = 0.6
"""A receiver farther from every zone than this share of the spacing stands outside of them."""


class Cell(Struct, frozen=True):
    """Where somebody in the zone may stand."""

    zone: str
    floor: str
    centre: Point
    points: tuple[Point, ...]

    def quarters(self) -> tuple[tuple[Point, ...], ...]:
        """The points in up to four groups around their middle."""
        x0 = sum(p[0] for p in self.points) / len(self.points)
        y0 = sum(p[1] for p in self.points) / len(self.points)
        groups: dict[tuple[bool, bool], list[Point]] = {}
        for x, y in self.points:
            groups.setdefault((x > x0, y > y0), []).append((x, y))
        return tuple(tuple(groups[key]) for key in sorted(groups))


def leaves(site: SiteMap) -> list[Zone]:
    """The zones that a device can be in: all but parents."""
    parents = {zone.part_of for zone in site.zones}
    return [zone for zone in site.zones if zone.id not in parents]


def centroid(ring: Ring) -> Point:
    """Centre of area; the mean of the corners where the ring has no area."""
    x0, y0 = ring[0]
    area = x = y = 0.0
    for (x1, y1), (x2, y2) in zip(ring, ring[1:] + ring[:1], strict=True):
        cross = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        area += cross
        x += cross * (x1 + x2 - 2 * x0)
        y += cross * (y1 + y2 - 2 * y0)
    if area == 0.0:
        return sum(p[0] for p in ring) / len(ring), sum(p[1] for p in ring) / len(ring)
    return x0 + x / (3 * area), y0 + y / (3 * area)


def spacing_m(centres: Sequence[tuple[str, Point]]) -> float:
    """Median distance from a zone to the next on its floor; `centres` are (floor, place)."""
    gaps_m = []
    for floor, a in centres:
        nearest_m = math.inf
        for other_floor, b in centres:
            away_m = _away_m(a, b)
            if 0.0 < away_m < nearest_m and other_floor == floor:
                nearest_m = away_m
        if nearest_m < math.inf:
            gaps_m.append(nearest_m)
    gaps_m.sort()
    return gaps_m[len(gaps_m) // 2] if gaps_m else SPACING_ALONE_M


def _away_m(a: Point, b: Point) -> float:
    east_m, north_m = b[0] - a[0], b[1] - a[1]
    return math.sqrt(east_m * east_m + north_m * north_m)


def cells(site: SiteMap) -> tuple[list[Cell], float]:
    """A cell for every leaf that has a place, and the spacing of the zones in metres.

    A polygon covers itself. A point covers what is nearer to it than to any other zone, out to the spacing.
    """
    placed = [(zone, place) for zone in leaves(site) if (place := _place(zone)) is not None]
    gap_m = spacing_m([(zone.floor, place) for zone, place in placed])
    out = []
    for zone, place in placed:
        if zone.polygon is not None:
            points = _in_polygon(zone.polygon)
        else:
            others = [p for z, p in placed if z.floor == zone.floor and p != place]
            points = _around(place, others, gap_m)
        out.append(Cell(zone.id, zone.floor, place, points or (place,)))
    return out, gap_m


def _place(zone: Zone) -> Point | None:
    if zone.at is not None:
        return zone.at
    return None if zone.polygon is None else centroid(zone.polygon)


def _around(place: Point, others: Sequence[Point], gap_m: float) -> tuple[Point, ...]:
    x0, y0 = place
    step_m = gap_m / GRID
    offsets = [step_m * (i + 0.5) for i in range(-GRID, GRID)]
    near = [(x0 + dx, y0 + dy) for dx in offsets for dy in offsets if math.hypot(dx, dy) <= gap_m]
    # What is farther away than this is not nearer to any of these points.
    rivals = [other for other in others if _away_m(place, other) <= 2.1 * gap_m]
    return tuple(p for p in near if all(_away_m(p, place) <= _away_m(p, other) for other in rivals))


def _in_polygon(ring: Ring) -> tuple[Point, ...]:
    xs, ys = [p[0] for p in ring], [p[1] for p in ring]
    wide, high = max(xs) - min(xs), max(ys) - min(ys)
    steps = [(i + 0.5) / GRID for i in range(GRID)]
    grid = [(min(xs) + wide * u, min(ys) + high * v) for u in steps for v in steps]
    return tuple(p for p in grid if _covers(ring, p))


def _covers(ring: Ring, point: Point) -> bool:
    """Even-odd rule; a rough one is enough here."""
    x, y = point
    inside = False
    for (x1, y1), (x2, y2) in zip(ring, ring[1:] + ring[:1], strict=True):
        if (y1 > y) != (y2 > y) and x < x1 + (y - y1) * (x2 - x1) / (y2 - y1):
            inside = not inside
    return inside


def unzoned(anchors: Sequence[Anchor], known: Sequence[Cell], gap_m: float) -> list[Anchor]:
    """Receivers and beacons that stand where no zone is: somebody below them is outside."""
    return [
        a
        for a in anchors
        if a.at is not None
        and all(c.floor != a.floor or math.dist(a.at[:2], c.centre) > AWAY * gap_m for c in known)
        and all(c.floor != a.floor or tuple(a.at[:2]) not in c.points for c in known)
    ]


def unzoned_cells(anchors: Sequence[Anchor], known: Sequence[Cell], gap_m: float) -> list[Cell]:
    """The ground around each of these, as that of a zone; its name is empty."""
    lone = [(a.floor, (a.at[0], a.at[1])) for a in unzoned(anchors, known, gap_m) if a.at is not None]
    out = []
    for floor, place in dict.fromkeys(lone):
        others = [c.centre for c in known if c.floor == floor]
        others += [other for f, other in lone if f == floor and other != place]
        out.append(Cell("", floor, place, _around(place, others, gap_m) or (place,)))
    return out


def moves(
    zones: Sequence[str],
    known: Mapping[str, Cell],
    gap_m: float,
    *,
    reach: float,
    least: float,
    outside: float,
) -> tuple[tuple[float, ...], ...]:
    """Probability to arrive in one zone (row) from another (column) when one moves on; columns sum to 1.

    It falls by e with each 1 / `reach` of the spacing beyond the first, to no less than `least`. The last of
    `zones` is outside, `outside` of everybody goes there. Zones of unknown place are near to all.
    """
    inner = len(zones) - 1
    ground = [known.get(zone) for zone in zones[:inner]]
    columns = []
    for a in ground:
        weights = [1.0] * inner if a is None else _nearness(a, ground, gap_m, reach, least)
        total = sum(weights)
        columns.append([*((1 - outside) * w / total for w in weights), outside])
    columns.append([*((1 - outside) / inner for _ in range(inner)), outside] if inner else [1.0])
    return tuple(zip(*columns, strict=True))


def _nearness(
    a: Cell, ground: Sequence[Cell | None], gap_m: float, reach: float, least: float
) -> list[float]:
    """Weight of each of `ground` for who moves on from `a`."""
    far_m = gap_m * (1.0 - math.log(least) / reach)  # most zones of a large store: no power of e needed
    weights = []
    for b in ground:
        if b is None:
            weights.append(1.0)
        elif a.floor != b.floor or (away_m := _away_m(a.centre, b.centre)) > far_m:
            weights.append(least)
        else:
            weights.append(max(math.exp(-reach * max(away_m / gap_m - 1.0, 0.0)), least))
    return weights
