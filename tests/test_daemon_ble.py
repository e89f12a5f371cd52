"""From the radio to the platform: a real BleakScanner in the real daemon, a real mosquitto, events at the end."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from daemons import TAG, Place, consent, platform, until
from fake_bluez import FakeBluez, private_bus
from mosquitto import Mosquitto

PHONE, STRANGER = "C3:00:00:25:EF:6A", "DE:AD:00:00:BE:EF"
UUID = "e2c56db5dffb48d2b060d0f5a71096e0"


def ibeacon(minor: int) -> dict[int, bytes]:
    return {0x004C: bytes.fromhex(f"0215{UUID}0001{minor:04x}c5")}


@pytest.fixture
async def radio(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeBluez]:
    with tempfile.TemporaryDirectory() as folder:  # a socket's path is short
        async with private_bus(Path(folder) / "bus") as address:
            monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
            async with FakeBluez("hci0") as fake:
                yield fake


async def advertise(radio: FakeBluez, seconds: float) -> None:
    for n in range(round(seconds / 0.1)):
        await radio.advert(PHONE, -45 - n % 3, manufacturer=ibeacon(1))
        await radio.advert(STRANGER, -45 - n % 3, manufacturer=ibeacon(99))
        await asyncio.sleep(0.1)


async def test_heard_on_the_air_and_received_by_the_platform(tmp_path: Path, radio: FakeBluez) -> None:
    with Mosquitto(tmp_path / "broker") as broker:
        place = Place(tmp_path, broker)
        settings = place.config / "gateway.yaml"
        settings.write_text(settings.read_text() + "ble: {adapters: [auto], receiver: pi-01}\n")
        place.enrol(consent("anna", TAG.format(n=1)))
        async with place.daemon() as daemon, platform(place) as at:
            await daemon.says("ble: up")
            await advertise(radio, 4)
            await until(lambda: at.zone_changes("cereals")[:2] == ["entered", "dwelled"])
            await radio.restart("hci0")
            await daemon.says("bluetoothd stopped or restarted")
            await until(lambda: daemon.said().count("ble: up") == 2)
            await until(lambda: at.zone_changes("cereals")[-1] == "left")
            await advertise(radio, 3)
            await until(lambda: at.zone_changes("cereals")[3:4] == ["entered"])
            await daemon.stop()
    assert {e["subject"] for e in at.events.values()} == {"anna"}
    assert place.counted()["ble"]["heard"] > 100
    assert place.counted()["identity"]["unknown"] > 50
    for trace in (PHONE, STRANGER, PHONE.lower(), STRANGER.lower()):
        assert trace not in place.log.read_text()
