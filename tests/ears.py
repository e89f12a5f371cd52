"""A BLE source in the hurry of a test, on the real BleakScanner and the fake bluetoothd."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from gateway.counts import Counts
from gateway.model import Sighting, Signal
from gateway.sources.ble import BleSource

TAG = "C3:00:00:25:EF:6A"
IBEACON = {0x004C: bytes.fromhex("0215e2c56db5dffb48d2b060d0f5a71096e000010011c5")}


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
        await asyncio.wait({task}, timeout=20)
        assert task.cancelled()
        assert time.monotonic() - stopping_s < 10


async def until(happened: Callable[[], bool], within_s: float = 20.0) -> None:
    deadline_s = time.monotonic() + within_s
    while not happened():
        assert time.monotonic() < deadline_s, "it did not happen"
        await asyncio.sleep(0.005)
