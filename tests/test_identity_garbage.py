"""Identities that are none: a hydrometer's readings, an address that is somebody else every minute."""

from __future__ import annotations

import pytest

from gateway.counts import Counts
from gateway.identity import EveryDevice, Identification
from gateway.identity.garbage import ADDRESSES, FAMILIES, Garbage
from gateway.identity.recognition import is_broadcast
from gateway.model import Anchor, Sighting, SiteMap
from gateway.profiles.ble import Heard

UUID = "a495bb10-c5b1-4b44-b512-1370f02d74de"
OURS = "e2c56db5-dffb-48d2-b060-d0f5a71096e0"


def ibeacon(minor: int, uuid: str = UUID) -> str:
    return f"ibeacon:{uuid}:1:{minor}"


def test_ten_identities_from_one_address_are_believed_and_eleven_are_not() -> None:
    garbage = Garbage()
    kinds = [f"eddystone:{'00' * 10}:{n:012x}" for n in range(5)] + [ibeacon(n, OURS) for n in range(3)]
    kinds += [f"altbeacon:0118:{OURS}:1:{n}" for n in range(2)]
    for n, identity in enumerate(kinds):
        assert garbage.disbelieved("c3:00:00:00:00:01", [(identity, True)], float(n)) == {}
    last = ibeacon(1, "00000000-0000-0000-0000-000000000001")
    assert garbage.disbelieved("c3:00:00:00:00:01", [(last, True)], 11.0) == {last: "garbage_address"}
    assert garbage.disbelieved("c3:00:00:00:00:01", [(kinds[0], True)], 12.0) == {kinds[0]: "garbage_address"}
    assert garbage.disbelieved("c3:00:00:00:00:02", [(kinds[1], True)], 12.0) == {}
    # Ten minutes later it sends but one.
    assert garbage.disbelieved("c3:00:00:00:00:01", [(kinds[0], True)], 700.0) == {}


def test_a_uuid_that_carries_readings() -> None:
    garbage = Garbage()
    said = [
        garbage.disbelieved(f"c3:00:00:00:{n // 6:02x}:01", [(ibeacon(n), True)], float(n))
        for n in range(200)
    ]
    assert not any(said[:50])
    assert all(said[n] == {ibeacon(n): "garbage_family"} for n in range(160, 200) if n % 6 > 2)


def test_a_fleet_of_enrolled_tags_with_one_uuid_is_no_garbage() -> None:
    garbage = Garbage()
    for turn in range(3):
        for n in range(500):
            tag = ibeacon(n, OURS)
            address = f"c3:00:00:00:{n >> 8:02x}:{n & 255:02x}"
            assert garbage.disbelieved(address, [(tag, True)], turn * 60.0) == {}
    # Nor do strangers with our UUID take it from us.
    for n in range(1000, 1100):
        garbage.disbelieved(f"d3:00:00:00:00:{n - 1000:02x}", [(ibeacon(n, OURS), False)], 200.0)
    assert garbage.disbelieved("c3:00:00:00:00:07", [(ibeacon(7, OURS), True)], 201.0) == {}
    assert garbage.disbelieved("", [(ibeacon(8, OURS), True)], 201.0) == {}


@pytest.mark.parametrize("kind", ["tag:minew:{:06d}", "mac:ac:23:00:00:{:02x}:01"])
def test_tags_of_one_maker_and_addresses_in_frames(kind: str) -> None:
    """A shop full of other people's tags is no garbage; who names another one each time is."""
    garbage = Garbage()
    for n in range(200):
        own = f"c3:00:00:00:00:{n:02x}"
        assert garbage.disbelieved(own, [(kind.format(n), False)], n / 10) == {}
    changing = [
        garbage.disbelieved("d0:00:00:00:00:01", [(kind.format(n), n == 3)], 20.0 + n) for n in range(30)
    ]
    assert not any(changing[:10])
    assert all(changing[10:])
    many = [
        garbage.disbelieved(f"d1:00:00:00:00:{n // 6:02x}", [(kind.format(n), False)], 60.0 + n)
        for n in range(200)
    ]
    assert all(
        said == {kind.format(n): "garbage_family"} for n, said in enumerate(many) if n > 150 and n % 6 > 2
    )


@pytest.mark.parametrize(
    ("identity", "sender", "anybody"),
    [
        (ibeacon(1), "c3:00:00:00:00:01", True),
        ("tag:kontakt:abcd", "c3:00:00:00:00:01", True),
        ("mac:ac:23:00:00:00:01", "c3:00:00:00:00:01", True),
        ("mac:ac:23:00:00:00:01", "ac:23:00:00:00:01", False),
        ("irk:anna-phone", "4a:00:00:00:00:01", False),
        ("eid:trolley", "c3:00:00:00:00:01", False),
    ],
)
def test_what_anybody_can_send(identity: str, sender: str, *, anybody: bool) -> None:
    assert is_broadcast(identity, sender) == anybody


def test_memory_is_bounded() -> None:
    garbage = Garbage()
    for n in range(3 * ADDRESSES):
        garbage.disbelieved(f"{n:012x}", [(ibeacon(n % 7, f"{n % (2 * FAMILIES):036x}"), False)], n / 100)
    assert len(garbage._addresses) == ADDRESSES
    assert len(garbage._families) == FAMILIES


class Beacons:
    """Profiles that read the one identity a test puts into `Sighting.identity`."""

    def read(self, message: object, counts: Counts) -> list[object]:  # noqa: ARG002
        return []

    def heard(self, sighting: Sighting, counts: Counts) -> Heard:  # noqa: ARG002
        return Heard((sighting.identity,))

    def with_bind_keys(self, keys: object) -> Beacons:  # noqa: ARG002
        return self

    def forget(self) -> None:
        pass


@pytest.mark.parametrize(("distinct", "readings"), [(10, 40), (40, 10)])
def test_a_hydrometer_in_a_survey_ends_as_a_count(distinct: int, readings: int) -> None:
    counts = Counts()
    site = SiteMap("s", receivers=(Anchor("pi-01", "g"),))
    identification = Identification(site, Beacons(), EveryDevice(), counts)  # type: ignore[arg-type]
    made = 0
    for n in range(40):
        heard = Sighting(n * 5.0, "pi-01", "c3:00:00:00:00:01", "random", -60.0, b"", ibeacon(n % distinct))
        ((_, observation),) = identification.heard(heard)
        made += observation is not None
    assert made == readings
    assert counts.of("identity", "garbage_address") == 40 - readings
