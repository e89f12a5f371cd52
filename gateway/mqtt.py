"""All that this program knows of MQTT clients: one connection that comes back by itself.

Built on aiomqtt and the paho client under it. What they lack is done here and in the rooms beside it, which
nobody else uses: `mqtt_client` makes the client, `mqtt_reach` connects, `mqtt_intake` reads, `mqtt_packets`
cuts, `mqtt_limits` keeps to what the broker wants, `mqtt_reasons` says what its codes mean, `mqtt_suspects`
finds out what it does not say. A message is acknowledged to the broker when its consequences are committed,
not when it arrives (manual acknowledgement).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, NoReturn

import aiomqtt
from msgspec import Struct
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from gateway.errors import NotConnectedError, RefusedError, TooLargeError
from gateway.links import Link, discard_unsent
from gateway.mqtt_client import Connect, Endpoint, Will, made, publish_properties
from gateway.mqtt_intake import Intake
from gateway.mqtt_limits import Limits, packet_bytes
from gateway.mqtt_pace import Pace
from gateway.mqtt_reach import CONNECT_TIMEOUT_S, reach
from gateway.mqtt_reasons import (
    BROKEN,
    NO_MATCHING_SUBSCRIBERS,
    NO_WELCOME,
    PACKET_TOO_LARGE,
    Meaning,
    meaning,
    of_publication,
)
from gateway.mqtt_suspects import Suspects, UnderWay

CONFIRM_TIMEOUT_S = 30.0
"""A broker that acknowledges nothing for so long is left: what it may still owe cannot be told."""


class Incoming(Struct, frozen=True, gc=False):
    topic: str
    payload: bytes
    retain: bool
    acknowledge: Callable[[], None] | None
    """Tells the broker that the message is dealt with; None where it needs no word from us."""


class Connection:
    """One client of one broker; `run` keeps it up until cancelled."""

    def __init__(
        self,
        endpoint: Endpoint,
        client_id: str,
        link: Link,
        *,
        subscriptions: Sequence[tuple[str, int]] = (),
        on_message: Callable[[Incoming], None] | None = None,
        on_up: Callable[[], Awaitable[None]] | None = None,
        will: Will | None = None,
        persistent: bool = False,
    ) -> None:
        """`subscriptions`: (filter, QoS). `on_up` runs after each successful connect and may publish.

        `persistent`: the broker keeps the session and what arrives for it while we are away, and every
        message of QoS 1 waits for its `acknowledge`.
        """
        self.link = link
        self._endpoint = endpoint
        self._client_id = client_id
        self._subscriptions = subscriptions
        self._on_message = on_message
        self._on_up = on_up
        self._will = will
        self._persistent = persistent
        self._client: aiomqtt.Client | None = None
        self._receiving: aiomqtt.Client | None = None
        """As `_client`, but from before the connect: a kept session delivers at once."""
        self._unconfirmed: dict[int, tuple[asyncio.Future[ReasonCode], UnderWay]] = {}
        """Publications by their packet id."""
        self._limits = Limits()
        self._suspects = Suspects()
        self._told: int | None = None
        """Why the broker said that it ends this connection (DISCONNECT), by reason code."""
        self._up = asyncio.Event()
        self.times_up = 0
        """Rises with each connect: what was under way before may be lost."""

    async def run(self) -> NoReturn:
        pace = Pace()
        while True:
            why, times_up, self._told = BROKEN, self.times_up, None
            pace.begin()
            try:
                await self._stay_connected()
            except (aiomqtt.MqttError, NotConnectedError, RefusedError, OSError, ValueError) as error:
                if self.times_up > times_up:
                    pace.made()
                why = pace.ended(self._why(error))
                self._say_down(why)
            finally:
                self._client = self._receiving = None
                self._up.clear()
                self._break_unconfirmed()
            _heed_cancellation()
            await asyncio.sleep(pace.pause_s(why))

    async def wait_up(self) -> None:
        await self._up.wait()

    async def subscribe(self, subscriptions: Sequence[tuple[str, int]]) -> None:
        """Beside those of the constructor, or once more: what is retained comes again. For `on_up` too.

        NotConnectedError when it was not accepted.
        """
        if self._client is None:
            raise NotConnectedError(f"{self._endpoint.name} is not connected")
        try:
            await self._subscribe(self._client, subscriptions)
        except aiomqtt.MqttError as error:
            raise NotConnectedError(str(error)) from None

    async def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        retain: bool = False,
        qos: int = 1,
        content_type: str | None = None,
        expiry_s: int | None = None,
        must_be_heard: bool = False,
    ) -> None:
        """Returns when the broker has acknowledged (QoS 0: when it is on its way).

        NotConnectedError when no answer came, RefusedError when it was a refusal, TooLargeError before it is
        sent. `must_be_heard`: that nobody is subscribed (0x10) is a refusal too. `content_type` and
        `expiry_s` travel as MQTT 5 properties and are left out under 3.1.1, which knows no refusals.
        """
        client = self._client
        properties = publish_properties(self._endpoint.version, content_type, expiry_s)
        size = packet_bytes(topic, payload, properties)
        if self._limits.too_large(size):
            raise TooLargeError(f"{self._endpoint.name}: {size} bytes are too large for the broker")
        if client is None:
            raise NotConnectedError(f"{self._endpoint.name} is not connected")
        if qos == 0:
            self._hand_over(client, (topic, payload, qos, retain, properties))
            return
        async with self._limits.turns:
            if client is not self._client:
                raise NotConnectedError(f"{self._endpoint.name}: the connection broke")
            mid = self._hand_over(client, (topic, payload, qos, retain, properties))
            sent = UnderWay(hash((topic, payload)), size, time.monotonic())
            code = (await self._confirmation(client, mid, sent)).value
        wrong = of_publication(code)
        if wrong is not None and (must_be_heard or code != NO_MATCHING_SUBSCRIBERS):
            raise RefusedError(f"{self._endpoint.name}: {topic}: {wrong.words}", is_lasting=wrong.is_lasting)

    def drop(self) -> None:
        """Breaks the connection at once; what the kernel has not sent yet is thrown away with it."""
        if self._client is not None:
            self._break(self._client, "broken on purpose, for a withdrawal")

    def _break(self, client: aiomqtt.Client, words: str) -> None:
        if (sock := client._client._sock) is None:
            return
        discard_unsent(sock)
        if not client._disconnected.done():
            client._disconnected.set_exception(aiomqtt.MqttError(words))
        client._client._loop_rc_handle(MQTTErrorCode.MQTT_ERR_PROTOCOL)  # closes the socket

    def _hand_over(
        self, client: aiomqtt.Client, publication: tuple[str, bytes, int, bool, Properties | None]
    ) -> int:
        """To paho, and as far as the socket takes it; its packet id."""
        sent = client._client.publish(*publication)
        if sent.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise NotConnectedError(f"{self._endpoint.name}: {sent.rc.name}")
        return sent.mid

    async def _confirmation(self, client: aiomqtt.Client, mid: int, sent: UnderWay) -> ReasonCode:
        answer: asyncio.Future[ReasonCode] = asyncio.get_running_loop().create_future()
        self._unconfirmed[mid] = answer, sent
        try:
            async with asyncio.timeout(CONFIRM_TIMEOUT_S):
                return await answer
        except TimeoutError:
            if client is self._client:
                self._break(client, f"nothing was acknowledged for {CONFIRM_TIMEOUT_S:g} s")
            raise NotConnectedError(f"{self._endpoint.name}: no acknowledgement") from None
        finally:
            self._unconfirmed.pop(mid, None)

    async def _stay_connected(self) -> None:
        """Returns never; raises MqttError when the connection ends."""
        client = made(self._endpoint, self._client_id, self._will, persistent=self._persistent)
        client._client.connect_timeout = CONNECT_TIMEOUT_S
        client._client.manual_ack_set(True)
        client._client.on_publish = self._confirm
        client._client.on_connect = partial(self._welcomed, client)
        client._client.on_disconnect = partial(self._left, client)
        Intake(client, self._take, is_v5=self._endpoint.version == 5)
        self._receiving = client
        reached = await reach(self._endpoint.host, self._endpoint.port)
        connect = Connect(client, reached)
        with reached, reached.dup() as same:
            try:
                await self._serve(client, same)
            except asyncio.CancelledError:
                # aiomqtt leaves a connect that is cancelled half open, and its callback stumbles over that.
                client._client.on_disconnect = None
                client._client.disconnect()
                with contextlib.suppress(OSError):  # a thread may wait for TLS, and the stop for the thread
                    same.shutdown(socket.SHUT_RDWR)
                await connect.give_up()
                raise
            finally:
                client._client._reset_sockets()  # paho's own pair too: the collector may be long

    async def _serve(self, client: aiomqtt.Client, same: socket.socket) -> None:
        async with client:
            same.close()  # or the connection would outlive its end
            _heed_cancellation()
            # A break that nobody waits for any more would be reported by the event loop as if it were a bug.
            client._disconnected.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
            # aiomqtt forgets a break that comes with the welcome.
            if client._client.socket() is None and not client._disconnected.done():
                client._disconnected.set_exception(aiomqtt.MqttError("broken as soon as it was made"))
            if self._limits.lacks:
                raise RefusedError(self._limits.lacks, is_lasting=True)
            self._client = client
            await self._subscribe(client, self._subscriptions)
            if self._on_up is not None:
                await self._on_up()
            _heed_cancellation()
            self.times_up += 1
            self.link.up(f"{self._endpoint.host}:{self._endpoint.port}")
            self._up.set()
            async for _ in client.messages:  # yields nothing, raises at the end: messages go another way
                pass

    async def _subscribe(self, client: aiomqtt.Client, subscriptions: Sequence[tuple[str, int]]) -> None:
        """Retain-as-published stays off, or live messages of a source that retains would look stale."""
        for topic_filter, qos in subscriptions:
            if self._endpoint.version == 5:
                codes = await client.subscribe(topic_filter, options=SubscribeOptions(qos=qos))
            else:
                codes = await client.subscribe(topic_filter, qos=qos)
            if any((code if isinstance(code, int) else code.value) >= 0x80 for code in codes):
                raise aiomqtt.MqttError(f"the broker refused the subscription to {topic_filter}")

    def _welcomed(self, client: aiomqtt.Client, *said: Any) -> None:
        """paho's callback for a CONNACK; aiomqtt's own does not look at the properties."""
        *_, properties = said
        self._limits.welcome(properties, one_by_one=self._suspects.go_one_by_one)
        client._on_connect(*said)

    def _left(self, client: aiomqtt.Client, *said: Any) -> None:
        """paho's callback for the end; aiomqtt's own forgets it where it comes before or with the welcome."""
        _, _, flags, code, _ = said
        if flags.is_disconnect_packet_from_server:
            self._told = code.value
        if not client._connected.done():
            client._connected.set_exception(aiomqtt.MqttError(NO_WELCOME))
        client._on_disconnect(*said)

    def _confirm(self, _client: Any, _userdata: Any, mid: int, code: ReasonCode, _properties: Any) -> None:
        """paho's callback for a PUBACK; aiomqtt's own does not look at the reason code."""
        answer, sent = self._unconfirmed.get(mid, (None, None))
        if answer is None or sent is None or answer.done():
            return
        answer.set_result(code)
        if self._suspects.acknowledged(sent.packet_bytes):
            self._limits.widen()

    def _break_unconfirmed(self) -> None:
        for answer, _ in self._unconfirmed.values():
            if not answer.done():
                answer.set_exception(NotConnectedError(f"{self._endpoint.name}: the connection broke"))

    def _take(self, topic: str, payload: bytes, retain: bool, qos: int, mid: int) -> None:
        if not qos:
            if self._on_message is not None:
                self._on_message(Incoming(topic, payload, retain, None))
            return
        acknowledge = self._acknowledgement(mid, qos)
        if self._on_message is not None:
            self._on_message(Incoming(topic, payload, retain, acknowledge if self._persistent else None))
        if self._on_message is None or not self._persistent:
            acknowledge()

    def _acknowledgement(self, mid: int, qos: int) -> Callable[[], None]:
        client = self._receiving

        def acknowledge() -> None:
            # A newer connection has its own numbers, and the broker sends there again what this one owes.
            if client is not None and client is self._receiving:
                client._client.ack(mid, qos)

        return acknowledge

    def _say_down(self, why: Meaning) -> None:
        where = f"{self._endpoint.host}:{self._endpoint.port} as {self._client_id}"
        self.link.down(f"{where}: {why.words}; trying again{' slowly' if why.is_lasting else ''}")

    def _why(self, error: Exception) -> Meaning:
        code = error.rc if isinstance(error, aiomqtt.MqttCodeError) else None
        under_way = [sent for _, sent in self._unconfirmed.values()]
        if self._told == PACKET_TOO_LARGE and self._limits.learn([sent.packet_bytes for sent in under_way]):
            return Meaning(meaning(PACKET_TOO_LARGE).words, is_lasting=False)  # it is not sent again
        if self._told is not None:
            return meaning(self._told)
        if isinstance(code, ReasonCode) and code.value >= 0x80:
            return meaning(code.value)
        is_lasting = isinstance(error, RefusedError) and error.is_lasting
        if isinstance(
            error.__cause__, aiomqtt.MqttCodeError
        ):  # paho's code for any end that nobody explained
            return self._unexplained(under_way)
        return Meaning(str(error.__cause__ or error) or type(error).__name__, is_lasting)

    def _unexplained(self, under_way: Sequence[UnderWay]) -> Meaning:
        size = self._suspects.broken(under_way, time.monotonic())
        if size is None:
            return BROKEN
        self._limits.learn([size])
        words = f"the broker hangs up whenever it is sent one message of {size} bytes: taken for too large"
        return Meaning(words, is_lasting=False)


def _heed_cancellation() -> None:
    """Before Python 3.12 asyncio.wait_for, which aiomqtt uses, may swallow a cancellation (bpo-37658)."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
