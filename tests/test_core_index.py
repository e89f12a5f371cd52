"""The fence index gives the answer of exact arithmetic, whatever the shape, the neighbours and the batch."""

from __future__ import annotations

import math
import random
from array import array
from itertools import pairwise
from typing import Any

import pytest
from core_words import LAT0, LON0, degrees, square
from exact_words import exactly_inside
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core import raster
from gateway.core.bands import by_band, in_order
from gateway.core.geometry import Disc, Polygons, Shape, shape_of
from gateway.core.index import FenceIndex
from gateway.model import Circle, Point, Ring

EXACT = settings(deadline=None, derandomize=True, max_examples=100)


def box(south: float, west: float, side: float = 1.0) -> Ring:
    return ((south, west), (south, west + side), (south + side, west + side), (south + side, west))


def star(lat: float, lon: float, reach_deg: float, corners: int, seed: int = 1) -> Ring:
    rng = random.Random(seed)
    steps = [(2 * math.pi * k / corners, reach_deg * rng.uniform(0.3, 1)) for k in range(corners)]
    return tuple((lat + r * math.sin(a), lon + r * math.cos(a)) for a, r in steps)


# --- against exact arithmetic ---

LATTICE = st.integers(-6, 6).map(lambda n: n / 4)
"""Few places, so that positions fall on corners and edges, edges lie level, and rings fold back and touch."""
FLOAT = st.floats(-1.5, 1.5, allow_subnormal=False)


def rings(place: Any, most: int) -> Any:
    return st.lists(st.tuples(place, place), min_size=1, max_size=most).map(tuple)


def polygons(place: Any, most: int = 8) -> Any:
    """One polygon or two, each of one ring or two: holes that touch or cross the outer ring among them."""
    return st.lists(st.lists(rings(place, most), min_size=1, max_size=2), min_size=1, max_size=2)


def holders(shapes: list[Any], p: Point) -> tuple[int, ...]:
    return tuple(k for k, shape in enumerate(shapes) if any(exactly_inside(rings, p) for rings in shape))


@EXACT
@given(
    st.lists(polygons(LATTICE), max_size=4), st.lists(st.tuples(LATTICE, LATTICE), min_size=1, max_size=12)
)
def test_on_a_lattice(shapes: list[Any], positions: list[Point]) -> None:
    index = FenceIndex([Polygons(s) for s in shapes])
    assert [index.at(*p) for p in positions] == [holders(shapes, p) for p in positions]


@EXACT
@given(polygons(FLOAT, 60), st.lists(st.tuples(FLOAT, FLOAT), min_size=1, max_size=8))
def test_anywhere(shape: Any, positions: list[Point]) -> None:
    index = FenceIndex([Polygons(shape)])
    assert [index.at(*p) for p in positions] == [holders([shape], p) for p in positions]


@EXACT
@given(polygons(FLOAT, 60), st.data())
def test_beside_edges_and_on_corners(shape: Any, data: Any) -> None:
    """As near to an edge as doubles come, where only exact arithmetic knows the side."""
    ring = data.draw(st.sampled_from([ring for rings in shape for ring in rings]))
    k, t = data.draw(st.integers(0, len(ring) - 1)), data.draw(st.floats(0, 1))
    (ay, ax), (by, bx) = ring[k - 1], ring[k]
    p = (ay + t * (by - ay), ax + t * (bx - ax))
    for position in (p, (math.nextafter(p[0], 9), p[1]), (p[0], math.nextafter(p[1], 9)), ring[k]):
        assert FenceIndex([Polygons(shape)]).at(*position) == holders([shape], position)


@EXACT
@given(polygons(LATTICE), st.tuples(LATTICE, LATTICE), st.sampled_from([180.0, -180.0]))
def test_across_the_antimeridian(shape: Any, p: Point, middle: float) -> None:
    def turned(lon: float) -> float:
        return (lon + middle + 180.0) % 360.0 - 180.0

    there = [[tuple((lat, turned(lon)) for lat, lon in ring) for ring in rings] for rings in shape]
    for lon in {turned(p[1]), turned(p[1]) + 360.0 if turned(p[1]) == -180.0 else turned(p[1])}:
        assert FenceIndex([Polygons(there)]).at(p[0], lon) == holders([shape], p)


