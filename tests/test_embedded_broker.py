"""The embedded broker: what demo, first steps and quick tests rely on, for both versions of MQTT."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.links import Link
from gateway.mqtt import Connection, Incoming
from gateway.mqtt_client import Endpoint, Will
from gateway.sim.broker import EmbeddedBroker

VERSIONS = pytest.mark.parametrize("version", [3, 5])


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as running:
        yield running


class Client:
    """One connection, what it heard, and whether it says thanks for it."""

    def __init__(
        self,
        endpoint: Endpoint,
        name: str,
        *topics: str,
        persistent: bool = False,
        thankful: bool = True,
        will: Will | None = None,
    ) -> None:
        self.heard: list[Incoming] = []
        self._thankful = thankful
        self._changed = asyncio.Event()
        self.connection = Connection(
            endpoint,
            name,
            Link(name),
            subscriptions=[(topic, 1) for topic in topics],
            on_message=self._hear,
            persistent=persistent,
            will=will,
        )

    def _hear(self, incoming: Incoming) -> None:
        self.heard.append(incoming)
        if self._thankful and incoming.acknowledge is not None:
            incoming.acknowledge()
        self._changed.set()

    async def until(self, count: int) -> list[tuple[str, bytes, bool]]:
        """(topic, payload, retained) of the first `count` messages."""
        async with asyncio.timeout(30):
            while len(self.heard) < count:
                self._changed.clear()
                await self._changed.wait()
        return [(m.topic, m.payload, m.retain) for m in self.heard]

    @contextlib.asynccontextmanager
    async def up(self) -> AsyncIterator[Client]:
        task = asyncio.create_task(self.connection.run())
        try:
            async with asyncio.timeout(30):
                await self.connection.wait_up()
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def settle() -> None:
    """Time enough on loopback for something that must not come."""
    await asyncio.sleep(0.3)


@pytest.mark.parametrize(("sends", "hears"), [(5, 5), (5, 3), (3, 5), (3, 3)])
async def test_both_versions_share_topics_and_nothing_is_lost(
    broker: EmbeddedBroker, sends: int, hears: int
) -> None:
    topic = f"all/{sends}{hears}"
    hearing = Client(broker.endpoint(version=hears), f"hear-{sends}{hears}", topic)
    sending = Client(broker.endpoint(version=sends), f"send-{sends}{hears}")
    async with hearing.up(), sending.up():
        await asyncio.gather(*(sending.connection.publish(topic, b"%d" % i) for i in range(500)))
        assert await hearing.until(500) == [(topic, b"%d" % i, False) for i in range(500)]


@VERSIONS
async def test_a_retained_message_greets_a_new_subscriber_until_it_is_cleared(
    broker: EmbeddedBroker, version: int
) -> None:
    endpoint, topic = broker.endpoint(version=version), f"kept/{version}/state"
    async with Client(endpoint, f"r1-{version}").up() as one:
        await one.connection.publish(topic, b"old", retain=True)
        await one.connection.publish(topic, b"new", retain=True)
        async with Client(endpoint, f"r2-{version}", f"kept/{version}/+").up() as later:
            assert await later.until(1) == [(topic, b"new", True)]
            await one.connection.publish(topic, b"live", retain=True)
            assert (await later.until(2))[1] == (topic, b"live", False)
        await one.connection.publish(topic, b"", retain=True)
        async with Client(endpoint, f"r3-{version}", f"kept/{version}/+").up() as last:
            await settle()
            assert last.heard == []


@VERSIONS
async def test_a_will_comes_after_a_broken_connection_and_not_after_a_clean_end(
    broker: EmbeddedBroker, version: int
) -> None:
    endpoint, topic = broker.endpoint(version=version), f"will/{version}"
    async with Client(endpoint, f"w1-{version}", topic).up() as watching:
        async with Client(endpoint, f"w2-{version}", will=Will(topic, b"clean")).up():
            pass
        await settle()
        assert watching.heard == []
        child = _connect_and_wait(endpoint, topic)
        child.send_signal(signal.SIGKILL)
        child.communicate()
        assert await watching.until(1) == [(topic, b"gone", False)]
    async with Client(endpoint, f"w3-{version}", topic).up() as later:
        assert await later.until(1) == [(topic, b"gone", True)]
        await later.connection.publish(topic, b"", retain=True)


@VERSIONS
async def test_a_persistent_session_gets_what_came_while_it_was_away(
    broker: EmbeddedBroker, version: int
) -> None:
    endpoint, topic = broker.endpoint(version=version), f"away/{version}"
    async with Client(endpoint, f"p1-{version}").up() as sending:
        async with Client(endpoint, f"p2-{version}", topic, persistent=True).up() as client:
            await sending.connection.publish(topic, b"here")
            await client.until(1)
        for i in range(3):
            await sending.connection.publish(topic, b"%d" % i)
        async with Client(endpoint, f"p2-{version}", topic, persistent=True).up() as client:
            assert [payload for _, payload, _ in await client.until(3)] == [b"0", b"1", b"2"]


@VERSIONS
async def test_what_was_not_acknowledged_comes_again(broker: EmbeddedBroker, version: int) -> None:
    endpoint, topic = broker.endpoint(version=version), f"again/{version}"
    async with Client(endpoint, f"a1-{version}").up() as sending:
        async with Client(endpoint, f"a2-{version}", topic, persistent=True, thankful=False).up() as client:
            for i in range(3):
                await sending.connection.publish(topic, b"%d" % i)
            await client.until(3)
        async with Client(endpoint, f"a2-{version}", topic, persistent=True).up() as client:
            assert {payload for _, payload, _ in await client.until(3)} == {b"0", b"1", b"2"}
        async with Client(endpoint, f"a2-{version}", topic, persistent=True).up() as client:
            await settle()
            assert client.heard == []


async def test_an_event_that_expired_is_not_delivered(broker: EmbeddedBroker) -> None:
    endpoint = broker.endpoint()
    async with Client(endpoint, "e1").up() as sending:
        async with Client(endpoint, "e2", "expiring", persistent=True).up():
            pass
        await sending.connection.publish("expiring", b"short", content_type="text/plain", expiry_s=1)
        await sending.connection.publish("expiring", b"long", content_type="text/plain", expiry_s=60)
        await asyncio.sleep(1.5)
        async with Client(endpoint, "e2", "expiring", persistent=True).up() as client:
            assert [payload for _, payload, _ in await client.until(1)] == [b"long"]


async def test_a_payload_above_our_own_limit_of_64_kib_still_arrives(broker: EmbeddedBroker) -> None:
    async with Client(broker.endpoint(), "big", "big").up() as client:
        await client.connection.publish("big", bytes(200_000))
        assert [len(payload) for _, payload, _ in await client.until(1)] == [200_000]


def test_it_listens_on_loopback_only_and_leaves_nothing(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with EmbeddedBroker() as broker:
        ports = broker.port, broker.port_v3
        assert all(_answers("127.0.0.1", port) for port in ports)
        assert not any(_answers("127.0.0.2", port) for port in ports)  # bound to all addresses, it would
        assert len(list(tmp_path.iterdir())) == 1
    assert not any(_answers("127.0.0.1", port) for port in ports)
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_it_ends_with_its_process_however_that_ends(tmp_path: Path) -> None:
    program = (
        "import time; from gateway.sim.broker import EmbeddedBroker\n"
        "with EmbeddedBroker() as broker: print(broker.port, flush=True); time.sleep(60)"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert child.stdout is not None
    port = int(child.stdout.readline())
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    until_s = time.monotonic() + 5
    while _answers("127.0.0.1", port):
        assert time.monotonic() < until_s, "the broker outlives its owner"
        time.sleep(0.05)


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def _connect_and_wait(endpoint: Endpoint, topic: str) -> subprocess.Popen[str]:
    """A client in a process of its own, with a last will; returns when it is connected."""
    program = (
        "import asyncio; from gateway.links import Link; from gateway.mqtt import Connection\n"
        "from gateway.mqtt_client import Endpoint, Will\n"
        "async def main():\n"
        f"    endpoint = Endpoint('e', '127.0.0.1', {endpoint.port}, version={endpoint.version})\n"
        f"    connection = Connection(endpoint, 'dies', Link('e'), will=Will({topic!r}, b'gone'))\n"
        "    task = asyncio.create_task(connection.run())\n"
        "    await connection.wait_up(); print('up', flush=True); await task\n"
        "asyncio.run(main())"
    )
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "up\n"
    return child
