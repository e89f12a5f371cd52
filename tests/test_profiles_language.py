"""What the profile language can say: each word with bytes or payloads, and what comes of them."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.counts import Counts
from gateway.errors import ConfigError
from gateway.model import Message, Sighting
from gateway.profiles import Profiles, load_profiles
from gateway.profiles.editor_schema import NAME, editor_schema

ROOT = Path(__file__).parent.parent
ADDRESS = "c3:00:00:25:ef:6a"

TAGS = """\
profile: tags
source: Example Ltd, tags
match: {service: 0xfff0}
frames:
  short:
    starts: "0?"
    length: 4
    where: {kind: 1}
    fields:
      kind: {at: 1, as: u8, bits: [4, 7]}
      number: {at: 2, as: u16be}
    identity: "tag:example:{number}"
  long:
    starts: "0?"
    length: 4
    where: {kind: [2, 3]}
    fields:
      kind: {at: 1, as: u8, bits: [4, 7]}
      battery_pct: {at: 2, as: u8, range: [0, 100]}
      moved: {at: 3, as: u8, within: [1, 255]}
  list:
    starts: "10"
    objects: {at: 1, until: -1, head: id}
  sealed:
    starts: "11"
    length: 24
    sealed: {as: aes-ccm, text: [1, 12], tag: [-12, -8], nonce: [address, "aabb", [-8, 0]]}
    objects: {at: 0, head: id}
objects:
  0x01: {battery_pct: {as: u8}}
  0x02: {word: {as: text8}}
vectors:
  - {data: "0310002a", expect: {identity: "tag:example:42"}}
"""
RAW = """\
profile: raw
source: Example Ltd, raw
match: {topic: "raw/{receiver}", starts: "aa"}
gives: sighting
encoding: binary
layout:
  - {skip: 1}
  - {name: count, as: u8}
  - repeat: count
    each:
      - {name: address, as: mac}
      - {name: rssi_dbm, as: i8}
vectors:
  - {topic: raw/pi, bytes: "aa01c3000025ef6ac4", expect: {address: "c3:00:00:25:ef:6a", rssi_dbm: -60}}
"""
ITEMS = """\
profile: items
source: Example Ltd, items
match: {topic: "items/{receiver}"}
gives: sighting
items: beacons
fields:
  address: {path: id}
  rssi_dbm: {path: /rssi, unit: dBm}
vectors:
  - {topic: items/pi, payload: {"rssi": -60, "beacons": [{"id": "c3000025ef6a"}]}, expect: {rssi_dbm: -60}}
