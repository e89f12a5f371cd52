"""The BLE source: what BlueZ reports of the air becomes sightings, and a scanner gone deaf is rebuilt.

bluetoothd tells programs of properties that changed, not of advertisements. Asked with the filters below it
repeats RSSI and data for each advertisement; bleak adds what it remembers of the device. So `adv` holds no
flags and no name, and where a device alternates between frames it may hold both.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from functools import lru_cache
from typing import Final

from bleak import BleakScanner
from bleak.args.bluez import BlueZScannerArgs
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakDBusError

from gateway.counts import Counts
from gateway.links import Link, full_jitter
from gateway.model import Sighting
from gateway.recent import Recent
from gateway.sources import Clock, Hear
from gateway.sources.bluez import (
    STOP_S,
    Bluetoothd,
    bleaks_bus,
    bluetoothd,
    disconnect_bleak,
    in_operators_words,
    is_stuck,
)

_LOOK_S: Final = 1.0
"""How often to see whether another scanner of this process has had bleak's connection closed."""
_MOST_SCANS_BETWEEN_RESETS: Final = 64

# AD types, Bluetooth Assigned Numbers §2.3
_UUIDS_16: Final = 0x03
_SERVICE_DATA: Final = {2: 0x16, 4: 0x20, 16: 0x21}
_MANUFACTURER: Final = 0xFF
_BODY_MAX: Final = 254
_BASE_UUID: Final = uuid.UUID("00000000-0000-1000-8000-00805f9b34fb").int


@lru_cache(maxsize=1024)
def _uuid_on_air(text: str) -> bytes:
    """Little-endian, in the shortest form: 2 or 4 bytes under the Bluetooth base UUID, else 16."""
    value = uuid.UUID(text).int
    short, rest = divmod(value, 1 << 96)
    if rest != _BASE_UUID:
        return value.to_bytes(16, "little")
    return short.to_bytes(2 if short < 1 << 16 else 4, "little")


def ad_structures(data: AdvertisementData) -> tuple[bytes, int]:
    """AD structures as on the air, ordered by type and content, and how many were left out as over 254 bytes.

    Core Specification Vol 3 Part C §11. ValueError on a service UUID that is none.
    """
    uuids = (_uuid_on_air(text) for text in data.service_uuids)
    bodies = [(_UUIDS_16, b"".join(sorted(u for u in uuids if len(u) == 2)))]
    for text, payload in data.service_data.items():
        on_air = _uuid_on_air(text)
        bodies.append((_SERVICE_DATA[len(on_air)], on_air + payload))
    for company, payload in data.manufacturer_data.items():
        bodies.append((_MANUFACTURER, company.to_bytes(2, "little") + payload))
    fitting = sorted((ad_type, body) for ad_type, body in bodies if len(body) <= _BODY_MAX)
    adv = b"".join(bytes((len(body) + 1, ad_type)) + body for ad_type, body in fitting if body)
    return adv, len(bodies) - len(fitting)


