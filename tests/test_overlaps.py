"""Places with ground in common: what may not be counted side by side."""

from __future__ import annotations

import pytest
from core_words import degrees, disc, square

from gateway.model import Fence, Point, SiteMap, Zone
from gateway.settings.overlaps import common_ground


def polygon(name: str, *corners: Point, hole: tuple[Point, ...] = ()) -> Fence:
    rings = [tuple(degrees(*corner) for corner in ring) for ring in (corners, hole) if ring]
    return Fence(name, "car_park", name, polygons=(tuple(rings),))


A = square("a", 0, 0, 100)
ROUND = disc("a", 0, 0, 50)
RING = polygon("a", (0, 0), (100, 0), (100, 100), (0, 100), hole=((30, 30), (70, 30), (70, 70), (30, 70)))
L = polygon("a", (0, 0), (100, 0), (100, 20), (20, 20), (20, 100), (0, 100))


@pytest.mark.parametrize(
    ("a", "b", "overlap"),
    [
        (A, square("b", 200, 0, 100), False),
        (A, square("b", 100, 0, 100), False),  # neighbours with a side in common
        (A, square("b", 100, 100, 100), False),  # a corner in common
        (A, square("b", 99.95, 0, 100), False),  # drawn 5 cm into one another
        (A, square("b", 99, 0, 100), True),
        (A, square("b", 0, 0, 100), True),  # the same place under two names
        (A, square("b", 50, 0, 100), True),  # sides on one line
        (A, square("b", 40, 40, 20), True),  # one in the other
        (A, polygon("b", (-10, 40), (110, 40), (110, 60), (-10, 60)), True),  # across, no corner inside
        (A, polygon("b", (50, -60), (160, 50), (50, 160), (-60, 50)), True),
        (RING, square("b", 40, 40, 20), False),  # in the hole
        (RING, square("b", 30, 30, 40), False),  # fills the hole
        (RING, square("b", 20, 20, 60), True),
        (L, square("b", 30, 30, 60), False),  # in the corner of the L
        (L, square("b", 10, 30, 60), True),
        (ROUND, disc("b", 120, 0, 50), False),
        (ROUND, disc("b", 100, 0, 50), False),  # they touch
        (ROUND, disc("b", 90, 0, 50), True),
        (ROUND, disc("b", 10, 0, 5), True),
        (ROUND, square("b", 60, 0, 100), False),
        (ROUND, square("b", 45, -50, 100), True),  # no corner in the circle
        (ROUND, square("b", -100, -100, 200), True),
        (ROUND, square("b", -5, -5, 10), True),
        (ROUND, square("b", 40, 40, 100), False),  # in the box around the circle, not in the circle
    ],
)
def test_fences(a: Fence, b: Fence, overlap: bool) -> None:
    site = SiteMap("s", fences=(a, b))
    assert common_ground(site, "a", "b") == ("a and b overlap" if overlap else "")
    assert common_ground(site, "b", "a") == ("b and a overlap" if overlap else "")


def test_fences_on_both_sides_of_the_antimeridian() -> None:
    def lot(name: str, west: float, east: float) -> Fence:
        return Fence(
            name, "car_park", name, polygons=((((0, west), (0.01, west), (0.01, east), (0, east)),),)
        )

    site = SiteMap(
        "s", fences=(lot("a", 179.99, -179.99), lot("b", -179.995, -179.98), lot("c", 179.97, 179.98))
    )
    assert common_ground(site, "a", "b")
    assert not common_ground(site, "a", "c")


def test_a_part_and_what_it_is_part_of() -> None:
    zones = (Zone("hall", "hall", "hall", "g"), Zone("aisle", "aisle", "aisle", "g", part_of="hall"),
             Zone("milk", "shelf", "milk", "g", part_of="aisle"), Zone("eggs", "shelf", "eggs", "g", part_of="aisle"))  # fmt: skip
    site = SiteMap("s", zones=zones)
    assert common_ground(site, "milk", "aisle") == "milk is part of aisle"
    assert common_ground(site, "aisle", "milk") == "milk is part of aisle"
    assert common_ground(site, "milk", "hall") == "milk is part of hall"
    assert common_ground(site, "milk", "eggs") == ""


def test_what_the_map_does_not_know() -> None:
    """Where on earth a floor lies is not in the map, and an unknown name is told elsewhere."""
    site = SiteMap("s", zones=(Zone("milk", "shelf", "milk", "g", at=(1, 1)),), fences=(A,))
    assert common_ground(site, "milk", "a") == ""
    assert common_ground(site, "nowhere", "a") == ""
