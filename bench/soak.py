"""A simulated week of a store through the real daemon and a real broker, and whether anything grows.

    python bench/soak.py                            seven days in some 35 minutes; needs mosquitto
    python bench/soak.py --days 1 --rate 200        a day in seven minutes
    python bench/soak.py --write docs/soak.md       the report goes there

Shoppers come from 8 to 20 o'clock, cars park, strangers' addresses pass all day. Each night the broker is
killed (-9) and comes back, each noon one more subject withdraws (SIGHUP). Every simulated half hour the
daemon's memory, file descriptors, threads and files are read from /proc and its state directory. It ends with
an error when an event was lost or came under two sequences, or when anything of these grows.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform as machine
import random
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from daemons import TAG, Daemon, Place, consent, drove, heard, raw
from mosquitto import Mosquitto
from strangers import stranger

from gateway.errors import NotConnectedError
from gateway.links import Link
from gateway.mqtt import Connection, Incoming

START_S = 1_766_361_600.0  # 2025-12-22T00:00:00Z
DAY_S, HOUR_S = 86_400.0, 3_600.0
TICK_S = 2.0
"""Simulated, between two reports of a receiver."""
SHOPPERS, CARS, AT_ONCE = 200, 40, 6
VISIT_S, CAR_EVERY_S, FIX_EVERY_S = 600.0, 600.0, 5.0
STRANGERS_A_TICK = 3
SAMPLE_S = 1_800.0
PAGE = os.sysconf("SC_PAGE_SIZE")


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


class Sample(msgspec.Struct):
    t_s: float
    rss_bytes: int
    descriptors: int
    threads: int
    wal_bytes: int
    database_bytes: int
    state_bytes: int
    cpu_s: float
    events: int


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


class Store:
    """What is on the air and on the road at a moment of the simulation."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    @staticmethod
    def is_open(t_s: float) -> bool:
        return 8 <= (t_s % DAY_S) / HOUR_S < 20

    def heard(self, t_s: float) -> dict[str, list[dict[str, Any]]]:
        reports: dict[str, list[dict[str, Any]]] = {"pi-01": [], "pi-02": []}
        for elements in reports.values():
            elements.extend(stranger(self._rng) for _ in range(STRANGERS_A_TICK))
        if self.is_open(t_s):
            for slot in range(AT_ONCE):
                since_s = (t_s + slot * VISIT_S / AT_ONCE) % VISIT_S
                n = 1 + hash((slot, int((t_s + slot * VISIT_S / AT_ONCE) // VISIT_S))) % SHOPPERS
                near, far = ("pi-01", "pi-02") if since_s < VISIT_S * 0.4 else ("pi-02", "pi-01")
                if since_s < VISIT_S * 0.8:
                    reports[near].append(
                        raw(n, self._rng.gauss(-48, 3), f"c3:00:00:00:{n // 256:02x}:{n % 256:02x}")
                    )
                    reports[far].append(
                        raw(n, self._rng.gauss(-80, 3), f"c3:00:00:00:{n // 256:02x}:{n % 256:02x}")
                    )
        return reports

    def driven(self, t_s: float) -> Iterator[tuple[str, float, float]]:
        """(car, latitude, km/h)."""
        since_s = t_s % CAR_EVERY_S
        if self.is_open(t_s) and since_s < 300 and t_s % FIX_EVERY_S < TICK_S:
            car = f"car-{int(t_s // CAR_EVERY_S) % CARS}"
            if since_s < 40:
                yield car, 49.9988 + since_s * 0.000045, 20.0
            elif since_s < 250:
                yield car, 50.0007, 0.0
            else:
                yield car, 50.0007 - (since_s - 250) * 0.00005, 25.0


class Soak:
    def __init__(self, place: Place, days: float, rate: float) -> None:
        self._place, self._end_s, self._rate = place, START_S + days * DAY_S, rate
        self._store, self._withdrawn = Store(random.Random(7)), 0
        self.samples: list[Sample] = []
        self.ledger = Ledger(place)
        self.behind_s = 0.0

    def enrol(self) -> None:
        people = [consent(f"shopper-{n}", TAG.format(n=n)) for n in range(1, SHOPPERS + 1)]
        for person in people[: self._withdrawn]:
            person["version"] = 2
            person["consents"][0] |= {"version": 2, "status": "ConsentWithdrawn"}
        self._place.enrol(*people, *(consent(f"driver-{n}", f"vehicle:fleet/car-{n}") for n in range(CARS)))

    async def run(self) -> None:
        self.enrol()
        sending = Connection(self._place.endpoint(), "the-store", Link("store"))
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(work)
                for work in (sending.run(), self.ledger.connection.run(), self.ledger.acknowledge())
            ]
            await sending.wait_up()
            await self.ledger.connection.wait_up()
            async with self._place.daemon("--clock", f"{START_S},{self._rate}") as daemon:
                await daemon.ready()
                began_s = time.monotonic()
                await self._live(sending, daemon, lambda: START_S + (time.monotonic() - began_s) * self._rate)
                await asyncio.sleep(3)
                await daemon.stop()
            await asyncio.sleep(1)
            for task in tasks:
                task.cancel()

    async def _live(self, sending: Connection, daemon: Daemon, now: Any) -> None:
        t_s = sampled_s = START_S
        while t_s < self._end_s:
            await asyncio.sleep(max(0.0, (t_s - now()) / self._rate))
            self.behind_s = max(self.behind_s, now() - t_s)
            with contextlib.suppress(NotConnectedError):
                await self._tick(sending, t_s)
            if t_s >= sampled_s:
                sampled_s += SAMPLE_S
                assert daemon.process.returncode is None, daemon.said()[-2000:]
                self.samples.append(sample(daemon.process.pid, self._place, t_s, len(self.ledger.ids)))
            await self._disturb(daemon, t_s)
            # Late on a busy machine: what would have been heard meanwhile is left out, as on the air.
            t_s = max(t_s + TICK_S, now() // TICK_S * TICK_S)

    async def _tick(self, sending: Connection, t_s: float) -> None:
        for receiver, elements in self._store.heard(t_s).items():
            await heard(sending, receiver, *elements)
        for car, lat, speed_kmh in self._store.driven(t_s):
            await drove(sending, car, t_s, lat, vel=speed_kmh)

    async def _disturb(self, daemon: Daemon, t_s: float) -> None:
        hour = (t_s % DAY_S) / HOUR_S
        day = int((t_s - START_S) // DAY_S)
        if hour >= 3 and getattr(self, "_night", -1) < day:
            self._night = day
            self._place.broker.kill()
            await asyncio.sleep(0.5)
            self._place.broker.start()
        if hour >= 12 and self._withdrawn <= day:
            self._withdrawn = day + 1
            self.enrol()
            daemon.process.send_signal(signal.SIGHUP)


MEASURED = [
    ("memory (RSS), MiB", "rss_bytes", 2**20, 0.10),
    ("file descriptors", "descriptors", 1, 0.10),
    ("threads", "threads", 1, 0.34),
    ("write-ahead log, kB", "wal_bytes", 1000, 0.25),
    ("database, kB", "database_bytes", 1000, 0.25),
]
"""What, member, unit, and by what share the last day's highest may lie above the second's (of two days or
one: the second half above the first).
"""


def spans(samples: list[Sample]) -> list[list[Sample]]:
    by_day: dict[int, list[Sample]] = {}
    for s in samples:
        by_day.setdefault(int((s.t_s - START_S) // DAY_S), []).append(s)
    if len(by_day) >= 3:
        return list(by_day.values())
    half = len(samples) // 2
    return [samples[:half], samples[:half], samples[half:]]


def rose_mib(days: list[list[Sample]]) -> float:
    second, last = (statistics.median(s.rss_bytes for s in day) for day in (days[1], days[-1]))
    return (last - second) / 2**20


def report(
    soak: Soak, took_s: float, counted: dict[str, dict[str, int]], lines: list[str]
) -> tuple[str, list[str]]:
    days = spans(soak.samples)
    wrong = []
    rows = []
    for words, member, unit, share in MEASURED:
        highest = [max(getattr(s, member) for s in day) / unit for day in days]
        typical = [statistics.median(getattr(s, member) for s in day) / unit for day in days]
        if highest[-1] > highest[1] * (1 + share) + 1:
            wrong.append(f"{words} grows: {highest[1]:.1f} on the second day, {highest[-1]:.1f} on the last")
        cells = " | ".join(f"{m:,.4g} ({h:,.4g})" for m, h in zip(typical, highest, strict=True))
        rows.append(f"| {words} | {cells} |")
    ledger = soak.ledger
    if missing := max(ledger.by_sequence) - ledger.through:
        wrong.append(f"up to {missing} sequences are missing")
    if ledger.given_twice:
        wrong.append(f"{ledger.given_twice} events came under a sequence of another one")
    if len(ledger.ids) != len(ledger.by_sequence):
        wrong.append("an event came under two sequences")
    head = " | ".join(f"day {n}" for n in range(1, len(days) + 1))
    simulated_d = (soak.samples[-1].t_s + SAMPLE_S - START_S) / DAY_S
    facts = {
        "simulated": f"{simulated_d:.1f} days at {soak._rate:g} times real time, {took_s / 60:.0f} minutes",
        "machine": f"{machine.machine()}, {os.cpu_count()} cores, Python {machine.python_version()}",
        "events": f"{len(ledger.ids):,}, of them {ledger.tombstones} tombstones; sequence complete through "
        f"{ledger.through:,}; {ledger.redelivered} came again after a break, under their ids",
        "heard": f"{counted['profiles.generic-raw']['matched']:,} advertisements, "
        f"{counted['profiles.ibeacon']['matched']:,} of them of enrolled tags, and "
        f"{counted['profiles.owntracks']['matched']:,} positions",
        "memory": f"{rose_mib(days):+.1f} MiB from the second day to the last, by the medians",
        "CPU of the daemon": f"{soak.samples[-1].cpu_s:.0f} s",
        "log": f"{len(lines)} lines, {len(set(lines))} different but for their time",
    }
    text = "\n".join(
        [
            "# Soak", "",
            "A store's week through the real daemon and a real broker: `python bench/soak.py` (its head says",
            "what happens). Medians of each simulated day, in brackets the highest. Flat is what is wanted.",
            "",
            f"| | {head} |", "|---|" + "---|" * len(days), *rows, "",
            *(f"- {name}: {words}" for name, words in facts.items()),
            f"- verdict: {'; '.join(wrong) or 'nothing lost, nothing twice, nothing grows'}", "",
        ]
    )  # fmt: skip
    return text, wrong


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--days", type=float, default=7.0)
    parser.add_argument("--rate", type=float, default=300.0, help="simulated seconds a second")
    parser.add_argument("--write", type=Path, help="where the report goes, besides standard output")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, Mosquitto(Path(name) / "broker") as broker:
        place = Place(Path(name), broker)
        soak, began_s = Soak(place, wanted.days, wanted.rate), time.monotonic()
        await soak.run()
        lines = [line.partition(" ")[2] for line in place.log.read_text().splitlines()]
        text, wrong = report(soak, time.monotonic() - began_s, place.counted(), lines)
        print(json.dumps(place.counted()), file=sys.stderr)
        print("\n".join(lines), file=sys.stderr)
    print(text)
    if wanted.write:
        wanted.write.write_text(text)
    return bool(wrong)


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
