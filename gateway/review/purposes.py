"""Purposes of gateway.yaml that no event can ever serve, and parts of it that nothing uses."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from gateway.errors import Problem
from gateway.review.places import Path, warning
from gateway.settings import OwnLook
from gateway.settings.gateway import GatewaySettings, Purpose
from gateway.settings.remains import Remains
from gateway.settings.site import DWELL_S, SiteFile

_FENCES_ONLY = ("entering", "passed", "approaching")


class _Can(Struct):
    """What the zones of a map can ever say."""

    dwelled: set[str]
    """Zones that have a threshold."""
    fences: set[str]
    approached: set[str]
    all: set[str]


def purpose_warnings(own: OwnLook, file: SiteFile | None) -> Iterator[Problem]:
    """`file`: what of the map is right; None: it cannot be read."""
    rest = own.rest
    if rest is None or rest.model is None:
        return
    settings = rest.model
    if file is not None:
        can = _can(file)
        for name, recipient in settings.recipients.items():
            for term, purpose in recipient.purposes.items():
                yield from _never(rest, ("recipients", name, "purposes", term), purpose, can)
    if not own.problems:  # else what uses it may be what is wrong
        yield from _unused_brokers(rest, settings)


def _can(file: SiteFile) -> _Can:
    can = _Can(set(), set(), set(), set())
    for floor in file.floors:
        for zone in floor.zones:
            can.all.add(zone.id)
            if DWELL_S[zone.kind] if zone.dwell is None else zone.dwell:
                can.dwelled.add(zone.id)
    for fence in file.fences:
        can.all.add(fence.id)
        can.fences.add(fence.id)
        if DWELL_S[fence.kind] if fence.dwell is None else fence.dwell:
            can.dwelled.add(fence.id)
        if fence.approach is not None:
            can.approached.add(fence.id)
    return can


def _never(rest: Remains[GatewaySettings], path: Path, purpose: Purpose, can: _Can) -> Iterator[Problem]:
    """Changes and fields that are asked for by name and never come."""
    zones = can.all if purpose.zones == "all" else can.all & set(purpose.zones)
    if not zones:
        return  # unknown zones are problems, and a map without zones says so by its summary
    asked = purpose.changes if "changes" in purpose.model_fields_set else ()
    for i, change in enumerate(asked):
        if change == "dwelled" and not zones & can.dwelled:
            text = "never comes: none of these zones has a `dwell` threshold"
        elif change == "approaching" and not zones & can.approached:
            text = "never comes: none of these zones has `approach`"
        elif change in _FENCES_ONLY and not zones & can.fences:
            text = "never comes: only fences say it, and none of these zones is one"
        else:
            continue
        yield warning(rest, (*path, "changes", i), text)
    if "threshold_s" in purpose.fields and "dwelled" not in purpose.changes:
        at = purpose.fields.index("threshold_s")
        yield warning(rest, (*path, "fields", at), "only `dwelled` has it, and it is not among the changes")


def _unused_brokers(rest: Remains[GatewaySettings], settings: GatewaySettings) -> Iterator[Problem]:
    used = {recipient.via for recipient in settings.recipients.values()}
    if settings.relay is not None:
        used.add(settings.relay.via)
    if settings.consent is not None:
        used |= {settings.consent.feed.mqtt, settings.consent.drivers}
    for name, broker in settings.brokers.items():
        if name not in used and not broker.subscribe:
            text = "nothing is heard there and nobody is reached by it; give it `subscribe` or remove it"
            yield warning(rest, ("brokers", name), text, at_key=True)
