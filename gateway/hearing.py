"""The sources that the settings ask for."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from typing import NoReturn

from gateway.access import endpoint_of, http_place_of
from gateway.assembly import Assembly
from gateway.consent.feed import ConsentFeed
from gateway.consent.pages import PagedFeed
from gateway.consent.signature import load_signers
from gateway.counts import Counts
from gateway.lanes import Lanes
from gateway.model import Sighting, Signal
from gateway.profiles import Profiles
from gateway.recent import STRANGER_S
from gateway.sources import Clock, Hear, Source
from gateway.sources.ble import BleSource
from gateway.sources.consent_http import ConsentHttp
from gateway.sources.consent_mqtt import ConsentMqtt
from gateway.sources.drivers import Drivers
from gateway.sources.frames import IdentityFrames
from gateway.sources.mqtt import MqttSource, Subscription
from gateway.sources.receivers import ReceiverStates
from gateway.sources.relay import Relay


def sources_of(
    assembly: Assembly,
    lanes: Lanes,
    clock: Clock,
    *,
    role: str,
    persistent: bool,
    relay: Relay | None = None,
) -> Iterator[Source]:
    """One for each broker with subscriptions and one for each adapter. ConfigError for an unreadable secret.

    `role` tells clients of one gateway apart; `persistent` sessions are kept by the broker while we are away.
    """
    settings, site, profiles = assembly.settings, assembly.site, assembly.profiles
    for name, broker in settings.brokers.items():
        subscriptions = [
            Subscription(topic, profiles.gives_fixes(profile))
            for profile in broker.subscribe
            for topic in profiles.topics(profile, site.site)
        ]
        if subscriptions:
            receivers = _states_of(assembly, broker.subscribe, lanes, clock)
            yield MqttSource(
                endpoint_of(settings, name),
                f"{site.site}-{settings.gateway.id}-{name}-{role}",
                subscriptions,
                lanes,
                is_vehicle_topic=profiles.is_vehicle_topic,
                clock=clock,
                persistent=persistent,
                receivers=receivers,
            )
    for radio in radios_of(assembly, _both(lanes.hear, relay), clock):
        if relay is not None:
            relay.radios.append(radio.link)
        yield radio


def consent_sources_of(assembly: Assembly, lanes: Lanes, clock: Clock, *, role: str) -> Iterator[Source]:
    """What hears consents, and who drives shared cars; nothing for a file. ConfigError as `sources_of`."""
    consent, site, counts = assembly.settings.consent, assembly.site.site, assembly.counts
    if consent is None:
        return
    signers = load_signers(consent.signed_by or ())
    if consent.feed.http is not None:
        place = http_place_of(consent.feed.http)
        yield ConsentHttp(place, PagedFeed(site, counts, signers), lanes, clock)
    for name in dict.fromkeys(filter(None, (consent.feed.mqtt, consent.drivers_broker))):
        yield ConsentMqtt(
            endpoint_of(assembly.settings, name),
            f"{site}-{assembly.settings.gateway.id}-{name}-{role}",
            feed=ConsentFeed(site, counts, signers) if name == consent.feed.mqtt else None,
            drivers=Drivers(site, counts, signers) if name == consent.drivers_broker else None,
            lanes=lanes,
            clock=clock,
            counts=counts,
        )


def _states_of(
    assembly: Assembly, subscribed: Collection[str], lanes: Lanes, clock: Clock
) -> ReceiverStates | None:
    readers = assembly.profiles.states(subscribed)
    if not readers:
        return None
    site, is_known = assembly.site.site, assembly.pipeline.is_receiver
    return ReceiverStates(readers, lanes.hear, clock, assembly.counts, site=site, is_known=is_known)


def radios_of(assembly: Assembly, hear: Hear, clock: Clock) -> Iterator[BleSource]:
    """One for each adapter of this machine."""
    settings = assembly.settings
    if settings.ble is None or settings.own_receiver is None:
        return
    for adapter in settings.ble.adapters:
        address = None if adapter == "auto" else adapter
        yield BleSource(settings.own_receiver, hear, clock, adapter=address, counts=assembly.counts)


def relay_of(assembly: Assembly) -> Relay | None:
    """What publishes this machine's radio for another gateway. ConfigError for an unreadable secret."""
    settings, profiles = assembly.settings, assembly.profiles
    if settings.relay is None or settings.own_receiver is None:
        return None
    uncounted = Counts()
    return Relay(
        endpoint_of(settings, settings.relay.via),
        f"{assembly.site.site}-{settings.gateway.id}-{settings.relay.via}-relay",
        site=assembly.site.site,
        receiver=settings.own_receiver,
        frames=IdentityFrames(
            lambda structure: is_identifying(profiles, structure, uncounted), settings.relay.addresses
        ),
        counts=assembly.counts,
    )


def is_identifying(profiles: Profiles, structure: bytes, counts: Counts) -> bool:
    """Whether an AD structure alone carries an identity, if only for who has its key."""
    heard = profiles.heard(Sighting(0.0, "", "", "", 0.0, structure), counts)
    return bool(heard.identities) or any(sealed.kind == "eid" for sealed in heard.sealed)


async def forgetting(profiles: Profiles) -> NoReturn:
    """Who was heard lately, by those that ask the profiles beside the pipeline."""
    while True:
        await asyncio.sleep(STRANGER_S)
        profiles.forget()


def _both(hear: Hear, relay: Relay | None) -> Hear:
    if relay is None:
        return hear

    def hear_and_relay(signal: Signal) -> None:
        hear(signal)
        relay.hear(signal)

    return hear_and_relay
