"""The sources that the settings ask for."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.assembly import Assembly, endpoint_of
from gateway.lanes import Lanes
from gateway.sources import Clock, Source
from gateway.sources.ble import BleSource
from gateway.sources.mqtt import MqttSource, Subscription


def sources_of(
    assembly: Assembly, lanes: Lanes, clock: Clock, *, role: str, persistent: bool
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
            yield MqttSource(
                endpoint_of(settings, name),
                f"{site.site}-{settings.gateway.id}-{name}-{role}",
                subscriptions,
                lanes,
                is_vehicle_topic=profiles.is_vehicle_topic,
                clock=clock,
                persistent=persistent,
            )
    if settings.ble is not None and settings.own_receiver is not None:
        for adapter in settings.ble.adapters:
            yield BleSource(
                settings.own_receiver,
                lanes.hear,
                clock,
                adapter=None if adapter == "auto" else adapter,
                counts=assembly.counts,
            )
