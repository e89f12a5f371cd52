"""Whether the clock is right: the kernel says it, or systemd-timedated where a sandbox forbids to ask."""

from __future__ import annotations

import asyncio
from typing import Final

from dbus_fast import AuthError, BusType, Message
from dbus_fast.aio import MessageBus

from gateway.clock import kernel_synchronised

ANSWER_S: Final = 5.0
"""timedated is started by the question."""
_TIMEDATE: Final = "org.freedesktop.timedate1"


async def synchronised() -> bool:
    """adjtimex(2), which ProtectClock= of a systemd unit forbids even for reading; doubt means no."""
    word = kernel_synchronised()
    return await _asked() if word is None else word


async def _asked() -> bool:
    """The property NTPSynchronized (org.freedesktop.timedate1(5)), which is the kernel's word again."""
    question = Message(
        destination=_TIMEDATE,
        path="/org/freedesktop/timedate1",
        interface="org.freedesktop.DBus.Properties",
        member="Get",
        signature="ss",
        body=[_TIMEDATE, "NTPSynchronized"],
    )
    bus = None
    try:
        async with asyncio.timeout(ANSWER_S):
            bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
            answer = await bus.call(question)
    except (OSError, EOFError, AuthError, TimeoutError):
        return False
    finally:
        if bus is not None:
            bus.disconnect()
    if answer is None or not answer.body:
        return False
    return getattr(answer.body[0], "value", None) is True
