"""A line that loses and delays packets, in a network namespace of its own; for root on Linux.

`tc netem` is the usual tool and not every kernel has it, so the packets go through this program instead: a TUN
device whose far end exchanges sender and receiver of each packet. Whoever connects to FAR reaches what listens
on NEAR, over a real TCP, by a line that does what `loss` and `delay_s` say, each way. Exchanging the two addresses
changes no checksum.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import heapq
import os
import random
import select
import shutil
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Self

NEAR, FAR = "198.18.0.1", "198.18.0.2"
"""RFC 2544: for tests of devices, nobody's network."""
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_CLONE_NEWNET = 0x40000000
_PACKET = 65_536


def why_not() -> str:
    """Why there can be no bad line here; empty: there can."""
    if os.geteuid() != 0:
        return "a network namespace needs root: sudo scripts/test-faults"
    if not os.access("/dev/net/tun", os.W_OK):
        return "there is no /dev/net/tun"
    if shutil.which("ip") is None:
        return "there is no ip (Debian package iproute2)"
    return ""


@contextlib.contextmanager
def own_network() -> Iterator[None]:
    """This thread, and whatever it starts, in a namespace with nothing but a loopback."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net", "rb") as before:  # noqa: PTH123 - a namespace is no path
        if libc.unshare(_CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        try:
            _ip("link", "set", "lo", "up")
            yield
        finally:
            libc.setns(before.fileno(), _CLONE_NEWNET)


class BadLine:
    """Use as a context manager inside `own_network`. `loss` and `delay_s` may be changed at any time."""

    def __init__(self, *, loss: float = 0.0, delay_s: float = 0.0, seed: int = 1) -> None:
        self.loss, self.delay_s = loss, delay_s
        self.carried = self.lost = 0
        self._rng = random.Random(seed)
        self._stop = threading.Event()

    def __enter__(self) -> Self:
        self._tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(self._tun, _TUNSETIFF, struct.pack("16sH", b"line", _IFF_TUN | _IFF_NO_PI))
        _ip("addr", "add", f"{NEAR}/30", "dev", "line")
        _ip("link", "set", "line", "up")
        self._thread = threading.Thread(target=self._carry, name="bad line", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        os.close(self._tun)

    def _carry(self) -> None:
        under_way: list[tuple[float, int, bytes]] = []
        while not self._stop.is_set():
            next_s = under_way[0][0] - time.monotonic() if under_way else 0.1
            if select.select([self._tun], [], [], min(0.1, max(0.0, next_s)))[0]:
                packet = os.read(self._tun, _PACKET)
                if packet[0] >> 4 == 4:
                    self._take(packet, under_way)
            while under_way and under_way[0][0] <= time.monotonic():
                os.write(self._tun, heapq.heappop(under_way)[2])

    def _take(self, packet: bytes, under_way: list[tuple[float, int, bytes]]) -> None:
        if self._rng.random() < self.loss:
            self.lost += 1
            return
        self.carried += 1
        turned = packet[:12] + packet[16:20] + packet[12:16] + packet[20:]
        heapq.heappush(under_way, (time.monotonic() + self.delay_s, self.carried, turned))


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
