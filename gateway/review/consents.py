"""The local consent file against the map and the settings: names that answer to nothing, and devices that
stand for two people. What it says about anybody is never shown, only where."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path as Directory

import msgspec

from gateway.consent import SubjectRecord
from gateway.errors import ConfigError, Problem
from gateway.located import Document, instead, load
from gateway.model import OPERATOR
from gateway.review.places import Path, warning
from gateway.settings import SiteLook
from gateway.settings.gateway import GatewaySettings
from gateway.settings.identities import identity_mistake
from gateway.settings.remains import Remains
from gateway.validated import validate

_SHARED = "vehicle:"
"""A car may be two people's: then who drives is told by `drivers`."""


def consent_warnings(
    directory: Directory, rest: Remains[GatewaySettings], settings: GatewaySettings, site: SiteLook
) -> Iterator[Problem]:
    """`rest`: of gateway.yaml. Nothing for consents that come by a feed, and for a file that has problems."""
    feed = settings.consent.feed if settings.consent is not None else None
    if feed is None or feed.file is None:
        return
    try:
        document = load(directory / feed.file, top=list)
        records = validate(document, list[SubjectRecord])
    except ConfigError:
        return
    yield from _identities(
        document, records, site, has_drivers=bool(settings.consent and settings.consent.drivers)
    )
    yield from _names(document, records, settings, site.zones)
    yield from _nobody(rest, document, records, settings)


def _warning(document: Document, path: Path, text: str) -> Problem:
    """Without the line of the file: it names somebody."""
    return msgspec.structs.replace(document.problem(path, text), source="", is_warning=True)


def _identities(
    document: Document, records: list[SubjectRecord], site: SiteLook, *, has_drivers: bool
) -> Iterator[Problem]:
    beacons = {beacon.identity: beacon.id for beacon in site.map.beacons} if site.map else {}
    first: dict[str, tuple[str, int]] = {}
    for r, record in enumerate(records):
        for i, identity in enumerate(map(str.lower, record.identities)):
            path: Path = (r, "identities", i)
            line = document.problem(path, "").line
            if identity in first and first[identity][0] == record.subject:
                yield _warning(document, path, f"listed twice; it is on line {first[identity][1]} already")
            elif identity in first and not (has_drivers and identity.startswith(_SHARED)):
                text = f"another subject has it on line {first[identity][1]}; it identifies nobody"
                hint = "; `drivers` can say who drives" if identity.startswith(_SHARED) else ""
                yield _warning(document, path, text + hint)
            elif identity in beacons:
                yield _warning(
                    document, path, f"this is the beacon '{beacons[identity]}' of the map, nobody's"
                )
            elif identity_mistake(identity):
                yield _warning(document, path, f"never recognised: {identity_mistake(identity)}")
            first.setdefault(identity, (record.subject, line))


def _names(
    document: Document,
    records: list[SubjectRecord],
    settings: GatewaySettings,
    zones: Collection[str] | None,
) -> Iterator[Problem]:
    """Each unknown name once, where it stands first."""
    purposes = {term for recipient in settings.recipients.values() for term in recipient.purposes}
    purposes |= {counting.purpose for counting in settings.counts}
    recipients = set(settings.recipients)
    if settings.page.shows is not None:
        recipients.add(OPERATOR)
        purposes.add(settings.page.shows.purpose)
    seen: set[tuple[str, str]] = set()
    for r, record in enumerate(records):
        for c, consent in enumerate(record.consents):
            lists: list[tuple[str, str, Collection[str], Collection[str] | None]] = [
                ("recipients", "recipient", consent.recipients, recipients),
                ("purposes", "purpose", consent.purposes, purposes),
                ("zones", "zone", () if consent.zones == "all" else consent.zones, zones),
            ]
            for key, what, named, known in lists:
                for i, name in enumerate(named):
                    if known is None or name in known or (what, name) in seen:
                        continue
                    seen.add((what, name))
                    text = f"unknown {what} '{name}'{instead(name, known)}"
                    yield _warning(document, (r, "consents", c, key, i), text)
            if consent.until_s <= consent.from_s:
                text = "ends before it begins: it never permits anything"
                yield _warning(document, (r, "consents", c, "valid_until"), text)


def _nobody(
    rest: Remains[GatewaySettings],
    document: Document,
    records: list[SubjectRecord],
    settings: GatewaySettings,
) -> Iterator[Problem]:
    """Purposes for which no record permits anything; silent while nobody at all is enrolled."""
    if not records:
        return
    given = {
        (recipient, purpose)
        for record in records
        for consent in record.consents
        for recipient in consent.recipients
        for purpose in consent.purposes
    }
    for name, recipient in settings.recipients.items():
        for term in recipient.purposes:
            if (name, term) not in given:
                file = Directory(document.name).name
                text = f"nobody may receive this: no record of {file} names '{name}' and this purpose"
                path: Path = ("recipients", name, "purposes", term)
                yield warning(rest, path, text, at_key=True)
