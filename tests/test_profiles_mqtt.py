"""What a message says: sightings and fixes in the units of the model; a bad one is counted by its reason."""

import msgspec
import pytest

from gateway.counts import Counts
from gateway.model import Fix, Message, Sighting
from gateway.profiles import Part, Profiles, load_profiles

OWNTRACKS = b'{"_type":"location","lat":50.94,"lon":6.96,"tst":1766397601,"acc":5,"vel":36,"cog":90}'
BEACON = "0201061aff4c000215e2c56db5dffb48d2b060d0f5a71096e000010011c5"
DEEP = b"[" * 60_000


@pytest.fixture(scope="module")
def profiles() -> Profiles:
    return load_profiles()


def said(
    profiles: Profiles, topic: str, payload: bytes, *, retain: bool = False
) -> tuple[list[Sighting | Fix | Part], Counts]:
    counts = Counts()
    return profiles.read(Message(1766397602.0, topic, payload, retain), counts), counts


def test_a_fix_in_the_units_of_the_model(profiles: Profiles) -> None:
    found, counts = said(profiles, "owntracks/Anna/Golf", OWNTRACKS)
    assert found == [
        Fix(
            t_s=1766397602.0,
            fix_t_s=1766397601.0,
            device="vehicle:anna/golf",
            lat_deg=50.94,
            lon_deg=6.96,
            accuracy_m=5.0,
            speed_kmh=36.0,
            heading_deg=90.0,
        )
    ]
    assert counts.by_room() == {"profiles.owntracks": {"matched": 1}}


@pytest.mark.parametrize(
    ("sent", "field", "value"),
    [
        ({"acc": 0}, "accuracy_m", None),
        ({"acc": -1}, "accuracy_m", None),
        ({"acc": "12.5"}, "accuracy_m", 12.5),
        ({"acc": None}, "accuracy_m", None),
        ({"vel": -5}, "speed_kmh", None),
        ({"vel": 0}, "speed_kmh", 0.0),
        ({"cog": 360}, "heading_deg", 0.0),
        ({"cog": 400}, "heading_deg", None),
        ({"lat": "-90"}, "lat_deg", -90.0),
        ({"ign": True}, "ignition", True),
        ({"ign": "false"}, "ignition", False),
    ],
)
def test_values_as_devices_send_them(
    profiles: Profiles, sent: dict[str, object], field: str, value: object
) -> None:
    payload = msgspec.json.encode({**msgspec.json.decode(OWNTRACKS), **sent})
    (fix,), _ = said(profiles, "owntracks/anna/golf", payload)
    assert getattr(fix, field) == value


def test_retained_fixes_say_so_and_retained_sightings_are_none(profiles: Profiles) -> None:
    (fix,), _ = said(profiles, "owntracks/anna/golf", OWNTRACKS, retain=True)
    assert isinstance(fix, Fix)
    assert fix.retained
    found, counts = said(profiles, "receivers/v1/koeln-01/pi-01", b'{"rssi":-67,"adv":""}', retain=True)
    assert (found, counts.by_room()) == ([], {"profiles.generic-raw": {"retained": 1}})


