"""bluetoothd over D-Bus, as far as bleak does not: is it there, which adapter is which, off and on again.

Its errors become sentences for an operator.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

from bleak.backends.bluezdbus.manager import get_global_bluez_manager
from bleak.exc import BleakBluetoothNotAvailableError, BleakDBusError, BleakError
from bleak.exc import BleakBluetoothNotAvailableReason as Unavailable
from dbus_fast import AuthError, BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

STOP_S: Final = 1.5
"""A bluetoothd that hangs may hold up the end of the daemon this long."""
OFF_S: Final = 1.0
"""How long an adapter that is reset stays off: its firmware is loaded anew only when it really was."""
_ADAPTER: Final = "org.bluez.Adapter1"
_DBUS: Final = "org.freedesktop.DBus"


class NoAdapterError(Exception):
    """No adapter with the address in the settings is there."""


class Bluetoothd:
    """One connection of our own. `lost` says how bluetoothd, the bus or the adapter went; scanners do not."""

    def __init__(self, bus: MessageBus, answer_s: float) -> None:
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._bus = bus
        self._answer_s = answer_s

    async def adapter(self, address: str | None) -> str | None:
        """The name now (`hci0`) of the adapter with this address; of the first one powered for None.

        None when none is powered; NoAdapterError, BleakDBusError.
        """
        reply = await self._call("/", f"{_DBUS}.ObjectManager", "GetManagedObjects")
        found = {path: shown[_ADAPTER] for path, shown in reply.body[0].items() if _ADAPTER in shown}
        for path, properties in sorted(found.items()):
            value = {name: variant.value for name, variant in properties.items()}
            if address is None and value.get("Powered") and "central" in value.get("Roles", ["central"]):
                return str(path).rpartition("/")[2]
            if address is not None and str(value.get("Address", "")).upper() == address.upper():
                return str(path).rpartition("/")[2]
        if address is not None:
            raise NoAdapterError
        return None

    async def watch(self, adapter: str) -> None:
        """`lost` also when this adapter is removed or switched off."""
        path = f"/org/bluez/{adapter}"
        await self._add_match(
            f"type='signal',sender='org.bluez',member='InterfacesRemoved',arg0path='{path}'"
        )
        await self._add_match(f"type='signal',sender='org.bluez',member='PropertiesChanged',path='{path}'")

    async def power_cycle(self, adapter: str) -> None:
        """Off, and on again: what wakes a controller that scans and hears nothing. BleakDBusError."""
        for is_on in (False, True):
            await self._call(f"/org/bluez/{adapter}", f"{_DBUS}.Properties", "Set", "ssv",
                             [_ADAPTER, "Powered", Variant("b", is_on)])  # fmt: skip
            if not is_on:
                await asyncio.sleep(OFF_S)

    def say(self, reason: str) -> None:
        if not self.lost.done():
            self.lost.set_result(reason)

    def on_message(self, message: Message) -> None:
        if message.message_type is not MessageType.SIGNAL:
            return
        match message.member, message.body:
            # A first owner (no old one) is the bluetoothd that our own call has just started.
            case "NameOwnerChanged", ["org.bluez", str(old), _] if old:
                self.say("bluetoothd stopped or restarted; scanning again when it answers")
            case "InterfacesRemoved", [_, interfaces] if _ADAPTER in interfaces:
                self.say(_GONE)
            case "PropertiesChanged", [interface, changed, _] if interface == _ADAPTER:
                if "Powered" in changed and not changed["Powered"].value:
                    self.say(_POWERED_OFF)

    async def follow_owner(self) -> None:
        await self._add_match(f"type='signal',sender='{_DBUS}',member='NameOwnerChanged',arg0='org.bluez'")

    async def _add_match(self, rule: str) -> None:
        async with asyncio.timeout(self._answer_s):
            await self._bus.call(
                Message(_DBUS, "/org/freedesktop/DBus", _DBUS, "AddMatch", signature="s", body=[rule])
            )

    async def _call(
        self, path: str, interface: str, member: str, signature: str = "", body: list[Any] | None = None
    ) -> Message:
        message = Message("org.bluez", path, interface, member, signature=signature, body=body or [])
        async with asyncio.timeout(self._answer_s):
            reply = await self._bus.call(message)
        if reply is None:
            raise EOFError("the bus closed")
        if reply.message_type is MessageType.ERROR:
            raise BleakDBusError(reply.error_name or "", reply.body)
        return reply


@contextlib.asynccontextmanager
async def bluetoothd(answer_s: float) -> AsyncIterator[Bluetoothd]:
    """Connected and watched. Whatever dbus-fast raises when the system bus cannot be reached."""
    bus = MessageBus(bus_type=BusType.SYSTEM)
    made = Bluetoothd(bus, answer_s)
    bus.add_message_handler(made.on_message)
    async with asyncio.timeout(answer_s):
        await bus.connect()
    closed = asyncio.ensure_future(bus.wait_for_disconnect())  # type: ignore[no-untyped-call]
    closed.add_done_callback(lambda _: made.say("the system D-Bus went away; is dbus running?"))
    try:
        await made.follow_owner()
        yield made
    finally:
        bus.disconnect()
        await asyncio.gather(closed, return_exceptions=True)


async def bleaks_bus() -> MessageBus | None:
    """bleak's own connection, which all scanners of this process share."""
    return (await get_global_bluez_manager())._bus


