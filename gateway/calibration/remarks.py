"""What an operator should know of a calibration, or of its absence, before wondering why a zone is silent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gateway.core.cells import leaves
from gateway.core.propagation import OUTSIDE
from gateway.model import Calibration, SiteMap
from gateway.settings.calibration import FILE, map_changed


def remarks(site: SiteMap) -> Iterator[str]:
    """One line each; nothing where the map and its calibration agree."""
    links = [anchor.id for anchor in (*site.receivers, *site.beacons)]
    if site.calibration is None:
        unplaced = [zone.id for zone in leaves(site) if zone.polygon is None and zone.at is None]
        if links and unplaced:
            yield f"not reported before a walk, as they have no place: {_few(unplaced)}"
        return
    learned = site.calibration
    if map_changed(site):
        yield f"the map has changed since {FILE} was walked; walk again"
    if _is_of_older_form(learned):
        yield (
            f"{FILE} is of an older form: its outside_evidence favours places under `predicted`, and there "
            "are none; walk again, or move the spots of `outside` where nobody stood to `predicted`"
        )
    walked = {spot.zone for spot in learned.spots}
    if gone := walked - {zone.id for zone in site.zones} - {OUTSIDE}:
        yield f"in {FILE} and no zones of the map any more: {_few(gone)}"
    if missing := [zone.id for zone in leaves(site) if zone.id not in walked]:
        yield f"not in {FILE} and therefore not reported, somebody there is outside: {_few(missing)}"
    if unused := [link for link in links if link not in learned.links]:
        yield f"not in {FILE} and therefore not listened to for zones: {_few(unused)}"


def _is_of_older_form(learned: Calibration) -> bool:
    """Until walked and predicted places were told apart, all of them stood under `outside`; a favour is only
    ever written where there are predicted ones."""
    outside = [spot for spot in learned.spots if spot.zone == OUTSIDE]
    return learned.outside_evidence != 0.0 and bool(outside) and not any(s.predicted for s in outside)


def _few(names: Iterable[str], most: int = 8) -> str:
    listed = sorted(names)
    more = len(listed) - most
    return ", ".join(listed[:most]) + (f" and {more} more" if more > 0 else "")
