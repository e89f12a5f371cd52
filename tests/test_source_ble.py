"""The BLE source on the real BleakScanner, with tests/fake_bluez.py in place of bluetoothd and the radio."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from bleak.backends.scanner import AdvertisementData
from bluetooth_data_tools import parse_advertisement_data_bytes
from fake_bluez import FakeBluez, address_of, private_bus
from hypothesis import given
from hypothesis import strategies as st

from gateway.counts import Counts
from gateway.model import Sighting, Signal
from gateway.sources.ble import BleSource, ad_structures

TAG = "C3:00:00:25:EF:6A"
BASE = "-0000-1000-8000-00805f9b34fb"
IBEACON = {0x004C: bytes.fromhex("0215e2c56db5dffb48d2b060d0f5a71096e000010011c5")}
EDDYSTONE = f"0000feaa{BASE}"
NUS = "6e400001-b5a3-f393-e0a9-e50e24dcca9e"
IN_PROGRESS = "org.bluez.Error.InProgress"


# --- AD structures ---


def advertisement(
    manufacturer: dict[int, bytes], service: dict[str, bytes], uuids: list[str]
) -> AdvertisementData:
    return AdvertisementData(None, manufacturer, service, uuids, None, -60, ())


@pytest.mark.parametrize(
    ("manufacturer", "service", "uuids", "adv", "left_out"),
    [
        pytest.param({}, {}, [], "", 0, id="nothing"),
        pytest.param(IBEACON, {}, [], "1aff4c00" + IBEACON[0x4C].hex(), 0, id="ibeacon"),
        pytest.param({}, {EDDYSTONE: b"\x00\xee"}, [EDDYSTONE], "0303aafe0516aafe00ee", 0, id="eddystone"),
        pytest.param({}, {f"12345678{BASE}": b"\x01"}, [], "06207856341201", 0, id="32-bit service data"),
        pytest.param(
            {}, {NUS: b"\x01"}, [], "12219ecadc240ee5a9e093f3a3b50100406e01", 0, id="128-bit service data"
        ),
        pytest.param(
            {}, {}, [NUS, f"0000180f{BASE}", f"0000180a{BASE}"], "05030a180f18", 0, id="16-bit uuids only"
        ),
        pytest.param({2: b"b", 1: b"a"}, {}, [], "04ff01006104ff020062", 0, id="two companies, in order"),
        pytest.param({1: bytes(252)}, {}, [], "ffff0100" + "00" * 252, 0, id="254 bytes"),
        pytest.param({1: bytes(253)}, {EDDYSTONE: b""}, [], "0316aafe", 1, id="255 bytes, and one that fits"),
    ],
)
def test_structures_are_rebuilt(
    manufacturer: dict[int, bytes], service: dict[str, bytes], uuids: list[str], adv: str, left_out: int
) -> None:
    assert ad_structures(advertisement(manufacturer, service, uuids)) == (bytes.fromhex(adv), left_out)


payloads = st.binary(max_size=238)
short_uuids = st.integers(0, 0xFFFF).map(lambda short: f"{short:08x}{BASE}")
any_uuids = st.one_of(
    short_uuids, st.integers(0, 0xFFFFFFFF).map(lambda short: f"{short:08x}{BASE}"), st.uuids().map(str)
)


@given(
    st.dictionaries(st.integers(0, 0xFFFF), payloads, max_size=4),
    st.dictionaries(any_uuids, payloads, max_size=4),
    st.lists(short_uuids, max_size=20, unique=True),
)
def test_another_parser_reads_the_same(
    manufacturer: dict[int, bytes], service: dict[str, bytes], uuids: list[str]
) -> None:
    adv, left_out = ad_structures(advertisement(manufacturer, service, uuids))
    _, read_uuids, read_service, read_manufacturer, _ = parse_advertisement_data_bytes(adv)
    assert (read_manufacturer, read_service, sorted(read_uuids)) == (manufacturer, service, sorted(uuids))
    assert left_out == 0
    backwards = dict(reversed(manufacturer.items())), dict(reversed(service.items())), uuids[::-1]
    assert ad_structures(advertisement(*backwards)) == (adv, 0)


# --- on the air ---


@pytest.fixture
async def bus(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[None]:
    async with private_bus(tmp_path_factory.mktemp("bus") / "s") as address:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
        yield


@pytest.fixture
async def bluez(bus: None) -> AsyncIterator[FakeBluez]:  # noqa: ARG001 - the bus must be there
    async with FakeBluez("hci0") as fake:
        yield fake


class Ear:
    """A BLE source in the hurry of a test, and what came of it."""

    def __init__(self, **settings: Any) -> None:
        self.heard: list[Sighting] = []
        self.counts = Counts()
        hurry = {"silence_s": 30.0, "answer_s": 2.0, "retry_base_s": 0.02, "retry_cap_s": 0.05}
        self.source = BleSource(
            "pi-01", self._take, lambda: 1766397600.25, counts=self.counts, **hurry | settings
        )
        self.link = self.source.link

    def _take(self, signal: Signal) -> None:
        assert isinstance(signal, Sighting)
        self.heard.append(signal)

    def counted(self, outcome: str) -> int:
        return self.counts.of("ble", outcome)


@asynccontextmanager
async def listening(*, up: bool = True, **settings: Any) -> AsyncIterator[Ear]:
    """The source at work; its end is clean, and quick, whatever happened."""
    ear = Ear(**settings)
    task = asyncio.create_task(ear.source.run())
    try:
        if up:
            await until(lambda: ear.link.state == "up")
        yield ear
    finally:
        stopping_s = time.monotonic()
        task.cancel()
        await asyncio.wait({task}, timeout=3)
        assert task.cancelled()
        assert time.monotonic() - stopping_s < 2


async def until(happened: Callable[[], bool], within_s: float = 3.0) -> None:
    deadline_s = time.monotonic() + within_s
    while not happened():
        assert time.monotonic() < deadline_s, "it did not happen"
        await asyncio.sleep(0.005)


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


# --- what goes wrong ---


async def test_bluetoothd_restarts(bluez: FakeBluez, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with listening(retry_base_s=0.2) as ear:
        await bluez.restart()
        await until(lambda: ear.link.state == "down")
        assert "bluetoothd" in ear.link.detail
        await until(lambda: ear.link.state == "up")
        assert await bluez.advert(TAG, -67, manufacturer=IBEACON)
        await until(lambda: len(ear.heard) == 1)
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING", "INFO"]


async def test_the_adapter_comes_back_under_another_name(bluez: FakeBluez) -> None:
    async with listening(silence_s=0.1):
        await bluez.remove_adapter("hci0")
        await bluez.add_adapter("hci1")
        await until(lambda: bluez.scanning)


async def test_bluetoothd_restarts_with_another_adapter(bluez: FakeBluez) -> None:
    async with listening() as ear:
        await bluez.restart("hci1")
        await until(lambda: bluez.scanning and ear.link.state == "up")


@pytest.mark.usefixtures("bus")
async def test_no_adapter_then_one_appears() -> None:
    async with FakeBluez() as bluez, listening(up=False) as ear:
        await until(lambda: "no Bluetooth adapter" in ear.link.detail)
        await bluez.add_adapter("hci0")
        await until(lambda: ear.link.state == "up")


async def test_the_adapter_named_is_not_there(bluez: FakeBluez) -> None:
    async with listening(up=False, adapter=address_of("hci7")) as ear:
        await until(lambda: "no adapter has the address in the settings" in ear.link.detail)
        assert ear.link.state == "down"
        await bluez.add_adapter("hci7")
        await until(lambda: ear.link.state == "up")


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


async def test_the_adapter_is_removed_and_comes_back(bluez: FakeBluez) -> None:
    """Noticed at once, not by a minute of silence."""
    async with listening(silence_s=30.0) as ear:
        await bluez.remove_adapter("hci0")
        await until(lambda: "the adapter" in ear.link.detail or "no Bluetooth" in ear.link.detail)
        await bluez.add_adapter("hci0")
        await until(lambda: bluez.scanning)
        await bluez.advert(TAG, -67, manufacturer=IBEACON)
        await until(lambda: bool(ear.heard))


async def test_the_adapter_is_switched_off_while_it_scans(bluez: FakeBluez) -> None:
    async with listening(silence_s=30.0) as ear:
        await bluez.power("hci0", on=False)
        await until(lambda: "rfkill unblock" in ear.link.detail)
        await bluez.power("hci0", on=True)
        await until(lambda: ear.link.state == "up")


async def test_the_adapter_is_off_then_on(bluez: FakeBluez) -> None:
    await bluez.power("hci0", on=False)
    async with listening(up=False) as ear:
        await until(lambda: "rfkill unblock" in ear.link.detail)
        await bluez.power("hci0", on=True)
        await until(lambda: ear.link.state == "up")


@pytest.mark.parametrize(
    ("method", "error", "words"),
    [
        ("StartDiscovery", IN_PROGRESS, "the adapter is busy"),
        ("StartDiscovery", "org.bluez.Error.NotReady", "rfkill unblock bluetooth"),
        ("StartDiscovery", "org.bluez.Error.NotAuthorized", "group bluetooth"),
        ("StartDiscovery", "org.bluez.Error.Failed", "org.bluez.Error.Failed"),
        ("GetManagedObjects", "org.freedesktop.DBus.Error.AccessDenied", "group bluetooth"),
        ("GetManagedObjects", "org.freedesktop.DBus.Error.ServiceUnknown", "bluetoothd is not running"),
    ],
)
async def test_bluetoothd_refuses(bluez: FakeBluez, method: str, error: str, words: str) -> None:
    bluez.refuse[method] = error
    async with listening(up=False) as ear:
        await until(lambda: words in ear.link.detail)
        assert ear.link.state == "down"
        del bluez.refuse[method]
        await until(lambda: ear.link.state == "up")


async def test_bluetoothd_does_not_answer_but_scans(bluez: FakeBluez) -> None:
    """The scan half begun must not keep the next one out."""
    bluez.ignore.add("StartDiscovery")
    async with listening(up=False, answer_s=0.1) as ear:
        await until(lambda: "does not answer" in ear.link.detail)
        bluez.ignore.clear()
        await until(lambda: ear.link.state == "up")
        await bluez.advert(TAG, -67, manufacturer=IBEACON)
        await until(lambda: bool(ear.heard))


@pytest.mark.parametrize("fault", ["ignored", IN_PROGRESS])
async def test_the_end_is_quick_though_the_scan_cannot_be_stopped(bluez: FakeBluez, fault: str) -> None:
    async with listening(answer_s=0.5):
        if fault == "ignored":
            bluez.ignore.add("StopDiscovery")
        else:
            bluez.refuse["StopDiscovery"] = fault


async def test_silence_rebuilds_the_scanner(bluez: FakeBluez, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with listening(silence_s=0.2) as ear:
        bluez.fall_deaf()
        await until(lambda: bluez.starts >= 3)
        assert ear.link.state == "down"
        assert "nothing heard for 0.2 s" in ear.link.detail
        await until(lambda: bluez.scanning)
        await bluez.advert(TAG, -67, manufacturer=IBEACON)
        await until(lambda: ear.link.state == "up")
        assert len(ear.heard) == 1
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING", "INFO"]


async def test_a_controller_that_hangs_is_switched_off_and_on(
    bluez: FakeBluez, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.sources.bluez.OFF_S", 0.01)
    bluez.is_stuck = True
    async with listening(silence_s=0.1) as ear:
        await until(lambda: bluez.switched_on == 1)
        assert not bluez.is_stuck
        await until(lambda: bluez.scanning)
        await bluez.advert(TAG, -67, manufacturer=IBEACON)
        await until(lambda: ear.link.state == "up")
        assert ear.counted("resets") == 1


async def test_resets_back_off(bluez: FakeBluez, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.sources.bluez.OFF_S", 0.01)
    async with listening(silence_s=0.03) as ear:
        await until(lambda: bluez.starts >= 17)
        assert 3 <= ear.counted("resets") <= 4  # of seventeen scans before the 3rd, 4th, 7th and 14th or so


async def test_an_adapter_that_stays_busy_is_switched_off_and_on(
    bluez: FakeBluez, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.sources.bluez.OFF_S", 0.01)
    bluez.refuse["StartDiscovery"] = IN_PROGRESS
    async with listening(up=False) as ear:
        await until(lambda: bluez.switched_on == 1)
        del bluez.refuse["StartDiscovery"]
        await until(lambda: ear.link.state == "up")


async def test_a_reset_that_fails_is_counted_and_the_scan_goes_on(bluez: FakeBluez) -> None:
    bluez.refuse["Set"] = "org.bluez.Error.Busy"
    async with listening(silence_s=0.05) as ear:
        await until(lambda: ear.counted("resets_failed") == 1)
        await until(lambda: bluez.scanning)
        await bluez.advert(TAG, -67, manufacturer=IBEACON)
        await until(lambda: ear.link.state == "up")


async def test_reports_that_are_no_advertisement_do_not_hide_silence(bluez: FakeBluez) -> None:
    async with listening(silence_s=0.2) as ear:
        await bluez.advert(TAG, -67, manufacturer=IBEACON)
        while ear.link.state == "up":
            await bluez.unrelated_change(TAG)
            await asyncio.sleep(0.02)
        assert ear.counted("heard") == 1


async def test_no_system_bus_then_one_then_another(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    socket = tmp_path_factory.mktemp("bus") / "s"
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={socket}")
    # dbus-fast leaves a failed write behind, unawaited, when bleak calls on a bus that has died.
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    async with listening(up=False) as ear:
        await until(lambda: "D-Bus cannot be reached" in ear.link.detail)
        for heard in (1, 2):
            async with private_bus(socket), FakeBluez("hci0") as bluez:
                await until(lambda: ear.link.state == "up")
                await bluez.advert(TAG, -67, manufacturer=IBEACON)
                await until(lambda heard=heard: len(ear.heard) == heard)  # type: ignore[misc]
            await until(lambda: "D-Bus" in ear.link.detail)
        assert ear.link.state == "down"


async def test_no_address_in_the_log(bluez: FakeBluez, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with listening() as ear:
        caplog.clear()
        await bluez.advert(TAG, -67, manufacturer=IBEACON)
        await until(lambda: bool(ear.heard))
    lines = [record.getMessage().upper() for record in caplog.records]
    assert not [line for line in lines if TAG in line or TAG.replace(":", "_") in line]
