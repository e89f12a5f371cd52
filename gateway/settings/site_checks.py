"""What one part of the map says about another: ids, floors, parts, places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gateway.errors import Problem
from gateway.located import instead
from gateway.model import Point
from gateway.settings import outlines
from gateway.settings.outlines import Polygons
from gateway.settings.plane import apart_deg
from gateway.settings.remains import Remains
from gateway.settings.rings import open_ring, ring_mistake
from gateway.settings.site import Beacon, Fence, Floor, Receiver, SiteFile, Zone

FAR_OUTSIDE_M = 50.0
SAME_SITE_DEG = 5.0
"""Fences of one site lie closer together than this; farther apart and near when swapped: swapped."""

_Path = tuple[str | int, ...]
_Map = Remains[SiteFile]


def site_problems(rest: _Map, directory: Path) -> tuple[list[Problem], dict[str, Polygons]]:
    """Every mistake between parts of the map, and the polygons of each fence that has some, by its id."""
    if rest.model is None:
        return [], {}
    shapes: dict[str, Polygons] = {}
    found = [
        *_repeated(rest, rest.model),
        *_places(rest, rest.model),
        *_parts(rest, rest.model),
        *_fences(rest, rest.model, directory, shapes),
    ]
    return found, shapes


def _zones(file: SiteFile) -> Iterator[tuple[_Path, Floor, Zone]]:
    for f, floor in enumerate(file.floors):
        for z, zone in enumerate(floor.zones):
            yield ("floors", f, "zones", z), floor, zone


def _anchors(file: SiteFile) -> Iterator[tuple[_Path, Receiver | Beacon]]:
    yield from ((("receivers", i), receiver) for i, receiver in enumerate(file.receivers))
    yield from ((("beacons", i), beacon) for i, beacon in enumerate(file.beacons))


def _repeated(rest: _Map, file: SiteFile) -> Iterator[Problem]:
    named: list[list[tuple[_Path, str]]] = [
        [(("floors", i, "id"), floor.id) for i, floor in enumerate(file.floors)],
        [((*path, "id"), zone.id) for path, _, zone in _zones(file)]
        + [(("fences", i, "id"), fence.id) for i, fence in enumerate(file.fences)],
        [((*path, "id"), anchor.id) for path, anchor in _anchors(file)],
        [(("beacons", i, "identity"), beacon.identity) for i, beacon in enumerate(file.beacons)],
    ]
    for paths in named:
        first: dict[str, _Path] = {}
        for path, name in paths:
            if name in first:
                line = rest.problem(first[name], "").line
                yield rest.problem(path, f"'{name}' is used twice; it is on line {line} already")
            first.setdefault(name, path)


def _places(rest: _Map, file: SiteFile) -> Iterator[Problem]:
    floors, known = {floor.id: floor for floor in file.floors}, rest.ids("floors")
    for i, floor in enumerate(file.floors):
        if floor.bounds and (
            floor.bounds[0][0] == floor.bounds[1][0] or floor.bounds[0][1] == floor.bounds[1][1]
        ):
            yield rest.problem(("floors", i, "bounds"), "the bounds enclose no area")
    for path, floor, zone in _zones(file):
        if zone.polygon is not None and (mistake := ring_mistake(open_ring(zone.polygon))):
            yield rest.problem((*path, "polygon"), mistake)
            continue
        corners = zone.polygon or ([(zone.at[0], zone.at[1])] if zone.at else [])
        if _outside_m(floor, corners) > 0:
            key = "polygon" if zone.polygon else "at"
            yield rest.problem((*path, key), f"the zone lies outside the bounds of floor '{floor.id}'")
    for path, anchor in _anchors(file):
        if anchor.floor not in known:
            text = f"unknown floor '{anchor.floor}'{instead(anchor.floor, known)}"
            yield rest.problem((*path, "floor"), text)
        elif anchor.at and anchor.floor in floors:
            away_m = _outside_m(floors[anchor.floor], [(anchor.at[0], anchor.at[1])])
            if away_m > FAR_OUTSIDE_M:
                text = f"{away_m:.0f} m outside the bounds of floor '{anchor.floor}'"
                yield rest.problem((*path, "at"), f"{text}; places are in metres")


def _outside_m(floor: Floor, corners: Sequence[Point]) -> float:
    """How far the box around `corners` lies from the bounds; 0 when they touch or nothing is known."""
    if floor.bounds is None or not corners:
        return 0.0
    gaps = [0.0]
    for axis in (0, 1):
        low, high = sorted(corner[axis] for corner in floor.bounds)
        values = [corner[axis] for corner in corners]
        gaps += [min(values) - high, low - max(values)]
    return max(gaps)


def _parts(rest: _Map, file: SiteFile) -> Iterator[Problem]:
    zones = {zone.id: (floor, zone) for _, floor, zone in _zones(file)}
    parts: dict[str, list[str]] = {}
    for path, floor, zone in _zones(file):
        if zone.part_of is None:
            continue
        parts.setdefault(zone.part_of, []).append(zone.id)
        at = (*path, "part_of")
        if zone.part_of not in zones:
            known = rest.ids("floors", "zones")
            if zone.part_of not in known:
                yield rest.problem(at, f"unknown zone '{zone.part_of}'{instead(zone.part_of, known)}")
            continue
        whole_floor, whole = zones[zone.part_of]
        if whole.id == zone.id:
            yield rest.problem(at, "a zone cannot be part of itself")
        elif whole.part_of is not None:
            text = f"'{whole.id}' is itself part of '{whole.part_of}'; parts have one level"
            yield rest.problem(at, text)
        elif whole_floor.id != floor.id:
            yield rest.problem(at, f"'{whole.id}' is on another floor, '{whole_floor.id}'")
    for path, _, zone in _zones(file):
        if zone.id in parts and (zone.polygon or zone.at):
            key = "polygon" if zone.polygon else "at"
            names = ", ".join(parts[zone.id])
            yield rest.problem(
                (*path, key),
                f"'{zone.id}' has parts ({names}) and is where they are; remove this",
                at_key=True,
            )


def _fences(rest: _Map, file: SiteFile, directory: Path, shapes: dict[str, Polygons]) -> Iterator[Problem]:
    home: tuple[str, float, float] | None = None
    for i, fence in enumerate(file.fences):
        path: _Path = ("fences", i, "circle" if fence.circle else "polygon")
        try:
            polygons = shapes[fence.id] = _polygons(fence, directory)
        except ValueError as e:
            yield rest.problem(path, str(e))
            continue
        lat, lon = fence.circle.at if fence.circle else polygons[0][0][0]
        if home is None:
            home = (fence.id, lat, lon)
        elif apart_deg((lat, lon), home[1:]) > SAME_SITE_DEG > apart_deg((lon, lat), home[1:]):
            text = f"far from '{home[0]}': latitude and longitude of one of them look swapped"
            yield rest.problem(path, text)


def _polygons(fence: Fence, directory: Path) -> Polygons:
    if fence.polygon is None:
        return ()
    if isinstance(fence.polygon, str):
        if Path(fence.polygon).name != fence.polygon:
            raise ValueError("expected a list of [latitude, longitude], or the name of a file beside the map")
        return outlines.of_geojson(directory / fence.polygon)
    outline: Any = fence.polygon
    several = outline and outline[0] and isinstance(outline[0][0], tuple)
    return (outlines.of_rings(outline if several else [outline]),)
