"""Receivers and vehicles over MQTT: one connection for each broker, messages straight into the lanes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from msgspec import Struct

from gateway.lanes import Lanes
from gateway.links import Link
from gateway.model import Message
from gateway.mqtt import Connection, Incoming
from gateway.mqtt_client import Endpoint
from gateway.sources import Clock
from gateway.sources.receivers import ReceiverStates


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
        receivers: ReceiverStates | None = None,
    ) -> None:
        """`receivers`: whom to tell what remote receivers say of themselves."""
        self.link = Link(f"source {endpoint.name}")
        self._lanes = lanes
        self._is_vehicle_topic = is_vehicle_topic
        self._clock = clock
        self._receivers = receivers
        filters = [(s.topic_filter, 1 if s.is_vehicle else 0) for s in subscriptions]
        if receivers is not None:
            filters += ((topic_filter, 0) for topic_filter in receivers.topic_filters)
        self._connection = Connection(
            endpoint,
            client_id,
            self.link,
            subscriptions=filters,
            on_message=self._hear,
            persistent=persistent,
        )

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._connection.run())
            if self._receivers is not None:
                group.create_task(self._receivers.watch())

    def _hear(self, incoming: Incoming) -> None:
        if self._receivers is not None and self._receivers.take(
            incoming.topic, incoming.payload, retained=incoming.retain
        ):
            if incoming.acknowledge is not None:
                incoming.acknowledge()
            return
        message = Message(self._clock(), incoming.topic, incoming.payload, incoming.retain)
        put = self._lanes.fix if self._is_vehicle_topic(incoming.topic) else self._lanes.sighting
        put(message, incoming.acknowledge)
