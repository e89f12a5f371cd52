"""Shapes on the ground, against cases drawn by hand, an exact oracle, and other people's suites (`measure`)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from core_words import LAT0, LON0, degrees, disc, square
from exact_words import exactly_inside
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.fences import Fences
from gateway.core.geometry import Disc, Polygons, Shape, distance_m, shape_of
from gateway.core.index import FenceIndex
from gateway.model import Circle, Fence, Point, Ring

BOX: Ring = ((0, 0), (0, 10), (10, 10), (10, 0))
HOLE: Ring = ((2, 2), (2, 8), (8, 8), (8, 2))
BITE: Ring = ((0, 0), (5, 5), (0, 10), (10, 10), (10, 0))
PACIFIC: Ring = ((-1, 179), (-1, -179), (1, -179), (1, 179))

INSIDE: list[tuple[str, list[list[Ring]], Point, bool]] = [
    ("middle", [[BOX]], (5, 5), True),
    ("corner", [[BOX]], (0, 0), True),
    ("upper corner", [[BOX]], (10, 10), True),
    ("edge", [[BOX]], (10, 3), True),
    ("level with a corner", [[BOX]], (10, 11), False),
    ("beside", [[BOX]], (5, 10.0001), False),
    ("in the hole", [[BOX, HOLE]], (5, 5), False),
    ("on the border of the hole", [[BOX, HOLE]], (2, 5), True),
    ("between", [[BOX, HOLE]], (1, 5), True),
    ("in the bite", [[BITE]], (2, 5), False),
    ("at the tip of the bite", [[BITE]], (5, 5), True),
    ("behind the bite", [[BITE]], (6, 5), True),
    ("second polygon", [[BOX], [((20, 20), (20, 21), (21, 20))]], (20.2, 20.2), True),
    ("where two polygons overlap", [[BOX], [((5, 5), (5, 15), (15, 15), (15, 5))]], (7, 7), True),
    ("across the antimeridian, east", [[PACIFIC]], (0, 179.5), True),
    ("across the antimeridian, west", [[PACIFIC]], (0, -179.5), True),
    ("on the antimeridian", [[PACIFIC]], (0, 180), True),
    ("on the antimeridian, other sign", [[PACIFIC]], (0, -180), True),
    ("the rest of the world", [[PACIFIC]], (0, 0), False),
    ("a closed ring", [[(*BOX, BOX[0])]], (5, 5), True),
    ("beside a closed ring", [[(*BOX, BOX[0])]], (5, -1), False),
]


@pytest.mark.parametrize(("polygons", "point", "inside"), [c[1:] for c in INSIDE], ids=[c[0] for c in INSIDE])
def test_inside(polygons: list[list[Ring]], point: Point, inside: bool) -> None:
    assert Polygons(polygons).contains(*point) is inside


CROSSING: list[tuple[str, list[list[Ring]], Point, Point, bool]] = [
    ("through", [[BOX]], (5, -1), (5, 11), True),
    ("over a corner", [[BOX]], (-1, 1), (1, -1), True),
    ("along an edge", [[BOX]], (10, -1), (10, 11), True),
    ("short of it", [[BOX]], (5, -2), (5, -1), False),
    ("within the hole", [[BOX, HOLE]], (5, 4), (5, 6), False),
    ("into the bite", [[BITE]], (1, 4), (1, 6), False),
    ("across the antimeridian", [[PACIFIC]], (0, 178), (0, -178), True),
    ("beside it", [[PACIFIC]], (2, 178), (2, -178), False),
]


@pytest.mark.parametrize(
    ("polygons", "start", "end", "cut"), [c[1:] for c in CROSSING], ids=[c[0] for c in CROSSING]
)
def test_line(polygons: list[list[Ring]], start: Point, end: Point, cut: bool) -> None:
    shape = Polygons(polygons)
    assert shape.crosses(*start, *end) is cut
    assert shape.crosses(*end, *start) is cut


def test_depth_is_metres_to_the_border() -> None:
    shape = shape_of(square(side=100))
    assert shape is not None
    for x, y, depth_m in (
        (50, 50, 50),
        (10, 50, 10),
        (50, 99, 1),
        (-20, 50, -20),
        (-30, -40, -50),
        (0, 7, 0),
    ):
        assert shape.depth_m(*degrees(x, y)) == pytest.approx(depth_m, abs=0.01)
    assert (shape.roomy_m, shape.across_m) == pytest.approx((50, 141.4), abs=0.1)


def test_circle() -> None:
    shape = Disc(Circle(LAT0, LON0, 100))
    for x, inside in ((0, True), (99.9, True), (100.1, False)):
        assert shape.contains(*degrees(x, 0)) is inside
    assert shape.depth_m(*degrees(0, 130)) == pytest.approx(-30, abs=0.01)
    assert shape.crosses(*degrees(-200, 99), *degrees(200, 99))
    assert not shape.crosses(*degrees(-200, 101), *degrees(200, 101))
    assert not shape.crosses(*degrees(-300, 0), *degrees(-200, 0))


def test_circle_across_the_antimeridian() -> None:
    shape = Disc(Circle(0, 179.9999, 50))
    assert shape.contains(0, -179.9999)
    assert shape.crosses(0.001, -179.9999, -0.001, -179.9999)


def test_distance() -> None:
    """A quarter of the mean meridian, and a degree of longitude at 60° that is half as long as at the equator."""
    assert distance_m((0, 0), (90, 0)) == pytest.approx(10_007_557, abs=1)
    assert distance_m((60, 179.5), (60, -179.5)) == pytest.approx(55_597, rel=1e-4)


GRID = st.integers(-6, 6).map(lambda n: n / 4)
CORNERS = st.lists(st.tuples(GRID, GRID), min_size=3, max_size=8)


@settings(deadline=None, derandomize=True)
@given(CORNERS, st.tuples(GRID, GRID))
def test_against_rational_arithmetic(ring: list[Point], p: Point) -> None:
    assert Polygons([[tuple(ring)]]).contains(*p) is exactly_inside([ring], p)


@settings(deadline=None, derandomize=True)
@given(
    st.lists(st.tuples(GRID, GRID, st.integers(0, 3)), max_size=12),
    st.tuples(GRID, GRID),
    st.tuples(GRID, GRID),
)
def test_the_index_finds_what_a_scan_finds(
    squares: list[tuple[float, float, int]], a: Point, b: Point
) -> None:
    def ring(lat: float, lon: float, size: int) -> Ring:
        side = 10.0 ** (size - 3)
        return ((lat, lon), (lat, lon + side), (lat + side, lon + side), (lat + side, lon))

    fences = Fences(Fence(f"{i}", "car_park", f"{i}", polygons=((ring(*s),),)) for i, s in enumerate(squares))
    shapes = {p.id: p.shape for p in fences.places}
    at = {p.id for p in fences.along(a, a) if p.shape.contains(*a)}
    along = {p.id for p in fences.along(a, b) if p.shape.crosses(*a, *b)}
    assert at == {i for i, s in shapes.items() if s.contains(*a)}
    assert along == {i for i, s in shapes.items() if s.crosses(*a, *b)}


@pytest.mark.parametrize("lon", [180.0, -180.0, 179.9999, -179.9999])
def test_the_index_holds_across_the_antimeridian(lon: float) -> None:
    fences = Fences([Fence("sea", "perimeter", "sea", polygons=((PACIFIC,),)), disc("pump", 0, 0, 10)])
    assert [p.id for p in fences.along((0.0, lon), (0.0, lon))] == ["sea"]
    assert [p.id for p in fences.along((0.0, 178.0), (0.0, -178.0))] == ["sea"]


def test_ten_thousand_fences_are_not_scanned() -> None:
    fences = Fences(disc(f"p{i}-{j}", 200.0 * i, 200.0 * j, 50) for i in range(100) for j in range(100))
    assert [p.id for p in fences.along(degrees(2000, 3000), degrees(2000, 3000))] == ["p10-15"]


# --- other people's cases ---


@pytest.fixture(scope="module", name="cases")
def shared_cases() -> list[dict[str, Any]]:
    folder = os.environ.get("GATEWAY_MEASURE_DIR")
    if not folder:
        pytest.skip("GATEWAY_MEASURE_DIR names no measuring data")
    files = sorted(Path(folder, "data", "geometry").glob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


DISPUTED = {("robust-TestRobustRelateFloat.xml case 1", (0.95, 0.05))}
"""GEOS lists it as a failure: the two doubles add up to a little less than 1, so the point is inside, exactly."""


def shape_in(case: dict[str, Any]) -> Shape | None:
    """Coordinates are scaled by a power of two into the range of degrees; None for other kinds of shape."""
    geometry = case.get("geometry") or case["fence"]
    if geometry["type"] == "Circle":
        lon, lat = geometry["center"]
        return Disc(Circle(lat, lon, geometry["radius_m"]))
    if geometry["type"] not in ("Polygon", "MultiPolygon"):
        return None
    coordinates = geometry["coordinates"]
    polygons = coordinates if geometry["type"] == "MultiPolygon" else [coordinates]
    scale = scale_of(case)
    return Polygons(
        [[tuple((y * scale, x * scale) for x, y in ring) for ring in rings] for rings in polygons]
    )


def scale_of(case: dict[str, Any]) -> float:
    def numbers(value: Any) -> Iterator[float]:
        for item in value:
            yield from numbers(item) if isinstance(item, list) else [abs(item)]

    geometry = case.get("geometry") or {}
    largest = max(numbers([*geometry.get("coordinates", []), *case.get("point", [])]), default=1)
    scale = 1.0
    while largest * scale > 45 and geometry.get("type") != "Circle":
        scale /= 2
    return scale


@pytest.mark.measure
def test_points_of_other_suites(cases: list[dict[str, Any]]) -> None:
    wrong = []
    for case in cases:
        shape = shape_in(case) if "point" in case else None
        if shape is None:
            continue
        lon, lat = (v * scale_of(case) for v in case["point"])
        inside = shape.contains(lat, lon)
        assert FenceIndex([shape]).at(lat, lon) == ((0,) if inside else ())
        expected = {
            "inside": True,
            "inside_or_boundary": True,
            "boundary": True,
            "outside": False,
            "outside_or_boundary": case.get("shapely") == "boundary",
        }[case["expect"]]
        disputed = any(name in case["source"] and tuple(case["point"]) == p for name, p in DISPUTED)
        if inside is not (expected or disputed):
            wrong.append((case["source"], case["point"], case["expect"], case.get("shapely")))
    assert wrong == []


@pytest.mark.measure
def test_lines_of_other_suites(cases: list[dict[str, Any]]) -> None:
    told = {}
    for case in cases:
        shape = shape_in(case) if "segment" in case else None
        if shape is not None:
            (lon1, lat1), (lon2, lat2) = case["segment"]
            told[case["source"]] = (shape.crosses(lat1, lon1, lat2, lon2), case["expect"] == "crosses")
    assert told
    assert all(is_ == expected for is_, expected in told.values())


@pytest.mark.measure
def test_moving_objects_of_other_suites(cases: list[dict[str, Any]]) -> None:
    """A track of another suite as seen by the shape alone: in, out, and a line that cuts from outside to outside."""
    tracks = [case for case in cases if "track" in case]
    assert tracks
    for case in tracks:
        shape = shape_in(case)
        assert shape is not None
        places = [(lat, lon) for _, lon, lat in case["track"]]
        seen = ["enter" if shape.contains(*places[0]) else ""]
        for a, b in pairwise(places):
            was, is_ = shape.contains(*a), shape.contains(*b)
            seen.append("cross" if not was and not is_ and shape.crosses(*a, *b) else {1: "enter", -1: "exit"}.get(is_ - was, ""))  # fmt: skip
        changes = {e["t"]: e["event"] for e in case["expect"] if e["event"] in ("enter", "exit", "cross")}
        assert {t: s for t, s in enumerate(seen) if s} == changes
