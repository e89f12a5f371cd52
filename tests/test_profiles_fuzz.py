"""Whatever arrives, nothing is raised, every advertisement and message is counted, and none costs 64 KiB.

Seeded, so that a failure can be had again; hypothesis looks where mutation of known vectors does not.
GATEWAY_FUZZ_ADVERTS says how many advertisements the slow run takes (10 million where it does not).
"""

import os
import random
import tracemalloc
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.counts import Counts
from gateway.located import load
from gateway.model import Message, Sighting
from gateway.profiles import load_profiles, shipped_directory

PROFILES = load_profiles()
DOCUMENTS = [load(path).data for path in sorted(shipped_directory().glob("*.yaml"))]
KINDS = ("public", "random", "")
MOST_BYTES = 64 * 1024


class EveryKey:
    """Somebody who holds a key for whatever address: encrypted telemetry is opened, or found to be broken."""

    def bind_key(self, address: str) -> bytes | None:
        return bytes.fromhex("231d39c1d7cc1ab1aee224cd096db932") if address else None


WITH_KEYS = PROFILES.with_bind_keys(EveryKey())


def structure(document: dict[str, Any], vector: dict[str, Any]) -> bytes:
    """The AD structure of a vector that has only what follows the company id or UUID."""
    payload: bytes = bytes.fromhex(vector["data"])
    match = document["match"]
    head: bytes
    if "service" in match:
        head = b"\x16" + match["service"].to_bytes(2, "little")
    else:
        company = vector.get("company", match["manufacturer"])
        head = b"\xff" + company.to_bytes(2, "little")
    return bytes([min(255, len(head) + len(payload))]) + head + payload


ADVERTS = [
    bytes.fromhex(v["adv"]) if "adv" in v else structure(document, v)
    for document in DOCUMENTS
    for v in document["vectors"]
    if "adv" in v or "data" in v
]
MESSAGES = [
    (
        v["topic"],
        bytes.fromhex(v["bytes"])
        if "bytes" in v
        else v["payload"].encode()
        if isinstance(v["payload"], str)
        else msgspec.json.encode(v["payload"]),
    )
    for document in DOCUMENTS
    for v in document["vectors"]
    if "topic" in v
]
NASTY = (
    b"NaN",
    b"1e999",
    b"[",
    b"{",
    b"null",
    b'"',
    b"\xff",
    b"\\ud800",
    b"-0",
    b"[" * 200,
    b"9" * 400,
    b"true",
    b"\xdd\xff\xff\xff\xff",
)


def mutated(rng: random.Random, data: bytes) -> bytes:
    grown = bytearray(data)
    for _ in range(rng.randrange(4)):
        at = rng.randrange(len(grown) + 1)
        match rng.randrange(4):
            case 0:
                del grown[at : at + rng.randrange(1, 5)]
            case 1:
                grown[at:at] = rng.randbytes(rng.randrange(1, 5))
            case 2 if at < len(grown):
                grown[at] = rng.randrange(256)
            case _:
                del grown[at:]
    return bytes(grown)


def heard(rng: random.Random, n: int) -> Iterator[Sighting]:
    """Random bytes, random bytes behind a known beginning, and vectors with mistakes."""
    for i in range(n):
        match i % 8:
            case 0:
                adv = rng.randbytes(rng.randrange(1, 64))
            case 1:
                head = rng.choice(ADVERTS)[: rng.randrange(1, 9)]
                adv = head + rng.randbytes(rng.randrange(40))
            case 2:
                adv = mutated(rng, rng.choice(ADVERTS)) + mutated(rng, rng.choice(ADVERTS)) or b"\0"
            case _:
                adv = mutated(rng, rng.choice(ADVERTS)) or b"\0"
        yield Sighting(0.0, "pi", f"{rng.randrange(256):02x}:00:00:25:ef:6a", KINDS[i % 3], -60.0, adv)


def hear(n: int, seed: int) -> Counts:
    """`n` advertisements, each by somebody without keys or with them."""
    counts = Counts()
    for i, sighting in enumerate(heard(random.Random(seed), n)):
        found = (WITH_KEYS if i % 5 == 0 else PROFILES).heard(sighting, counts)
        assert len(found.identities) <= 12
        assert (f"mac:{sighting.address}" in found.identities) or sighting.address_type != "public"
    assert sum(counts.total(room) for room in counts.by_room()) >= n
    return counts


