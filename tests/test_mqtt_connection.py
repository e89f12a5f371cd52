"""The one MQTT file against a real mosquitto: sessions, acknowledgement after the fact, coming back."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from daemons import until
from listening import listening
from mosquitto import Mosquitto, free_port
from scripted_broker import Scripted

from gateway import mqtt
from gateway.errors import NotConnectedError, RefusedError
from gateway.links import Link
from gateway.mqtt import Connection, Incoming
from gateway.mqtt_client import Endpoint
from gateway.mqtt_reach import reach


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as running:
        yield running


def at(broker: Mosquitto, version: int) -> Endpoint:
    return Endpoint("store", broker.host, broker.port, version=version)


@contextlib.asynccontextmanager
async def connected(endpoint: Endpoint, name: str, **options: Any) -> AsyncIterator[Connection]:
    connection = Connection(endpoint, name, Link(name), **options)
    task = asyncio.create_task(connection.run())
    try:
        async with asyncio.timeout(60):
            await connection.wait_up()
        yield connection
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("version", [3, 5])
async def test_there_and_back_in_order(broker: Mosquitto, version: int) -> None:
    heard: list[Incoming] = []
    options = {"subscriptions": [("a/#", 1)], "on_message": heard.append}
    async with connected(at(broker, version), "in", **options), connected(at(broker, version), "out") as out:
        await asyncio.gather(*(out.publish(f"a/{n}", b"%d" % n) for n in range(300)))
        await until(lambda: len(heard) == 300)
    assert [m.topic for m in heard] == [f"a/{n}" for n in range(300)]
    assert all(m.acknowledge is None and not m.retain for m in heard)


@pytest.mark.parametrize("version", [3, 5])
async def test_a_kept_session_redelivers_what_was_not_acknowledged(broker: Mosquitto, version: int) -> None:
    heard: list[Incoming] = []
    options: dict[str, Any] = {"subscriptions": [("a/#", 1)], "on_message": heard.append, "persistent": True}
    async with connected(at(broker, version), "in", **options), connected(at(broker, version), "out") as out:
        for n in range(4):
            await out.publish(f"a/{n}", b"")
        await until(lambda: len(heard) == 4)
        for message in heard[:2]:
            assert message.acknowledge is not None
            message.acknowledge()
    async with connected(at(broker, version), "out") as out:  # nobody is listening
        await out.publish("a/4", b"")
    heard.clear()
    async with connected(at(broker, version), "in", **options):
        await until(lambda: len(heard) == 3)
    assert [m.topic for m in heard] == ["a/2", "a/3", "a/4"]


async def test_an_acknowledgement_from_before_a_break_is_let_go(broker: Mosquitto) -> None:
    heard: list[Incoming] = []
    options: dict[str, Any] = {"subscriptions": [("a", 1)], "on_message": heard.append, "persistent": True}
    async with connected(at(broker, 5), "in", **options), connected(at(broker, 5), "out") as out:
        await out.publish("a", b"")
        await until(lambda: len(heard) == 1)
    acknowledge = heard[0].acknowledge
    assert acknowledge is not None
    acknowledge()
    async with connected(at(broker, 5), "in", **options):
        await until(lambda: len(heard) == 2)


async def test_it_comes_back_after_the_broker_was_killed(broker: Mosquitto) -> None:
    async with connected(at(broker, 5), "out") as out:
        assert out.times_up == 1
        broker.kill()
        await until(lambda: out.link.state == "down")
        assert "trying again" in out.link.detail
        with pytest.raises(NotConnectedError):
            await out.publish("a", b"")
        broker.start()
        await until(lambda: out.link.state == "up")
        assert out.times_up == 2
        await out.publish("a", b"")


async def test_a_refusal_is_no_acknowledgement(tmp_path: Path) -> None:
    # Without a queue limit mosquitto 2.0.11 drops a client whose publication it denied.
    with Mosquitto(tmp_path / "broker", queue=1000, readable_only="partner/#") as broker:
        async with connected(at(broker, 5), "out") as out:
            with pytest.raises(RefusedError, match="not allowed to publish there"):
                await out.publish("partner/entered", b"")
            await out.publish("platform/entered", b"")


async def test_no_broker_is_said_once_and_nothing_is_raised(caplog: pytest.LogCaptureFixture) -> None:
    connection = Connection(Endpoint("store", "127.0.0.1", free_port()), "in", Link("source store"))
    task = asyncio.create_task(connection.run())
    await until(lambda: "trying again" in connection.link.detail)
    await asyncio.sleep(1.5)
    task.cancel()
    assert [r.message for r in caplog.records] == [f"source store: down ({connection.link.detail})"]


async def test_retained_is_seen_on_subscription_and_live_is_not(broker: Mosquitto) -> None:
    heard: list[Incoming] = []
    async with connected(at(broker, 5), "out") as out:
        await out.publish("car", b"before", retain=True)
        async with connected(at(broker, 5), "in", subscriptions=[("car", 0)], on_message=heard.append):
            await out.publish("car", b"live", retain=True)
            await until(lambda: len(heard) == 2)
    assert [(m.payload, m.retain) for m in heard] == [(b"before", True), (b"live", False)]


@pytest.mark.parametrize("version", [3, 5])
async def test_a_message_of_many_reads_comes_whole(broker: Mosquitto, version: int) -> None:
    heard: list[Incoming] = []
    payload = bytes(range(256)) * 3_000
    options: dict[str, Any] = {"subscriptions": [("a", 1)], "on_message": heard.append}
    async with connected(at(broker, version), "in", **options), connected(at(broker, version), "out") as out:
        await out.publish("a", payload)
        await out.publish("a", b"small", content_type="text/plain", expiry_s=60)
        await until(lambda: len(heard) == 2)
    assert [m.payload for m in heard] == [payload, b"small"]


@pytest.mark.parametrize(
    "nonsense",
    [b"\x30\xff\xff\xff\xff\xff", b"\x30\x02\x00\x09", b"\xf0\x00", b"\x30\x03\x00\x01\xff", b""],
)
async def test_a_broker_that_speaks_no_mqtt_is_left_and_tried_again(nonsense: bytes) -> None:
    attempts = 0

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal attempts
        attempts += 1
        await reader.read(1000)
        writer.write(b"\x20\x02\x00\x00" + nonsense)
        while nonsense and await reader.read(1000):
            pass

    async with listening(speak) as port:
        endpoint = Endpoint("store", "127.0.0.1", port, version=3)
        connection = Connection(endpoint, "in", Link("source store"))
        task = asyncio.create_task(connection.run())
        try:
            await until(lambda: attempts == 2)
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def sockets() -> set[str]:
    """Of this process, by the kernel's names."""
    found = set()
    for fd in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.add(str(fd.readlink()))
    return {name for name in found if name.startswith("socket:")}


