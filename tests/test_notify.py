"""What systemd is told, over a real datagram socket, by the real daemon."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from daemons import Place
from fake_bluez import private_bus
from mosquitto import Mosquitto
from timedated import FakeTimedated

from gateway import synchronisation
from gateway.notify import Notifier

PATIENCE_S = 0.9


class ServiceEnd:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.setblocking(False)
        self.environ = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": str(int(PATIENCE_S * 1e6))}

    def close(self) -> None:
        self._socket.close()

    def told(self) -> list[str]:
        """Everything since the last call, oldest first."""
        messages = []
        while True:
            try:
                messages.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return messages

    async def hears(self, words: str, seconds: float = 20.0) -> list[str]:
        """What was said up to and with `words`."""
        messages: list[str] = []
        async with asyncio.timeout(seconds):
            while not any(words in message for message in messages):
                await asyncio.sleep(0.02)
                messages += self.told()
        return messages


@contextmanager
def managing(address: str) -> Iterator[ServiceEnd]:
    manager = ServiceEnd(address)
    try:
        yield manager
    finally:
        manager.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[ServiceEnd]:
    with managing(str(tmp_path / "notify")) as made:
        yield made


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with Mosquitto(tmp_path / "broker") as broker:
        yield Place(tmp_path, broker)


@pytest.mark.parametrize("kind", ["a path", "abstract"])
def test_words_go_to_the_socket_that_systemd_names(tmp_path: Path, kind: str) -> None:
    address = str(tmp_path / "notify") if kind == "a path" else f"@gateway-test-{os.getpid()}"
    with managing(address) as manager:
        notifier = Notifier(manager.environ)
        before_us = time.monotonic_ns() // 1000
        notifier.ready()
        notifier.status("up: all")
        notifier.status("up: all")
        notifier.alive()
        notifier.reloading()
        notifier.stopping()
        ready, status, alive, reloading, stopping = manager.told()
    assert (ready, status, alive, stopping) == ("READY=1", "STATUS=up: all", "WATCHDOG=1", "STOPPING=1")
    words, _, moment_us = reloading.partition("\nMONOTONIC_USEC=")
    assert words == "RELOADING=1"
    assert before_us <= int(moment_us) <= time.monotonic_ns() // 1000


@pytest.mark.parametrize(
    ("environ", "patience_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "3000000"}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_who_is_watched(environ: dict[str, str], patience_s: float | None) -> None:
    assert Notifier(environ).patience_s == patience_s


async def test_nobody_asked_or_nobody_listens_any_more(caplog: pytest.LogCaptureFixture) -> None:
    await asyncio.wait_for(Notifier({}).watch(lambda: 0, lambda: ""), 1)  # there is nothing to watch for
    Notifier({}).ready()
    assert caplog.text == ""
    Notifier({"NOTIFY_SOCKET": "/nowhere/at/all"}).ready()
    assert "cannot be told READY" in caplog.text


async def test_life_is_a_sign_of_progress(manager: ServiceEnd) -> None:
    progress = 0
    watching = asyncio.create_task(Notifier(manager.environ).watch(lambda: progress, lambda: "fine"))
    for _ in range(4):
        progress += 1
        await asyncio.sleep(PATIENCE_S / 3)
    assert 3 <= manager.told().count("WATCHDOG=1") <= 5
    await asyncio.sleep(PATIENCE_S)
    manager.told()
    await asyncio.sleep(PATIENCE_S)
    assert manager.told() == []
    progress += 1
    await manager.hears("WATCHDOG=1", PATIENCE_S)
    watching.cancel()


async def test_an_idle_daemon_lives_and_a_stopped_one_gives_no_sign(
    place: Place, manager: ServiceEnd
) -> None:
    async with place.daemon(**manager.environ) as daemon:
        await manager.hears("READY=1")
        await daemon.ready()
        await asyncio.sleep(PATIENCE_S)
        manager.told()
        await asyncio.sleep(4 * PATIENCE_S)  # nothing is heard meanwhile
        assert manager.told().count("WATCHDOG=1") >= 3
        daemon.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(0.1)
        manager.told()
        await asyncio.sleep(3 * PATIENCE_S)
        assert manager.told() == []
        daemon.process.send_signal(signal.SIGCONT)
        await manager.hears("WATCHDOG=1", 3 * PATIENCE_S)
        await daemon.stop()
        assert any("STOPPING=1" in message for message in manager.told())


async def test_a_reload_is_told_and_its_end_too(place: Place, manager: ServiceEnd) -> None:
    async with place.daemon(**manager.environ) as daemon:
        await manager.hears("READY=1")
        await daemon.ready()
        (status,) = [m for m in (await manager.hears("STATUS=up")) if "STATUS=up" in m]
        assert "local" in status
        place.enrol()
        daemon.process.send_signal(signal.SIGHUP)
        before = await manager.hears("READY=1")
        assert any(m.startswith("RELOADING=1\nMONOTONIC_USEC=") for m in before)
        await daemon.says("consent.yaml taken over")
        await daemon.stop()


async def test_a_clock_that_may_not_be_asked_for_is_asked_of_timedated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ProtectClock= of the unit refuses adjtimex(2), as here."""
    monkeypatch.setattr(synchronisation, "kernel_synchronised", lambda: None)
    async with private_bus(tmp_path / "bus") as address:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
        assert not await synchronisation.synchronised(), "nobody answers"
        async with FakeTimedated(synchronised=False):
            assert not await synchronisation.synchronised()
        async with FakeTimedated(synchronised=True):
            assert await synchronisation.synchronised()
    assert not await synchronisation.synchronised(), "there is no bus"
