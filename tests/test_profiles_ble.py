"""What an advertisement says: identities, their order, and how every claim on it is counted."""

import pytest

from gateway.counts import Counts
from gateway.model import Sighting
from gateway.profiles import Profiles, load_profiles

UUID = "e2c56db5dffb48d2b060d0f5a71096e0"
DASHED = "e2c56db5-dffb-48d2-b060-d0f5a71096e0"
FLAGS = "020106"
IBEACON = f"1aff4c000215{UUID}00010011c5"
ALTBEACON = f"1bff1801beac{UUID}00010002c509"
EDDYSTONE = "1716aafe00e3123456789012346789010000000000010000"
CONTINUITY = "0aff4c001005031cf7b75e"

IBEACON_ID = f"ibeacon:{DASHED}:1:17"
ALTBEACON_ID = f"altbeacon:0118:{DASHED}:1:2"
EDDYSTONE_ID = "eddystone:12345678901234678901:000000000001"


@pytest.fixture(scope="module")
def profiles() -> Profiles:
    return load_profiles()


def heard(adv: str = "", *, address_type: str = "random", identity: str = "") -> Sighting:
    return Sighting(0.0, "pi-01", "c3:00:00:25:ef:6a", address_type, -67.0, bytes.fromhex(adv), identity)


@pytest.mark.parametrize(
    ("adv", "expected"),
    [
        pytest.param(FLAGS + IBEACON, (IBEACON_ID,), id="iBeacon"),
        pytest.param(FLAGS + ALTBEACON, (ALTBEACON_ID,), id="AltBeacon"),
        pytest.param(FLAGS + "0303aafe" + EDDYSTONE, (EDDYSTONE_ID,), id="Eddystone-UID"),
        pytest.param(
            EDDYSTONE + ALTBEACON + IBEACON, (IBEACON_ID, ALTBEACON_ID, EDDYSTONE_ID), id="all, by rank"
        ),
        pytest.param(IBEACON + "0000000000", (IBEACON_ID,), id="zeros after the structures"),
        pytest.param(FLAGS + CONTINUITY, (), id="Apple Continuity"),
        pytest.param(f"1affffff0215{UUID}00010011c5", (), id="iBeacon form, another company"),
        pytest.param(f"1bff4c000215{UUID}00010011c500", (), id="iBeacon with a byte too many"),
        pytest.param(f"19ff4c000215{UUID}00010011", (), id="iBeacon without its power"),
        pytest.param(f"1aff4c000215{UUID}0001", (), id="structure longer than the advertisement"),
        pytest.param("0201061bff", (), id="cut off"),
        pytest.param(FLAGS, (), id="flags only"),
    ],
)
def test_identities_in_an_advertisement(profiles: Profiles, adv: str, expected: tuple[str, ...]) -> None:
    assert profiles.identities(heard(adv), Counts()) == expected


@pytest.mark.parametrize(
    ("sighting", "expected"),
    [
        pytest.param(heard(identity=EDDYSTONE_ID), (EDDYSTONE_ID,), id="decoded by the receiver"),
        pytest.param(
            heard(IBEACON, identity=EDDYSTONE_ID), (EDDYSTONE_ID, IBEACON_ID), id="the receiver first"
        ),
        pytest.param(heard(IBEACON, identity=IBEACON_ID), (IBEACON_ID,), id="the same once"),
        pytest.param(heard(address_type="public"), ("mac:c3:00:00:25:ef:6a",), id="public address"),
        pytest.param(
            heard(IBEACON, address_type="public"), (IBEACON_ID, "mac:c3:00:00:25:ef:6a"), id="address last"
        ),
        pytest.param(heard(address_type="random"), (), id="a random address never"),
        pytest.param(heard(address_type=""), (), id="an address of unknown type never"),
    ],
)
def test_rank_of_identities(profiles: Profiles, sighting: Sighting, expected: tuple[str, ...]) -> None:
    assert profiles.identities(sighting, Counts()) == expected


@pytest.mark.parametrize(
    ("adv", "counted"),
    [
        (IBEACON, {"profiles.ibeacon": {"matched": 1}}),
        (IBEACON + EDDYSTONE, {"profiles.ibeacon": {"matched": 1}, "profiles.eddystone-uid": {"matched": 1}}),
        (f"19ff4c000215{UUID}00010011", {"profiles.ibeacon": {"too_short": 1}}),
        (f"1bff4c000215{UUID}00010011c500", {"profiles.ibeacon": {"not_mine": 1}}),
        (CONTINUITY, {"profiles.apple-continuity": {"matched": 1}}),
        ("07ff060001092002", {"profiles": {"not_mine": 1}}),
        (FLAGS, {"profiles": {"not_mine": 1}}),
        ("00" * 1651, {"profiles": {"oversized": 1}}),
        ("", {}),
    ],
)
def test_every_advertisement_is_counted_each_time(
    profiles: Profiles, adv: str, counted: dict[str, dict[str, int]]
) -> None:
    once, twice = Counts(), Counts()
    profiles.identities(heard(adv), once)
    for _ in range(2):
        profiles.identities(heard(adv), twice)
    assert once.by_room() == counted
    assert twice.by_room() == {
        room: {o: 2 * n for o, n in outcomes.items()} for room, outcomes in counted.items()
    }


def test_a_flood_of_advertisements_forgets_no_identity(profiles: Profiles) -> None:
    counts = Counts()
    for i in range(10_000):
        profiles.identities(heard(f"05ff0600{i:04x}"), counts)
    assert profiles.identities(heard(IBEACON), counts) == (IBEACON_ID,)
    assert counts.by_room() == {"profiles": {"not_mine": 10_000}, "profiles.ibeacon": {"matched": 1}}
