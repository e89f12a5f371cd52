"""What each radio link should look like from each spot: learned in a walk, or from the map alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from msgspec import Struct

from gateway.core.cells import Cell, cells, leaves, moves, unzoned_cells
from gateway.core.loss import hearing_probability, link_model
from gateway.model import Anchor, LinkModel, SiteMap, Spot

OUTSIDE = ""
"""Where somebody is who is in no zone of the map."""

OUTSIDE_LOSS_DB = 6.0
"""Far outside, a link is so much weaker than in the zone that it reaches worst."""
REACH, REACH_LEAST = 3.0, 0.01
"""Who moves on goes to a zone around; how fast that falls with distance (see `cells.moves`)."""
TO_OUTSIDE = 0.05
"""At least so many of those who move on go outside: more, where the map has places that are no zone."""


class RadioMap(Struct, frozen=True):
    """`zones` end with `OUTSIDE`; every zone has a spot or more, the last spot is far outside."""

    zones: tuple[str, ...]
    links: tuple[str, ...]
    spots: tuple[Spot, ...]
    moves: tuple[tuple[float, ...], ...]
    """See `cells.moves`."""
    calibrated: bool = False
    """False: not even the transmit power of the store's own tags is known."""
    outside_evidence: float = 0.0
    interval_s: float = 0.0
    """Advertising interval of the device that calibrated; 0: not known."""


@lru_cache(maxsize=2)
def radio_map(site: SiteMap) -> RadioMap:
    """The calibration if there is one: zones that it does not know are then not believed, because a learned
    and a guessed model cannot be compared. Otherwise every zone that has a place, seen by every receiver and
    beacon that has one. Parents are never believed. Where that leaves no zone,
    nothing is listened to. Remembered for the last two maps: of hundreds of zones it takes
    half a second, which a reload spends beforehand."""
    known, gap_m = cells(site)
    learned = site.calibration
    if learned is not None and learned.spots:
        leaf = {zone.id for zone in leaves(site)}
        spots = [spot for spot in learned.spots if spot.zone in leaf or spot.zone == OUTSIDE]
        links, calibrated = learned.links, True
    else:
        anchors = [a for a in (*site.receivers, *site.beacons) if a.at is not None]
        spots = _from_map(site, known, gap_m, anchors)
        links, calibrated = tuple(a.id for a in anchors), False
    if all(spot.zone == OUTSIDE for spot in spots):
        return RadioMap((OUTSIDE,), (), (Spot(OUTSIDE, ()),), ((1.0,),), calibrated)
    spots.append(far_outside([spot.links for spot in spots if spot.zone != OUTSIDE]))
    zones = (*dict.fromkeys(spot.zone for spot in spots if spot.zone != OUTSIDE), OUTSIDE)
    places = {cell.zone: cell for cell in known}
    ways = moves(
        zones, places, gap_m, reach=REACH, least=REACH_LEAST, outside=_to_outside(site, zones, known, gap_m)
    )
    favour = learned.outside_evidence if learned is not None else 0.0
    interval_s = learned.interval_s if learned is not None and calibrated else 0.0
    return RadioMap(zones, links, tuple(spots), ways, calibrated, favour, interval_s)


def far_outside(rows: Sequence[tuple[LinkModel, ...]]) -> Spot:
    """Beyond the zones every link is weaker than in the spot that it reaches worst."""
    links = []
    for seen in zip(*rows, strict=True):
        mu_dbm = min(m.mu_dbm for m in seen) - OUTSIDE_LOSS_DB
        links.append(LinkModel(mu_dbm, max(m.sd_db for m in seen), hearing_probability(mu_dbm)))
    return Spot(OUTSIDE, tuple(links))


def _from_map(site: SiteMap, known: Sequence[Cell], gap_m: float, anchors: Sequence[Anchor]) -> list[Spot]:
    """Floors follow one another in the order in which the map first names them."""
    named = [z.floor for z in site.zones] + [a.floor for a in anchors]
    floors = {floor: i for i, floor in enumerate(dict.fromkeys(named))}
    apart = {f: [abs(i - floors[anchor.floor]) for anchor in anchors] for f, i in floors.items()}
    return [
        Spot(cell.zone, tuple(link_model(part, *way) for way in zip(apart[cell.floor], anchors, strict=True)))
        for cell in (*known, *unzoned_cells(anchors, known, gap_m))
        for part in cell.quarters()
    ]


def _to_outside(site: SiteMap, zones: Sequence[str], known: Sequence[Cell], gap_m: float) -> float:
    """Places of the map that are none of `zones` are as likely a way as these are."""
    beside = len(unzoned_cells((*site.receivers, *site.beacons), known, gap_m))
    beside += len({cell.zone for cell in known} - set(zones))
    return max(TO_OUTSIDE, beside / (len(zones) + beside))