"""


def written(folder: Path, **files: str) -> Path:
    folder.mkdir()
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


def loaded(tmp_path: Path, **files: str) -> Profiles:
    return load_profiles(written(tmp_path / "profiles", **files))


def service_data(payload: str, uuid: str = "f0ff") -> bytes:
    body = bytes.fromhex(uuid + payload)
    kind = {2: 0x16, 4: 0x20, 16: 0x21}[len(bytes.fromhex(uuid))]
    return bytes((len(body) + 1, kind)) + body


# --- bytes ---


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


# --- messages ---


def said(
    profiles: Profiles, topic: str, payload: bytes | object
) -> tuple[list[Any], dict[str, dict[str, int]]]:
    counts = Counts()
    raw = payload if isinstance(payload, bytes) else msgspec.json.encode(payload)
    return profiles.read(Message(0.0, topic, raw), counts), counts.by_room()


@pytest.mark.parametrize(
    ("payload", "rssis", "counted"),
    [
        ("aa02c3000025ef6ac4c3000025ef6bc5", [-60, -59], {"matched": 2}),
        ("aa02c3000025ef6ac4c30000", [-60], {"matched": 1, "too_short": 1}),
        ("aa01c3000025ef6a7f", [], {"out_of_range": 1}),
        ("aa00", [], {}),
        ("ab01c3000025ef6ac4", [], {"not_mine": 1}),
        ("", [], {"not_mine": 1}),
        ("aa" + "00" * 65_536, [], {"oversized": 1}),
    ],
)
def test_a_binary_payload(tmp_path: Path, payload: str, rssis: list[int], counted: dict[str, int]) -> None:
    found, rooms = said(loaded(tmp_path, raw=RAW), "raw/pi", bytes.fromhex(payload))
    assert [sighting.rssi_dbm for sighting in found] == rssis
    assert rooms == ({"profiles.raw": counted} if counted else {})


def test_a_payload_that_announces_too_much_is_cut_short(tmp_path: Path) -> None:
    text = RAW.replace("{name: count, as: u8}", "{name: count, as: u16be}").replace('"aa01c3', '"aa0001c3')
    text = text.replace("      - {name: address, as: mac}\n", "").replace(
        'address: "c3:00:00:25:ef:6a", ', ""
    )
    text = text.replace('"aa0001c3000025ef6ac4"', '"aa0001c4"')
    found, rooms = said(loaded(tmp_path, raw=text), "raw/pi", b"\xaa\xff\xff" + b"\xc4" * 60_000)
    assert len(found) == 1024
    assert rooms == {"profiles.raw": {"matched": 1024, "oversized": 1}}


@pytest.mark.parametrize(
    ("payload", "addresses", "counted"),
    [
        ({"rssi": -60, "beacons": [{"id": "c3000025ef6a"}, {"id": "c3000025ef6b"}]}, 2, {"matched": 2}),
        ({"rssi": -60, "beacons": [{"id": "c3000025ef6a"}, {"id": 7}]}, 1, {"matched": 1, "malformed": 1}),
        ({"rssi": -60, "beacons": []}, 0, {}),
        ({"rssi": -60}, 0, {"not_mine": 1}),
        ({"rssi": -60, "beacons": {}}, 0, {"malformed": 1}),
        ({"rssi": -60, "beacons": [{}] * 1025}, 0, {"oversized": 1}),
        ([], 0, {"malformed": 1}),
    ],
)
def test_items_of_a_message(tmp_path: Path, payload: object, addresses: int, counted: dict[str, int]) -> None:
    found, rooms = said(loaded(tmp_path, items=ITEMS), "items/pi", payload)
    assert len(found) == addresses
    assert rooms == ({"profiles.items": counted} if counted else {})


def test_the_first_bytes_tell_two_firmwares_on_one_topic_apart() -> None:
    profiles = load_profiles()
    binary = bytes.fromhex("bb0100000010ac233fc02f870000")
    assert said(profiles, "/gw/ac233fc02f87/status", binary)[1] == {}
    assert said(profiles, "/gw/ac233fc02f87/status", b"[]")[1] == {}
    assert said(profiles, "/gw/ac233fc02f87/status", b"{") == ([], {"profiles.minew-g1": {"malformed": 1}})


@pytest.mark.parametrize(
    "topic", ["0c:ae:5f:62:b0:ea", "0C:AE:5F:62:B0:EA", "0cae5f62b0ea", "positions", "x"]
)
def test_a_topic_that_has_to_be_an_address(topic: str) -> None:
    found, rooms = said(load_profiles(), topic, {"addr": "x", "rssi": -58})
    is_address = topic not in ("positions", "x")
    assert [s.address for s in found] == (["0c:ae:5f:62:b0:ea"] if is_address else [])
    assert ("profiles.shelly-universal" in rooms) == is_address


# --- mistakes ---


@pytest.mark.parametrize(
    ("text", "old", "new", "problem"),
    [
        (
            TAGS,
            "where: {kind: 1}",
            "where: {kid: 1}",
            "8:18: frames.short.where.kid: there is no field kid here; did",
        ),
        (
            TAGS,
            "where: {kind: [2, 3]}",
            "where: {kind: [1, 3]}",
            "13:3: frames.long: could claim what frames.short (line 5) claims",
        ),
        (
            TAGS,
            'starts: "10"',
            'starts: "0"',
            "22:13: frames.list.starts: expected pairs of hex digits in quotes, ?",
        ),
        (
            TAGS,
            "match: {service: 0xfff0}",
            'match: {service: 0xfff0, starts: "00"}',
            "3:34: match.starts: stands in",
        ),
        (TAGS, "vectors:", 'identity: "tag:a:{b}"\nvectors:', "32:11: identity: stands in the frames"),
        (
            TAGS,
            "until: -1, head: id",
            "until: -1, head: length",
            "23:39: frames.list.objects.head: expected id or",
        ),
        (
            TAGS,
            "tag: [-12, -8], ",
            "",
            "27:13: frames.sealed.sealed: aes-ccm has a tag and a nonce, nothing else",
        ),
        (
            TAGS,
            "text: [1, 12]",
            "text: [1, 40]",
            "27:33: frames.sealed.sealed.text: reaches beyond the shortest",
        ),
        (
            TAGS,
            'as: aes-ccm, text: [1, 12], tag: [-12, -8], nonce: [address, "aabb", [-8, 0]]',
            "as: eid, text: [1, 9]",
            "28:14: frames.sealed.objects: eid is not opened here: there are no objects to read",
        ),
        (
            TAGS,
            "0x01: {battery_pct: {as: u8}}",
            "0x101: {battery_pct: {as: u8}}",
            "30:10: objects.257: the id of an",
        ),
        (
            TAGS,
            "{word: {as: text8}}",
            "{word: {as: text}}",
            "31:21: objects.2.word.as: text has no end here; use text8",
        ),
        (
            TAGS,
            "number: {at: 2, as: u16be}",
            "number: {at: 2, as: text8}",
            "11:27: frames.short.fields.number.as: text8 is",
        ),
        (
            TAGS,
            "within: [1, 255]",
            "within: [1, 255], values: {1: a}",
            "20:14: frames.long.fields.moved: expected one of",
        ),
        (
            TAGS,
            "number: {at: 2, as: u16be}",
            'number: {at: 2, as: "hex:2", scale: 2}',
            "11:15: frames.short.fields.number: hex:2 is no number: it has no scale",
        ),
        (
            RAW,
            'starts: "aa"',
            'starts: "a"',
            "3:42: match.starts: expected pairs of hex digits in quotes, got 'a'",
        ),
        (RAW, "encoding: binary\n", "", "3:42: match.starts: is for binary payloads"),
        (
            RAW,
            "repeat: count",
            "repeat: cuont",
            "9:13: layout.2.repeat: no cuont has been read before this; did you mean count?",
        ),
        (RAW, "{name: count, as: u8}", "{name: count, as: u9}", "8:23: layout.1.as: expected u8, i8"),
        (
            RAW,
            "{name: address, as: mac}",
            "{name: adress, as: mac}",
            "11:16: layout.2.each.0.name: adress is of no use",
        ),
        (RAW, "{skip: 1}", "{skip: 1, name: x}", "7:5: layout.0: expected one of name, skip, repeat"),
        (
            RAW,
            "encoding: binary",
            "encoding: binary\nitems: true",
            "6:8: items: a binary payload repeats in its layout",
        ),
        (
            RAW,
            'bytes: "aa01',
            'payload: "x", bytes: "aa01',
            "14:5: vectors.0: expected one of payload, bytes",
        ),
        (
            ITEMS,
            "items: beacons\n",
            "",
            "7:20: fields.rssi_dbm.path: /rssi begins at the root, and the payload",
        ),
        (
            ITEMS,
            "path: id",
            "path: id.",
            "7:19: fields.address.path: expected the names of members with single dots",
        ),
        (
            ITEMS,
            "path: /rssi",
            "path: 'a[b].c'",
            "8:20: fields.rssi_dbm.path: expected the names of members",
        ),
        (
            ITEMS,
            "{path: id}",
            "{unit: m}",
            "7:12: fields.address: expected a path, or a default that always holds",
        ),
        (
            ITEMS,
            "items/{receiver}",
            "items/{receiver:uuid}",
            "3:16: match.topic: the level '{receiver:uuid}' is neither",
        ),
        (ITEMS, "source:", "replaces: itmes\nsource:", ""),
    ],
)
def test_a_mistake_is_named_with_its_place(
    tmp_path: Path, text: str, old: str, new: str, problem: str
) -> None:
    assert old in text
    folder = written(tmp_path / "profiles", wrong=text.replace(old, new, 1))
    try:
        load_profiles(folder)
        problems = []
    except ConfigError as error:
        problems = [str(p) for p in error.problems]
    assert (
        problems == []
        if not problem
        else any(p.startswith(f"profiles/wrong.yaml:{problem}") for p in problems)
    ), problems


# --- profiles of one's own ---


def test_profiles_of_ones_own_come_beside_the_shipped_ones(tmp_path: Path) -> None:
    own = written(tmp_path / "profiles", raw=RAW)
    profiles = load_profiles(own=own)
    assert "raw" in profiles.names
    assert "ibeacon" in profiles.names
    assert load_profiles(own=tmp_path / "nowhere").names == load_profiles().names


def test_one_of_them_may_stand_for_a_shipped_one(tmp_path: Path) -> None:
    shipped = (ROOT / "firmware_profiles" / "april-brother-v4.yaml").read_text()
    here = shipped.replace("april-brother/", "beacons/").replace(
        "source:", "replaces: april-brother-v4\nsource:", 1
    )
    profiles = load_profiles(own=written(tmp_path / "profiles", ours=here))
    assert profiles.topics("april-brother-v4") == ("beacons/+",)
    own = written(tmp_path / "others", ours=here.replace("replaces: april", "replaces: apirl"))
    with pytest.raises(ConfigError) as caught:
        load_profiles(own=own)
    assert [str(p) for p in caught.value.problems] == [
        "others/ours.yaml:6:10: profile: firmware_profiles/april-brother-v4.yaml:6 has this name already",
        "others/ours.yaml:7:11: replaces: there is no profile apirl-brother-v4; did you mean april-brother-v4?",
    ]


def test_what_could_not_be_verified_is_said() -> None:
    profiles = load_profiles()
    assert profiles.doubt("ibeacon") == ""
    assert profiles.doubt("raddec") == "The document names no topic."


def test_the_schema_for_editors_is_current() -> None:
    assert (ROOT / "config" / "schema" / NAME).read_text() == editor_schema(), (
        "run gateway schema --out config/schema"
    )
