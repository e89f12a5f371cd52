"""Whatever arrives, nothing is raised, and every advertisement and message is counted.

Seeded, so that a failure can be had again; hypothesis looks where mutation of known vectors does not.
"""

import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.counts import Counts
from gateway.located import load
from gateway.model import Message, Sighting
from gateway.profiles import load_profiles, shipped_directory

PROFILES = load_profiles()
VECTORS = [v for path in shipped_directory().glob("*.yaml") for v in load(path).data["vectors"]]
ADVERTS = [bytes.fromhex(v["adv"]) for v in VECTORS if "adv" in v]
ADVERTS += [
    bytes([len(data) + 3, 0xFF]) + company.to_bytes(2, "little") + data
    for v in VECTORS
    if "data" in v
    for company, data in [(v.get("company", 0x004C), bytes.fromhex(v["data"]))]
]
MESSAGES = [
    (
        v["topic"],
        v["payload"].encode() if isinstance(v["payload"], str) else msgspec.json.encode(v["payload"]),
    )
    for v in VECTORS
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


def test_200_000_advertisements() -> None:
    rng, counts, n = random.Random(5), Counts(), 200_000
    kinds = ("public", "random", "")
    for i in range(n):
        adv = (
            rng.randbytes(rng.randrange(1, 64)) if i % 4 == 0 else mutated(rng, rng.choice(ADVERTS)) or b"\0"
        )
        heard = Sighting(0.0, "pi", "c3:00:00:25:ef:6a", kinds[i % 3], -60.0, adv)
        found = PROFILES.identities(heard, counts)
        assert len(found) <= 4
        assert ("mac:c3:00:00:25:ef:6a" in found) == (kinds[i % 3] == "public")
    assert sum(counts.total(room) for room in counts.by_room()) >= n
    assert counts.of("profiles.ibeacon", "matched") > 0 < counts.of("profiles.eddystone-uid", "too_short")


def test_20_000_messages() -> None:
    rng, counts, n = random.Random(5), Counts(), 20_000
    for i in range(n):
        topic, payload = rng.choice(MESSAGES)
        payload = mutated(rng, payload)
        if i % 2:
            at = rng.randrange(len(payload) + 1)
            payload = payload[:at] + rng.choice(NASTY) + payload[at:]
        before = sum(counts.total(room) for room in counts.by_room())
        found = PROFILES.read(Message(0.0, topic, payload), counts)
        assert sum(counts.total(room) for room in counts.by_room()) >= max(before + 1, len(found))
    reasons = {outcome for outcomes in counts.by_room().values() for outcome in outcomes}
    assert reasons >= {"matched", "not_mine", "malformed", "not_utf8", "not_finite", "out_of_range"}


@pytest.mark.parametrize("topic", sorted({topic.split("/")[0]: topic for topic, _ in MESSAGES}.values()))
@given(
    value=st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda x: (
            st.lists(x)
            | st.dictionaries(
                st.sampled_from(
                    ["_type", "lat", "lon", "tst", "rssi", "adv", "id", "mac", "position", "device", "uuid"]
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
