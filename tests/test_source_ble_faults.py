"""The BLE source when bluetoothd, an adapter or the bus go away, hang or refuse; and silence."""

from __future__ import annotations

import asyncio
import logging

import pytest
from ears import IBEACON, TAG, listening, until
from fake_bluez import FakeBluez, address_of, private_bus

IN_PROGRESS = "org.bluez.Error.InProgress"


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
