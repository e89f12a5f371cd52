"""A broker of MQTT 5 or 3.1.1 that does as it is told, over a real socket: for answers that mosquitto does not give.

It reads CONNECT, SUBSCRIBE, PUBLISH and PINGREQ and writes their answers by the bytes of the standards (OASIS, §3
of both). It forwards nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Self

from listening import listening

from gateway.mqtt_client import Endpoint

CONNACK, PUBLISH, PUBACK, SUBACK, PINGRESP, DISCONNECT = 0x20, 0x30, 0x40, 0x90, 0xD0, 0xE0
RECEIVE_MAXIMUM, MAXIMUM_QOS, RETAIN_AVAILABLE, MAXIMUM_PACKET_SIZE = 0x21, 0x24, 0x25, 0x27


@dataclass
class Published:
    topic: str
    payload: bytes
    size: int
    """Of the whole packet, in bytes."""


@dataclass
class Scripted:
    """Use as `async with`. What it does can be changed while it runs."""

    version: int = 5
    """5, or 3 for MQTT 3.1.1."""
    welcome: int = 0
    """Reason code of each CONNACK."""
    properties: bytes = b""
    """Of each CONNACK."""
    answer: Callable[[Published], int | None] = lambda _: 0
    """Reason code of a PUBACK; None: none is sent."""
    end: Callable[[Published], int | None] = lambda _: None
    """Reason code of a DISCONNECT in place of a PUBACK; None: there is none."""
    says_why: bool = True
    """False, and always with 3.1.1: the end comes without a DISCONNECT."""
    answer_s: float = 0.0
    answers_pings: bool = True
    published: list[Published] = field(default_factory=list)
    connects_s: list[float] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0

    async def __aenter__(self) -> Self:
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()
        async with contextlib.AsyncExitStack() as stack:
            self.port = await stack.enter_async_context(listening(self._serve))
            self._left = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await self._left.aclose()

    def endpoint(self) -> Endpoint:
        return Endpoint("central", "127.0.0.1", self.port, version=self.version)

    def disconnect(self, code: int) -> None:
        """To whoever is connected."""
        for writer in self._writers:
            if not writer.is_closing():
                writer.write(bytes([DISCONNECT, 2, code, 0]))
                writer.close()

    def say(self, topic: str, payload: bytes) -> None:
        """A publication (QoS 0) to whoever is connected."""
        properties = b"\0" if self.version == 5 else b""
        said = len(topic).to_bytes(2) + topic.encode() + properties + payload
        assert len(said) < 128
        for writer in self._writers:
            if not writer.is_closing():
                writer.write(bytes([PUBLISH, len(said)]) + said)

    def hang_up(self) -> None:
        """Without a word."""
        for writer in self._writers:
            writer.close()

    def events(self) -> list[Published]:
        """What was published, the retained state left out."""
        return [p for p in self.published if not p.topic.endswith("/state")]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        self.under_way = 0
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                command, body, size = await _packet(reader)
                await self._heed(command, body, size, writer)

    async def _heed(self, command: int, body: bytes, size: int, writer: asyncio.StreamWriter) -> None:
        match command & 0xF0:
            case 0x10:
                self.connects_s.append(time.monotonic())
                properties = bytes([len(self.properties)]) + self.properties if self.version == 5 else b""
                said = bytes([0, self.welcome]) + properties
                writer.write(bytes([CONNACK, len(said)]) + said)
                if self.welcome:
                    writer.close()
            case 0x80:
                said = body[:2] + (b"\0\1" if self.version == 5 else b"\1")
                writer.write(bytes([SUBACK, len(said)]) + said)
            case 0x30 if command & 0x06:
                self._take(body, size, writer)
            case 0xC0 if self.answers_pings:
                writer.write(bytes([PINGRESP, 0]))

    def _take(self, body: bytes, size: int, writer: asyncio.StreamWriter) -> None:
        end = 2 + int.from_bytes(body[:2])
        mid, start = body[end : end + 2], end + 2
        if self.version == 5:
            start += 1 + body[start]
        published = Published(body[2:end].decode(), body[start:], size)
        self.published.append(published)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        if (code := self.end(published)) is not None:
            if self.version == 5 and self.says_why:
                writer.write(bytes([DISCONNECT, 2, code, 0]))
            writer.close()
            return
        if (code := self.answer(published)) is not None:
            task = asyncio.create_task(self._acknowledge(mid, code, writer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _acknowledge(self, mid: bytes, code: int, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(self.answer_s)
        if not writer.is_closing():
            self.under_way -= 1
            said = mid + (bytes([code, 0]) if self.version == 5 else b"")
            writer.write(bytes([PUBACK, len(said)]) + said)


@contextlib.asynccontextmanager
async def running(client: Any) -> AsyncIterator[None]:
    """A connection, an uplink or a courier, at work until the end."""
    task = asyncio.create_task(client.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _packet(reader: asyncio.StreamReader) -> tuple[int, bytes, int]:
    """First byte, what follows the length, and the size of all of it."""
    head = await reader.readexactly(1)
    length = shift = 0
    while True:
        byte = (await reader.readexactly(1))[0]
        length |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return head[0], await reader.readexactly(length), 1 + shift // 7 + length