@EXACT
@given(st.floats(-80, 80), st.floats(-180, 180), st.floats(1, 3000), st.floats(0, 7), st.floats(-1e-3, 1e-3))
def test_circles_are_those_of_the_sphere(
    lat: float, lon: float, radius_m: float, bearing: float, off: float
) -> None:
    disc = Disc(Circle(lat, lon, radius_m))
    reach = radius_m * (1 + off) / 111_195.08
    east = reach * math.cos(bearing) / math.cos(math.radians(lat))
    p = (lat + reach * math.sin(bearing), (lon + east + 180) % 360 - 180)
    assert FenceIndex([disc]).at(*p) == ((0,) if disc.contains(*p) else ())


def test_a_position_on_the_border_of_the_cells() -> None:
    """A chess board of squares as wide as cells of the grid, in a crowd that divides them."""
    side = 1 / 16
    shapes = [box(j * side, i * side, side) for j in range(16) for i in range(16)] + [
        star(0.5, 0.5, 0.4, 3000)
    ]
    index = FenceIndex([Polygons([[ring]]) for ring in shapes])
    for j in range(17):
        for i in range(17):
            p = (j * side, i * side)
            held = [16 * b + a for b in (j - 1, j) for a in (i - 1, i) if 0 <= a < 16 and 0 <= b < 16]
            assert [k for k in index.at(*p) if k < 256] == held


# --- any mix ---

FAR_APART = [box(0, 0), box(50, 179.5), box(-60, -120, 1e-4), box(-60, -120.5, 1e-4), star(40, 10, 1e-3, 500)]


@pytest.mark.parametrize(
    ("name", "position", "held"),
    [
        ("square degree", (0.5, 0.5), (0,)),
        ("its corner", (1.0, 1.0), (0,)),
        ("antimeridian, from the west", (50.5, 179.9), (1,)),
        ("antimeridian, from the east", (50.5, -179.9), (1,)),
        ("ten metres", (-60 + 5e-5, -120 + 5e-5), (2,)),
        ("beside the ten metres", (-60 + 5e-5, -120 + 2e-4), ()),
        ("their neighbour, longitude given beyond 180°", (-60 + 5e-5, 239.5 + 5e-5), (3,)),
        ("star", (40.0, 10.0), (4,)),
        ("nowhere", (20.0, 20.0), ()),
    ],
)
def test_fences_thousands_of_kilometres_apart(name: str, position: Point, held: tuple[int, ...]) -> None:
    index = FenceIndex([Polygons([[ring]]) for ring in FAR_APART])
    assert index.at(*position) == held, name
    assert index.nbytes < 150_000


@pytest.mark.parametrize(
    ("lat", "lon"),
    [
        (math.nan, 0.5), (0.5, math.nan), (math.inf, 0.5), (0.5, -math.inf), (90.1, 0.5), (0.5, 360.5), (1e300, 1e300),
    ],
)  # fmt: skip
def test_what_is_no_position_is_in_no_fence(lat: float, lon: float) -> None:
    index = FenceIndex([Polygons([[box(-90, -90, 180)]]), Disc(Circle(0, 0, 1e6))])
    assert index.at(lat, lon) == ()
    assert index.near_line(lat, lon, 0.5, 0.5) == []
    assert list(index.pairs(array("d", [lat, 0.5]), array("d", [lon, 0.5]))[0]) == [1, 1]


def test_none_and_one() -> None:
    assert FenceIndex([]).at(0, 0) == ()
    assert FenceIndex([Polygons([[box(0, 0)]])]).at(0, 0) == (0,)
    assert FenceIndex([Polygons([[((3.0, 4.0),)]])]).at(3, 4) == (0,)


def test_many_fences_over_the_same_ground_stay_small() -> None:
    index = FenceIndex([Polygons([[star(0, 0, 10, 40, seed)]]) for seed in range(300)])
    assert index.at(0, 0) == tuple(range(300))
    assert index.nbytes < 300 * 16_000


def test_the_work_does_not_grow_with_the_corners() -> None:
    """However many corners a fence has, few edges are in reach of a position."""
    index = FenceIndex([Polygons([[star(50, 7, 0.5, 4_000)]])])
    assert index.at(50, 7) == (0,)
    assert index.nbytes < 4_000 * 1_000


