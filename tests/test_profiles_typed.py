"""The quick way takes what is well formed and gives what the patient reader gives; it is never asked why not."""

import random

import msgspec
import pytest

from gateway.counts import Counts
from gateway.located import load
from gateway.model import Fix, Message
from gateway.profiles import flat, shipped_directory
from gateway.profiles.flat import FlatReader
from gateway.profiles.payload import MqttReader
from gateway.profiles.schema_mqtt import MqttProfile
from gateway.validated import validate

T = 1_766_397_602.0
TOPICS = {"owntracks": "owntracks/anna/golf", "traccar": "positions"}
LOCATION = {"_type": "location", "lat": 50.94, "lon": 6.96, "tst": 1766397601, "acc": 5, "vel": 36, "cog": 90}
POSITION: dict[str, object] = {
    "position": {
        "latitude": 50.94,
        "longitude": 6.96,
        "fixTime": "2025-12-22T10:00:00.000+00:00",
        "speed": 10,
        "course": 271,
        "accuracy": 5,
        "valid": True,
        "outdated": False,
        "attributes": {"ignition": True},
    },
    "device": {"uniqueId": "AB-1"},
}
ODD = [0, -1, -0.0, 360, 400, 1e308, 5, "12", "-1", "12.5", "1e2", " 1", "1_0", "+1", ".5", "5.", "0x1", ""]
ODD += [
    "nan",
    "NaN",
    "inf",
    "null",
    "true",
    "TRUE",
    "on",
    "1",
    "off",
    None,
    True,
    False,
    [],
    {},
    [1],
    {"a": 1},
]
ODD += [10**400, "9" * 400, "ä", "\u0661", 1e999, float("nan"), 946684799, 946684800, T + 86_400, T + 86_401]
ODD += [4294967295, 1766397601000, "2025-12-22T10:00:00", "2025-12-22T10:00:00Z", "2106-02-07T06:28:15Z"]


def reader(name: str) -> MqttReader:
    profile = validate(load(shipped_directory() / f"{name}.yaml"), MqttProfile)
    return MqttReader(profile)


READERS = {name: reader(name) for name in TOPICS}


def both(name: str, payload: bytes, *, retain: bool = False) -> tuple[Fix | None, list[Fix]]:
    """What the type and the patient reader make of a payload."""
    patient = READERS[name]
    assert patient.quick is not None
    message = Message(T, TOPICS[name], payload, retain)
    parts = patient.parts(message.topic.split("/"), None)
    assert parts is not None
    return patient.quick.by_type(parts, message), patient.read(message, parts, Counts())  # type: ignore[return-value]


def in_one_pass(payload: bytes, *, retain: bool = False) -> Fix | None:
    """What the one pass over a flat payload takes of it, compiled or plain."""
    quick = READERS["owntracks"].quick
    assert quick is not None
    assert quick.members is not None
    pass_ = FlatReader(quick.members, "vehicle:anna/golf", lambda _: None)
    fix: Fix | None = pass_.read(Message(T, TOPICS["owntracks"], payload, retain))
    return fix


def encoded(value: object) -> bytes:
    """As `json` writes it, which knows NaN and numbers of any length."""
    import json

    return json.dumps(value, ensure_ascii=False).encode()


def replaced(whole: dict[str, object], path: tuple[str, ...], value: object) -> object:
    if not path:
        return value
    inner = whole[path[0]]
    return {**whole, path[0]: replaced(inner, path[1:], value) if isinstance(inner, dict) else value}


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("owntracks", LOCATION),
        ("owntracks", {**LOCATION, "lat": "50.94", "lon": "6.96", "tst": "1766397601", "acc": "5"}),
        ("owntracks", {**LOCATION, "vel": -1, "cog": -1, "acc": 0}),
        ("owntracks", {"_type": "location", "lat": 50.94, "lon": 6.96, "tst": 1766397601}),
        ("owntracks", {**LOCATION, "ign": False, "SSID": "Käferstraße"}),
        ("traccar", POSITION),
        ("traccar", replaced(POSITION, ("position", "attributes"), {})),
    ],
)
def test_what_devices_send_goes_the_quick_way(name: str, payload: object) -> None:
    quick, patient = both(name, encoded(payload), retain=True)
    assert [quick] == patient
    assert quick is not None
    assert quick.retained


