"""The shipped profiles against other projects' vectors, which are not part of this project."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.counts import Counts
from gateway.model import Message, Sighting
from gateway.profiles import load_profiles

pytestmark = pytest.mark.measure

SHORT_ADDRESSES = {"F3:52:85"}
"""An address has six bytes; the page prints three of them, so the message is malformed."""
IBEACONS_BY_ANOTHER_NAME = {"Tilt Red"}
"""The peer reads temperature and gravity out of major and minor; on the air it is Apple's packet in full."""


@pytest.fixture
def data() -> Path:
    if "GATEWAY_MEASURE_DIR" not in os.environ:
        pytest.skip("GATEWAY_MEASURE_DIR names no measuring data")
    return Path(os.environ["GATEWAY_MEASURE_DIR"]) / "data"


def cases(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text().splitlines():
        yield msgspec.json.decode(line)


def advertisement(case: dict[str, Any]) -> bytes:
    """The AD structures of a case, built around manufacturer or service data where need be; else empty."""
    match case["kind"]:
        case "adv_payload":
            return _bytes(case)
        case "manufacturer_data" if "company_id" in case:
            head = b"\xff" + int(case["company_id"]).to_bytes(2, "little")
        case "service_data" if case["uuid"] != "process":
            uuid = bytes.fromhex(case["uuid"].replace("-", ""))
            head = (b"\x16" if len(uuid) == 2 else b"\x21") + uuid[::-1]
        case _:
            return b""
    payload = _bytes(case)
    return bytes([len(head) + len(payload)]) + head + payload


def _bytes(case: dict[str, Any]) -> bytes:
    """A few sources blot out an address with x."""
    return bytes.fromhex(case["hex"].replace("x", "0"))


def identity(expect: dict[str, Any], adv: bytes) -> tuple[str, ...]:
    match expect.get("type"):
        case "ibeacon":
            return (f"ibeacon:{expect['uuid']}:{expect['major']}:{expect['minor']}",)
        case "altbeacon":
            at = adv.index(b"\xbe\xac") - 2
            company = int.from_bytes(adv[at : at + 2], "little")
            return (f"altbeacon:{company:04x}:{expect['uuid']}:{expect['major']}:{expect['minor']}",)
        case "eddystone_uid":
            return (f"eddystone:{expect['namespace']}:{expect['instance']}",)
    return ()


def test_advertisements(data: Path) -> None:
    profiles, seen = load_profiles(), 0
    for path in sorted((data / "adverts").glob("*.jsonl")):
        for case in cases(path):
            adv = advertisement(case)
            if adv:
                seen += 1
                found = profiles.identities(Sighting(0.0, "pi", "", "", -60.0, adv), Counts())
                if case["expect"].get("type") in IBEACONS_BY_ANOTHER_NAME:
                    assert found[0].startswith("ibeacon:")
                    continue
                assert found == identity(case["expect"], adv), (path.name, case["source"], case["hex"])
    assert seen > 100


def test_receivers(data: Path) -> None:
    profiles, seen = load_profiles(), 0
    for case in cases(data / "receivers" / "payloads.jsonl"):
        if case["format"] not in ("espresense", "openmqttgateway", "theengs"):
            continue
        seen += 1
        expect = case["expect"]
        message = Message(0.0, case["topic"], msgspec.json.encode(case["payload"]))
        found = profiles.read(message, Counts())
        if "rssi" not in expect or expect["address"] in SHORT_ADDRESSES:
            assert found == [], case
            continue
        (sighting,) = found
        assert isinstance(sighting, Sighting)
        assert sighting.receiver == expect["receiver"]
        assert sighting.rssi_dbm == expect["rssi"]
        assert sighting.address == expect["address"].lower()
        assert (sighting.identity,) == (identity(expect.get("frame", {}), b"") or ("",))
    assert seen > 5
