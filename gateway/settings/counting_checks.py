"""What `counts` of gateway.yaml must not ask for, so that no difference of two counts says too much."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from gateway.errors import Problem
from gateway.located import instead
from gateway.model import SiteMap
from gateway.settings.gateway import Counting, GatewaySettings
from gateway.settings.overlaps import common_ground
from gateway.settings.remains import Remains

_Place = tuple[tuple[str | int, ...], Counting, str]
"""Where it stands, in which counting, and the zone."""


def counting_problems(
    rest: Remains[GatewaySettings], zones: Collection[str] | None, site: SiteMap | None
) -> list[Problem]:
    """Unknown names, zones that are counted twice or have ground in common. None: the map is not asked."""
    settings = rest.model
    return [] if settings is None else [*_names(rest, settings, zones), *_pairs(rest, settings, site)]


def _names(
    rest: Remains[GatewaySettings], settings: GatewaySettings, zones: Collection[str] | None
) -> Iterator[Problem]:
    recipients = rest.names("recipients")
    for i, counting in enumerate(settings.counts):
        if counting.recipient not in recipients:
            text = f"unknown recipient '{counting.recipient}'{instead(counting.recipient, recipients)}"
            yield rest.problem(("counts", i, "recipient"), text)
        for z, zone in enumerate(counting.zones):
            if zones is not None and zone not in zones:
                text = f"unknown zone '{zone}'{instead(zone, zones)}"
                yield rest.problem(("counts", i, "zones", z), text)


def _pairs(
    rest: Remains[GatewaySettings], settings: GatewaySettings, site: SiteMap | None
) -> Iterator[Problem]:
    places: list[_Place] = [
        (("counts", i, "zones", z), counting, zone)
        for i, counting in enumerate(settings.counts)
        for z, zone in enumerate(counting.zones)
    ]
    for at, (path, counting, zone) in enumerate(places):
        for _, earlier, other in places[:at]:
            text = _mistake(counting, zone, earlier, other, site)
            if text:
                yield rest.problem(path, text)
                break


def _mistake(counting: Counting, zone: str, earlier: Counting, other: str, site: SiteMap | None) -> str:
    """Why these two must not both be counted; recipients may put together what each receives."""
    if zone != other:
        overlap = common_ground(site, other, zone) if site is not None else ""
        return f"{overlap}: a difference of their counts would say more than either" if overlap else ""
    if counting.recipient == earlier.recipient:
        return f"{zone} is counted for {counting.recipient} already"
    if (counting.window, counting.k) != (earlier.window, earlier.k):
        return f"{zone} is counted for {earlier.recipient} too: the windows and k of both must be the same"
    return ""
