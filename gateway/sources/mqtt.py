"""Receivers and vehicles over MQTT: one connection for each broker, messages straight into the lanes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NoReturn

from msgspec import Struct

from gateway.lanes import Lanes
from gateway.links import Link
from gateway.model import Message
from gateway.mqtt import Connection, Endpoint, Incoming
from gateway.sources import Clock


class Subscription(Struct, frozen=True):
    """What a profile wants to hear: vehicles lose nothing (QoS 1), receivers repeat themselves (QoS 0)."""

    topic_filter: str
    is_vehicle: bool


class MqttSource:
    """Signals of the profiles that this broker carries; `persistent` as in `Connection`."""

    def __init__(
        self,
        endpoint: Endpoint,
        client_id: str,
        subscriptions: Sequence[Subscription],
        lanes: Lanes,
        *,
        is_vehicle_topic: Callable[[str], bool],
        clock: Clock,
        persistent: bool = True,
    ) -> None:
        self.link = Link(f"source {endpoint.name}")
        self._lanes = lanes
        self._is_vehicle_topic = is_vehicle_topic
        self._clock = clock
        self._connection = Connection(
            endpoint,
            client_id,
            self.link,
            subscriptions=[(s.topic_filter, 1 if s.is_vehicle else 0) for s in subscriptions],
            on_message=self._hear,
            persistent=persistent,
        )

    async def run(self) -> NoReturn:
        await self._connection.run()

    def _hear(self, incoming: Incoming) -> None:
        message = Message(self._clock(), incoming.topic, incoming.payload, incoming.retain)
        put = self._lanes.fix if self._is_vehicle_topic(incoming.topic) else self._lanes.sighting
        put(message, incoming.acknowledge)
