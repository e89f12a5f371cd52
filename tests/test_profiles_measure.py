"""The shipped profiles against other projects' vectors, which are not part of this project.

Every vector is tried. What we say otherwise than its peer stands in peer_vectors.py with the reason; a difference that
does not stand there, and one that stands there and is none, fails.
"""

import math
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from peer_vectors import (
    DISAGREEMENTS,
    FIELDS,
    IBEACONS_BY_ANOTHER_NAME,
    PROFILE_OF,
    SHORT_ADDRESSES,
    TOPICS,
    WITHOUT_PROFILE,
)

from gateway.counts import Counts
from gateway.model import Message, Sighting
from gateway.profiles import Profiles, load_profiles
from gateway.profiles.decoded import Decoded

pytestmark = pytest.mark.measure


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
    payload = bytes.fromhex(case["hex"].replace("x", "0"))  # a few sources blot out an address with x
    match case["kind"]:
        case "adv_payload":
            return payload
        case "manufacturer_data" if "company_id" in case:
            head = b"\xff" + int(case["company_id"]).to_bytes(2, "little")
        case "service_data" if case["uuid"] != "process":
            uuid = bytes.fromhex(case["uuid"].replace("-", ""))
            head = (b"\x16" if len(uuid) == 2 else b"\x21") + uuid[::-1]
        case _:
            return b""
    return bytes([len(head) + len(payload)]) + head + payload


def identity(expect: dict[str, Any], adv: bytes) -> tuple[str, ...]:
    """Who a vector is; of frames whose peers print no identity None: any of the kinds that such frames carry."""
    match expect.get("type"):
        case "ibeacon":
            return (f"ibeacon:{expect['uuid']}:{expect['major']}:{expect['minor']}",)
        case "altbeacon":
            at = adv.index(b"\xbe\xac") - 2
            company = int.from_bytes(adv[at : at + 2], "little")
            return (f"altbeacon:{company:04x}:{expect['uuid']}:{expect['major']}:{expect['minor']}",)
        case "eddystone_uid":
            return (f"eddystone:{expect['namespace']}:{expect['instance']}",)
        case "estimote_nearable" | "estimote_telemetry_b":
            return (f"tag:estimote:{expect['identifier']}",)
        case "kontakt_location":
            return (f"tag:kontakt:{expect['unique_id'].lower()}",)
        case str() as kind if kind.startswith(("minew_", "ruuvi_")):
            return ANY_ADDRESS
    return ()


ANY_ADDRESS = ("mac:",)


def test_identities(data: Path) -> None:
    profiles, seen = load_profiles(), 0
    for path in sorted((data / "adverts").glob("*.jsonl")):
        for case in cases(path):
            adv = advertisement(case)
            if not adv:
                continue
            seen += 1
            found = profiles.identities(Sighting(0.0, "pi", "", "", -60.0, adv), Counts())
            if case["expect"].get("type") in IBEACONS_BY_ANOTHER_NAME:
                assert found[0].startswith("ibeacon:")
                continue
            wanted = identity(case["expect"], adv)
            if wanted == ANY_ADDRESS:
                assert len(found) <= 1
                assert all(i.startswith("mac:") for i in found), (path.name, case["source"])
            else:
                assert found == wanted, (path.name, case["source"], case["hex"])
    assert seen > 400


class BindKey:
    """The key of a vector."""

    def __init__(self, key: str) -> None:
        self._key = bytes.fromhex(key)

    def bind_key(self, address: str) -> bytes | None:  # noqa: ARG002
        return self._key


def peers_values(expect: dict[str, Any]) -> dict[str, Any]:
    """The values of a vector by the peer's names, whatever it nests them in."""
    nested = ("peer_fields", "measurements", "binary")
    found = {k: v for k, v in expect.items() if k not in (*nested, "type")}
    for group in nested:
        values = expect.get(group) or {}
        found |= {"switch" if (group, k) == ("binary", "power") else k: v for k, v in values.items()}
    return found


def differences(profiles: Profiles, case: dict[str, Any], adv: bytes) -> Iterator[tuple[str, str]]:
    """Names of the peer's values that we read otherwise, and how."""
    expect = case["expect"]
    kind = expect["type"]
    if "bindkey" in case:
        profiles = profiles.with_bind_keys(BindKey(case["bindkey"]))
    room = f"profiles.{PROFILE_OF.get(kind, '')}"
    address = case.get("address", "").lower()
    claims = [d for d in profiles.decode(adv, address) if d.room == room or kind.startswith("minew_")]
    if not claims:
        yield "type", "nobody claims it"
        return
    is_bthome = kind.startswith("bthome")
    names = FIELDS["bthome"] if is_bthome else FIELDS.get(kind) or FIELDS.get(kind.partition("_")[0], {})
    for name, wanted in peers_values(expect).items():
        plain = name.rstrip("0123456789").rstrip("_") if is_bthome and name not in names else name
        if plain in names:
            yield from _difference(name, wanted, names[plain], claims[0])
    for name in expect.get("events") or {}:
        if not {"button", "dimmer"} & claims[0].values.keys():
            yield name, f"no event, {claims[0].outcome.value}"


