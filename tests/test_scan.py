"""`gateway scan`: what an operator sees of the air, and that no address is shown whole or kept."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from daemons import SITE, TAG, advertisement, consent
from fake_bluez import FakeBluez, private_bus
from test_identity_resolvable import IRK, address

from gateway.model import Sighting
from gateway.settings import load_site
from gateway.verbs.scan_table import MOST_ROWS, Air, Seen, as_json, fitted, for_the_map, masked, table

IBEACON = "ibeacon:e2c56db5-dffb-48d2-b060-d0f5a71096e0:1:{n}"
EDDYSTONE = "eddystone:00010203040506070809:aabbccddeeff"


def look(sighting: Sighting) -> Seen:
    """A test writes the identity into `Sighting.identity`; tag 7 is placed, tag 17 enrolled."""
    known = {"7": "beacon shelf-07", "17": "enrolled"}.get(sighting.identity.rpartition(":")[2], "")
    return Seen(sighting.identity, ("ibeacon",) if sighting.identity else (), known, -59.0 if known else None)


def heard(t_s: float, rssi_dbm: float, identity: str = "", where: str = "c3:00:00:00:00:01") -> Sighting:
    return Sighting(t_s, "", where, "random", rssi_dbm, b"", identity)


def scanned(*sightings: Sighting) -> Air:
    air = Air(look, 0.0, 12.0)
    for sighting in sightings:
        air.take(sighting)
    return air


def test_the_table() -> None:
    air = scanned(
        *(heard(t / 2, -45 - t, IBEACON.format(n=7)) for t in range(24)),
        *(heard(float(t), -70, IBEACON.format(n=17), "c3:00:00:00:00:17") for t in (0, 1, 2, 9)),
        *(heard(float(t), -81, EDDYSTONE, "c3:00:00:00:00:50") for t in range(12)),
        heard(3.0, -66, where="4a:11:22:33:44:55"),
    )
    assert list(table(air, 110)) == [
        " dBm  signal        per s  profile                   who",
        " -56  ██▇▇▇▆▆▆▆▅▅▅    2.0  ibeacon  beacon shelf-07  ibeacon:e2c56db5-dffb-48d2-b060-d0f5a71096e0:1:7",
        " -70  ▅▅▅      ▅      0.3  ibeacon  enrolled         ibeacon:e2c56db5-dffb-48d2-b060-d0f5a71096e0:1:17",
        " -81  ▃▃▃▃▃▃▃▃▃▃▃▃    1.0  ibeacon  unknown          eddystone:00010203040506070809:aabbccddeeff",
        " -66     ▅            0.1  -                         4a:…:55 random",
    ]
    narrow = list(table(air, 80))
    assert max(map(len, narrow)) <= 80
    assert narrow[1].endswith("ibeacon:e2c5…f5a71096e0:1:7")


def test_frames_without_an_identity_belong_to_the_tag_with_that_address() -> None:
    air = scanned(heard(0.0, -60), heard(1.0, -62, IBEACON.format(n=7)), heard(2.0, -64))
    (row,) = air.rows()
    assert (row.identity, row.heard) == (IBEACON.format(n=7), 2)


def test_yaml_for_the_map_is_read_by_the_gateway(tmp_path: Path) -> None:
    others = "ibeacon:00000000-0000-0000-0000-000000000001:1:{n}"
    air = scanned(
        *(heard(0.0, -50 - n, IBEACON.format(n=n), f"c3:00:00:00:00:{n:02x}") for n in (7, 8, 17)),
        heard(0.0, -61, others.format(n=8), "c3:00:00:00:00:21"),
        heard(0.0, -62, EDDYSTONE, "c3:00:00:00:00:22"),
        heard(0.0, -63, "irk:anna-phone", "4a:00:00:00:00:01"),
    )
    lines = list(for_the_map(air.rows(), "ground"))
    assert (
        lines[1]
        == f'  - {{id: ibeacon-1-8, identity: "{IBEACON.format(n=8)}", floor: ground}}  # at: [x, y]   -58 dBm'
    )
    (tmp_path / "site.yaml").write_text(SITE + "\n".join(lines) + "\n")
    assert [(b.id, b.identity) for b in load_site(tmp_path).beacons] == [
        ("ibeacon-1-8", IBEACON.format(n=8)),
        ("ibeacon-1-8-1", others.format(n=8)),
        ("eddystone-aabbccddeeff", EDDYSTONE),
    ]
    assert list(for_the_map(scanned(heard(0.0, -50)).rows(), "ground")) == []


def test_nothing_and_too_much() -> None:
    assert list(table(scanned(), 80)) == ["Nothing heard."]
    air = scanned(
        *(heard(0.0, -60, where=f"4a:00:00:00:{n >> 8:02x}:{n & 255:02x}") for n in range(MOST_ROWS + 5))
    )
    assert len(air.rows()) == MOST_ROWS
    assert list(table(air, 80))[-1] == f"and {MOST_ROWS + 5 - 10:,} more without an identity"


@pytest.mark.parametrize(
    ("where", "kind", "shown"),
    [("c3:00:00:25:ef:6a", "random", "c3:…:6a random"), ("c3:00:00:25:ef:6a", "", "c3:…:6a unknown"), ("", "", "no address")],
)  # fmt: skip
def test_an_address_is_masked(where: str, kind: str, shown: str) -> None:
    assert masked(where, kind) == shown
    assert json.loads(next(iter(as_json(scanned(heard(0.0, -60, where=where))))))["address"].startswith(
        shown[:3]
    )


def test_a_long_identity_keeps_both_ends() -> None:
    assert fitted("abcdefghij", 10) == "abcdefghij"
    assert fitted("abcdefghijk", 8) == "abc…hijk"


# --- on the air ---


@pytest.fixture
async def air(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeBluez]:
    with tempfile.TemporaryDirectory() as folder:  # a socket's path is short
        async with private_bus(Path(folder) / "bus") as bus:
            monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus)
            async with FakeBluez("hci0") as fake:
                yield fake


async def advertise(fake: FakeBluez) -> None:
    while True:
        for n in (1, 7, 99):
            await fake.advert(
                f"C3:00:00:00:00:{n:02X}", -60, manufacturer={0x004C: bytes.fromhex(advertisement(n))[7:]}
            )
        for where in (address(1).upper(), "4B:00:00:00:00:01"):
            await fake.advert(where, -70, manufacturer={0x004C: bytes.fromhex("1006031e2f3a4b5c")})
        await asyncio.sleep(0.05)


def files_in(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def scan(*options: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "scan", *options), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "COLUMNS": "140"},
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_a_scan_with_a_configuration(tmp_path: Path, air: FakeBluez) -> None:
    config = tmp_path / "config"
    config.mkdir()
    beacon = f'beacons: [{{id: shelf-07, identity: "{TAG.format(n=7)}", floor: ground, at: [3, 3]}}]\n'
    (config / "site.yaml").write_text(SITE + beacon)
    keys = config / "identity-keys.yaml"
    keys.write_text(f'irk: {{anna-phone: "{IRK.hex()}"}}\n')
    keys.chmod(0o600)
    (config / "gateway.yaml").write_text(
        "gateway: {id: pi-01, state_dir: state}\nble: {adapters: [auto]}\nidentity_keys: identity-keys.yaml\n"
        "consent: {feed: {file: consent.yaml}}\n"
    )
    records = [consent("trolley", TAG.format(n=1)), consent("anna", "irk:anna-phone")]
    (config / "consent.yaml").write_text(json.dumps(records))
    before = files_in(tmp_path)
    task = asyncio.create_task(advertise(air))
    code, out, err = await scan("--config", str(config), "--seconds", "3")
    json_code, lines, _ = await scan("--config", str(config), "--seconds", "2", "--json")
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert (code, json_code) == (0, 0)
    known = {line.split()[-1]: line for line in out.splitlines() if "  " in line}
    assert "enrolled" in known[TAG.format(n=1)]
    assert "enrolled" in known["irk:anna-phone"]
    assert "beacon shelf-07" in known[TAG.format(n=7)]
    assert f'  - {{id: ibeacon-1-99, identity: "{TAG.format(n=99)}", floor: ground' in out
    assert "4b:…:01 random" in out
    assert err == "Listening for 3 s; Ctrl-C ends it earlier.\n"
    rows = [json.loads(line) for line in lines.splitlines()]
    assert {row["identity"] for row in rows} == {
        *(TAG.format(n=n) for n in (1, 7, 99)),
        "irk:anna-phone",
        None,
    }
    assert all(row["per_s"] > 0 for row in rows)
    for where in (address(1), "4b:00:00:00:00:01", "c3:00:00:00:00:01"):
        assert where not in (out + err + lines).lower()
    after = files_in(tmp_path)
    assert after == before, "a scan stores nothing"


async def test_without_a_radio_it_says_what_would_help(air: FakeBluez) -> None:
    await air.remove_adapter("hci0")
    code, out, err = await scan("--seconds", "1")
    assert (code, out) == (1, "")
    assert "gateway: ble: no Bluetooth adapter; plug one in or enable the built-in one" in err
    code, _, err = await scan("--seconds", "1", "--adapter", "00:11:22:33:44:99")
    assert code == 1
    assert "no adapter has the address in the settings" in err