@pytest.mark.parametrize(
    ("payload", "outcome"),
    [
        (b"", "not_mine"),
        (b'{"_type":"lwt","tst":1766397601}', "not_mine"),
        (b'{"_type":"location","lon":6.96,"tst":1766397601}', "malformed"),
        (b'{"_type":"location","lat":50.94,"lon":6.96}', "malformed"),
        (OWNTRACKS.replace(b"50.94", b'"north"'), "malformed"),
        (OWNTRACKS.replace(b"50.94", b"true"), "malformed"),
        (OWNTRACKS.replace(b"50.94", b"[50.94]"), "malformed"),
        (OWNTRACKS.replace(b"50.94", b'"5_0.94"'), "malformed"),
        (OWNTRACKS.replace(b"50.94", b"90.01"), "out_of_range"),
        (OWNTRACKS.replace(b"6.96", b"-180.5"), "out_of_range"),
        (OWNTRACKS.replace(b"1766397601", b"0"), "out_of_range"),
        (OWNTRACKS.replace(b"1766397601", b"1766397601000"), "out_of_range"),
        (OWNTRACKS.replace(b"50.94", b"NaN"), "not_finite"),
        (OWNTRACKS.replace(b"50.94", b"-Infinity"), "not_finite"),
        (OWNTRACKS.replace(b"50.94", b"1e999"), "not_finite"),
        (OWNTRACKS.replace(b"50.94", b'"nan"'), "not_finite"),
        (OWNTRACKS.replace(b"50.94", b'"1e999"'), "not_finite"),
        (OWNTRACKS.replace(b"50.94", b"9" * 5000), "not_finite"),
        (b'{"other":NaN}', "not_finite"),
        (b"not json", "malformed"),
        (b"[]", "malformed"),
        (b"12", "malformed"),
        (OWNTRACKS[:-1], "malformed"),
        (OWNTRACKS + b"x", "malformed"),
        (b'{"_type":"\xff"}', "not_utf8"),
        (b'{"other":"\xc3("}', "not_utf8"),
        (b'{"other":' + DEEP, "too_deep"),
        (b'{"a":' * 10_000, "too_deep"),
        (OWNTRACKS[:-1] + b" " * 65_536 + b"}", "oversized"),
        (b"\xff" * 65_537, "oversized"),
    ],
)
def test_a_payload_that_cannot_be_read_is_counted_by_reason(
    profiles: Profiles, payload: bytes, outcome: str
) -> None:
    found, counts = said(profiles, "owntracks/anna/golf", payload)
    assert (found, counts.by_room()) == ([], {"profiles.owntracks": {outcome: 1}})


@pytest.mark.parametrize(
    ("topic", "room", "outcome"),
    [
        ("owntracks/anna", "profiles", "not_mine"),
        ("owntracks/anna/golf/event", "profiles.owntracks", "matched"),
        ("owntracks/anna/golf/waypoint", "profiles.owntracks", "matched"),
        ("owntracks/anna/golf/waypoints", "profiles", "not_mine"),
        ("x" * 5000, "profiles", "not_mine"),
        ("", "profiles", "not_mine"),
        ("owntracks//golf", "profiles.owntracks", "malformed"),
        ("owntracks/an\nna/golf", "profiles.owntracks", "malformed"),
        (f"owntracks/anna/{'g' * 129}", "profiles.owntracks", "malformed"),
        (f"owntracks/anna/{'g' * 128}", "profiles.owntracks", "matched"),
    ],
)
def test_topics(profiles: Profiles, topic: str, room: str, outcome: str) -> None:
    for _ in range(2):
        _, counts = said(profiles, topic, OWNTRACKS)
        assert counts.by_room() == {room: {outcome: 1}}


def test_a_bad_item_of_a_list_spoils_no_other(profiles: Profiles) -> None:
    items: list[object] = [
        {"address": "C3-00-00-25-EF-6A", "address_type": "random", "rssi": "-67", "adv": BEACON},
        {"address": "C3:00:00:25:EF", "rssi": -67, "adv": BEACON},
        {"address": "c30000 25ef6a", "rssi": -67, "adv": BEACON},
        {"rssi": -67, "adv": "0" * 3302},
        {"rssi": -67, "adv": "zz"},
        {"rssi": 127, "adv": BEACON},
        {"adv": BEACON},
        [],
        7,
        {"rssi": -70.5, "adv": BEACON, "address_type": "anonymous", "address": None},
    ]
    found, counts = said(profiles, "receivers/v1/koeln-01/pi-02", msgspec.json.encode(items))
    t_s, adv = 1766397602.0, bytes.fromhex(BEACON)
    assert found == [
        Sighting(t_s, "pi-02", "c3:00:00:25:ef:6a", "random", -67.0, adv),
        Sighting(t_s, "pi-02", "", "", -70.5, adv),
    ]
    assert counts.by_room() == {
        "profiles.generic-raw": {"matched": 2, "malformed": 6, "out_of_range": 1, "oversized": 1}
    }