@pytest.mark.parametrize("value", ODD)
@pytest.mark.parametrize("name", TOPICS)
def test_odd_values_mean_the_same_both_ways(name: str, value: object) -> None:
    whole = LOCATION if name == "owntracks" else POSITION
    for path in leaves(whole):
        payload = encoded(replaced(whole, path, value))
        quick, patient = both(name, payload)
        assert quick is None or [quick] == patient, path
        if name == "owntracks":
            fix = in_one_pass(payload)
            assert fix is None or [fix] == patient, path


def leaves(value: object, above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if not isinstance(value, dict):
        return [above]
    return [above, *(leaf for key, inner in value.items() for leaf in leaves(inner, (*above, key)))]


def test_20_000_damaged_payloads_mean_the_same_all_ways() -> None:
    rng, taken, passed = random.Random(4), 0, 0
    wholes = [("owntracks", encoded(LOCATION)), ("owntracks", TALKATIVE), ("traccar", encoded(POSITION))]
    scraps = [b"NaN", b"1e999", b"null", b'"', b"\xff", b"\xc3(", b"[" * 99, b"-", b"9" * 30, b"0", b","]
    scraps += [b"true", b"\0", b"\\", b" ", b"]", b"}", b"{", b":", b".", b"-0", b"[]", b'{"a":1}', b"\x1f"]
    for _ in range(20_000):
        name, payload = rng.choice(wholes)
        at = rng.randrange(len(payload))
        payload = payload[:at] + rng.choice([b"", *scraps]) + payload[at + rng.randrange(3) :]
        quick, patient = both(name, payload)
        assert quick is None or [quick] == patient, payload
        taken += quick is not None
        if name == "owntracks":
            fix = in_one_pass(payload)
            assert fix is None or [fix] == patient, payload
            passed += fix is not None
    assert taken > 2_000
    assert passed > 1_000


TALKATIVE = b"""{ "inregions": ["home", "a b"], "inrids":[] , "poi": {"at": [1, -2.5, null, {"x": true}], "y": {}},
    "_type":"location", "lat":50.94, "lon" :6.96,"tst":1766397601,\t"vel": "36", "cog":360,\r\n"acc": 0.5, "ign":false} """
MINIMAL = b'{"_type":"location","lat":50.94,"lon":6.96,"tst":1766397601}'


def minimal_with(text: bytes) -> bytes:
    return MINIMAL[:-1] + b"," + text + b"}"


@pytest.mark.parametrize(
    "payload",
    [
        MINIMAL,
        TALKATIVE,
        encoded({**LOCATION, "lat": "-50.94", "lon": "6.96", "tst": "1766397601", "acc": "5"}),
        minimal_with(b'"vel":-1,"cog":-1,"acc":0'),
        minimal_with(b'"vel":null,"acc":7,"acc":null,"ign":null'),
        minimal_with(b'"latitude":1,"":2,"la":3,"lau":4,"t":5,"lat ":6'),
        minimal_with(b'"lat":51.5'),  # the last one of its name counts
        minimal_with(b'"cog":359.999999999999'),
        minimal_with(b'"vel":0.0000000000000001'),
        minimal_with(b'"vel":9007199254740992'),
        minimal_with(b'"a":' + b"[" * 16 + b"]" * 16),
    ],
)
def test_what_vehicles_send_is_read_in_one_pass(payload: bytes) -> None:
    fix = in_one_pass(payload, retain=True)
    assert [fix] == both("owntracks", payload, retain=True)[1]
    assert fix is not None
    assert fix.retained


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{}",
        b"[]",
        b"\0",
        MINIMAL + b"\0",
        MINIMAL + b"x",
        MINIMAL[:-1],
        MINIMAL[:-1] + b",}",
        MINIMAL.replace(b"location", b"waypoint"),
        MINIMAL.replace(b'"_type":"location",', b""),
        MINIMAL.replace(b"50.94", b"90.01"),
        MINIMAL.replace(b"50.94", b"0").replace(b"6.96", b"0.0"),
        MINIMAL.replace(b"50.94", b"050.94"),
        MINIMAL.replace(b"50.94", b"50."),
        MINIMAL.replace(b"50.94", b".5"),
        MINIMAL.replace(b"50.94", b'"50.94 "'),
        MINIMAL.replace(b"1766397601", b"1766484003"),
        MINIMAL.replace(b'"lat"', b'"la\\u0074"'),
        minimal_with(b'"vel":3.6e1'),
        minimal_with(b'"vel":-0.0'),
        minimal_with(b'"vel":9007199254740993'),
        minimal_with(b'"vel":1234567890.123456789'),
        minimal_with(b'"ign":1'),
        minimal_with(b'"_type":"lwt"'),
        minimal_with(b'"SSID":"K\xc3\xa4fer"'),
        minimal_with(b'"SSID":"a\\nb"'),
        minimal_with(b'"SSID":"a\nb"'),
        minimal_with(b'"a":tru'),
        minimal_with(b'"a":truex'),
        minimal_with(b'"a":[1,]'),
        minimal_with(b'"a":' + b"[" * 17 + b"]" * 17),
        minimal_with(b'"a":"' + b"x" * 65_536 + b'"'),
    ],
)
def test_what_is_bad_or_rare_is_left_to_others(payload: bytes) -> None:
    assert in_one_pass(payload) is None