async def disconnect_bleak() -> None:
    """Close bleak's connection: bluetoothd then ends a scan half begun, and bleak forgets stale adapters.

    Without it a scan whose start was not answered in time is answered `InProgress` for ever.
    """
    with contextlib.suppress(Exception):
        async with asyncio.timeout(STOP_S):
            bus = await bleaks_bus()
            if bus is not None:
                bus.disconnect()


def is_stuck(error: Exception) -> bool:
    """Whether bluetoothd or the adapter hangs, so that switching it off and on may help."""
    if isinstance(error, BleakDBusError):
        return error.dbus_error == "org.bluez.Error.InProgress"
    return isinstance(error, TimeoutError)


_NOT_ALLOWED: Final = "not allowed to use Bluetooth; add the daemon's user to the group bluetooth"
_NOT_RUNNING: Final = "bluetoothd is not running; `systemctl enable --now bluetooth` would help"
_POWERED_OFF: Final = "the adapter is off; `rfkill unblock bluetooth`, then `bluetoothctl power on`"
_GONE: Final = "the adapter is gone; `bluetoothctl list` shows those that are there"

_BY_DBUS_ERROR: Final = {
    "org.freedesktop.DBus.Error.AccessDenied": _NOT_ALLOWED,
    "org.bluez.Error.NotAuthorized": _NOT_ALLOWED,
    "org.bluez.Error.NotPermitted": _NOT_ALLOWED,
    "org.freedesktop.DBus.Error.ServiceUnknown": _NOT_RUNNING,
    "org.freedesktop.DBus.Error.NameHasNoOwner": _NOT_RUNNING,
    "org.freedesktop.DBus.Error.UnknownObject": _GONE,
    "org.freedesktop.DBus.Error.UnknownMethod": _GONE,
    "org.bluez.Error.NotReady": _POWERED_OFF,
    "org.bluez.Error.InProgress": "the adapter is busy; if that stays, `systemctl restart bluetooth`",
}
_BY_REASON: Final = {
    Unavailable.NO_BLUETOOTH: "no Bluetooth adapter; plug one in or enable the built-in one",
    Unavailable.NO_BLE_CENTRAL_ROLE: "the adapter cannot scan for BLE; use another one",
    Unavailable.POWERED_OFF: _POWERED_OFF,
    Unavailable.DENIED_BY_SYSTEM: _NOT_ALLOWED,
}


def in_operators_words(error: Exception) -> str:
    match error:
        case NoAdapterError():
            return (
                "no adapter has the address in the settings; `bluetoothctl list` shows those that are there"
            )
        case BleakBluetoothNotAvailableError() if error.reason in _BY_REASON:
            return _BY_REASON[error.reason]
        case BleakDBusError():
            return _BY_DBUS_ERROR.get(error.dbus_error, f"bluetoothd answers {error.dbus_error}")
        case BleakError():
            return f"{error}; `bluetoothctl list` shows the adapters that are there"
        case TimeoutError():
            return "bluetoothd does not answer; if that stays, `systemctl restart bluetooth`"
        case OSError() | EOFError() | AuthError():
            return f"the system D-Bus cannot be reached ({type(error).__name__}); is dbus running?"
    return f"cannot scan ({type(error).__name__})"