def test_a_site_hears_its_own_receivers_and_the_selected_profiles_only(profiles: Profiles) -> None:
    selected = profiles.select(["generic-raw"], "koeln-01")
    assert selected.subscribable == ("generic-raw",)
    assert selected.topics("generic-raw", "koeln-01") == ("receivers/v1/koeln-01/+",)
    assert profiles.topics("generic-raw") == ("receivers/v1/+/+",)
    assert profiles.topics("openmqttgateway") == ("home/+/BTtoMQTT/+", "home/presence/+")
    assert profiles.topics("ibeacon") == ()
    fixes = [name for name in profiles.names if profiles.gives_fixes(name)]
    assert fixes == [
        "generic-vehicle",
        "ovms",
        "owntracks",
        "teltonika",
        "tesla-fleet-telemetry",
        "teslamate",
        "traccar",
        "viss",
        "vss-topics",
    ]
    heard = b'{"rssi":-67,"adv":"%s"}' % BEACON.encode()
    for topic, count in [("receivers/v1/koeln-01/pi", 1), ("receivers/v1/bonn/pi", 0), ("owntracks/a/b", 0)]:
        found, _ = said(selected, topic, heard)
        assert len(found) == count
    sighting = Sighting(0.0, "pi", "", "", -67.0, bytes.fromhex(BEACON))
    assert selected.identities(sighting, Counts()) == profiles.identities(sighting, Counts()) != ()
    with pytest.raises(ValueError, match=r"unknown profile 'owntrack'; did you mean owntracks\?"):
        profiles.select(["owntrack"], "koeln-01")


@pytest.mark.parametrize(
    ("id", "identity"),
    [
        (
            "iBeacon:E5CA1ADE-F007-BA11-0000-000000000000-65535-2",
            "ibeacon:e5ca1ade-f007-ba11-0000-000000000000:65535:2",
        ),
        ("iBeacon:e5ca1ade-f007-ba11-0000-000000000000-65536-2", ""),
        ("iBeacon:e5ca1ade-f007-ba11-0000-000000000000-1", ""),
        ("altBeacon:e5ca1ade-f007-ba11-0000-000000000000-1-2", ""),
        ("eddy:0011223344445566778899-aabbccddeeff", "eddystone:00112233445566778899:aabbccddeeff"),
        ("eddy:00112233445566778899-aabbccddeeff", "eddystone:00112233445566778899:aabbccddeeff"),
        ("irk:0123456789ABCDEF0123456789abcdef", "irk:0123456789abcdef0123456789abcdef"),
        ("irk:anna-phone", ""),
        ("7a1122334455", ""),
        ("x" * 5000, ""),
    ],
)
def test_ids_that_espresense_makes(profiles: Profiles, id: str, identity: str) -> None:
    payload = msgspec.json.encode({"id": id, "mac": "7a1122334455", "rssi": -60})
    (found,), _ = said(profiles, "espresense/devices/any/kitchen", payload)
    assert isinstance(found, Sighting)
    assert (found.receiver, found.identity) == ("kitchen", identity)


def test_a_beacon_in_part_is_no_identity(profiles: Profiles) -> None:
    payload = b'{"id":"58:78:20:76:BC:24","mac_type":0,"rssi":-79,"uuid":"%s","major":1}' % (b"1d" * 16)
    (found,), _ = said(profiles, "home/omg/BTtoMQTT/58782076BC24", payload)
    assert isinstance(found, Sighting)
    assert (found.address_type, found.identity) == ("public", "")
    assert profiles.identities(found, Counts()) == ("mac:58:78:20:76:bc:24",)
