"""A simulated store through the real daemon and a real broker, and whether anything grows.

    python bench/soak.py                            seven days in some 35 minutes; needs mosquitto
    python bench/soak.py --days 1 --rate 400        a day in four minutes
    python bench/soak.py --days 30 --rate 2400 --tick 8 --write docs/soak.md
                                                    a month in 20 minutes: heard less often

Shoppers come while the store is open, cars park, strangers pass all day; soak_store.py says what is new each
day. Each night the broker is killed (-9) and comes back; each noon consents and map are others (SIGHUP).
Every simulated half hour the daemon's memory, file descriptors, threads and files are read from /proc and its
state directory; each night it counts its own tables (tests/census.py). It ends with an error when an event
was lost or came under two sequences, or when anything of these grows.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx
import msgspec

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from daemons import Daemon, Place, drove, heard
from mosquitto import Mosquitto
from soak_report import DAY_S, SAMPLE_S, START_S, Run, Sample, Told, report
from soak_store import HOUR_S, SHOPPERS, TOKEN, Enrolled, Store

from gateway.errors import NotConnectedError
from gateway.links import Link
from gateway.mqtt import Connection, Incoming

CLOSED_TICK_S = 10.0
"""Simulated, between two reports of a receiver while the store is closed."""
LOOK_S = 2.0
"""Real, between two looks at the page."""
PAGE = os.sysconf("SC_PAGE_SIZE")
TESTS = Path(__file__).parent.parent / "tests"


class Ledger:
    """The platform, as far as it has to remember: every id once, every sequence, and acknowledgements."""

    def __init__(self, place: Place) -> None:
        self.by_sequence: dict[int, str] = {}
        self.ids: set[str] = set()
        self.removed: set[int] = set()
        """Sequences that tombstones stand for."""
        self.through = self.redelivered = self.tombstones = self.given_twice = 0
        self._generation = ""
        self.connection = Connection(
            place.endpoint(), "the-platform", Link("platform"), persistent=True, on_message=self._take,
            subscriptions=[("presence/v1/test/gw/platform/+", 1)],
        )  # fmt: skip

    def _take(self, incoming: Incoming) -> None:
        if not incoming.topic.endswith("/ack"):
            event = msgspec.json.decode(incoming.payload)
            sequence, id = int(event["sequence"]), event["id"]
            known = self.by_sequence.setdefault(sequence, id)
            self.given_twice += known != id
            self.redelivered += id in self.ids
            self.tombstones += id not in self.ids and event["type"] == "presence.removed.v1"
            self.ids.add(id)
            self._generation = event["generation"]
            for first, last in event["data"].get("ranges", []):
                self.removed.update(range(first, last + 1))
            while self.through + 1 in self.by_sequence or self.through + 1 in self.removed:
                self.through += 1
        if incoming.acknowledge is not None:
            incoming.acknowledge()

    def told(self) -> Told:
        return Told(
            events=len(self.ids),
            sequences=len(self.by_sequence),
            highest=max(self.by_sequence),
            through=self.through,
            tombstones=self.tombstones,
            redelivered=self.redelivered,
            given_twice=self.given_twice,
        )

    async def acknowledge(self) -> None:
        said = -1
        while True:
            await asyncio.sleep(0.2)
            if self.through == said:
                continue
            with contextlib.suppress(NotConnectedError):
                word = msgspec.json.encode({"generation": self._generation, "through": self.through})
                await self.connection.publish("presence/v1/test/gw/platform/ack", word)
                said = self.through


def sample(pid: int, place: Place, t_s: float, events: int) -> Sample:
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    sizes = {p.name: p.stat().st_size for p in place.state.rglob("*") if p.is_file()}
    return Sample(
        t_s=t_s,
        rss_bytes=int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE,
        descriptors=len(list(Path(f"/proc/{pid}/fd").iterdir())),
        threads=int(stat[17]),
        wal_bytes=sizes.get("outbox.sqlite-wal", 0),
        database_bytes=sizes.get("outbox.sqlite", 0),
        state_bytes=sum(sizes.values()),
        cpu_s=(int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK"),
        events=events,
    )


class Soak:
    def __init__(self, place: Place, wanted: argparse.Namespace) -> None:
        self._place, self._rate = place, wanted.rate
        self._end_s, self._tick_s = START_S + wanted.days * DAY_S, wanted.tick
        self._enrolled = Enrolled(place)
        self._store = Store(random.Random(7), *wanted.open)
        self._night = self._noon = -1
        self._traced = wanted.traced
        self.census = place.folder / "census"
        self.samples: list[Sample] = []
        self.looks = Counter[tuple[str, int]]()
        """At the page, by path and answer."""
        self.ledger = Ledger(place)

    async def run(self) -> None:
        self._enrolled.on(0)
        sending = Connection(self._place.endpoint(), "the-store", Link("store"))
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(work)
                for work in (sending.run(), self.ledger.connection.run(), self.ledger.acknowledge())
            ]
            await sending.wait_up()
            await self.ledger.connection.wait_up()
            environ = {"GATEWAY_CENSUS": str(self.census), "PYTHONPATH": str(TESTS)}
            environ |= {"GATEWAY_TRACED": "yes"} if self._traced else {}
            clock = f"{START_S},{self._rate}"
            async with self._place.daemon("--clock", clock, module="census", **environ) as daemon:
                await daemon.ready()
                began_s = time.monotonic()
                tasks.append(group.create_task(self._look()))
                await self._live(sending, daemon, lambda: START_S + (time.monotonic() - began_s) * self._rate)
                await asyncio.sleep(3)
                daemon.process.send_signal(signal.SIGUSR1)
                await asyncio.sleep(3)
                await daemon.stop()
            await asyncio.sleep(1)
            for task in tasks:
                task.cancel()

    async def _live(self, sending: Connection, daemon: Daemon, now: Callable[[], float]) -> None:
        t_s = sampled_s = START_S
        while t_s < self._end_s:
            await asyncio.sleep(max(0.0, (t_s - now()) / self._rate))
            with contextlib.suppress(NotConnectedError):
                await self._tick(sending, t_s)
            if t_s >= sampled_s:
                sampled_s += SAMPLE_S
                assert daemon.process.returncode is None, daemon.said()[-2000:]
                self.samples.append(sample(daemon.process.pid, self._place, t_s, len(self.ledger.ids)))
            await self._disturb(daemon, t_s)
            tick_s = self._tick_s if self._store.is_open(t_s) else max(self._tick_s, CLOSED_TICK_S)
            # Late on a busy machine: what would have been heard meanwhile is left out, as on the air.
            t_s = max(t_s + tick_s, now() // self._tick_s * self._tick_s)

    async def _tick(self, sending: Connection, t_s: float) -> None:
        for receiver, elements in self._store.heard(t_s).items():
            await heard(sending, receiver, *elements)
        for car, lat, speed_kmh in self._store.driven(t_s, self._tick_s):
            await drove(sending, car, t_s, lat, vel=speed_kmh)

    async def _disturb(self, daemon: Daemon, t_s: float) -> None:
        """At three the broker dies, at noon consents and map are others; before that the tables are told."""
        hour = (t_s % DAY_S) / HOUR_S
        day = int((t_s - START_S) // DAY_S)
        if hour >= 3 and self._night < day:
            self._night = day
            daemon.process.send_signal(signal.SIGUSR1)
            self._place.broker.kill()
            await asyncio.sleep(0.5)
            self._place.broker.start()
        if hour >= 12 and self._noon < day:
            self._noon = day
            self._enrolled.on(day + 1)
            daemon.process.send_signal(signal.SIGHUP)

    async def _look(self) -> None:
        """Somebody has the page open, its figures are collected, one journey after the other is asked for."""
        url = f"http://127.0.0.1:{self._enrolled.port}"
        async with httpx.AsyncClient(base_url=url, auth=("operator", TOKEN), trust_env=False) as client:
            for n in itertools.count():
                await asyncio.sleep(LOOK_S)
                with contextlib.suppress(httpx.HTTPError):
                    for path in ("/", "/metrics", "/healthz"):
                        self.looks[path, (await client.get(path)).status_code] += 1
                    who = {"subject": f"shopper-{n % SHOPPERS}"}
                    self.looks["/journey", (await client.post("/journey", data=who)).status_code] += 1


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--days", type=float, default=7.0)
    parser.add_argument("--rate", type=float, default=300.0, help="simulated seconds a second")
    parser.add_argument("--open", type=float, nargs=2, default=(8.0, 20.0), help="opening hours")
    parser.add_argument("--tick", type=float, default=2.0, help="simulated seconds between two reports")
    parser.add_argument("--traced", action="store_true", help="say which lines hold more; slow")
    parser.add_argument("--write", type=Path, help="where the report goes, besides standard output")
    parser.add_argument("--keep", type=Path, help="where all that was measured goes, for soak_report.py")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, Mosquitto(Path(name) / "broker") as broker:
        place = Place(Path(name), broker)
        soak, began_s = Soak(place, wanted), time.monotonic()
        await soak.run()
        took_s = time.monotonic() - began_s
        lines = [line.partition(" ")[2] for line in place.log.read_text().splitlines()]
        censuses = [json.loads(line) for line in soak.census.read_text().splitlines()]
        print(json.dumps(place.counted()), file=sys.stderr)
        print(soak.looks, *lines, sep="\n", file=sys.stderr)
        run = Run(soak.samples, censuses, soak.ledger.told(), place.counted(), lines, wanted.rate, took_s)
        if wanted.keep:
            wanted.keep.write_bytes(msgspec.json.encode(run))
        text, wrong = report(run)
    print(text)
    if wanted.write:
        wanted.write.write_text(text)
    return bool(wrong)


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
