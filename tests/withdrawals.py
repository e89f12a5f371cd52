"""What the proofs of withdrawals need: a link that can be shut or stall, a full queue, a platform that accounts."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import socket
import struct
import sys
import termios
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import msgspec
from daemons import Daemon, Place, Platform, consuming
from mosquitto import free_port

from gateway import assembly
from gateway.counts import Counts
from gateway.model import ConsentSignal, OpenStay, Presence
from gateway.outbox import Outbox, Transaction

HELD = 4096
"""Bytes that a stalled gate takes without reading them; what is beyond stays with the sender."""


class Gate:
    """A TCP way to a port of loopback, which keeps every byte that goes in. Shut at first.

    `budget`: bytes that it still reads, over all connections; without any it accepts and reads nothing.
    """

    def __init__(self, behind: int) -> None:
        self.port = free_port()
        self.passed = bytearray()
        self._behind = behind
        self._budget = sys.maxsize
        self._more = asyncio.Event()
        self._connections: set[asyncio.Task[None]] = set()
        self._ways_in: set[socket.socket] = set()
        self._listening: asyncio.Task[None] | None = None

    def open(self, budget: int = sys.maxsize) -> None:
        self.allow(budget)
        self._listening = self._listening or asyncio.create_task(self._listen())

    def allow(self, budget: int) -> None:
        self._budget = budget
        self._more.set()

    @property
    def is_stalled(self) -> bool:
        return not self._budget

    @property
    def unread(self) -> int:
        """Bytes that have left the sender and were not read."""
        return sum(
            struct.unpack("i", fcntl.ioctl(way.fileno(), termios.FIONREAD, b"\0" * 4))[0]
            for way in self._ways_in
        )

    async def shut(self) -> None:
        for task in [*self._connections, *([self._listening] if self._listening else [])]:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._listening = None

    async def _listen(self) -> None:
        with socket.socket() as listening:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, HELD)  # its connections inherit it
            listening.setblocking(False)
            listening.bind(("127.0.0.1", self.port))
            listening.listen()
            while True:
                way_in, _ = await asyncio.get_running_loop().sock_accept(listening)
                task = asyncio.create_task(self._carry(way_in))
                self._connections.add(task)
                task.add_done_callback(self._connections.discard)

    async def _carry(self, way_in: socket.socket) -> None:
        with way_in, socket.socket() as way_out, contextlib.suppress(OSError):
            self._ways_in.add(way_in)
            for way in (way_in, way_out):
                way.setblocking(False)
            try:
                await asyncio.get_running_loop().sock_connect(way_out, ("127.0.0.1", self._behind))
                back = asyncio.create_task(self._back(way_out, way_in))
                try:
                    await self._forth(way_in, way_out)
                finally:
                    back.cancel()
            finally:
                self._ways_in.discard(way_in)

    async def _forth(self, way_in: socket.socket, way_out: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while not self._budget:
                self._more.clear()
                await self._more.wait()
            if not (chunk := await loop.sock_recv(way_in, min(self._budget, 1 << 16))):
                return
            self._budget -= len(chunk)
            self.passed += chunk
            await loop.sock_sendall(way_out, chunk)

    @staticmethod
    async def _back(way_out: socket.socket, way_in: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            while chunk := await loop.sock_recv(way_out, 1 << 16):
                await loop.sock_sendall(way_in, chunk)


@contextlib.asynccontextmanager
async def gate(place: Place) -> AsyncIterator[Gate]:
    """Between the gateway and its recipients' broker from now on; what it hears comes another way."""
    made = Gate(place.broker.port)
    path = place.config / "gateway.yaml"
    central = f"  central: {{host: 127.0.0.1, port: {made.port}}}\nrecipients:"
    path.write_text(path.read_text().replace("via: local", "via: central").replace("recipients:", central, 1))
    try:
        yield made
    finally:
        await made.shut()


CARRIED_S = 300.0
"""The longest pause between two tries is 60 s; what is older than that by then goes at the pace of a backlog."""


