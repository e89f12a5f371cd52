"""The BLE source on the real BleakScanner, with tests/fake_bluez.py in place of bluetoothd and the radio."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from ears import IBEACON, TAG, listening, until
from fake_bluez import FakeBluez, address_of

from gateway.model import Sighting

EDDYSTONE = "0000feaa-0000-1000-8000-00805f9b34fb"


@pytest.mark.parametrize(
    ("address_type", "air", "adv"),
    [
        ("random", {"manufacturer": IBEACON}, "1aff4c00" + IBEACON[0x4C].hex()),
        ("public", {"service": {EDDYSTONE: b"\x00"}, "uuids": [EDDYSTONE]}, "0303aafe0416aafe00"),
    ],
)
async def test_an_advertisement_becomes_a_sighting(
    bluez: FakeBluez, address_type: str, air: dict[str, Any], adv: str
) -> None:
    async with listening() as ear:
        await bluez.advert(TAG, -67, address_type=address_type, **air)
        await until(lambda: bool(ear.heard))
        assert ear.heard == [
            Sighting(1766397600.25, "pi-01", TAG.lower(), address_type, -67.0, bytes.fromhex(adv))
        ]
    assert not bluez.scanning


async def test_what_is_an_advertisement_and_what_is_not(bluez: FakeBluez) -> None:
    async with listening() as ear:
        await bluez.advert(TAG, -67, manufacturer=IBEACON)
        await bluez.advert(TAG, -66, manufacturer=IBEACON)  # less than 8 dB, the same data
        await bluez.advert(TAG, -66, manufacturer=IBEACON)  # nothing new at all, and yet heard again
        await until(lambda: len(ear.heard) == 3)

        await bluez.unrelated_change(TAG)
        await bluez.advert(TAG, -127, manufacturer=IBEACON)
        await bluez.invalidate_rssi(TAG)
        await bluez.advert(TAG, 127, manufacturer=IBEACON)  # HCI: RSSI not available
        await until(lambda: ear.counts.total("ble") == 7)
        assert [s.rssi_dbm for s in ear.heard] == [-67, -66, -66]
        assert ear.counts.by_room() == {"ble": {"heard": 3, "no_rssi": 3, "unchanged": 1}}


async def test_a_device_without_data_is_heard_every_time(bluez: FakeBluez) -> None:
    async with listening() as ear:
        for _ in range(3):
            await bluez.advert(TAG, -70)
        await until(lambda: len(ear.heard) == 3)


async def test_what_is_too_long_is_left_out_and_counted(bluez: FakeBluez) -> None:
    async with listening() as ear:
        await bluez.advert(TAG, -67, manufacturer={1: bytes(300), 2: b"b"})
        await until(lambda: bool(ear.heard))
        assert ear.heard[0].adv == bytes.fromhex("04ff020062")
        assert ear.counted("oversized") == 1


async def test_a_thousand_advertisements_and_none_lost(bluez: FakeBluez) -> None:
    async with listening() as ear:
        for n in range(1000):
            await bluez.advert(
                f"C3:00:00:00:00:{n % 20:02X}", -60 - n % 7, manufacturer={1: n.to_bytes(2, "big")}
            )
        await until(lambda: len(ear.heard) >= 1000)
        assert [int.from_bytes(s.adv[4:], "big") for s in ear.heard] == list(range(1000))


async def test_an_adapter_is_known_by_its_address(bluez: FakeBluez) -> None:
    """Which number an adapter gets is decided anew at each start of the machine."""
    await bluez.add_adapter("hci1")
    async with listening(adapter=address_of("hci1").lower()) as ear:
        await bluez.advert(TAG, -50, manufacturer=IBEACON, adapter="hci0")
        await bluez.advert(TAG, -67, manufacturer=IBEACON, adapter="hci1")
        await until(lambda: bool(ear.heard))
        assert [s.rssi_dbm for s in ear.heard] == [-67]


async def test_two_adapters_hear_side_by_side_and_one_starting_anew_does_not_deafen_the_other(
    bluez: FakeBluez,
) -> None:
    await bluez.add_adapter("hci1")
    async with listening(adapter=address_of("hci0")) as one, listening(adapter=address_of("hci1")) as other:
        await bluez.advert(TAG, -50, manufacturer=IBEACON, adapter="hci0")
        await bluez.advert(TAG, -67, manufacturer=IBEACON, adapter="hci1")
        await until(lambda: bool(one.heard and other.heard))
        await bluez.remove_adapter("hci1")
        await until(lambda: other.link.state == "down")
        await bluez.add_adapter("hci1")
        await until(lambda: one.link.state == other.link.state == "up" and bluez.scanning)
        await bluez.advert(TAG, -51, manufacturer=IBEACON, adapter="hci0")
        await until(lambda: one.heard[-1].rssi_dbm == -51)


async def test_no_address_in_the_log(bluez: FakeBluez, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with listening() as ear:
        caplog.clear()
        await bluez.advert(TAG, -67, manufacturer=IBEACON)
        await until(lambda: bool(ear.heard))
    lines = [record.getMessage().upper() for record in caplog.records]
    assert not [line for line in lines if TAG in line or TAG.replace(":", "_") in line]
