"""The fence index against shapely 2: `.venv/bin/python bench/fences.py` (extra `bench`), some minutes.

CPU time, contenders in turn in one run, medians; the run ends with an error if two of them differ in an
answer. Shapely has its fences and fixes as arrays of geometries before the clock starts; the tree over the
fixes is built within the time, since fixes are new with every batch. Circles are 64-gons for both, but in
the last lines.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely

from gateway.core.form import core_form
from gateway.model import Fence
from gateway.sim.town import fixes, scene
from gateway.verbs.bench import PlainPython, in_turns, index_of, least, one_by_one, table

FIXES = 1_000_000


def main() -> None:
    print(f"shapely {shapely.__version__}, GEOS {shapely.geos_version_string}; core: {core_form()}")
    for count in (10_000, 100_000):
        fences = scene(count, polygonal=True)
        for spread in ("near fences and anywhere", "anywhere"):
            lats, lons = fixes(FIXES, fences if spread.startswith("near") else [])
            print(f"{count:,} fences, {FIXES:,} shuffled fixes {spread}, bulk")
            bulk(fences, lats, lons)
    fences = scene(10_000, polygonal=True)
    print("10,000 fences, 200,000 shuffled fixes near fences and anywhere, one a call")
    single(fences, *fixes(200_000, fences))
    fences = scene(10_000)
    index = index_of(fences)
    build_s = least(lambda: index_of(fences))
    print(
        f"10,000 fences, circles native: {index.nbytes / 1e4:,.0f} bytes a fence, corners included; "
        f"{build_s / 1e4 * 1e6:.1f} µs a fence to build from the map"
    )


def bulk(fences: Sequence[Fence], lats: array[float], lons: array[float]) -> None:
    outlines = polygons_of(fences)
    points = shapely.points(np.frombuffer(lons), np.frombuffer(lats))
    tree = shapely.STRtree(outlines)
    index = index_of(fences)
    shapely.prepare(outlines)
    taken = in_turns(
        {
            "shapely, tree of fences asked for the fixes": lambda: tree.query(points, "intersects"),
            "shapely, tree of fixes asked for the fences": lambda: turned(
                shapely.STRtree(points).query(outlines, "intersects")
            ),
            "index": lambda: index.pairs(lats, lons),
        },
        rounds=3,
    )
    print(*table(taken, len(lats)), sep="\n")


def turned(answer: Any) -> Any:
    return answer[1], answer[0]


def single(fences: Sequence[Fence], lats: array[float], lons: array[float]) -> None:
    tree, index, plain = shapely.STRtree(polygons_of(fences)), index_of(fences), PlainPython(fences)
    positions = list(zip(lats, lons, strict=True))

    def by_tree(lat: float, lon: float) -> Sequence[int]:
        return tree.query(shapely.Point(lon, lat), "intersects")

    taken = in_turns(
        {
            "shapely, one Point a call": lambda: one_by_one(by_tree, positions),
            "plain Python": lambda: one_by_one(plain.at, positions),
            "index": lambda: one_by_one(index.at, positions),
        },
        rounds=3,
    )
    print(*table(taken, len(lats)), sep="\n")


def polygons_of(fences: Sequence[Fence]) -> Any:
    return np.array(
        [shapely.Polygon(xy(f.polygons[0][0]), [xy(r) for r in f.polygons[0][1:]]) for f in fences]
    )


def xy(ring: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(lon, lat) for lat, lon in ring]


if __name__ == "__main__":
    main()