class BleSource:
    """Hears with one adapter, known by its address (None: the first one powered), for one receiver.

    Counted in room `ble`: `heard`; `no_rssi` and `unchanged` (a report that is no advertisement); `oversized`
    (AD structures left out of a sighting); `resets` and `resets_failed`.

    `silence_s` without an advertisement: the scanner is rebuilt; when that was in vain for the 2nd, 4th, 8th
    and so on up to every 64th time, the adapter is switched off and on before it. `answer_s` is how long
    bluetoothd may take to start a scan, `retry_*_s` bound the pauses after a failure.
    """

    def __init__(
        self,
        receiver: str,
        hear: Hear,
        clock: Clock,
        *,
        adapter: str | None = None,
        counts: Counts | None = None,
        silence_s: float = 60.0,
        answer_s: float = 20.0,
        retry_base_s: float = 1.0,
        retry_cap_s: float = 30.0,
    ) -> None:
        self.link = Link(f"ble {adapter}" if adapter else "ble")
        self._receiver, self._hear, self._clock = receiver, hear, clock
        self._address = adapter
        self._counts = counts if counts is not None else Counts()
        self._silence_s, self._answer_s = silence_s, answer_s
        self._silence = (
            f"nothing heard for {silence_s:g} s, scanning anew; if that stays, restart the machine"
        )
        self._retry_s = retry_base_s, retry_cap_s
        self._latest: Recent[str, tuple[object, object, int]] = Recent()
        """Reports by the device's path, which holds its address."""
        self._heard_s = 0.0
        self._deaf = False
        self._in_vain = 0
        """Scans in a row that heard nothing or could not begin because something hangs."""

    async def run(self) -> None:
        """Hear until cancelled; whatever fails is said on `link` and tried again."""
        for library in ("bleak", "dbus_fast"):
            # At debug they print addresses; their warnings reach the operator through the link.
            logging.getLogger(library).setLevel(logging.ERROR)
        pauses = full_jitter(*self._retry_s)
        while True:
            try:
                self.link.down(await self._scan())
                pauses = full_jitter(*self._retry_s)
            except Exception as error:  # what bleak and dbus-fast raise is not a closed set
                self._in_vain += is_stuck(error)
                self.link.down(in_operators_words(error))
            await asyncio.sleep(next(pauses))

    async def _scan(self) -> str:
        """One scanner from start to stop; returns why it has to be rebuilt."""
        self._latest.clear()
        async with bluetoothd(self._answer_s) as watched:
            adapter = await watched.adapter(self._address)
            if adapter is not None:
                await self._reset_if_stuck(watched, adapter)
                await watched.watch(adapter)
            scanner = BleakScanner(self._on_report, bluez=_scanner_arguments(adapter))
            try:
                async with asyncio.timeout(self._answer_s):
                    await scanner.start()
            except (BleakDBusError, TimeoutError, asyncio.CancelledError):
                await disconnect_bleak()
                raise
            try:
                self._heard_s = time.monotonic()
                if self._deaf:  # a scanner that starts proves nothing: up with the next advertisement
                    self.link.down(self._silence)
                else:
                    self.link.up("scanning")
                return await self._until_deaf(watched.lost)
            finally:
                # It fails when bluetoothd is gone; bleak has let go of our callback before that.
                with contextlib.suppress(Exception):
                    async with asyncio.timeout(min(self._answer_s, STOP_S)):
                        await scanner.stop()

    async def _reset_if_stuck(self, watched: Bluetoothd, adapter: str) -> None:
        n = self._in_vain
        if n < 2 or (n & (n - 1) and n % _MOST_SCANS_BETWEEN_RESETS):
            return
        self._in_vain += 1  # if the reset itself fails, the next waits its turn
        await disconnect_bleak()
        try:
            await watched.power_cycle(adapter)
            self._counts.count("ble", "resets")
        except (BleakDBusError, TimeoutError):
            self._counts.count("ble", "resets_failed")

    async def _until_deaf(self, lost: asyncio.Future[str]) -> str:
        bus = await bleaks_bus()
        while (left_s := self._heard_s + self._silence_s - time.monotonic()) > 0:
            await asyncio.wait({lost}, timeout=min(left_s, _LOOK_S))
            self._latest.fade(time.monotonic())
            if lost.done():
                return lost.result()
            if bus is not None and not bus.connected:
                return "the connection to bluetoothd broke; scanning anew"
        self._deaf = True
        self._in_vain += 1
        return self._silence

    def _on_report(self, device: BLEDevice, data: AdvertisementData) -> None:
        if not -127 < data.rssi <= 20:  # HCI's range; bleak says -127 where BlueZ gives none
            self._counts.count("ble", "no_rssi")
            return
        path, props = data.platform_data
        latest = (props.get("ManufacturerData"), props.get("ServiceData"), data.rssi)
        before, now_s = self._latest.get(path), time.monotonic()
        self._latest.put(path, latest, now_s)
        if _unchanged(before, latest):
            self._counts.count("ble", "unchanged")
            return
        self._heard_s = now_s
        self._in_vain = 0
        if self._deaf:
            self._deaf = False
            self.link.up("scanning")
        adv, left_out = ad_structures(data)
        self._counts.count("ble", "heard")
        if left_out:
            self._counts.count("ble", "oversized", left_out)
        address, address_type = device.address.lower(), props.get("AddressType", "")
        self._hear(Sighting(self._clock(), self._receiver, address, address_type, float(data.rssi), adv))


def _unchanged(before: tuple[object, object, int] | None, now: tuple[object, object, int]) -> bool:
    """Whether some other property of the device changed: an advertisement brings RSSI and data anew.

    bleak does not say which property changed, but it keeps the objects of those that did not. Without
    manufacturer or service data, and with the same RSSI, it cannot be told: taken for an advertisement.
    """
    if before is None or (now[0] is None and now[1] is None):
        return False
    return now[0] is before[0] and now[1] is before[1] and now[2] == before[2]


def _scanner_arguments(adapter: str | None) -> BlueZScannerArgs:
    # Without both filters bluetoothd withholds repeated data and RSSI changes below 8 dB.
    arguments: BlueZScannerArgs = {"filters": {"DuplicateData": True, "RSSI": -127}}
    if adapter is not None:
        arguments["adapter"] = adapter
    return arguments