def test_numbers_of_one_pass_are_the_nearest_doubles() -> None:
    rng, taken = random.Random(5), 0
    for _ in range(5_000):
        whole, digits = str(rng.randrange(10 ** rng.randrange(1, 9))), rng.randrange(12)
        text = whole + (f".{rng.randrange(10**digits):0{digits}d}" if digits else "")
        fix = in_one_pass(minimal_with(b'"acc":' + text.encode()))
        if fix is not None:
            assert fix.accuracy_m == (float(text) or None), text
            taken += 1
    assert taken > 4_000


def test_where_it_is_compiled_the_one_pass_comes_first() -> None:
    quick = READERS["owntracks"].quick
    assert quick is not None
    bound = quick.bind({"user": "anna", "device": "golf"})
    assert isinstance(getattr(bound, "__self__", None), FlatReader) == flat.COMPILED
    rare = Message(T, TOPICS["owntracks"], minimal_with(b'"vel":3.6e1'))
    fix = bound(rare)
    assert fix is not None
    assert fix.speed_kmh == 36.0


def test_profiles_that_ask_for_more_have_no_quick_way() -> None:
    document = load(shipped_directory() / "owntracks.yaml")
    plain = document.data

    def has_quick(**changed: object) -> bool:
        fields = {**plain["fields"], **changed}
        profile = MqttProfile.model_validate(
            msgspec.to_builtins({**plain, "fields": fields, "vectors": plain["vectors"]})
        )
        return MqttReader(profile).quick is not None

    assert has_quick()
    assert has_quick(speed_kmh={"path": "vel", "unit": "m/s"})
    assert not has_quick(speed_kmh={"path": ["vel", "speed"], "unit": "km/h"})
    assert not has_quick(speed_kmh={"path": "vel", "unit": "km/h", "absent": 255})
    assert not has_quick(speed_kmh={"path": "vel", "unit": "km/h", "range": [0, 250]})
    assert not has_quick(ignition={"path": "ign", "values": {"on": True}})


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        ("owntracks/anna/golf", "matched"),
        ("owntracks/Anna/Golf", "matched"),
        ("owntracks/anna/golf/event", "matched"),
        (None, "matched"),
        ("owntracks/anna/golf2", "impostor"),
        ("owntracks/bert/golf", "impostor"),
        ("owntracks/anna", "impostor"),
        ("", "impostor"),
        (7, "impostor"),
    ],
)
@pytest.mark.parametrize("spelled", ["topic", "t\\u006fpic"])
def test_no_way_lets_an_impostor_through(said: object, outcome: str, spelled: str) -> None:
    """OwnTracks may repeat its topic; the ways are one pass, the type, the patient reader."""
    payload = encoded({**LOCATION, "topic": said}).replace(b'"topic"', f'"{spelled}"'.encode())
    counts = Counts()
    patient = READERS["owntracks"]
    message = Message(T, TOPICS["owntracks"], payload, False)
    parts = patient.parts(message.topic.split("/"), None)
    assert parts is not None
    assert patient.quick is not None
    fixes = patient.read(message, parts, counts)
    assert counts.of("profiles.owntracks", outcome) == 1
    assert len(fixes) == (outcome == "matched")
    assert patient.quick.by_type(parts, message) == (fixes[0] if fixes else None)
    assert in_one_pass(payload) is None, "left to the type"
