"""Fences whose size or place is hardly that of a thing on the ground, and thresholds that nobody reaches."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path as File
from zoneinfo import TZPATH

from gateway.core.geometry import distance_m
from gateway.core.windows import LOST_S
from gateway.errors import Problem
from gateway.review.places import Path, warning
from gateway.settings.outlines import Polygons
from gateway.settings.plane import apart_deg, metres
from gateway.settings.remains import Remains
from gateway.settings.site import Fence, SiteFile

SMALLEST_M = 5.0
"""As wide as a good fix is inaccurate."""
LARGEST_M = {"car_park": 3_000.0, "drive_through": 1_000.0, "pump": 300.0, "perimeter": 50_000.0}
FAR_M = 50_000.0
"""From the first fence of the site."""
SAME_COUNTRY_DEG, ELSEWHERE_DEG = 12.0, 15.0
"""A site lies within the first of its time zone's city; swapped it lies beyond the second."""
LONGEST_SHOPPING_S = 24 * 3600.0

_PLACE = re.compile(r"([+-])(\d{2})(\d{2})(\d{2})?([+-])(\d{3})(\d{2})(\d{2})?\Z")


def fence_warnings(
    rest: Remains[SiteFile], file: SiteFile, shapes: Mapping[str, Polygons]
) -> Iterator[Problem]:
    """`shapes`: of the fences that have a right one, by id."""
    city = _city(file.site.timezone)
    home: tuple[str, float, float] | None = None
    for i, fence in enumerate(file.fences):
        path: Path = ("fences", i, "circle" if fence.circle else "polygon")
        if fence.id not in shapes:
            continue
        yield from _size(rest, path, fence, shapes[fence.id])
        lat, lon = fence.circle.at if fence.circle else shapes[fence.id][0][0][0]
        if city is not None and apart_deg((lat, lon), city) > ELSEWHERE_DEG:
            swapped = apart_deg((lon, lat), city) < SAME_COUNTRY_DEG
            text = f"far from {file.site.timezone}"
            hint = "latitude and longitude look swapped" if swapped else "is the time zone right?"
            yield warning(rest, path, f"{text}; {hint}")
        elif home is None:
            home = (fence.id, lat, lon)
        elif min(distance_m(place, home[1:]) for place in ((lat, lon), (lon, lat))) > FAR_M:
            away_m = distance_m((lat, lon), home[1:])
            yield warning(rest, path, f"{away_m / 1000:,.0f} km from '{home[0]}'; a site is one place")
    yield from _thresholds(rest, file)


def _size(rest: Remains[SiteFile], path: Path, fence: Fence, polygons: Polygons) -> Iterator[Problem]:
    across_m = 2 * fence.circle.radius_m if fence.circle else _across_m(polygons)
    if across_m < SMALLEST_M:
        text = f"only {across_m:.1f} m across, less than a fix is off; is a decimal wrong?"
        yield warning(rest, path, text)
    elif across_m > LARGEST_M[fence.kind]:
        what = fence.kind.replace("_", " ")
        text = f"{across_m / 1000:,.1f} km across, which is much for a {what}; is a decimal wrong?"
        yield warning(rest, path, text)


def _across_m(polygons: Polygons) -> float:
    """The longer side of the box around all outlines."""
    corners = [corner for polygon in polygons for corner in polygon[0]]
    placed = [metres(corner, corners[0]) for corner in corners]
    east_m, north_m = [x for x, _ in placed], [y for _, y in placed]
    return max(max(east_m) - min(east_m), max(north_m) - min(north_m))


def _thresholds(rest: Remains[SiteFile], file: SiteFile) -> Iterator[Problem]:
    for i, fence in enumerate(file.fences):
        for n, dwell_s in enumerate(fence.dwell or ()):
            if dwell_s > LOST_S:
                text = (
                    f"a parked car is silent, and its stay is given up after {LOST_S / 3600:g} h; "
                    "this never fires for one"
                )
                yield warning(rest, ("fences", i, "dwell", n), text)
    for f, floor in enumerate(file.floors):
        for z, zone in enumerate(floor.zones):
            for n, dwell_s in enumerate(zone.dwell or ()):
                if dwell_s > LONGEST_SHOPPING_S:
                    text = f"nobody stays for {dwell_s / 3600:,.0f} h; is the unit right?"
                    yield warning(rest, ("floors", f, "zones", z, "dwell", n), text)


def _city(timezone: str) -> tuple[float, float] | None:
    """Where the city of a time zone lies, by the system's time zone database; None: it does not say.

    zone.tab: country, place as ±DDMM±DDDMM or with seconds (ISO 6709), zone.
    """
    for folder in map(File, TZPATH):
        try:
            rows = (folder / "zone.tab").read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            continue
        for row in rows:
            columns = row.split("\t")
            if len(columns) >= 3 and columns[2] == timezone and (found := _PLACE.match(columns[1])):
                sign, d, m, s, sign2, d2, m2, s2 = found.groups(default="0")
                lat, lon = (int(x) + int(y) / 60 + int(z) / 3600 for x, y, z in ((d, m, s), (d2, m2, s2)))
                return (-lat if sign == "-" else lat), (-lon if sign2 == "-" else lon)
        return None
    return None
