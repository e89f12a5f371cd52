"""A systemd-timedated on the bus of DBUS_SYSTEM_BUS_ADDRESS: only what is asked of it."""

from __future__ import annotations

from typing import Self

from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

NAME = "org.freedesktop.timedate1"


class FakeTimedated:
    def __init__(self, *, synchronised: bool) -> None:
        self._synchronised = synchronised

    def synchronise(self, is_synchronised: bool = True) -> None:
        self._synchronised = is_synchronised

    async def __aenter__(self) -> Self:
        self._bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
        self._bus.add_message_handler(self._answer)
        await self._bus.request_name(NAME)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._bus.release_name(NAME)
        self._bus.disconnect()

    def _answer(self, asked: Message) -> Message | None:
        if asked.message_type is not MessageType.METHOD_CALL or asked.member != "Get":
            return None
        if asked.path != "/org/freedesktop/timedate1" or asked.body != [NAME, "NTPSynchronized"]:
            return Message.new_error(asked, "org.freedesktop.DBus.Error.UnknownProperty", "not here")
        return Message.new_method_return(asked, "v", [Variant("b", self._synchronised)])
