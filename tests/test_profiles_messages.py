"""What the profile language can say of MQTT messages: each word with payloads, and what comes of them."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from profile_files import ITEMS, RAW, loaded

from gateway.counts import Counts
from gateway.model import Message
from gateway.profiles import Profiles, Word, load_profiles
from gateway.profiles.templates import TopicTemplate


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


INNER = ITEMS.replace("items: beacons", 'items: {at: seen.tags, members: "t-{number:u16}"}').replace(
    '{"rssi": -60, "beacons": [{"id": "c3000025ef6a"}]}',
    '{"rssi": -60, "seen": {"tags": {"t-1": {"id": "c3000025ef6a"}}}}',
)
"""Items are members of an object within the payload."""


@pytest.mark.parametrize(
    ("tags", "addresses", "counted"),
    [
        ({"t-1": {"id": "c3000025ef6a"}, "t-2": {"id": "c3000025ef6b"}}, 2, {"matched": 2}),
        ({"t-1": {"id": "c3000025ef6a"}, "t-2": {"id": 7}, "x": {}}, 1, {"matched": 1, "malformed": 1}),
        ({"x": {"id": "c3000025ef6a"}}, 0, {"not_mine": 1}),
        ({}, 0, {"not_mine": 1}),
        (None, 0, {"not_mine": 1}),
        ([], 0, {"malformed": 1}),
    ],
)
def test_items_are_members(tmp_path: Path, tags: object, addresses: int, counted: dict[str, int]) -> None:
    found, rooms = said(loaded(tmp_path, items=INNER), "items/pi", {"rssi": -60, "seen": {"tags": tags}})
    assert len(found) == addresses
    assert rooms == {"profiles.items": counted}


APART = ITEMS.replace("items: beacons\n", "").replace("/rssi", "rssi").replace(
    "vectors:", "  manufacturer_data: {path: m}\n  service_data: {path: s}\n  service: {path: u}\nvectors:"
).replace('{"rssi": -60, "beacons": [{"id": "c3000025ef6a"}]}', '{"rssi": -60, "id": "c3000025ef6a"}')  # fmt: skip
"""A receiver that takes advertisements apart."""


@pytest.mark.parametrize(
    ("payload", "adv"),
    [
        ({}, ""),
        ({"m": "4c000215aa"}, "06ff4c000215aa"),
        ({"m": "4c00"}, ""),  # a company id and nothing behind it
        ({"s": "00ee", "u": "0xfeaa"}, "0516aafe00ee"),
        ({"s": "00ee", "u": "FEAA"}, "0516aafe00ee"),
        ({"s": "00ee", "u": "0000feaa"}, "0720aafe000000ee"),
        ({"s": "01", "u": "6e400001-b5a3-f393-e0a9-e50e24dcca9e"}, "12219ecadc240ee5a9e093f3a3b50100406e01"),
        ({"s": "00ee"}, ""),  # of which service, nobody says
        ({"u": "0xfeaa"}, ""),
        ({"s": "00ee", "u": 65194}, ""),
        ({"s": "00ee", "u": "fea"}, ""),
        ({"m": "4c0002", "s": "00ee", "u": "feaa"}, "04ff4c00020516aafe00ee"),
        ({"m": "2c0q1006", "s": None, "u": "feaa"}, ""),
        ({"m": 4711, "s": "00ee", "u": "feaa"}, "0516aafe00ee"),
        ({"m": "00" * 255}, ""),
        ({"m": "00" * 254}, "ff" + "ff" + "00" * 254),
    ],
)
def test_an_advertisement_taken_apart(tmp_path: Path, payload: dict[str, object], adv: str) -> None:
    found, _ = said(loaded(tmp_path, items=APART), "items/pi", {"rssi": -60, "id": "c3000025ef6a", **payload})
    assert [sighting.adv.hex() for sighting in found] == [adv]


@pytest.mark.parametrize(
    ("path", "payload", "rssi_dbm"),
    [
        ("a.b", {"a": {"b": -60}}, -60),
        ("a.b", {"a": [{"b": -60}]}, None),
        ("a[k=x].b", {"a": [{"k": "y", "b": -50}, {"k": "x", "b": -60}]}, -60),
        ("a[k=x].b", {"a": {"k": "x", "b": -60}}, -60),
        ("a[k=x].b", {"a": {"k": "y", "b": -60}}, None),
        ("a[last].b", {"a": [{"b": -50}, {"b": -60}]}, -60),
        ("a[last].b", {"a": {"b": -60}}, -60),
        ("a[last].b", {"a": []}, None),
        ("a[last].b", {"a": [{"b": -50}, {}]}, None),
        ("a[last].b", {"a": -60}, None),
        ("a[last]", {"a": [-50, -60]}, -60),
        ("a[last]", {"a": -60}, -60),
        ("a[last]", {"a": []}, None),
        ("a[k=x].b[last].c", {"a": [{"k": "x", "b": [{"c": -50}, {"c": -60}]}]}, -60),
    ],
)
def test_a_path(tmp_path: Path, path: str, payload: dict[str, object], rssi_dbm: float | None) -> None:
    text = ITEMS.replace("items: beacons\n", "").replace("path: /rssi", f"path: '{path}'")
    head = text[: text.index("vectors:")] + "vectors: [{topic: x, payload: {}, expect: not_mine}]\n"
    found, _ = said(loaded(tmp_path, items=head), "items/pi", {"id": "c3000025ef6a", **payload})
    assert [sighting.rssi_dbm for sighting in found] == ([] if rssi_dbm is None else [rssi_dbm])


@pytest.mark.parametrize(
    ("state", "payload", "word"),
    [
        ("alive: {path: .}", b"true", Word(alive=True)),
        ("alive: {path: .}", b"off", Word(alive=False)),
        ("alive: {path: .}", b"perhaps", None),
        ("alive: {path: up, values: {yes: true, no: false}}", b'{"up": "no"}', Word(alive=False)),
        ("alive: {path: up, values: {yes: true, no: false}}", b'{"up": "who knows"}', None),
        ("alive: {path: up}", b"{}", None),
        ("alive: {path: up}", b"up", None),
        ("alive: {path: up, default: true}", b"{}", Word(alive=True)),
        ("every: 2min", b"whatever \xff", Word(alive=True, every_s=120.0)),
        ("every: {path: ms, unit: ms}", b'{"ms": 2500}', Word(alive=True, every_s=2.5)),
        ("every: {path: ms, unit: ms, range: [1000, 9000]}", b'{"ms": 1}', None),
        ("alive: {path: .}", b"\xff", None),
        ("alive: {path: .}", b"", None),
        ("alive: {path: .}", b"[" * 70_000, None),
    ],
)
def test_what_a_receiver_says_of_itself(
    tmp_path: Path, state: str, payload: bytes, word: Word | None
) -> None:
    text = ITEMS.replace("vectors:", f'state: {{topic: "items/{{receiver}}/up", {state}}}\nvectors:')
    (reader,) = loaded(tmp_path, items=text).states(["items"])
    assert reader.receiver(["items", "pi", "up"], None) == "pi"
    assert reader.receiver(["items", "pi"], None) is None
    assert reader.receiver(["items", "p\ni", "up"], None) is None
    assert reader.read(payload) == word


def test_the_first_bytes_tell_two_firmwares_on_one_topic_apart() -> None:
    profiles = load_profiles()
    binary = bytes.fromhex("bb0100000010ac233fc02f870000")
    assert said(profiles, "/gw/ac233fc02f87/status", binary)[1] == {}
    assert said(profiles, "/gw/ac233fc02f87/status", b"[]")[1] == {}
    assert said(profiles, "/gw/ac233fc02f87/status", b"{") == ([], {"profiles.minew-g1": {"malformed": 1}})


@pytest.mark.parametrize(
    ("template", "other", "overlaps"),
    [
        ("a/{x}", "a/b", True),
        ("a/{x}", "{y}/{z}", True),
        ("a/{x}", "b/{x}", False),
        ("a/{x}", "a/{x}/c", False),
        ("{x:mac}", "positions", False),
        ("{x:mac}", "0cae5f62b0ea", True),
        ("{x:mac}", "{y}", True),
        ("{x:shelly*}/online", "{y}/online", True),
        ("{x:shelly*}/online", "shellyplus1/online", True),
        ("{x:shelly*}/online", "kitchen/online", False),
        ("{x:shelly*}/online", "{y:shellyplus*}/online", True),
        ("{x:shelly*}/online", "{y:tasmota*}/online", False),
        ("{site}/{x}", "s/t", True),
    ],
)
def test_topics_that_could_meet(template: str, other: str, overlaps: bool) -> None:
    assert TopicTemplate(template).overlaps(TopicTemplate(other)) == overlaps
    assert TopicTemplate(other).overlaps(TopicTemplate(template)) == overlaps


@pytest.mark.parametrize(
    ("template", "topic", "parts"),
    [
        ("{x:shelly*}/online", "shellyplus1/online", {"x": "shellyplus1"}),
        ("{x:shelly*}/online", "kitchen/online", None),
        ("{x:mac}/{y}", "0CAE5F62B0EA/z", {"x": "0c:ae:5f:62:b0:ea", "y": "z"}),
        ("v1/{site}/{x}", "v1/s/y", {"site": "s", "x": "y"}),
        ("v1/{site}/{x}", "v1/t/y", None),
        ("/gw/{x}", "/gw/y", {"x": "y"}),
    ],
)
def test_parts_of_a_topic(template: str, topic: str, parts: dict[str, str] | None) -> None:
    assert TopicTemplate(template).parts(topic.split("/"), "s") == parts


@pytest.mark.parametrize(
    "text", ["a/#", "a/+", "$SYS/a", "a//b", "{X}", "{x:*}", "{x:a/b*}", "{x:u16}", "{x}/{x}", "a{x}"]
)
def test_no_topic(text: str) -> None:
    with pytest.raises(ValueError, match=r"neither plain text nor|stands at two levels"):
        TopicTemplate(text)


@pytest.mark.parametrize(
    "topic", ["0c:ae:5f:62:b0:ea", "0C:AE:5F:62:B0:EA", "0cae5f62b0ea", "positions", "x"]
)
def test_a_topic_that_has_to_be_an_address(topic: str) -> None:
    found, rooms = said(load_profiles(), topic, {"addr": "x", "rssi": -58})
    is_address = topic not in ("positions", "x")
    assert [s.address for s in found] == (["0c:ae:5f:62:b0:ea"] if is_address else [])
    assert ("profiles.shelly-universal" in rooms) == is_address