def test_200_000_advertisements() -> None:
    counts = hear(200_000, seed=5)
    reasons = {outcome for outcomes in counts.by_room().values() for outcome in outcomes}
    assert reasons == {"matched", "not_mine", "too_short", "bad_checksum", "out_of_range", "needs_key"}
    silent = {name for name in PROFILES.names if name not in PROFILES.subscribable} - {
        room.removeprefix("profiles.") for room in counts.by_room()
    }
    assert not silent  # every radio profile was tried


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_10_million_advertisements() -> None:
    n = int(os.environ.get("GATEWAY_FUZZ_ADVERTS", "10_000_000"))
    for seed in range(100, 100 + n // 100_000):
        hear(100_000, seed)


def test_no_advertisement_costs_64_kib() -> None:
    rng, counts = random.Random(6), Counts()
    hear(2_000, seed=6)  # what is compiled and counted once
    largest = 0
    tracemalloc.start()
    try:
        for i, sighting in enumerate(heard(rng, 20_000)):
            profiles = WITH_KEYS if i % 5 == 0 else PROFILES
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            profiles.heard(sighting, counts)
            largest = max(largest, tracemalloc.get_traced_memory()[1] - before)
        for adv in (
            b"\x03\xff\x4c\x00" * 400,
            b"\x05\x16\xd2\xfc\x40\x3a" * 270,
            ADVERTS[0] * 60,
            b"\xff" * 70_000,
        ):
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            PROFILES.heard(Sighting(0.0, "pi", "", "", -60.0, adv), counts)
            largest = max(largest, tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()
    assert 0 < largest < MOST_BYTES


def test_20_000_messages() -> None:
    rng, reasons, empty = random.Random(5), set[str](), 0
    for i in range(20_000):
        topic, payload = rng.choice(MESSAGES)
        payload = mutated(rng, payload)
        if i % 2:
            at = rng.randrange(len(payload) + 1)
            payload = payload[:at] + rng.choice(NASTY) + payload[at:]
        counts = Counts()
        found = PROFILES.read(Message(0.0, topic, payload), counts)
        outcomes = [outcome for room in counts.by_room().values() for outcome in room]
        assert len(found) == sum(counts.of(room, "matched") for room in counts.by_room())
        empty += not outcomes
        reasons.update(outcomes)
    assert empty < 100  # lists without an item: nothing was said, and nothing is counted
    assert reasons >= {
        "matched",
        "not_mine",
        "malformed",
        "not_utf8",
        "not_finite",
        "out_of_range",
        "too_short",
    }


def test_what_receivers_say_of_themselves() -> None:
    rng, words = random.Random(7), set[bool | None]()
    readers = PROFILES.states(PROFILES.names)
    assert len(readers) >= 7
    for i in range(10_000):
        topic, payload = rng.choice(MESSAGES)
        payload = rng.choice(NASTY) if i % 4 == 0 else mutated(rng, payload)
        for reader in readers:
            reader.receiver(topic.split("/"), "koeln-01")
            word = reader.read(payload)
            words.add(None if word is None else word.alive)
            assert word is None or word.every_s is None or 1 <= word.every_s <= 3600
    assert words == {True, False, None}


@pytest.mark.parametrize("topic", sorted({topic.split("/")[0]: topic for topic, _ in MESSAGES}.values()))
@given(
    value=st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda x: (
            st.lists(x)
            | st.dictionaries(
                st.sampled_from(
                    "_type lat lon tst rssi adv id mac position device uuid data path dp value rssiSignature "
                    "packets IBEACON state reported latlng method params blu addr servicedata servicedatauuid "
                    "manufacturerdata".split()
                ),
                x,
            )
        ),
    )
)
@settings(max_examples=25, deadline=None, derandomize=True)
def test_any_json(topic: str, value: object) -> None:
    counts = Counts()
    found = PROFILES.read(Message(0.0, topic, msgspec.json.encode(value)), counts)
    assert sum(counts.total(room) for room in counts.by_room()) >= len(found)


@given(adv=st.binary(max_size=300), topic=st.text(max_size=60), payload=st.binary(max_size=300))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_any_bytes(adv: bytes, topic: str, payload: bytes) -> None:
    counts = Counts()
    assert PROFILES.identities(Sighting(0.0, "pi", "", "", -60.0, adv), counts) == ()
    assert PROFILES.read(Message(0.0, topic, payload), counts) == []
    assert counts.by_room()  # dropped, and counted
