"""What the profile language can say of bytes from the air: each word, and what comes of it."""

from pathlib import Path
from typing import Any

import pytest
from profile_files import TAGS, loaded

from gateway.counts import Counts
from gateway.model import Sighting
from gateway.profiles import load_profiles

ADDRESS = "c3:00:00:25:ef:6a"


def service_data(payload: str, uuid: str = "f0ff") -> bytes:
    body = bytes.fromhex(uuid + payload)
    kind = {2: 0x16, 4: 0x20, 16: 0x21}[len(bytes.fromhex(uuid))]
    return bytes((len(body) + 1, kind)) + body


@pytest.mark.parametrize(
    ("field", "payload", "value"),
    [
        ("as: u8", "ff", 255),
        ("as: i8", "ff", -1),
        ("as: u16be", "0102", 258),
        ("as: u16le", "0102", 513),
        ("as: i24le, bits: [6, 17]", "000203", -1016),
        ("as: i24le, bits: [6, 17]", "408002", -1536 + 1),
        ("as: u16be, bits: [5, 15], offset: 1600", "ac36", 2977),
        ("as: u8, bits: [0, 7], below: {at: 1, bits: [6, 6]}", "0540", 11),
        ("as: u16be, absent: 65535", "ffff", None),
        ("as: u16be, absent: [0, 65535]", "0000", None),
        ("as: i16be, scale: 0.00390625", "ff80", -0.5),
        ("as: u16be, scale: 0.1, offset: -200, clamp: [0, 100]", "0d80", 100),
        ("as: u8, within: [1, 3]", "02", True),
        ("as: u8, within: [1, 3]", "00", False),
        ("as: u8, values: {1: one, 2: true}", "01", "one"),
        ("as: u8, values: {1: one, 2: true}", "02", True),
        ("as: u8, values: {1: one, 2: true}", "03", None),
        ("as: s7.100", "8145", -1.69),
        ("as: mac", "c3000025ef6a", ADDRESS),
        ("as: mac_le", "6aef250000c3", ADDRESS),
        ('as: mac, absent: "ffffffffffff"', "ffffffffffff", None),
        ('as: "hex:2"', "0aBC", "0abc"),
        ("as: hex", "0abcde", "0abcde"),
        ('as: "text:4"', "41420000", "AB"),
        ("as: text", "41c3a4", "Aä"),
        ("as: text", "41ff", "A\ufffd"),
        ("as: text, words: {7: .com}", "4107", "A.com"),
        ("as: uuid", "e2c56db5dffb48d2b060d0f5a71096e0", "e2c56db5-dffb-48d2-b060-d0f5a71096e0"),
    ],
)
def test_a_field(tmp_path: Path, field: str, payload: str, value: object) -> None:
    text = f"profile: x\nsource: x\nmatch: {{service: 0xfff0}}\nfields: {{value: {{at: 0, {field}}}}}\n"
    profiles = loaded(tmp_path, x=f'{text}vectors: [{{data: "{payload}", expect: {{}}}}]\n')
    (decoded,) = profiles.decode(service_data(payload))
    assert decoded.values["value"] == (pytest.approx(value) if isinstance(value, float) else value)
    assert isinstance(decoded.values["value"], bool) == isinstance(value, bool)