async def stock(place: Place, subjects: Iterable[str], n: int, t_s: float) -> None:
    """`n` events of each subject, through the screen into the outbox, as the settings and consents say; the
    subjects take turns. Of each a stay is open."""
    configuration = assembly.read_configuration(place.config)
    keys = assembly.keys_of(configuration.settings)
    made = assembly.assemble(configuration, keys)
    made.pipeline.feed([ConsentSignal(t_s, tuple(configuration.consent_records), complete=True)])
    names = list(subjects)
    async with Outbox(place.state / "outbox.sqlite", made.settings.recipients, counts=Counts()) as outbox:
        for i in range(n):
            releases = []
            for name in names:
                stay = OpenStay(
                    name, "cereals", "inside", t_s, t_s, t_s, 0.0, 0.9, False, (f"vehicle:{name}/car",)
                )
                moment_s = t_s + i / 1000
                presence = Presence(
                    moment_s, moment_s, name, "cereals", "entered", moment_s, 0.0, 0.9, {}, None, stay
                )
                found = made.screen.releases(presence)
                assert found, f"{name} permits nothing"
                releases += found
            outbox.submit(Transaction(releases, [stay] if i == 0 else []))
        while outbox.uncommitted:  # noqa: ASYNC110 - a slow disk may take longer than the exit waits
            await asyncio.sleep(0.02)


class Receiver(Platform):
    """Acknowledges all that it has, by ranges, whatever is missing between."""

    @property
    def received(self) -> set[int]:
        return set(self.by_sequence)

    @property
    def removed(self) -> dict[int, str]:
        """Sequence → reason, by the tombstones."""
        found: dict[int, str] = {}
        for event in self.events.values():
            if event["type"] == "presence.removed.v1":
                for first, last in event["data"]["ranges"]:
                    found |= dict.fromkeys(range(first, last + 1), event["data"]["reason"])
        return found

    @property
    def missing(self) -> set[int]:
        """Sequences that were neither received nor declared removed."""
        known = self.received | self.removed.keys()
        return set(range(1, max(known, default=0) + 1)) - known

    @property
    def subjects(self) -> set[str]:
        return {event["subject"] for event in self.events.values() if "subject" in event}

    def of(self, *subjects: str) -> list[str]:
        """Ids of the events of these subjects."""
        return [id for id, event in self.events.items() if event.get("subject") in subjects]

    async def acknowledge(self) -> None:
        ranges: list[list[int]] = []
        for n in sorted(self.received):
            if ranges and ranges[-1][1] == n - 1:
                ranges[-1][1] = n
            else:
                ranges.append([n, n])
        self._said = self.through
        said = {"generation": self._generation, "also": ranges}
        await self.connection.publish(f"presence/v1/test/gw/{self.recipient}/ack", msgspec.json.encode(said))

    async def _keep_acknowledging(self) -> None:
        known = 0
        while True:
            await asyncio.sleep(0.1)
            if self.acknowledging and len(self.events) > known and self.connection.link.state == "up":
                known = len(self.events)
                await self.acknowledge()


def receiver(place: Place, recipient: str = "platform") -> AbstractAsyncContextManager[Receiver]:
    return consuming(Receiver, place, recipient)


async def verb(place: Place, *words: str) -> tuple[int, str, str]:
    """`gateway consent WORDS --config …`: exit code, standard output, standard error."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "consent", *words, "--config", str(place.config)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complained = await process.communicate()
    return process.returncode or 0, said.decode(), complained.decode()


def traces(place: Place, *needles: bytes | str) -> dict[str, list[str]]:
    """Which files of the state directory, and the log, hold any of these bytes, in whatever case."""
    found: dict[str, list[str]] = {}
    wanted = [n if isinstance(n, bytes) else n.encode() for n in needles]
    paths = [path for path in place.state.rglob("*") if path.is_file() and not path.is_socket()]
    for path in [*paths, place.log]:
        content = path.read_bytes().lower() if path.exists() else b""
        here = [repr(needle) for needle in wanted if needle.lower() in content]
        if here:
            found[str(path)] = here
    return found


async def reads_socket(daemon: Daemon, state: Path) -> None:
    """Until the daemon can be asked."""
    async with asyncio.timeout(60):
        while not (state / "gateway.sock").exists():
            assert daemon.process.returncode is None, daemon.said()
            await asyncio.sleep(0.02)
