"""A bluetoothd without a radio: enough of `org.bluez` on a private bus for the real BleakScanner.

Like the real one it reports only while somebody scans, keeps one discovery per connection, and withholds
repeated data and RSSI changes below 8 dB from scanners that do not ask for them.
"""

from __future__ import annotations

import asyncio
import shutil
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Self

from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

_BUS_CONF = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/> <allow own="*"/> <allow send_destination="*"/> <allow receive_sender="*"/>
  </policy>
</busconfig>
"""
_ADAPTER, _DEVICE = "org.bluez.Adapter1", "org.bluez.Device1"
_DBUS = "org.freedesktop.DBus"
_RSSI_STEP_DB = 8
_PACE_S = 0.0005
"""dbus-fast takes a full socket for a broken one, so signals may not come in bursts."""

Properties = dict[str, Variant]


@asynccontextmanager
async def private_bus(socket: Path) -> AsyncIterator[str]:
    """The address of a dbus-daemon of our own, for DBUS_SYSTEM_BUS_ADDRESS. RuntimeError if it cannot run."""
    program = shutil.which("dbus-daemon")
    if program is None:
        raise RuntimeError("dbus-daemon is missing, and these tests need it: apt-get install dbus")
    config = socket.with_suffix(".conf")
    config.write_text(_BUS_CONF.format(socket=socket))
    arguments = (f"--config-file={config}", "--nofork", "--nopidfile", "--print-address")
    daemon = await asyncio.create_subprocess_exec(program, *arguments, stdout=PIPE, stderr=PIPE)
    assert daemon.stdout and daemon.stderr
    try:
        if not await daemon.stdout.readline():
            raise RuntimeError(f"dbus-daemon did not start: {(await daemon.stderr.read()).decode()}")
        yield f"unix:path={socket}"
    finally:
        if daemon.returncode is None:
            daemon.terminate()
        await daemon.wait()
        await asyncio.sleep(0.02)  # its clients in this loop read the end and close


class FakeBluez:
    """`async with FakeBluez()`: owns org.bluez, with the adapters named (none: no radio).

    `refuse` maps a method to the D-Bus error that it is answered with; methods in `ignore` are not answered.
    """

    def __init__(self, *adapters: str, bus: str | None = None) -> None:
        """`bus`: address of the bus to be on; None: what DBUS_SYSTEM_BUS_ADDRESS says when it begins."""
        self._bus_address = bus
        self.refuse: dict[str, str] = {}
        self.ignore: set[str] = set()
        self.starts = 0
        """Discoveries begun so far."""
        self.switched_on = 0
        """How often a program switched an adapter on."""
        self.is_stuck = False
        """The controller scans and hears nothing until it was switched off and on."""
        self._objects: dict[str, dict[str, Properties]] = {}
        self._filters: dict[str, Properties] = {}
        self._scanners: set[str] = set()
        for adapter in adapters:
            self._objects |= _adapter(adapter)

    async def __aenter__(self) -> Self:
        self._bus = await MessageBus(self._bus_address, bus_type=BusType.SYSTEM).connect()
        self._bus.add_message_handler(self._on_message)
        rule = f"type='signal',sender='{_DBUS}',member='NameOwnerChanged'"
        path = "/org/freedesktop/DBus"
        await self._bus.call(Message(_DBUS, path, _DBUS, "AddMatch", signature="s", body=[rule]))
        await self._bus.request_name("org.bluez")
        for path in self._objects:
            await self._added(path)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._bus.disconnect()
        with suppress(Exception):
            await self._bus.wait_for_disconnect()  # type: ignore[no-untyped-call]

    @property
    def scanning(self) -> bool:
        return bool(self._scanners)

    async def restart(self, *adapters: str) -> None:
        """As after a crash: devices and discoveries are gone (and adapters replaced), and nobody was told."""
        await self.__aexit__()
        self._forget_devices()
        if adapters:
            self._objects = {path: shown for adapter in adapters for path, shown in _adapter(adapter).items()}
        self.fall_deaf()
        await self.__aenter__()

    def fall_deaf(self) -> None:
        """The radio stops scanning, and nobody is told."""
        self._scanners.clear()

    async def add_adapter(self, adapter: str) -> None:
        self._objects |= _adapter(adapter)
        await self._added(f"/org/bluez/{adapter}")

    async def remove_adapter(self, adapter: str) -> None:
        path = f"/org/bluez/{adapter}"
        del self._objects[path]
        self._forget_devices()
        self.fall_deaf()
        await self._signal("/", f"{_DBUS}.ObjectManager", "InterfacesRemoved", "oas", [path, [_ADAPTER]])

    async def power(self, adapter: str, on: bool) -> None:
        if not on:
            self.fall_deaf()
        self._objects[f"/org/bluez/{adapter}"][_ADAPTER]["Powered"] = Variant("b", on)
        await self._changed(f"/org/bluez/{adapter}", _ADAPTER, {"Powered": Variant("b", on)})

    async def advert(
        self,
        address: str,
        rssi: int,
        *,
        manufacturer: Mapping[int, bytes] | None = None,
        service: Mapping[str, bytes] | None = None,
        uuids: Sequence[str] = (),
        address_type: str = "random",
        adapter: str = "hci0",
    ) -> bool:
        """One advertisement on the air; False when nobody scans."""
        if not self._scanners or self.is_stuck:
            return False
        said: Properties = {"RSSI": Variant("n", rssi)}
        if manufacturer:
            said["ManufacturerData"] = _bytes_by("q", manufacturer)
        if service:
            said["ServiceData"] = _bytes_by("s", service)
        if uuids:
            said["UUIDs"] = Variant("as", list(uuids))
        path = _device_path(address, adapter)
        if path in self._objects:
            known = self._objects[path][_DEVICE]
            changed = {name: value for name, value in said.items() if self._reported(name, value, known)}
            known |= changed
            await self._changed(path, _DEVICE, changed)
        else:
            named = {"Address": address, "AddressType": address_type, "Alias": address.replace(":", "-")}
            device = {name: Variant("s", value) for name, value in named.items()}
            device["Adapter"] = Variant("o", f"/org/bluez/{adapter}")
            self._objects[path] = {_DEVICE: device | said}
            await self._added(path)
        return True

    def _reported(self, name: str, value: Variant, known: Properties) -> bool:
        filters = [self._filters.get(scanner, {}) for scanner in self._scanners]
        if name == "RSSI" and any("RSSI" in f for f in filters):
            return True
        if name == "RSSI" and name in known:
            return bool(abs(value.value - known[name].value) >= _RSSI_STEP_DB)
        if name.endswith("Data") and any("DuplicateData" in f and f["DuplicateData"].value for f in filters):
            return True
        return value != known.get(name)

    async def unrelated_change(self, address: str) -> None:
        await self._changed(_device_path(address), _DEVICE, {"Trusted": Variant("b", True)})

    async def invalidate_rssi(self, address: str) -> None:
        self._objects[_device_path(address)][_DEVICE].pop("RSSI", None)
        await self._changed(_device_path(address), _DEVICE, {}, ["RSSI"])

    async def gone(self, address: str) -> None:
        """As for a device that was not heard for half a minute (main.conf of BlueZ: TemporaryTimeout)."""
        path = _device_path(address)
        del self._objects[path]
        await self._signal("/", f"{_DBUS}.ObjectManager", "InterfacesRemoved", "oas", [path, [_DEVICE]])

    def _forget_devices(self) -> None:
        self._objects = {path: shown for path, shown in self._objects.items() if _DEVICE not in shown}

    async def _added(self, path: str) -> None:
        body = [path, self._objects[path]]
        await self._signal("/", f"{_DBUS}.ObjectManager", "InterfacesAdded", "oa{sa{sv}}", body)

    async def _changed(
        self, path: str, interface: str, changed: Properties, gone: Sequence[str] = ()
    ) -> None:
        body = [interface, changed, list(gone)]
        await self._signal(path, f"{_DBUS}.Properties", "PropertiesChanged", "sa{sv}as", body)

    async def _signal(self, path: str, interface: str, member: str, signature: str, body: list[Any]) -> None:
        await self._bus.send(Message.new_signal(path, interface, member, signature, body))
        await asyncio.sleep(_PACE_S)

    def _on_message(self, message: Message) -> Message | bool | None:
        if message.message_type is MessageType.SIGNAL and message.member == "NameOwnerChanged":
            name, _, owner = message.body
            if not owner:
                self._scanners.discard(name)
                self._filters.pop(name, None)
        if message.message_type is not MessageType.METHOD_CALL or not message.member:
            return None
        if message.member in self.refuse:
            return Message.new_error(message, self.refuse[message.member], "as told")
        answer = self._answer(message, message.sender or "")
        return True if message.member in self.ignore else answer

    def _switch(self, adapter: str, on: bool) -> None:
        self.switched_on += on
        if not on:
            self.is_stuck = False
        self._switching = asyncio.create_task(self.power(adapter, on))

    def _answer(self, call: Message, sender: str) -> Message | None:
        known = call.path == "/" or call.path in self._objects
        if not known:
            return Message.new_error(call, f"{_DBUS}.Error.UnknownObject", "no such object")
        match call.member:
            case "GetManagedObjects":
                return Message.new_method_return(call, "a{oa{sa{sv}}}", [self._objects])
            case "Set" if call.body[:2] == [_ADAPTER, "Powered"]:
                self._switch(str(call.path).rpartition("/")[2], bool(call.body[2].value))
            case "SetDiscoveryFilter":
                self._filters[sender] = call.body[0]
            case "StartDiscovery" if sender in self._scanners:
                return Message.new_error(call, "org.bluez.Error.InProgress", "Operation already in progress")
            case "StartDiscovery":
                self._scanners.add(sender)
                self.starts += 1
            case "StopDiscovery" if sender not in self._scanners:
                return Message.new_error(call, "org.bluez.Error.Failed", "No discovery started")
            case "StopDiscovery":
                self._scanners.discard(sender)
            case _:
                return None
        return Message.new_method_return(call)


def address_of(adapter: str) -> str:
    return f"00:11:22:33:44:{int(adapter.removeprefix('hci')):02X}"


def _adapter(name: str) -> dict[str, dict[str, Properties]]:
    shown = {"Roles": Variant("as", ["central"]), "Powered": Variant("b", True)}
    shown["Address"] = Variant("s", address_of(name))
    return {f"/org/bluez/{name}": {_ADAPTER: shown}}


def _device_path(address: str, adapter: str = "hci0") -> str:
    return f"/org/bluez/{adapter}/dev_{address.replace(':', '_')}"


def _bytes_by(key: str, data: Mapping[Any, bytes]) -> Variant:
    return Variant(f"a{{{key}v}}", {k: Variant("ay", v) for k, v in data.items()})
