"""Reads the socket of an aiomqtt client in place of paho; only `mqtt` uses it.

What is readable is read at once and publications are taken out of it (`mqtt_packets`), one call each and no
task woken; paho gets every other packet, so that connecting, keeping alive and acknowledging stay its own.
"""

from __future__ import annotations

import ssl
import time
from typing import Any

import aiomqtt
from paho.mqtt.client import Client as PahoClient
from paho.mqtt.client import MQTTMessage
from paho.mqtt.enums import MQTTErrorCode

from gateway.mqtt_packets import PacketStream, Publish
from gateway.recent import Freshness

READ_BYTES = 1 << 16
READS = 32
"""At a time. A broker that is not read keeps what it cannot send, or drops it by a rule of its own; what is
read and too much goes by ours, and is counted.
"""


class Intake:
    """Reads the socket in place of paho, and hands paho its packets one by one."""

    def __init__(self, client: aiomqtt.Client, publish: Publish, *, is_v5: bool) -> None:
        self._client = client
        self._paho: PahoClient = client._client
        self._receive = self._paho._sock_recv
        self._stream = PacketStream(publish, self._give, is_v5=is_v5)
        self._freshness = Freshness()
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
            for _ in range(READS):
                if not self._read():
                    return
            if self._paho._sock is not None:  # TLS may hold more, of which no event will come
                self._client._loop.call_soon(self._readable)
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
        if self._paho._ping_t:  # who sends is alive: the answer to a ping may stand behind a minute's flood
            self._paho._ping_t = 0.0
        self._stream.feed(chunk)
        if self._freshness.is_over(time.monotonic()):
            self._stream.forget()
        return len(chunk) == READ_BYTES or isinstance(self._paho._sock, ssl.SSLSocket)

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