@pytest.mark.parametrize(
    ("payload", "outcome", "values"),
    [
        ("0310002a", "matched", {"kind": 1, "number": 42}),
        ("0f200101", "matched", {"kind": 2, "battery_pct": 1, "moved": True}),
        ("0f3f6400", "matched", {"kind": 3, "battery_pct": 100, "moved": False}),
        ("0f306500", "out_of_range", {}),
        ("0f40000000", None, {}),
        ("0f400000", None, {}),
        ("0f1000", "too_short", {}),
        ("0f10000000", "not_mine", {}),
        ("2010002a", None, {}),
        ("100164ff", "matched", {"battery_pct": 100}),
        ("1001640132ff", "matched", {"battery_pct": [100, 50]}),
        ("1002034142430105ff", "matched", {"word": "ABC", "battery_pct": 5}),
        ("10990164ff", "matched", {}),
        ("100164010cff"[:-2], "too_short", {"battery_pct": 100}),
        ("100209ffff", "too_short", {}),
        ("10", "too_short", {}),
        ("11" + "00" * 23, "needs_key", {}),
    ],
)
def test_frames_and_objects(
    tmp_path: Path, payload: str, outcome: str | None, values: dict[str, Any]
) -> None:
    decoded = loaded(tmp_path, tags=TAGS).decode(service_data(payload), ADDRESS)
    assert [d.outcome.value for d in decoded] == ([outcome] if outcome else [])
    if decoded and outcome in ("matched", "needs_key"):
        assert decoded[0].values == values


class Key:
    """One key, for one address."""

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.asked: list[str] = []

    def bind_key(self, address: str) -> bytes | None:
        self.asked.append(address)
        return self.key if address == "54:48:e6:8f:80:a5" else None


BTHOME = service_data("41e445f3c9962b332211006c7c4519", "d2fc")
"""The example of bthome.io/encryption, 25.06 °C."""
BIND_KEY = bytes.fromhex("231d39c1d7cc1ab1aee224cd096db932")


@pytest.mark.parametrize(
    ("key", "address", "outcome"),
    [
        (BIND_KEY, "54:48:e6:8f:80:a5", "matched"),
        (BIND_KEY, "54:48:e6:8f:80:a6", "needs_key"),
        (BIND_KEY, "", "needs_key"),
        (BIND_KEY, "nowhere", "needs_key"),
        (bytes(16), "54:48:e6:8f:80:a5", "bad_checksum"),
        (bytes(5), "54:48:e6:8f:80:a5", "bad_checksum"),
    ],
)
def test_encrypted_telemetry_needs_the_key_of_its_address(key: bytes, address: str, outcome: str) -> None:
    keys = Key(key)
    profiles = load_profiles().with_bind_keys(keys)
    for _ in range(2):  # the same bytes again may come from somebody else
        counts = Counts()
        heard = profiles.heard(Sighting(0.0, "pi", address, "public", -60.0, BTHOME), counts)
        assert counts.of("profiles.bthome-v2", outcome) == 1
        assert [sealed.kind for sealed in heard.sealed] == (["aes-ccm"] if outcome == "needs_key" else [])
    assert set(keys.asked) <= {"54:48:e6:8f:80:a5", "54:48:e6:8f:80:a6"}


LENGTH_5 = """\
profile: old
source: Example Ltd, objects whose length has 5 bits
match: {service: 0xfff0}
frames:
  list: {objects: {at: 0, head: length5_id}}
objects:
  0x01: {battery_pct: {as: u8}}
  0x02: {temperature_c: {as: i16le, scale: 0.01}}
vectors:
  - {data: "020164", expect: {battery_pct: 100}}
"""


@pytest.mark.parametrize(
    ("payload", "outcome", "values"),
    [
        ("020164", "matched", {"battery_pct": 100}),
        ("e20164", "matched", {"battery_pct": 100}),  # the three bits above say something else
        ("0201642302ca09", "matched", {"battery_pct": 100, "temperature_c": pytest.approx(25.06)}),
        ("03016400020132", "matched", {"battery_pct": 50}),  # the same id in another form is read over
        ("0399aabb020132", "matched", {"battery_pct": 50}),
        ("0201", "too_short", {}),
        ("0001", "too_short", {}),
        ("1f0164", "too_short", {}),
        ("02", "too_short", {}),
    ],
)
def test_objects_whose_length_has_five_bits(
    tmp_path: Path, payload: str, outcome: str, values: dict[str, Any]
) -> None:
    (decoded,) = loaded(tmp_path, old=LENGTH_5).decode(service_data(payload))
    assert decoded.outcome.value == outcome
    assert decoded.values == values