@pytest.mark.parametrize(
    ("waits_s", "before_s", "after_s"),
    [(0.3, 0, 0), (0, 0.3, 0), (0, 0, 0.3)],
    ids=["queued", "begun", "connected"],
)
async def test_a_connect_that_is_cancelled_leaves_no_socket(
    monkeypatch: pytest.MonkeyPatch, waits_s: float, before_s: float, after_s: float
) -> None:
    """Whatever the thread is at that connects: it waits for its turn, it begins, it is done and nobody knows."""
    connect = aiomqtt.Client._client_connect
    loop, before = asyncio.get_running_loop(), sockets()

    async def and_fill_the_queue(host: str, port: int) -> socket.socket:
        reached = await reach(host, port)
        loop.run_in_executor(None, time.sleep, waits_s)
        return reached

    def slowly(client: aiomqtt.Client) -> None:
        time.sleep(before_s)
        connect(client)
        time.sleep(after_s)

    monkeypatch.setattr(mqtt, "reach", and_fill_the_queue)
    monkeypatch.setattr(aiomqtt.Client, "_client_connect", slowly)
    async with Scripted() as broker:
        loop.set_default_executor(ThreadPoolExecutor(1))
        task = asyncio.create_task(Connection(broker.endpoint(), "gw", Link("sink")).run())
        await asyncio.sleep(0.15)
        task.cancel()
        await asyncio.wait({task})
        await loop.shutdown_default_executor()
    assert sockets() - before == set()
