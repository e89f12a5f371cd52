"""The real daemon as a child process, a platform that receives and acknowledges, and a place for both."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from mosquitto import Mosquitto

from gateway.errors import NotConnectedError
from gateway.links import Link
from gateway.mqtt import Connection, Incoming
from gateway.mqtt_client import Endpoint

TAG = "ibeacon:e2c56db5-dffb-48d2-b060-d0f5a71096e0:1:{n}"

FLOOR = """\
site: {id: test, name: Test, timezone: UTC}
devices: {default_class: store_tag}
floors:
  - id: ground
    bounds: [[0, 0], [30, 10]]
    zones:
      - {id: cereals, kind: shelf, at: [3, 5], dwell: [2s], leave_after: 3s}
      - {id: dairy, kind: shelf, at: [27, 5], dwell: [2s], leave_after: 3s}
receivers:
  - {id: pi-01, floor: ground, at: [3, 5]}
  - {id: pi-02, floor: ground, at: [27, 5]}
"""
SITE = (
    FLOOR
    + """\
fences:
  - {id: car-park, kind: car_park, polygon: [[50.0, 7.0], [50.002, 7.0], [50.002, 7.003], [50.0, 7.003]], dwell: [5s]}
"""
)

SETTINGS = """\
gateway: {id: gw, state_dir: STATE, clock: {trust: always}}
brokers:
  local: {host: 127.0.0.1, port: PORT, subscribe: [generic-raw, owntracks]}
recipients:
  platform:
    via: local
    purposes:
      dpv:PersonalisedBenefits: {legal_basis: eu-gdpr:A6-1-a, fields: [zone, since, dwell_s, threshold_s]}
  partner:
    via: local
    ack: puback
    purposes:
      dpv:ServiceProvision: {legal_basis: eu-gdpr:A6-1-a, fields: [zone], changes: [entered, left], zones: [car-park]}
consent: {feed: {file: consent.yaml}}
"""


def consent(subject: str, *identities: str, partner: bool = False, **changes: Any) -> dict[str, Any]:
    entries = [("c-1", "dpv:PersonalisedBenefits", "platform")]
    if partner:
        entries.append(("c-2", "dpv:ServiceProvision", "partner"))
    return {
        "subject": subject,
        "version": 1,
        "identities": list(identities),
        "consents": [
            {
                "record_id": f"{subject}/{record_id}",
                "version": 1,
                "status": "ConsentGiven",
                "purposes": [purpose],
                "recipients": [recipient],
                "zones": "all",
                "event_time": "2020-01-01T00:00:00Z",
            }
            | changes
            for record_id, purpose, recipient in entries
        ],
    }


class Place:
    """A configuration directory, its broker, and daemons run in it."""

    def __init__(self, folder: Path, broker: Mosquitto) -> None:
        self.folder, self.broker = folder, broker
        self.config, self.state, self.log = folder / "config", folder / "state", folder / "gateway.log"
        self.config.mkdir(parents=True)
        (self.config / "site.yaml").write_text(SITE)
        settings = SETTINGS.replace("PORT", str(broker.port)).replace("STATE", str(self.state))
        (self.config / "gateway.yaml").write_text(settings)
        self.enrol()

    def enrol(self, *records: dict[str, Any]) -> None:
        (self.config / "consent.yaml").write_text(json.dumps(list(records)))

    def endpoint(self) -> Endpoint:
        return Endpoint("test", self.broker.host, self.broker.port)

    @contextlib.asynccontextmanager
    async def daemon(self, *options: str, module: str = "gateway", **environ: str) -> AsyncIterator[Daemon]:
        """`module`: the gateway's command line, or what wraps it."""
        with self.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", module, "run", "--config", str(self.config), *options),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONWARNINGS": "default", **environ},
            )
        daemon = Daemon(process, self.log)
        try:
            yield daemon
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    def counted(self) -> dict[str, dict[str, int]]:
        """What the daemon that stopped last has counted."""
        lines = [line for line in self.log.read_text().splitlines() if "counted: " in line]
        counted: dict[str, dict[str, int]] = json.loads(lines[-1].partition("counted: ")[2])
        return counted


class Daemon:
    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self.process, self._log = process, log
        self._before = log.stat().st_size

    def said(self) -> str:
        with self._log.open() as file:
            file.seek(self._before)
            return file.read()

    async def says(self, words: str, seconds: float = 60.0) -> None:
        async with asyncio.timeout(seconds):
            while words not in self.said():
                assert self.process.returncode is None, self.said()
                await asyncio.sleep(0.02)

    async def ready(self) -> None:
        await self.says("source local: up")
        await self.says("sink local: up")

    async def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()

    async def stop(self, number: int = signal.SIGTERM) -> float:
        """Seconds that a clean stop took; it must end with exit code 0."""
        began_s = time.monotonic()
        self.process.send_signal(number)
        code = await asyncio.wait_for(self.process.wait(), 60)
        assert code == 0, self.said()
        return time.monotonic() - began_s


