"""The quick way takes what is well formed and gives what the patient reader gives; it is never asked why not."""

import random

import msgspec
import pytest

from gateway.counts import Counts
from gateway.located import load, validate
from gateway.model import Fix, Message
from gateway.profiles import shipped_directory
from gateway.profiles.payload import MqttReader
from gateway.profiles.schema_mqtt import MqttProfile

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
    """What the quick way and the patient reader make of a payload."""
    patient = READERS[name]
    assert patient.quick is not None
    message = Message(T, TOPICS[name], payload, retain)
    parts = patient.parts(message.topic.split("/"), None)
    assert parts is not None
    return patient.quick.bind(parts)(message), patient.read(message, parts, Counts())  # type: ignore[return-value]


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
        quick, patient = both(name, encoded(replaced(whole, path, value)))
        assert quick is None or [quick] == patient, path


def leaves(value: object, above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if not isinstance(value, dict):
        return [above]
    return [above, *(leaf for key, inner in value.items() for leaf in leaves(inner, (*above, key)))]


def test_20_000_damaged_payloads_mean_the_same_both_ways() -> None:
    rng, taken = random.Random(4), 0
    wholes = [("owntracks", encoded(LOCATION)), ("traccar", encoded(POSITION))]
    scraps = [
        b"NaN",
        b"1e999",
        b"null",
        b'"',
        b"\xff",
        b"\xc3(",
        b"[" * 99,
        b"-",
        b"9" * 30,
        b"0",
        b",",
        b"true",
    ]
    for _ in range(20_000):
        name, payload = rng.choice(wholes)
        at = rng.randrange(len(payload))
        payload = payload[:at] + rng.choice([b"", *scraps]) + payload[at + rng.randrange(3) :]
        quick, patient = both(name, payload)
        assert quick is None or [quick] == patient, payload
        taken += quick is not None
    assert taken > 2_000


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
