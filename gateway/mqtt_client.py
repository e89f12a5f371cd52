"""How aiomqtt's client is made for a broker, and what goes along with CONNECT and PUBLISH."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any, NoReturn

import aiomqtt
from msgspec import Struct
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from gateway.mqtt_limits import OUTGOING_INFLIGHT

SESSION_EXPIRY_S = 7 * 86_400
RECEIVE_MAXIMUM = 1_000
"""Unacknowledged messages under way to us: enough for a group commit at some thousand a second."""
MAXIMUM_PACKET_BYTES = 1 << 20
KEEPALIVE_S = 30


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


class Will(Struct, frozen=True):
    """What the broker says, retained, when we are gone without a word."""

    topic: str
    payload: bytes


def made(endpoint: Endpoint, client_id: str, will: Will | None, *, persistent: bool) -> aiomqtt.Client:
    """Not connected yet."""
    is_v5 = endpoint.version == 5
    last = None if will is None else aiomqtt.Will(will.topic, will.payload, qos=1, retain=True)
    common: dict[str, Any] = {"clean_start" if is_v5 else "clean_session": not persistent}
    return aiomqtt.Client(
        endpoint.host,
        endpoint.port,
        username=endpoint.username,
        password=endpoint.password,
        identifier=client_id,
        queue_type=_NoQueue,
        protocol=aiomqtt.ProtocolVersion.V5 if is_v5 else aiomqtt.ProtocolVersion.V311,
        will=last,
        keepalive=KEEPALIVE_S,
        max_inflight_messages=OUTGOING_INFLIGHT,
        properties=_connect_properties(persistent=persistent) if is_v5 else None,
        tls_context=endpoint.tls and endpoint.tls(),
        **common,
    )


class Connect:
    """aiomqtt's step in a thread: TLS and CONNECT over a socket that is there. Given up, it leaves none."""

    def __init__(self, client: aiomqtt.Client, reached: socket.socket) -> None:
        self._connect = client._client_connect
        self._is_under_way = threading.Lock()
        self._is_given_up = False
        client._client._create_socket_connection = lambda: reached  # type: ignore[method-assign]
        client._client_connect = self._unless_given_up  # type: ignore[method-assign]

    def _unless_given_up(self) -> None:
        with self._is_under_way:
            if self._is_given_up:
                raise OSError("given up")
            self._connect()

    async def give_up(self) -> None:
        """Waits for the thread, which a socket that is shut down lets go at once, and for what it asks of the
        loop: done later, that would concern whatever socket has the number by then."""
        with self._is_under_way:
            self._is_given_up = True
        await asyncio.sleep(0)


def _connect_properties(*, persistent: bool) -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.ReceiveMaximum = RECEIVE_MAXIMUM
    properties.MaximumPacketSize = MAXIMUM_PACKET_BYTES
    if persistent:
        properties.SessionExpiryInterval = SESSION_EXPIRY_S
    return properties


def publish_properties(version: int, content_type: str | None, expiry_s: int | None) -> Properties | None:
    """None where there are none, and under 3.1.1, which knows none."""
    if version != 5 or (content_type is None and expiry_s is None):
        return None
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    if content_type is not None:
        properties.ContentType = content_type
        properties.PayloadFormatIndicator = 1
    if expiry_s is not None:
        properties.MessageExpiryInterval = expiry_s
    return properties


class _NoQueue(asyncio.Queue[aiomqtt.Message]):
    """Of aiomqtt's messages, none of which comes this way."""

    async def get(self) -> NoReturn:
        await asyncio.get_running_loop().create_future()
        raise AssertionError("the future never resolves")
