"""What the service manager is told (sd_notify(3)): ready, reloading, stopping, how it is, and signs of life.

A sign of life is given only for progress: a process that runs and gets nothing done is to be started anew.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable, Mapping
from typing import Final

BEATS: Final = 3
"""Looks in the time after which the manager would lose patience."""
LOOK_S: Final = 2.0
"""At most between two looks: somebody who has just started the service asks for its state."""

_log = logging.getLogger("gateway.notify")


class Notifier:
    """Says nothing where no manager asked for it (NOTIFY_SOCKET); never waits for it, never raises."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        environ = os.environ if environ is None else environ
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._status = ""
        self.patience_s = _patience_s(environ)
        """How long the manager waits for a sign of life; None: it does not."""

    def ready(self) -> None:
        self._say("READY=1")

    def reloading(self) -> None:
        """`ready` ends it."""
        self._say(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        self._say("STOPPING=1")

    def status(self, words: str) -> None:
        """A line for `systemctl status`, said when it changes; no identities."""
        if words != self._status:
            self._status = words
            self._say(f"STATUS={words}")

    def alive(self) -> None:
        if self.patience_s is not None:
            self._say("WATCHDOG=1")

    async def watch(self, progress: Callable[[], float], status: Callable[[], str]) -> None:
        """A sign of life whenever `progress` has risen since the last look; returns where nobody asks."""
        if not self._address:
            return
        look_s = LOOK_S if self.patience_s is None else min(LOOK_S, self.patience_s / BEATS)
        seen = -1.0
        while True:
            now = progress()
            if now != seen:
                seen = now
                self.alive()
            self.status(status())
            await asyncio.sleep(look_s)

    def _say(self, message: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
                manager.setblocking(False)
                manager.sendto(message.encode(), self._address)
        except OSError as error:
            _log.warning("the service manager cannot be told %s: %s", message.partition("=")[0], error)


def _patience_s(environ: Mapping[str, str]) -> float | None:
    """sd_watchdog_enabled(3): meant for this process, and more than nothing."""
    span_us, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not span_us.isdecimal() or int(span_us) == 0 or (pid and pid != str(os.getpid())):
        return None
    return int(span_us) / 1e6