def test_what_needs_a_key_says_which_bytes() -> None:
    profiles, counts = load_profiles(), Counts()
    eid = service_data("30e4afc638315dcd9977", "aafe")
    heard = profiles.heard(Sighting(0.0, "pi", "70:81:94:0d:fb:aa", "random", -60.0, eid), counts)
    assert heard.identities == ()
    assert [(s.kind, s.data.hex()) for s in heard.sealed] == [
        ("eid", "afc638315dcd9977"),
        ("irk", "7081940dfbaa"),
    ]
    assert counts.by_room() == {
        "profiles.eddystone-eid": {"needs_key": 1},
        "profiles.resolvable-address": {"needs_key": 1},
    }


@pytest.mark.parametrize(
    ("address", "address_type", "sealed"),
    [
        ("70:81:94:0d:fb:aa", "random", 1),
        ("70:81:94:0d:fb:aa", "public", 0),
        ("70:81:94:0d:fb:aa", "", 0),
        ("c0:81:94:0d:fb:aa", "random", 0),
        ("80:81:94:0d:fb:aa", "random", 0),
        ("00:81:94:0d:fb:aa", "random", 0),
        ("7", "random", 0),
        ("", "random", 0),
    ],
)
def test_only_resolvable_addresses_ask_for_a_key(address: str, address_type: str, sealed: int) -> None:
    heard = load_profiles().heard(Sighting(0.0, "pi", address, address_type, -60.0, b""), Counts())
    assert len(heard.sealed) == sealed


@pytest.mark.parametrize(
    "uuid",
    ["aafe", "aafe0000", "fb349b5f80000080001000" + "00aafe0000"],
    ids=["16 bits", "32 bits", "128 bits"],
)
def test_a_service_is_the_same_however_long_its_uuid_is_sent(uuid: str) -> None:
    adv = service_data("00fc00112233445566778899aabbccddeeff", uuid)
    (decoded,) = load_profiles().decode(adv)
    assert decoded.identity == "eddystone:00112233445566778899:aabbccddeeff"


@pytest.mark.parametrize(
    ("adv", "battery_pct", "moved"),
    [
        ("0201060303aafe1116aafe20000b1813000000146700002ac4", 84.0, None),
        (service_data("40015a2201", "d2fc").hex(), 90.0, True),
        (service_data("4001500164", "d2fc").hex(), 80.0, None),
        (service_data("a118321234567800aabbccddeeff", "e1ff").hex(), 50.0, False),
        (service_data("4001ff", "d2fc").hex(), None, None),
        ("0201061aff4c000215e2c56db5dffb48d2b060d0f5a71096e000010011c5", None, None),
    ],
    ids=["Eddystone-TLM", "BTHome", "two cells, the weaker", "Minew", "no percentage", "iBeacon"],
)
def test_telemetry(adv: str, battery_pct: float | None, moved: bool | None) -> None:
    heard = load_profiles().heard(Sighting(0.0, "pi", ADDRESS, "random", -60.0, bytes.fromhex(adv)), Counts())
    found = (heard.telemetry.battery_pct, heard.telemetry.moved) if heard.telemetry else (None, None)
    assert found == (pytest.approx(battery_pct) if battery_pct else None, moved)


def test_an_address_that_a_payload_repeats_identifies_once() -> None:
    adv = service_data("a107" + "6aef250000c3", "e1ff")
    heard = load_profiles().heard(Sighting(0.0, "pi", ADDRESS, "public", -60.0, adv), Counts())
    assert heard.identities == (f"mac:{ADDRESS}",)


def test_no_more_than_32_claims_are_looked_at() -> None:
    counts = Counts()
    adv = service_data("403a", "d2fc") * 270
    load_profiles().heard(Sighting(0.0, "pi", ADDRESS, "random", -60.0, adv), counts)
    assert counts.by_room() == {"profiles.bthome-v2": {"too_short": 32}}
