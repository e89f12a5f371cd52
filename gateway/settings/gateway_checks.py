"""What gateway.yaml says about the map, the profiles and its own brokers."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import combinations
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from gateway.credentials import CREDENTIAL
from gateway.errors import Problem
from gateway.located import did_you_mean, instead
from gateway.model import OPERATOR, PLATFORM, SiteMap
from gateway.settings.gateway import GatewaySettings
from gateway.settings.overlaps import common_ground
from gateway.settings.remains import Remains
from gateway.settings.secrets import Secret

SPARE_ID = "unnamed"
"""Stands in for the gateway's own id where the file gives none that is usable."""


def gateway_problems(
    rest: Remains[GatewaySettings],
    directory: Path,
    *,
    profiles: Collection[str],
    zones: Collection[str] | None,
    receivers: Collection[str] | None,
) -> list[Problem]:
    """Every name in gateway.yaml that nothing answers to. None: the map is unreadable and not asked."""
    settings = rest.model
    if settings is None:
        return []
    return [
        *_brokers(rest, settings, directory, profiles),
        *_recipients(rest, settings, zones),
        *_webhooks(rest, settings, directory),
        *_radio(rest, settings, receivers),
        *_relay(rest, settings),
        *_consent(rest, settings, directory),
        *_outbox(rest, settings),
        *_page(rest, settings, directory),
    ]


def _unknown(what: str, name: str, known: Collection[str]) -> str:
    return f"unknown {what} '{name}'{instead(name, known)}"


def _brokers(
    rest: Remains[GatewaySettings], settings: GatewaySettings, directory: Path, profiles: Collection[str]
) -> Iterator[Problem]:
    for name, broker in settings.brokers.items():
        for i, profile in enumerate(broker.subscribe):
            if profile not in profiles:
                text = _unknown("profile", profile, profiles)
                yield rest.problem(("brokers", name, "subscribe", i), text)
        yield from _written_out(rest, broker.password, directory, ("brokers", name, "password"))


def _written_out(
    rest: Remains[GatewaySettings], secret: Secret | None, directory: Path, path: tuple[str, ...]
) -> Iterator[Problem]:
    """Whether the secret itself seems to stand there."""
    if secret is None or secret.startswith(CREDENTIAL) or "/" in secret or (directory / secret).is_file():
        return
    text = f"a {path[-1]} is never written here: credential:NAME or the path of a file that holds it"
    # The source line would carry it into the terminal and the journal.
    yield msgspec.structs.replace(rest.problem(path, text), source="")


def _recipients(
    rest: Remains[GatewaySettings], settings: GatewaySettings, zones: Collection[str] | None
) -> Iterator[Problem]:
    brokers = rest.names("brokers")
    for name, recipient in settings.recipients.items():
        if recipient.via is not None and recipient.via not in brokers:
            yield rest.problem(("recipients", name, "via"), _unknown("broker", recipient.via, brokers))
        for term, purpose in recipient.purposes.items():
            if zones is None or purpose.zones == "all":
                continue
            for i, zone in enumerate(purpose.zones):
                if zone not in zones:
                    path = ("recipients", name, "purposes", term, "zones", i)
                    yield rest.problem(path, _unknown("zone", zone, zones))


def _outbox(rest: Remains[GatewaySettings], settings: GatewaySettings) -> Iterator[Problem]:
    asked = {term for recipient in settings.recipients.values() for term in recipient.purposes}
    asked |= {counting.purpose for counting in settings.counts}
    for i, each in enumerate(settings.outbox.classes):
        for j, term in enumerate(each.purposes or ()):
            if term not in asked:
                path = ("outbox", "classes", i, "purposes", j)
                yield rest.problem(path, _unknown("purpose", term, sorted(asked)))


def _webhooks(
    rest: Remains[GatewaySettings], settings: GatewaySettings, directory: Path
) -> Iterator[Problem]:
    for name, recipient in settings.recipients.items():
        if recipient.webhook is None:
            continue
        path = ("recipients", name, "webhook")
        yield from _with_password(rest, recipient.webhook.url, (*path, "url"), "secret")
        yield from _written_out(rest, recipient.webhook.secret, directory, (*path, "secret"))
        if name == PLATFORM:
            text = "the platform acknowledges by itself, over MQTT: give it `via`"
            yield rest.problem(path, text, at_key=True)


