"""All that this program knows of MQTT clients: one connection that comes back by itself.

Built on aiomqtt and the paho client under it. What they lack is done here and nowhere else. What is readable
is read at once and publications are taken out of it here (`mqtt_packets`), one call each and no task woken;
paho gets every other packet, so that connecting, keeping alive and acknowledging stay its own. A message is
acknowledged to the broker when its consequences are committed, not when it arrives (manual acknowledgement).
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NoReturn

import aiomqtt
from msgspec import Struct
from paho.mqtt.client import Client as PahoClient
from paho.mqtt.client import MQTTMessage
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from gateway.errors import NotConnectedError, RefusedError
from gateway.links import Link, discard_unsent, full_jitter
from gateway.mqtt_packets import PacketStream, Publish

CONNECT_TIMEOUT_S = 3.0
"""Short, because a stop waits for a connect that is under way."""
SETTLED_S = 30.0
"""A connection that lasted this long was a good one: the pauses start small again."""
SESSION_EXPIRY_S = 7 * 86_400
RECEIVE_MAXIMUM = 1_000
"""Unacknowledged messages under way to us: enough for a group commit at some thousand a second."""
MAXIMUM_PACKET_BYTES = 1 << 20
OUTGOING_INFLIGHT = 100
READ_BYTES = 1 << 16
CONFIRM_TIMEOUT_S = 10.0


class Endpoint(Struct, frozen=True):
    """Where a broker is and how to be let in."""

    name: str
    host: str
    port: int
    username: str | None = None
    password: str | None = None
    tls: Callable[[], ssl.SSLContext] | None = None
    """Asked at each connection, so that certificates can change in between."""
    version: int = 5
    """5, or 3 for MQTT 3.1.1."""


class Incoming(Struct, frozen=True, gc=False):
    topic: str
    payload: bytes
    retain: bool
    acknowledge: Callable[[], None] | None
    """Tells the broker that the message is dealt with; None where it needs no word from us."""


class Will(Struct, frozen=True):
    """What the broker says, retained, when we are gone without a word."""

    topic: str
    payload: bytes


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
        self._unconfirmed: dict[int, asyncio.Future[ReasonCode]] = {}
        """Publications by their packet id."""
        self._up = asyncio.Event()
        self.times_up = 0
        """Rises with each connect: what was under way before may be lost."""

    async def run(self) -> NoReturn:
        pauses = full_jitter()
        while True:
            began_s = time.monotonic()
            try:
                await self._stay_connected()
            except (aiomqtt.MqttError, NotConnectedError, OSError, ValueError) as error:
                self.link.down(self._reason(error))
            finally:
                self._client = self._receiving = None
                self._up.clear()
                self._break_unconfirmed()
            _heed_cancellation()
            if time.monotonic() - began_s > SETTLED_S:
                pauses = full_jitter()
            await asyncio.sleep(next(pauses))

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
    ) -> None:
        """Returns when the broker has acknowledged (QoS 0: when it is on its way).

        NotConnectedError when no answer came, RefusedError when it was a refusal. `content_type` and
        `expiry_s` travel as MQTT 5 properties and are left out under 3.1.1.
        """
        client = self._client
        if client is None:
            raise NotConnectedError(f"{self._endpoint.name} is not connected")
        properties = self._publish_properties(content_type, expiry_s)
        sent = client._client.publish(topic, payload, qos, retain, properties)
        if sent.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise NotConnectedError(f"{self._endpoint.name}: {sent.rc.name}")
        if qos == 0:
            return
        answer: asyncio.Future[ReasonCode] = asyncio.get_running_loop().create_future()
        self._unconfirmed[sent.mid] = answer
        try:
            async with asyncio.timeout(CONFIRM_TIMEOUT_S):
                code = await answer
        except TimeoutError:
            raise NotConnectedError(f"{self._endpoint.name}: no acknowledgement") from None
        finally:
            self._unconfirmed.pop(sent.mid, None)
        if code.is_failure:
            raise RefusedError(f"{self._endpoint.name}: {code}; is this client allowed to publish there?")

    def drop(self) -> None:
        """Breaks the connection at once; what the kernel has not sent yet is thrown away with it."""
        client = self._client
        if client is None or (sock := client._client._sock) is None:
            return
        discard_unsent(sock)
        if not client._disconnected.done():
            client._disconnected.set_exception(aiomqtt.MqttError("broken on purpose, for a withdrawal"))
        client._client._loop_rc_handle(MQTTErrorCode.MQTT_ERR_PROTOCOL)  # closes the socket

    async def _stay_connected(self) -> None:
        """Returns never; raises MqttError when the connection ends."""
        client = self._make_client()
        client._client.connect_timeout = CONNECT_TIMEOUT_S
        client._client.manual_ack_set(True)
        client._client.on_publish = self._confirm
        _Intake(client, self._take, is_v5=self._endpoint.version == 5)
        self._receiving = client
        try:
            await self._serve(client)
        except asyncio.CancelledError:
            # aiomqtt leaves a connect that is cancelled half open, and its callback stumbles over that.
            client._client.on_disconnect = None
            client._client.disconnect()
            raise

    async def _serve(self, client: aiomqtt.Client) -> None:
        async with client:
            _heed_cancellation()
            # A break that nobody waits for any more would be reported by the event loop as if it were a bug.
            client._disconnected.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
            if (
                client._client.socket() is None and not client._disconnected.done()
            ):  # aiomqtt forgets a break that comes with the welcome
                client._disconnected.set_exception(aiomqtt.MqttError("broken as soon as it was made"))
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

    def _make_client(self) -> aiomqtt.Client:
        is_v5 = self._endpoint.version == 5
        will = None
        if self._will is not None:
            will = aiomqtt.Will(self._will.topic, self._will.payload, qos=1, retain=True)
        common: dict[str, Any] = {"clean_start": not self._persistent} if is_v5 else {
            "clean_session": not self._persistent
        }  # fmt: skip
        return aiomqtt.Client(
            self._endpoint.host,
            self._endpoint.port,
            username=self._endpoint.username,
            password=self._endpoint.password,
            identifier=self._client_id,
            queue_type=_NoQueue,
            protocol=aiomqtt.ProtocolVersion.V5 if is_v5 else aiomqtt.ProtocolVersion.V311,
            will=will,
            keepalive=30,
            max_inflight_messages=OUTGOING_INFLIGHT,
            properties=self._connect_properties() if is_v5 else None,
            tls_context=self._endpoint.tls and self._endpoint.tls(),
            **common,
        )

    def _connect_properties(self) -> Properties:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.ReceiveMaximum = RECEIVE_MAXIMUM
        properties.MaximumPacketSize = MAXIMUM_PACKET_BYTES
        if self._persistent:
            properties.SessionExpiryInterval = SESSION_EXPIRY_S
        return properties

    def _publish_properties(self, content_type: str | None, expiry_s: int | None) -> Properties | None:
        if self._endpoint.version != 5 or (content_type is None and expiry_s is None):
            return None
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if content_type is not None:
            properties.ContentType = content_type
            properties.PayloadFormatIndicator = 1
        if expiry_s is not None:
            properties.MessageExpiryInterval = expiry_s
        return properties

    async def _subscribe(self, client: aiomqtt.Client, subscriptions: Sequence[tuple[str, int]]) -> None:
        """Retain-as-published stays off, or live messages of a source that retains would look stale."""
        for topic_filter, qos in subscriptions:
            if self._endpoint.version == 5:
                codes = await client.subscribe(topic_filter, options=SubscribeOptions(qos=qos))
            else:
                codes = await client.subscribe(topic_filter, qos=qos)
            if any((code if isinstance(code, int) else code.value) >= 0x80 for code in codes):
                raise aiomqtt.MqttError(f"the broker refused the subscription to {topic_filter}")

    def _confirm(self, _client: Any, _userdata: Any, mid: int, code: ReasonCode, _properties: Any) -> None:
        """paho's callback for a PUBACK; aiomqtt's own does not look at the reason code."""
        answer = self._unconfirmed.get(mid)
        if answer is not None and not answer.done():
            answer.set_result(code)

    def _break_unconfirmed(self) -> None:
        for answer in self._unconfirmed.values():
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

    def _reason(self, error: Exception) -> str:
        where = f"{self._endpoint.host}:{self._endpoint.port}"
        return f"{where}: {str(error) or type(error).__name__}; trying again"


class _Intake:
    """Reads the socket in place of paho, and hands paho its packets one by one."""

    def __init__(self, client: aiomqtt.Client, publish: Publish, *, is_v5: bool) -> None:
        self._client = client
        self._paho: PahoClient = client._client
        self._receive = self._paho._sock_recv
        self._stream = PacketStream(publish, self._give, is_v5=is_v5)
        self._given = b""
        """What paho may read."""
        self._has_ended = False
        self._error: OSError | None = None
        self._paho._sock_recv = self._served  # type: ignore[method-assign]
        self._paho.on_socket_open = self._opened
        self._paho.on_message = lambda _client, _userdata, m: _publish_again(publish, m)

    def _opened(self, paho: PahoClient, userdata: Any, socket: Any) -> None:
        """Comes from paho's connecting thread; the reader that aiomqtt registers is replaced."""
        self._client._on_socket_open(paho, userdata, socket)
        loop = self._client._loop
        loop.call_soon_threadsafe(loop.add_reader, socket.fileno(), self._readable)

    def _readable(self) -> None:
        try:
            while self._read():
                pass
        except Exception as error:
            if not self._client._disconnected.done():
                self._client._disconnected.set_exception(error)
                self._client._disconnected.exception()  # said, should nobody wait for it yet
            self._paho._loop_rc_handle(MQTTErrorCode.MQTT_ERR_PROTOCOL)  # closes the socket

    def _read(self) -> bool:
        """Whether there may be more at once."""
        try:
            chunk = self._receive(READ_BYTES)
        except BlockingIOError:
            return False
        except OSError as error:
            self._error = error
            chunk = b""
        if not chunk:
            self._has_ended = True
            self._paho.loop_read()  # finds the end, and says so to everybody
            return False
        self._stream.feed(chunk)
        pending = getattr(self._paho._sock, "pending", None)  # of TLS: decrypted already, no event comes
        return pending is not None and pending() > 0

    def _give(self, packet: bytes) -> None:
        self._given = packet
        while self._given and self._paho._sock is not None:
            self._paho.loop_read()
        self._given = b""

    def _served(self, bufsize: int) -> bytes:
        if self._given:
            part, self._given = self._given[:bufsize], self._given[bufsize:]
            return part
        if self._error is not None:
            raise self._error
        if self._has_ended:
            return b""
        raise BlockingIOError


def _publish_again(publish: Publish, message: MQTTMessage) -> None:
    publish(message.topic, bytes(message.payload), message.retain, message.qos, message.mid)


class _NoQueue(asyncio.Queue[aiomqtt.Message]):
    """Of aiomqtt's messages, none of which comes this way."""

    async def get(self) -> NoReturn:
        await asyncio.get_running_loop().create_future()
        raise AssertionError("the future never resolves")


def _heed_cancellation() -> None:
    """Before Python 3.12 asyncio.wait_for, which aiomqtt uses, may swallow a cancellation (bpo-37658)."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
