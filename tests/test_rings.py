"""A ring is simple or its mistake is named; what GEOS calls valid raises no alarm."""

from __future__ import annotations

import math
import random
import time

import pytest

from gateway.model import Ring
from gateway.settings.outlines import of_rings
from gateway.settings.rings import around, ring_mistake

SQUARE: Ring = ((0, 0), (0, 4), (4, 4), (4, 0))


@pytest.mark.parametrize(
    ("corners", "mistake"),
    [
        ("0 0, 0 4, 4 4, 4 0", ""),
        ("0 0, 0 2, 0 4, 4 4, 4 0", ""),  # a corner on a straight side
        ("0 0, 0 0, 0 4, 4 4, 4 4, 4 0", ""),  # corners repeated at once
        ("0 0, 0 4, 2 0.000001, 4 4, 4 0", ""),
        ("0 0, 4 4, 0 4, 4 0", "crosses itself: the side after corner 1 cuts the one after corner 3"),
        ("0 0, 0 4, 2 0, 4 4, 4 0", "touches itself: corner 3 lies on the side after corner 5"),
        ("0 0, 0 4, 2 2, 4 4, 4 0, 2 2", "touches itself: corners 3 and 6 are one place"),
        ("0 0, 0 0, 0 4, 2 2, 4 4, 4 0, 2 2", "touches itself: corners 4 and 7 are one place"),
        ("0 0, 0 4, 4 4, 4 0, 2 0, 2 -3, 2 0", "touches itself: corners 5 and 7 are one place"),  # a side twice
        ("0 0, 0 4, 0 6, 0 3, 4 3, 4 0", "runs back over itself at corner 3"),
        ("0 0, 0 4, 4 4, 4 2, 0 2, 4 1.9, 4 0", "touches itself: corner 5 lies on the side after corner 1"),
        ("0 0, 0 1, 1 1, 1 3, 0 3, 0 1.5, 0 0.5, 3 0.5", "the outline"),  # two sides lie on one another
        ("0 0, 1 1, 2 2, 4 4", "the corners lie on one line: the polygon has no area"),
        ("0 0, 0 4, 0 0", "a polygon needs three corners or more that differ"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_ring(corners: str, mistake: str) -> None:
    ring = tuple((float(x), float(y)) for x, y in (pair.split() for pair in corners.split(", ")))
    for turned in (ring, tuple((y, x) for x, y in ring)):
        found = ring_mistake(turned)
        assert mistake in found
        assert bool(mistake) == bool(found)


def by_all_pairs(ring: Ring) -> bool:
    """Simple, in whole numbers and by the definition: sides have only the corner between them in common."""

    def turn(a: tuple[float, float], b: tuple[float, float], p: tuple[float, float]) -> float:
        return (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])

    def on(p: tuple[float, float], a: tuple[float, float], b: tuple[float, float]) -> bool:
        inside = all(min(a[i], b[i]) <= p[i] <= max(a[i], b[i]) for i in (0, 1))
        return turn(a, b, p) == 0 and inside

    ring = tuple(c for k, c in enumerate(ring) if c != ring[k - 1])
    sides = [(a, ring[(k + 1) % len(ring)]) for k, a in enumerate(ring)]
    for k, (a, b) in enumerate(sides):
        for m, (c, d) in enumerate(sides[k + 1 :], k + 1):
            common = {p for p in (a, b) if on(p, c, d)} | {p for p in (c, d) if on(p, a, b)}
            crossed = turn(a, b, c) * turn(a, b, d) < 0 and turn(c, d, a) * turn(c, d, b) < 0
            between = {b} if m == k + 1 else {a} if (m + 1) % len(sides) == k else set()
            if crossed or common - between:
                return False
    return True


def test_random_rings_on_a_lattice_are_judged_as_by_all_pairs() -> None:
    rng, simple = random.Random(1), 0
    for _ in range(4_000):
        width = rng.choice([3, 4, 6, 40])
        corners = [
            (float(rng.randrange(width)), float(rng.randrange(width))) for _ in range(rng.randrange(3, 9))
        ]
        ring = tuple(corners)
        if len(set(ring)) < 3 or all(
            (b[0] - ring[0][0]) * (p[1] - ring[0][1]) == (b[1] - ring[0][1]) * (p[0] - ring[0][0])
            for b in ring
            for p in ring
        ):
            continue
        assert (ring_mistake(ring) == "") == by_all_pairs(ring), ring
        simple += by_all_pairs(ring)
    assert simple > 500


def star(corners: int, lat: float = 50.9, lon: float = 6.9) -> Ring:
    steps = [(2 * math.pi * k / corners, 0.01 * (1 + 0.5 * math.sin(7 * k))) for k in range(corners)]
    return tuple((lat + r * math.sin(a), lon + r * math.cos(a)) for a, r in steps)


@pytest.mark.parametrize("middle_lon", [6.9, 179.999, -179.999])
def test_rounding_raises_no_alarm(middle_lon: float) -> None:
    ring = tuple((lat, (lon + 180.0) % 360.0 - 180.0) for lat, lon in star(500, lon=middle_lon))
    assert of_rings([ring]) == (ring,)


def test_longitudes_that_need_no_turn_keep_their_bits() -> None:
    ring = star(50)
    assert around(ring) == ring
    assert around(((0, 179), (0, -179), (1, -178), (1, 179))) == ((0, 179), (0, 181), (1, 182), (1, 179))


def test_a_comb_whose_teeth_span_it_is_judged_in_n_log_n() -> None:
    teeth = tuple((float(k % 2) * 1e4, float(k)) for k in range(8_000))
    began = time.process_time()
    assert ring_mistake((*teeth, (-5.0, 7_999.0), (-5.0, 0.0))) == ""
    assert time.process_time() - began < 10  # all pairs: minutes
