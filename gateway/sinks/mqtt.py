"""Recipients behind an MQTT broker: one uplink for each broker, one sink and courier for each recipient."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Collection, Coroutine
from typing import Any, NoReturn

from gateway.errors import NotConnectedError, RefusedError, StoreError, TooLargeError
from gateway.links import Link, slow_jitter
from gateway.model import PLATFORM
from gateway.mqtt import Connection, Incoming
from gateway.mqtt_client import Endpoint, Will
from gateway.sinks import Delivery, cloudevents
from gateway.sinks.courier import Courier
from gateway.sinks.questions import Questions

MAX_MESSAGE_EXPIRY_S = 0xFFFF_FFFF
"""MQTT 5.0 §3.3.2.3.3: a four byte integer."""

_log = logging.getLogger("gateway.sinks")


class Uplink:
    """The connection that recipients share: birth and last will, events out, acknowledgements in."""

    def __init__(
        self,
        endpoint: Endpoint,
        client_id: str,
        *,
        site: str,
        gateway: str,
        acknowledging: Collection[str],
        state: Callable[[bool], bytes],
        questions: Questions | None = None,
    ) -> None:
        """`acknowledging`: recipients whose application acknowledges. `state(alive)`: the retained message
        on the state topic; that of False is the last will. `questions`: of the platform about one subject.
        """
        self.link = Link(f"sink {endpoint.name}")
        self.source = f"/sites/{site}/gateways/{gateway}"
        self.couriers: dict[str, Courier] = {}
        """By recipient: who is told of an acknowledgement."""
        self._base = f"presence/v1/{site}/{gateway}"
        self._state = state
        self._acknowledging = {f"{self._base}/{name}/ack": name for name in acknowledging}
        self._telling: set[asyncio.Task[None]] = set()
        self._questions = questions
        self._ask_topic = f"{self._base}/{PLATFORM}/ask"
        asking = [self._ask_topic] if questions is not None else []
        self.connection = Connection(
            endpoint,
            client_id,
            self.link,
            subscriptions=[(topic, 1) for topic in [*self._acknowledging, *asking]],
            on_message=self._hear,
            on_up=self._greet,
            will=Will(f"{self._base}/state", state(False)),
        )

    async def run(self) -> NoReturn:
        await self.connection.run()

    def topic(self, recipient: str, change: str) -> str:
        return f"{self._base}/{recipient}/{change}"

    async def say(self, *, alive: bool) -> None:
        """The retained state in so many words; a clean stop does not trigger the last will."""
        await self.connection.publish(f"{self._base}/state", self._state(alive), retain=True)

    def restate(self) -> None:
        """Something in the state has changed: it is said again, if not now, then with the next connection."""
        self._keep(self._say_again())

    async def _say_again(self) -> None:
        with contextlib.suppress(TimeoutError, NotConnectedError, RefusedError):
            await self.say(alive=True)

    async def _greet(self) -> None:
        await self.say(alive=True)

    def _hear(self, incoming: Incoming) -> None:
        if incoming.topic == self._ask_topic and self._questions is not None and not incoming.retain:
            self._keep(self._questions.answer(incoming.payload, self._reply))
            return
        courier = self.couriers.get(self._acknowledging.get(incoming.topic, ""))
        if courier is not None:
            try:
                courier.acknowledge(incoming.payload, retained=incoming.retain)
            except StoreError as error:  # the recipient will acknowledge the redelivery
                _log.warning("an acknowledgement is lost: %s", error)

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _reply(self, name: str, payload: bytes) -> None:
        await self.connection.publish(f"{self._base}/{PLATFORM}/answer/{name}", payload)


class MqttSink:
    """One recipient's topics on an uplink; a refusal that will last slows down this recipient alone."""

    def __init__(self, uplink: Uplink, recipient: str) -> None:
        self._uplink = uplink
        self._recipient = recipient
        self._not_before_s = 0.0
        self._pauses = slow_jitter()

    async def ready(self) -> int:
        await asyncio.sleep(max(0.0, self._not_before_s - time.monotonic()))
        await self._uplink.connection.wait_up()
        return self._uplink.connection.times_up

    async def send(self, delivery: Delivery) -> None:
        """Nobody who is subscribed is no delivery either: a broker keeps nothing for nobody."""
        expiry_s = delivery.expires_in_s
        try:
            await self._uplink.connection.publish(
                self._uplink.topic(self._recipient, cloudevents.change_of(delivery)),
                cloudevents.encode(delivery, self._uplink.source, self._recipient),
                content_type=cloudevents.CONTENT_TYPE,
                expiry_s=None if expiry_s is None else min(expiry_s, MAX_MESSAGE_EXPIRY_S),
                must_be_heard=True,
            )
        except TooLargeError:  # the next one may well fit
            raise
        except RefusedError as error:
            now_s = time.monotonic()
            if error.is_lasting and self._not_before_s <= now_s:  # once for all that were under way together
                self._not_before_s = now_s + next(self._pauses)
            raise
        self._pauses = slow_jitter()

    def drop(self) -> None:
        self._uplink.connection.drop()