def test_a_fence_of_many_overlapping_polygons_is_told_once() -> None:
    """Large and small ones in turn, so that a position finds both fences again at every depth of the grid."""
    shapes = [[[star(0, 0, 2.0 ** -(k % 12), 30, 60 * fence + k)] for k in range(60)] for fence in range(2)]
    index = FenceIndex([Polygons(shape) for shape in shapes])
    positions = [(0.0, 0.0), *((s * 2.0**-k, 2.0**-k / 3) for k in range(14) for s in (-0.4, 0.4))]
    held = [holders(shapes, p) for p in positions]
    assert [index.at(*p) for p in positions] == held
    lats, lons = (array("d", axis) for axis in zip(*positions, strict=True))
    assert paired(index, lats, lons) == [(fix, k) for fix, ks in enumerate(held) for k in ks]


def test_limits_are_told_before_memory_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    square = Polygons([[box(0, 0)]])
    with pytest.raises(ValueError, match="1000001 fences"):
        FenceIndex([square] * (raster.FENCES_MAX + 1))
    monkeypatch.setattr(raster, "CORNERS_MAX", 9)
    with pytest.raises(ValueError, match="10 corners"):
        FenceIndex([square, square])


# --- bulk ---


def town(seed: int = 3, count: int = 150) -> list[Shape]:
    rng = random.Random(seed)
    shapes: list[Shape] = []
    for k in range(count):
        lat, lon = LAT0 + rng.uniform(-0.02, 0.02), LON0 + rng.uniform(-0.02, 0.02)
        if k % 5 == 0:
            shapes.append(Disc(Circle(lat, lon, rng.uniform(20, 900))))
        else:
            ring = star(lat, lon, rng.uniform(2e-4, 8e-3), rng.randint(3, 90), k)
            hole = tuple((lat + (y - lat) / 3, lon + (x - lon) / 3) for y, x in ring)
            shapes.append(Polygons([[ring, hole]] if k % 3 else [[ring], [hole]]))
    return shapes


def scattered(count: int, seed: int = 4) -> tuple[array[float], array[float]]:
    rng = random.Random(seed)
    lats = array("d", [LAT0 + rng.uniform(-0.03, 0.03) for _ in range(count)])
    return lats, array("d", [LON0 + rng.uniform(-0.03, 0.03) for _ in range(count)])


def paired(index: Any, lats: Any, lons: Any) -> list[tuple[int, int]]:
    fixes, fences = index.pairs(lats, lons)
    return list(zip(fixes, fences, strict=True))


def test_many_fixes_of_a_large_index_are_sorted_and_told_in_their_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lats, lons = scattered(1_000)
    for k, (lat, lon) in enumerate(
        [(math.nan, 0.0), (0.0, math.nan), (math.inf, 0.0), (-91.0, 7.0), (1.0, 400.0)]
    ):
        lats[200 * k], lons[200 * k] = lat, lon
    index = FenceIndex(town())
    expected = [(k, fence) for k in range(1_000) for fence in index.at(lats[k], lons[k])]
    monkeypatch.setattr("gateway.core.index.WIDE", 0)
    monkeypatch.setattr("gateway.core.index.BANDED", 1)
    for at_once in (300, 1_000, 5_000):
        monkeypatch.setattr("gateway.core.index.AT_ONCE", at_once)
        assert paired(index, lats, lons) == expected


def test_bands_put_fixes_of_one_latitude_together_and_answers_back() -> None:
    lats, lons = array("d", [9.0, 1.0, math.nan, 200.0, 255.5, 1.5, -3.0]), array("d", range(7))
    places, who = by_band(lats, lons, 0, 7, (0.0, 1.0))
    assert list(who) == [2, 6, 1, 5, 0, 3, 4]
    assert list(places[1::2]) == list(who)
    assert list(places[4::2]) == [1.0, 1.5, 9.0, 200.0, 255.5]


