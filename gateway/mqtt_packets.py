"""The stream of bytes from a broker, cut into packets; publications are taken apart here, nothing else is.

MQTT 3.1.1 and 5 (OASIS), §2.2 fixed header, §3.3 PUBLISH. Pure: bytes in, calls out.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.errors import GatewayError

Publish = Callable[[str, bytes, bool, int, int], None]
"""Topic, payload, retain, QoS (0 or 1), packet identifier."""

CACHED_TOPICS = 4096

_PUBLISH = 0x30
_QOS_BITS = 0x06
_QOS_1 = 0x02


class BrokenStreamError(GatewayError):
    """What came is no MQTT; the connection cannot be used any more."""


class PacketStream:
    def __init__(self, publish: Publish, other: Callable[[bytes], None], *, is_v5: bool) -> None:
        """`other` takes whole packets of every other kind, and publications that are none of QoS 0 or 1."""
        self._publish = publish
        self._other = other
        self._is_v5 = is_v5
        self._chunks: list[bytes] = []
        self._held = self._needed = 0
        """Bytes in `_chunks`, and how many it takes to go on."""
        self._topics: dict[bytes, str] = {}

    def feed(self, chunk: bytes) -> None:
        """Hand over every packet that is whole now. BrokenStreamError as its docstring says."""
        if self._chunks:
            self._chunks.append(chunk)
            self._held += len(chunk)
            if self._held < self._needed:
                return
            chunk = b"".join(self._chunks)
            self._chunks = []
        rest = self._walk(chunk)
        if rest < len(chunk):
            self._chunks = [chunk[rest:]]
            self._held = len(chunk) - rest

    def forget(self) -> None:
        """Topics of late, which may name anybody; they are only kept to be quick."""
        self._topics.clear()

    def _walk(self, data: bytes) -> int:
        """Where the first packet begins that is not whole; `_needed` says how long it will be."""
        start, end = 0, len(data)
        while end - start >= 2:
            length, body = data[start + 1], start + 2
            if length > 127 and end - start > 2 and data[body] < 128:  # most publications
                length, body = length & 127 | data[body] << 7, body + 1
            elif length > 127:
                length, body = _number(data, start + 1, end)
                if body == 0:
                    break
            stop = body + length
            if stop > end:
                self._needed = stop - start
                return start
            command = data[start]
            if command & 0xF0 != _PUBLISH or command & _QOS_BITS > _QOS_1:
                self._other(data[start:stop])
            else:
                self._publication(command, data, body, stop)
            start = stop
        self._needed = end - start + 1
        return start

    def _publication(self, command: int, data: bytes, body: int, stop: int) -> None:
        mid = qos = 0
        at = body + 2 + (data[body] << 8 | data[body + 1]) if stop - body >= 2 else stop + 1
        raw = data[body + 2 : at]
        if command & _QOS_1:
            qos, mid = 1, int.from_bytes(data[at : at + 2])
            at += 2
        if self._is_v5 and at < stop:
            length, behind = (data[at], at + 1) if data[at] < 128 else _number(data, at, stop)
            at = behind + length if behind else stop + 1
        elif self._is_v5:
            at = stop + 1
        if at > stop:
            raise BrokenStreamError("a publication ends before its payload begins")
        topic = self._topics.get(raw) or self._topic(raw)
        self._publish(topic, data[at:stop], command & 1 == 1, qos, mid)

    def _topic(self, raw: bytes) -> str:
        try:
            topic = raw.decode()
        except UnicodeDecodeError:
            raise BrokenStreamError("a topic is not UTF-8") from None
        if not topic:
            raise BrokenStreamError("a publication has no topic")
        if len(self._topics) >= CACHED_TOPICS:
            self._topics.clear()
        self._topics[raw] = topic
        return topic


def _number(data: bytes, at: int, end: int) -> tuple[int, int]:
    """A variable byte integer, §1.5.5 (MQTT 5), and where it ends; 0 when it goes on behind `end`."""
    value = 0
    for i in range(4):
        if at + i >= end:
            return 0, 0
        byte = data[at + i]
        value |= (byte & 127) << 7 * i
        if byte < 128:
            return value, at + i + 1
    raise BrokenStreamError("a length has more than four bytes")