def _with_password(
    rest: Remains[GatewaySettings], url: str, path: tuple[str, ...], instead: str
) -> Iterator[Problem]:
    if "@" in urlsplit(url).netloc:
        problem = rest.problem(path, f"a user or password is never written here; use `{instead}`")
        yield msgspec.structs.replace(problem, source="")


def shared_zones(settings: GatewaySettings, site: SiteMap) -> dict[tuple[str, str], list[str]]:
    """By pair of partners: zones of which both may hear of a person, or `a and b` that have ground in common.

    By zone and time alone they can find out that it is the same one, whatever the pseudonyms. The
    platform knows who it is and is no partner.
    """
    zones = [zone.id for zone in site.zones] + [fence.id for fence in site.fences]
    heard = {
        name: {
            zone
            for purpose in recipient.purposes.values()
            for zone in (zones if purpose.zones == "all" else purpose.zones)
        }
        for name, recipient in settings.recipients.items()
        if name != PLATFORM
    }
    pairs = {}
    for a, b in combinations(heard, 2):
        shared = sorted(heard[a] & heard[b]) or [
            f"{x} and {y}" for x in sorted(heard[a]) for y in sorted(heard[b]) if common_ground(site, x, y)
        ]
        if shared:
            pairs[a, b] = shared
    return pairs


def _relay(rest: Remains[GatewaySettings], settings: GatewaySettings) -> Iterator[Problem]:
    brokers = rest.names("brokers")
    if settings.relay is not None and settings.relay.via not in brokers:
        yield rest.problem(("relay", "via"), _unknown("broker", settings.relay.via, brokers))
    if settings.relay is not None and settings.ble is None:
        yield rest.problem(
            ("relay",), "there is no radio to relay; say `ble: {adapters: [auto]}`", at_key=True
        )
    if settings.consent is None and not settings.is_relay_only:
        yield rest.problem((), "missing key 'consent'")


def _consent(rest: Remains[GatewaySettings], settings: GatewaySettings, directory: Path) -> Iterator[Problem]:
    consent, brokers = settings.consent, rest.names("brokers")
    if consent is None:
        return
    feed = consent.feed
    named = {("consent", "feed", "mqtt"): feed.mqtt, ("consent", "drivers"): consent.drivers}
    path: tuple[str, ...]
    for path, broker in named.items():
        if broker is not None and broker not in brokers:
            yield rest.problem(path, _unknown("broker", broker, brokers))
    if feed.file is not None and consent.max_age is not None:
        text = "a file is complete in itself and has no age; leave max_age out"
        yield rest.problem(("consent", "max_age"), text, at_key=True)
    if feed.file is not None and consent.signed_by is not None:
        text = "records of a file are not signed; signed_by is for mqtt and http"
        yield rest.problem(("consent", "signed_by"), text, at_key=True)
    if feed.http is not None and consent.max_age is not None and feed.http.interval >= consent.max_age:
        text = f"asking every {feed.http.interval:g} s cannot keep up with a max_age of {consent.max_age:g} s"
        yield rest.problem(("consent", "feed", "http"), text, at_key=True)
    if feed.http is not None:
        yield from _with_password(rest, feed.http.url, ("consent", "feed", "http", "url"), "token")
        yield from _written_out(rest, feed.http.token, directory, ("consent", "feed", "http", "token"))


def _page(rest: Remains[GatewaySettings], settings: GatewaySettings, directory: Path) -> Iterator[Problem]:
    yield from _written_out(rest, settings.page.token, directory, ("page", "token"))
    if settings.page.shows is not None and OPERATOR in settings.recipients:
        text = f"'{OPERATOR}' is what a consent to `page: {{shows: …}}` names; call this recipient otherwise"
        yield rest.problem(("recipients", OPERATOR), text, at_key=True)


def _radio(
    rest: Remains[GatewaySettings], settings: GatewaySettings, receivers: Collection[str] | None
) -> Iterator[Problem]:
    own = settings.own_receiver
    if own is None or own == SPARE_ID or receivers is None or own in receivers:
        return
    if settings.ble and settings.ble.receiver:
        yield rest.problem(("ble", "receiver"), _unknown("receiver", own, receivers))
    elif receivers:
        text = f"the map has no receiver '{own}'; name this radio's with `receiver:`"
        yield rest.problem(("ble",), text + did_you_mean(own, receivers), at_key=True)