def _difference(
    name: str, wanted: Any, ours: str | tuple[str, float], decoded: Decoded
) -> Iterator[tuple[str, str]]:
    field, factor = (ours, 1.0) if isinstance(ours, str) else ours
    found = [v for k, v in decoded.values.items() if k == field or k.startswith(f"{field}_")]
    every = [item for value in found for item in (value if isinstance(value, list) else [value])]
    if wanted is not None and not any(_same(wanted, value, factor) for value in every):
        yield name, f"{every} instead of {wanted} ({decoded.outcome.value})"


def _same(wanted: Any, value: Any, factor: float) -> bool:
    if isinstance(wanted, list):
        wanted = wanted[0]
    if isinstance(wanted, str) and isinstance(value, int) and wanted.endswith("+00:00"):
        wanted = datetime.fromisoformat(wanted).timestamp()
    if isinstance(wanted, int | float) and isinstance(value, int | float):
        return math.isclose(float(wanted), value * factor, rel_tol=1e-6, abs_tol=0.006)
    return bool(wanted == value)


def _test(case: dict[str, Any]) -> str:
    return str(case["source"]).rpartition("::")[2].split("/")[0]


def test_values(data: Path) -> None:
    profiles, seen, found = load_profiles(), 0, {}
    for path in sorted((data / "adverts").glob("*.jsonl")):
        for case in cases(path):
            kind, adv = case["expect"].get("type") or "", advertisement(case)
            if adv and (kind in PROFILE_OF or kind.startswith("minew_")):
                seen += 1
                for name, how in differences(profiles, case, adv):
                    found[f"{_test(case)} :: {name}"] = how
    assert seen > 150
    assert found.keys() == DISAGREEMENTS.keys(), found


def payload_of(case: dict[str, Any]) -> bytes:
    if case["format"] == "aprilbrother_v4_element":
        return msgspec.msgpack.encode({"v": "1.5.0", "devices": [bytes.fromhex(case["hex"])]})
    return bytes.fromhex(case["hex"]) if "hex" in case else msgspec.json.encode(case["payload"])


def observations(case: dict[str, Any]) -> list[dict[str, Any]]:
    """What a message means, one for each time that something was heard."""
    expect = case["expect"]
    if "rssiSignature" in expect:
        address = ":".join(expect["transmitterId"][i : i + 2] for i in range(0, 12, 2))
        return [
            {"receiver": s["receiverId"], "rssi": s["rssi"], "address": address}
            for s in expect["rssiSignature"]
        ]
    if "observations" in expect:
        every = ({**o, "adv": adv} for o in expect["observations"] for adv in o.get("adv", [None]))
        return list(every) if case["format"] == "minew_binary_long" else expect["observations"]
    return [expect] if "rssi" in expect and expect.get("address") not in SHORT_ADDRESSES else []


def test_receivers(data: Path) -> None:
    profiles, seen = load_profiles(), 0
    for case in cases(data / "receivers" / "payloads.jsonl"):
        if case["format"] in WITHOUT_PROFILE:
            continue
        seen += 1
        topic = case["topic"] if "topic" in case else TOPICS[case["format"]]
        read = profiles.read(Message(0.0, topic.replace("<kind>", "x"), payload_of(case)), Counts())
        found = [item for item in read if isinstance(item, Sighting)]
        wanted = observations(case)
        if case["format"] == "minew_binary_long":  # its peer gives a device's packets one RSSI, the strongest
            assert {s.address for s in found} == {o["address"].lower() for o in wanted}
            advs = {s.adv.hex() for s in found}
            assert advs - {""} == {o["adv"] for o in wanted}  # a packet without data was heard all the same
            continue
        assert len(found) == len(wanted), case
        for sighting, expect in zip(found, wanted, strict=True):
            assert sighting.rssi_dbm == expect["rssi"]
            assert sighting.address == expect.get("address", sighting.address).lower()
            receiver = expect.get("receiver") or case["expect"].get("receiver")
            if receiver:
                assert sighting.receiver.lower() == receiver.lower()
            if "frame" in expect:
                decoded = profiles.identities(sighting, Counts())
                assert identity(expect["frame"], b"")[0] in decoded
            if "battery" in expect:
                assert sighting.battery_pct == expect["battery"]
    assert seen > 20
