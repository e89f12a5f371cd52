"""Zones of floors: ground that two of them claim or beyond the floor, and zones that radio cannot find."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from gateway.core.belief import OFFSET_SD_DB
from gateway.core.cells import centroid
from gateway.core.loss import (
    POWER_AT_1M_DBM,
    SHADOWING_DB,
    SHADOWING_DECADE_DB,
    distance_m,
    hearing_probability,
    path_loss_db,
)
from gateway.errors import Problem
from gateway.model import Anchor, Point, Ring, SiteMap
from gateway.review.places import Path, anchors, leaf_zones, warning
from gateway.settings.overlaps import outlines_overlap
from gateway.settings.remains import Remains
from gateway.settings.rings import open_ring, ring_mistake
from gateway.settings.site import Floor, SiteFile, Zone

OVER_THE_EDGE_M = 0.1
BESIDE_M = 2.0
"""A receiver may hang so far outside the floor, behind a wall."""
HARDLY_HEARD = 0.1
"""Less than this probability to be heard by the nearest receiver is no coverage."""
ALIKE = 0.5
"""Zones whose models are nearer to one another than so many spreads are a guess."""
COMPARED = 40
"""Each zone is compared with so many before it in the file, which are mostly those around it."""

_Placed = tuple[Path, Floor, Zone]
_Sound = dict[str, tuple[float, float, float]]


def zone_warnings(rest: Remains[SiteFile], file: SiteFile, site: SiteMap | None) -> Iterator[Problem]:
    """`site`: the map, where all of the file is right."""
    zones = list(leaf_zones(file))
    yield from _beyond_bounds(rest, file, zones)
    yield from _overlaps(rest, zones)
    if site is None or site.calibration is not None:
        return  # a walk knows better than the map
    yield from _unreachable(rest, zones, site)
    if _placed_anchors(site):
        yield from _alike(rest, zones, site)


def _beyond_bounds(rest: Remains[SiteFile], file: SiteFile, zones: Sequence[_Placed]) -> Iterator[Problem]:
    for path, floor, zone in zones:
        beyond_m = max((_beyond_m(floor, corner) for corner in zone.polygon or ()), default=0.0)
        outside = zone.polygon and all(_beyond_m(floor, corner) > 0 for corner in zone.polygon)
        if beyond_m > OVER_THE_EDGE_M and not outside:  # wholly outside is a problem
            text = f"reaches {beyond_m:.1f} m beyond the bounds of floor '{floor.id}'"
            yield warning(rest, (*path, "polygon"), f"{text}; correct the polygon or the bounds")
    floors = {floor.id: floor for floor in file.floors}
    for path, anchor in anchors(file):
        if anchor.at is None or anchor.floor not in floors:
            continue
        beyond_m = _beyond_m(floors[anchor.floor], (anchor.at[0], anchor.at[1]))
        if BESIDE_M < beyond_m <= 50.0:
            text = f"{beyond_m:.1f} m outside the bounds of floor '{anchor.floor}'; is it on another floor?"
            yield warning(rest, (*path, "at"), text)


def _beyond_m(floor: Floor, place: Point) -> float:
    """How far a place lies outside the bounds; 0 inside, and where there are none."""
    if floor.bounds is None:
        return 0.0
    beyond = []
    for axis in (0, 1):
        low, high = sorted(corner[axis] for corner in floor.bounds)
        beyond.append(max(low - place[axis], place[axis] - high, 0.0))
    return max(beyond)


def _overlaps(rest: Remains[SiteFile], zones: Sequence[_Placed]) -> Iterator[Problem]:
    """Leaves exclude one another, so of common ground nobody knows whose it is."""
    outlined = []
    for path, floor, zone in zones:
        if zone.polygon and not ring_mistake(ring := open_ring(zone.polygon)):
            xs = [x for x, _ in ring]
            outlined.append((floor.id, min(xs), max(xs), ring, path, zone))
    outlined.sort(key=lambda o: o[:3])
    open_ones: list[tuple[str, float, float, tuple[Point, ...], Path, Zone]] = []
    for one in outlined:
        floor_id, west, _, ring, path, zone = one
        open_ones = [o for o in open_ones if o[0] == floor_id and o[2] > west]
        for other in open_ones:
            if _meet_north_south(other[3], ring) and outlines_overlap(other[3], ring):
                first, second = sorted((other, one), key=lambda o: o[4])
                text = (
                    f"overlaps '{first[5].id}'; somebody on the common ground is in one of the two at random"
                )
                yield warning(rest, (*second[4], "polygon"), text)
        open_ones.append(one)
    places: dict[tuple[str, float, float], str] = {}
    for path, floor, zone in zones:
        if zone.at is not None:
            there = (floor.id, zone.at[0], zone.at[1])
            if there in places:
                text = f"at the same place as '{places[there]}'; the two cannot be told apart"
                yield warning(rest, (*path, "at"), text)
            places.setdefault(there, zone.id)


def _meet_north_south(a: Ring, b: Ring) -> bool:
    return min(y for _, y in a) < max(y for _, y in b) and min(y for _, y in b) < max(y for _, y in a)


def _placed_anchors(site: SiteMap) -> list[Anchor]:
    return [a for a in (*site.receivers, *site.beacons) if a.at is not None]


def _place(zone: Zone) -> Point | None:
    if zone.at is not None:
        return zone.at[0], zone.at[1]
    return None if zone.polygon is None else centroid(open_ring(zone.polygon))


def _unreachable(rest: Remains[SiteFile], zones: Sequence[_Placed], site: SiteMap) -> Iterator[Problem]:
    placed = _placed_anchors(site)
    silent_floors: set[str] = set()
    for path, floor, zone in zones:
        place = _place(zone)
        if place is None:
            continue
        near = [a for a in placed if a.floor == floor.id]
        if not near:
            if floor.id not in silent_floors:
                silent_floors.add(floor.id)
                text = "no receiver and no beacon has a place on this floor"
                hint = "its zones are guessed from other floors" if placed else "nobody is found here"
                yield warning(rest, (*path[:2], "id"), f"{text}; {hint}")
            continue
        nearest = min(near, key=lambda a: distance_m(place, a))
        away_m = distance_m(place, nearest)
        power_dbm = POWER_AT_1M_DBM if nearest.tx_power_dbm is None else nearest.tx_power_dbm
        if hearing_probability(power_dbm - path_loss_db(away_m)) < HARDLY_HEARD:
            text = f"the nearest receiver or beacon, '{nearest.id}', is {away_m:.0f} m away"
            key = "at" if zone.at else "polygon"
            yield warning(rest, (*path, key), f"{text} and hears hardly anything; put one nearer")


def _alike(rest: Remains[SiteFile], zones: Sequence[_Placed], site: SiteMap) -> Iterator[Problem]:
    """Zones that sound alike from all receivers, as far as the map tells: by their middles."""
    offset, placed = site.device_class == "phone", _placed_anchors(site)
    before: dict[str, list[tuple[Zone, _Sound]]] = {}
    for path, floor, zone in zones:
        place = _place(zone)
        if place is None:
            continue
        sound = _sound(place, floor.id, placed)
        earlier = before.setdefault(floor.id, [])
        for other, its_sound in earlier[-COMPARED:]:
            if (zone.at is None or zone.at != other.at) and _apart(sound, its_sound, offset=offset) < ALIKE:
                text = f"sounds like '{other.id}' to every receiver, as far as the map tells"
                yield warning(rest, path, f"{text}; add or move a receiver, or calibrate by a walk")
                break
        earlier.append((zone, sound))


def _sound(place: Point, floor: str, anchors: Sequence[Anchor]) -> _Sound:
    """By link that is heard on this floor: strength in dBm, variance in dB², probability to be heard."""
    sound = {}
    for anchor in anchors:
        if anchor.floor != floor:
            continue
        away_m = max(distance_m(place, anchor), 1.0)
        power_dbm = POWER_AT_1M_DBM if anchor.tx_power_dbm is None else anchor.tx_power_dbm
        mu_dbm = power_dbm - path_loss_db(away_m)
        if (p_hear := hearing_probability(mu_dbm)) > HARDLY_HEARD:
            sd_db = SHADOWING_DB + SHADOWING_DECADE_DB * math.log10(away_m)
            sound[anchor.id] = (mu_dbm, sd_db**2, p_hear)
    return sound


def _apart(mine: _Sound, other: _Sound, *, offset: bool) -> float:
    """Distance of the two in spreads; with an `offset` what all links share does not count."""
    total = shared = weights = 0.0
    if mine.keys() != other.keys():
        return math.inf
    for link, (mu_dbm, variance_db2, p_hear) in mine.items():
        its_mu_dbm, its_variance_db2, its_p_hear = other[link]
        weight = max(p_hear, its_p_hear) * 2.0 / (variance_db2 + its_variance_db2)
        gap_db = mu_dbm - its_mu_dbm
        total += weight * gap_db**2
        shared += weight * gap_db
        weights += weight
    if offset and weights:
        total -= shared**2 / (weights + 1.0 / OFFSET_SD_DB["phone"] ** 2)
    return math.sqrt(max(total, 0.0))
