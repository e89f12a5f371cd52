"""One source, two forms: the index as plain Python and compiled."""

from __future__ import annotations

import importlib
import random
import sys
from array import array
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from conftest import PlainSources
from test_core_index import TOWN, paired, scattered, town

from gateway.core import geometry, raw
from gateway.core.geometry import Disc, Polygons, Shape
from gateway.model import Circle, Point, Ring


@pytest.fixture(name="plain")
def plain_modules() -> Iterator[dict[str, Any]]:
    """The same modules from their source, beside those that are installed."""
    package = importlib.import_module("gateway.core")
    names = ["geometry", "edges", "bands", "raster", "index"]
    installed = {name: sys.modules.pop(f"gateway.core.{name}") for name in names}
    sys.meta_path.insert(0, finder := PlainSources())
    try:
        yield {name: importlib.import_module(f"gateway.core.{name}") for name in names}
    finally:
        sys.meta_path.remove(finder)
        for name, module in installed.items():
            sys.modules[f"gateway.core.{name}"] = module
            setattr(package, name, module)


def test_plain_python_gives_the_bits_of_the_installed_form(plain: dict[str, Any]) -> None:
    assert plain["index"].__file__.endswith(".py")
    rng = random.Random(6)
    lats, lons = scattered(1500)
    own = [
        plain["geometry"].Disc(Circle(s.lat, s.lon, s.radius_m))
        if isinstance(s, Disc)
        else plain["geometry"].Polygons(rings_of(s))
        for s in town()
    ]
    index = plain["index"].FenceIndex(own)
    assert index.nbytes == TOWN.nbytes
    assert paired(index, lats, lons) == paired(TOWN, lats, lons)
    for a, b in zip(own, town(), strict=True):
        assert (a.box, a.roomy_m, a.across_m) == (b.box, b.roomy_m, b.across_m)
        k, m = rng.randrange(1500), rng.randrange(1500)
        assert a.depth_m(lats[k], lons[k]) == b.depth_m(lats[k], lons[k])
        start, end = (lats[k], lons[k]), (lats[m], lons[m])
        assert a.crosses(*start, *end) == b.crosses(*start, *end)
        assert index.near_line(*start, *end) == TOWN.near_line(*start, *end)


def rings_of(shape: Shape) -> list[list[Ring]]:
    assert isinstance(shape, Polygons)
    c, r, p = shape.corners, shape.rings, shape.parts
    ring = [tuple((c[2 * v], c[2 * v + 1]) for v in range(r[k], r[k + 1])) for k in range(len(r) - 1)]
    return [ring[p[k] : p[k + 1]] for k in range(len(p) - 1)]


def test_whole_numbers_are_sure_only_where_they_are_right(plain: dict[str, Any]) -> None:
    """Runs whose corners lie anywhere in the places that the numbers of a record name, against exact signs."""
    rng, sure = random.Random(7), 0
    for case in range(600):
        reach = 2 ** rng.randint(2, 15)
        run = [(rng.randint(0, reach), rng.randint(0, reach)) for _ in range(rng.randint(2, 12))]
        qy, qx = rng.randint(0, reach), rng.randint(-4 * reach, 4 * reach)
        (py, px), *true = [(y + rng.choice([0, 0.3, 0.999]), x + rng.random()) for y, x in [(qy, qx), *run]]
        last = raw.padded(len(run) - 1) + 1
        numbers = [(y - 32768) * 65536 + x for y, x in (run + run[-1:] * last)[:last]]
        entry = array("i", [32 * (5 + last), 32768, 0, 0, 4 * (len(run) - 1), *numbers])
        found = plain["edges"].in_runs(entry, 0, 4, qy, qx)
        sure += found != plain["edges"].UNSURE
        assert found in {west_of(true, py, px), plain["edges"].UNSURE}, case
    assert sure > 250


def west_of(run: list[Point], y: float, x: float) -> int:
    """How many edges lie west of the position, modulo 2."""
    odd = 0
    for (ay, ax), (by, bx) in pairwise(run):
        if (ay < y) != (by < y):
            odd ^= (
                (geometry.side(ay, ax, by, bx, y, x) <= 0)
                if ay < by
                else (geometry.side(ay, ax, by, bx, y, x) >= 0)
            )
    return odd