class Platform:
    """Receives everything, forgets nothing, and acknowledges as the platform should: cumulative by sequence."""

    def __init__(self, connection_of: Callable[..., Connection], recipient: str = "platform") -> None:
        self.recipient = recipient
        self.events: dict[str, dict[str, Any]] = {}
        """By id: doubles are recognised by it alone."""
        self.by_sequence: dict[int, str] = {}
        self.doubles = 0
        self.acknowledging = True
        self._generation, self._said = "", 0
        topics = f"presence/v1/test/gw/{recipient}/+"
        self.connection = connection_of(subscriptions=[(topics, 1)], on_message=self._take)

    def _take(self, incoming: Incoming) -> None:
        if not incoming.topic.endswith("/ack"):
            event = msgspec.json.decode(incoming.payload)
            sequence = int(event["sequence"])
            known = self.by_sequence.setdefault(sequence, event["id"])
            assert known == event["id"], f"sequence {sequence} was given twice"
            if event["id"] in self.events:
                self.doubles += 1
                self._said = 0  # it comes again, so an acknowledgement was lost
            self.events[event["id"]] = event
            self._generation = event["generation"]
        if incoming.acknowledge is not None:
            incoming.acknowledge()

    @property
    def through(self) -> int:
        """Highest sequence up to which nothing is missing."""
        n = 0
        while n + 1 in self.by_sequence:
            n += 1
        return n

    def changes(self) -> Counter[str]:
        return Counter(e["type"].split(".")[1] for e in self.events.values())

    def zone_changes(self, zone: str) -> list[str]:
        ordered = [self.events[self.by_sequence[n]] for n in sorted(self.by_sequence)]
        return [e["type"].split(".")[1] for e in ordered if e["data"].get("zone", {}).get("id") == zone]

    async def acknowledge(self) -> None:
        said = {"generation": self._generation, "through": self.through}
        await self.connection.publish(f"presence/v1/test/gw/{self.recipient}/ack", msgspec.json.encode(said))

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.connection.run())
            group.create_task(self._keep_acknowledging())

    async def _keep_acknowledging(self) -> None:
        while True:
            await asyncio.sleep(0.1)
            through = self.through
            if self.acknowledging and through > self._said:
                self._said = through
                try:
                    await self.acknowledge()
                except NotConnectedError:
                    self._said = 0


_Consumer = TypeVar("_Consumer", bound=Platform)


@contextlib.asynccontextmanager
async def platform(place: Place, recipient: str = "platform") -> AsyncIterator[Platform]:
    async with consuming(Platform, place, recipient) as made:
        yield made


@contextlib.asynccontextmanager
async def consuming(kind: type[_Consumer], place: Place, recipient: str) -> AsyncIterator[_Consumer]:
    def connection_of(**options: Any) -> Connection:
        return Connection(place.endpoint(), f"the-{recipient}", Link(recipient), persistent=True, **options)

    made = kind(connection_of, recipient)
    task = asyncio.create_task(made.run())
    try:
        await made.connection.wait_up()
        yield made
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@contextlib.asynccontextmanager
async def sender(place: Place, name: str = "the-sender") -> AsyncIterator[Connection]:
    connection = Connection(place.endpoint(), name, Link("sender"))
    task = asyncio.create_task(connection.run())
    try:
        await connection.wait_up()
        yield connection
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def advertisement(n: int) -> str:
    """AD structures, in hex, of the iBeacon `TAG.format(n=n)`."""
    return f"0201061aff4c000215e2c56db5dffb48d2b060d0f5a71096e00001{n:04x}c5"


def raw(n: int, rssi_dbm: float, address: str = "c3:00:00:25:ef:6a") -> dict[str, Any]:
    """One element of the generic raw form."""
    return {"address": address, "address_type": "random", "rssi": rssi_dbm, "adv": advertisement(n)}


async def heard(sending: Connection, receiver: str, *elements: Any) -> None:
    await sending.publish(f"receivers/v1/test/{receiver}", msgspec.json.encode(list(elements)), qos=0)


async def drove(
    sending: Connection, car: str, t_s: float, lat: float, lon: float = 7.0015, **more: Any
) -> None:
    said = {"_type": "location", "tst": round(t_s), "lat": lat, "lon": lon, "acc": 5, "tid": "x"} | more
    await sending.publish(f"owntracks/fleet/{car}", msgspec.json.encode(said))


def arrival(t0_s: float) -> Iterator[tuple[float, float, float]]:
    """(t, latitude, km/h) of a car that comes from the south, turns in and parks; one fix a second."""
    for n in range(40):
        if n < 10:
            yield t0_s + n, 49.9988 + n * 0.00013, 50.0
        elif n < 20:
            yield t0_s + n, 50.0001 + (n - 10) * 0.00006, 20.0
        else:
            yield t0_s + n, 50.0007, 0.0


async def until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 - the condition is anything
            await asyncio.sleep(0.02)