@pytest.mark.parametrize(
    ("name", "pairs", "told"),
    [
        ("nothing", [], []),
        ("fixes in any order", [(2, 5), (1, 1), (1, 7), (4, 3)], [(11, 1), (11, 7), (12, 5), (14, 3)]),
        (
            "fences of a fix in any order",
            [(3, 9), (0, 4), (3, 2), (3, 5)],
            [(10, 4), (13, 2), (13, 5), (13, 9)],
        ),
        ("the same fence again", [(1, 6), (1, 2), (1, 6), (2, 6), (1, 2)], [(11, 2), (11, 6), (12, 6)]),
    ],
)
def test_pairs_are_told_once_and_in_rising_order(
    name: str, pairs: list[tuple[int, int]], told: list[tuple[int, int]]
) -> None:
    fixes, fences = array("i", [p[0] for p in pairs] + [9]), array("i", [p[1] for p in pairs] + [9])
    assert list(zip(*in_order(5, fixes, fences, len(pairs), 10), strict=True)) == told, name


def test_bulk_goes_around_the_globe() -> None:
    """A map that crosses the antimeridian, fixes on both sides of it, on it, and given beyond it."""
    index = FenceIndex([Polygons([[ring]]) for ring in FAR_APART])
    lons = array("d", [179.5, 180.0, -180.0, -179.7, 180.3, -180.3, 179.4, -179.4, 540.0, 0.5, 360.5, -359.5])
    lats = array("d", [50.5] * 9 + [0.5] * 3)
    expected = [(k, fence) for k in range(len(lats)) for fence in index.at(lats[k], lons[k])]
    assert [k for k, fence in expected if fence == 1] == [0, 1, 2, 3, 4, 5]
    assert [k for k, fence in expected if fence == 0] == [9, 11]  # 360.5 is no longitude
    assert paired(index, lats, lons) == expected


def test_one_by_one_in_bulk_and_by_the_shapes_alone() -> None:
    shapes, (lats, lons) = town(), scattered(2500)
    index = FenceIndex(shapes)
    expected = [
        (fix, number)
        for fix, p in enumerate(zip(lats, lons, strict=True))
        for number, shape in enumerate(shapes)
        if shape.contains(*p)
    ]
    assert len(expected) > 2500
    assert paired(index, lats, lons) == expected
    assert [(fix, k) for fix, p in enumerate(zip(lats, lons, strict=True)) for k in index.at(*p)] == expected


@settings(deadline=None, derandomize=True, max_examples=30)
@given(st.lists(st.integers(0, 1200), max_size=6))
def test_any_split_of_the_fixes_gives_the_same_pairs(cuts: list[int]) -> None:
    index, (lats, lons) = TOWN, scattered(1200)
    edges = [0, *sorted(cuts), 1200]
    parts = [
        (fix + first, fence)
        for first, end in pairwise(edges)
        for fix, fence in paired(index, memoryview(lats)[first:end], memoryview(lons)[first:end])
    ]
    assert parts == paired(index, lats, lons)


TOWN = FenceIndex(town())


@pytest.mark.parametrize(
    ("lats", "lons"),
    [
        (array("f", [1]), array("f", [1])),
        (array("d", [1]), array("d", [1, 2])),
        (array("i", [1]), array("d", [1])),
    ],
)
def test_other_buffers_are_refused(lats: Any, lons: Any) -> None:
    with pytest.raises(ValueError, match="two buffers of doubles"):
        TOWN.pairs(lats, lons)


def test_a_line_finds_all_that_it_touches() -> None:
    shapes, rng = town(), random.Random(5)
    for _ in range(150):
        start, end = (degrees(rng.uniform(-2500, 2500), rng.uniform(-2500, 2500)) for _ in range(2))
        touched = {k for k, shape in enumerate(shapes) if shape.crosses(*start, *end)}
        assert touched <= set(TOWN.near_line(*start, *end))


def test_a_fix_as_a_line_finds_all_that_hold_it_to_the_last_corner_of_the_grid() -> None:
    for side in (90.0, 150.0, 299.0):  # wherever the box of all fences ends within its last cell
        shapes = [shape_of(square(f"{k}", 400.0 * k, 400.0 * k, side)) for k in range(3)]
        index = FenceIndex([shape for shape in shapes if shape])
        for k in range(3):
            for x, y in ((0.01, 0.01), (0.5, 0.5), (0.99, 0.99), (0.99, 0.01), (0.01, 0.99)):
                place = degrees(400.0 * k + x * side, 400.0 * k + y * side)
                assert index.near_line(*place, *place) == [k], (side, k, x, y)
