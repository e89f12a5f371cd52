"""Where things of the map stand in the file, and how a warning is made of that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from gateway.errors import Problem
from gateway.settings.remains import Remains
from gateway.settings.site import Beacon, Floor, Receiver, SiteFile, Zone

Path = tuple[str | int, ...]


def warning(rest: Remains[Any], path: Path, text: str, *, at_key: bool = False) -> Problem:
    return msgspec.structs.replace(rest.problem(path, text, at_key=at_key), is_warning=True)


def leaf_zones(file: SiteFile) -> Iterator[tuple[Path, Floor, Zone]]:
    """The zones that have no parts."""
    parents = {zone.part_of for floor in file.floors for zone in floor.zones}
    for f, floor in enumerate(file.floors):
        for z, zone in enumerate(floor.zones):
            if zone.id not in parents:
                yield ("floors", f, "zones", z), floor, zone


def anchors(file: SiteFile) -> Iterator[tuple[Path, Receiver | Beacon]]:
    yield from ((("receivers", i), receiver) for i, receiver in enumerate(file.receivers))
    yield from ((("beacons", i), beacon) for i, beacon in enumerate(file.beacons))
