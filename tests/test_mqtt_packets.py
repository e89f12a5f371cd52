"""The stream of a broker, cut into packets: the same however it arrives, and broken where it is none."""

import random

import pytest

from gateway.mqtt_packets import BrokenStreamError, PacketStream

Heard = tuple[str, bytes, bool, int, int] | bytes


def number(n: int) -> bytes:
    """A variable byte integer."""
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def packet(first: int, body: bytes) -> bytes:
    return bytes([first]) + number(len(body)) + body


def publication(
    topic: str, payload: bytes, *, qos: int = 0, retain: bool = False, v5: bytes | None = None
) -> bytes:
    raw = topic.encode()
    mid = b"\x12\x34" if qos else b""
    properties = b"" if v5 is None else number(len(v5)) + v5
    return packet(0x30 | qos << 1 | retain, len(raw).to_bytes(2) + raw + mid + properties + payload)


def heard(chunks: list[bytes], *, is_v5: bool) -> list[Heard]:
    found: list[Heard] = []
    stream = PacketStream(lambda *said: found.append(said), found.append, is_v5=is_v5)
    for chunk in chunks:
        stream.feed(chunk)
    return found


CONNACK = packet(0x20, b"\0\0\0")
PINGRESP = packet(0xD0, b"")
LONG = bytes(range(256)) * 1200
STREAMS: dict[bool, list[tuple[bytes, Heard]]] = {
    False: [
        (CONNACK, CONNACK),
        (publication("a", b""), ("a", b"", False, 0, 0)),
        (publication("a/ä", b"x" * 126, retain=True), ("a/ä", b"x" * 126, True, 0, 0)),
        (publication("a", b"x" * 130, qos=1), ("a", b"x" * 130, False, 1, 0x1234)),
        (PINGRESP, PINGRESP),
        (publication("a", LONG), ("a", LONG, False, 0, 0)),
        (publication("a", b"x", qos=2), publication("a", b"x", qos=2)),
        (publication("b", b"last"), ("b", b"last", False, 0, 0)),
    ],
    True: [
        (CONNACK, CONNACK),
        (publication("a", b"x", v5=b""), ("a", b"x", False, 0, 0)),
        (publication("a", b"x" * 200, v5=b"\x01\x01", qos=1), ("a", b"x" * 200, False, 1, 0x1234)),
        (publication("a", LONG, v5=b"\x26" + b"\0" * 200), ("a", LONG, False, 0, 0)),
        (PINGRESP, PINGRESP),
        (publication("a", b"", v5=b"\x01\x01"), ("a", b"", False, 0, 0)),
    ],
}


@pytest.mark.parametrize("is_v5", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_however_it_is_split(*, is_v5: bool, seed: int) -> None:
    stream = b"".join(raw for raw, _ in STREAMS[is_v5])
    rng, chunks, at = random.Random(seed), [], 0
    while at < len(stream):
        step = rng.choice([1, 1, 2, 3, 50, 5_000, 65_536]) if seed else 10**9
        chunks.append(stream[at : at + step])
        at += step
    assert heard(chunks, is_v5=is_v5) == [said for _, said in STREAMS[is_v5]]


def test_byte_by_byte() -> None:
    short = b"".join(raw for raw, _ in STREAMS[False][:5])
    assert heard([bytes([b]) for b in short], is_v5=False) == [said for _, said in STREAMS[False][:5]]


@pytest.mark.parametrize(
    ("raw", "is_v5"),
    [
        (b"\x30\xff\xff\xff\xff\x01", False),  # a length of five bytes
        (packet(0x30, b""), False),
        (packet(0x30, b"\0"), False),
        (packet(0x30, b"\0\5abc"), False),  # the topic is longer than the packet
        (packet(0x30, b"\0\0x"), False),  # no topic
        (packet(0x30, b"\0\1\xff"), False),  # not UTF-8
        (packet(0x32, b"\0\1a\0"), False),  # half a packet identifier
        (packet(0x30, b"\0\1a"), True),  # no properties
        (packet(0x30, b"\0\1a\5\0"), True),  # properties beyond the end
        (packet(0x30, b"\0\1a\xff"), True),
    ],
)
def test_what_is_no_mqtt(raw: bytes, *, is_v5: bool) -> None:
    with pytest.raises(BrokenStreamError):
        heard([raw], is_v5=is_v5)


def test_random_bytes_are_packets_or_broken() -> None:
    rng, broken = random.Random(6), 0
    for i in range(3_000):
        try:
            heard([rng.randbytes(rng.randrange(60)) for _ in range(3)], is_v5=bool(i % 2))
        except BrokenStreamError:
            broken += 1
    assert 0 < broken < 3_000  # both happen, and nothing else is raised
