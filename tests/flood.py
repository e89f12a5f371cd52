"""Five thousand advertisements a second from a hundred thousand addresses, and one enrolled tag among them."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from daemons import TAG, Place, consent, consuming, raw, sender
from receiver_model import Receiver
from strangers import KINDS, an_address, stranger

ADDRESSES = 100_000
SECRETS_LOOKED_FOR = 5_000
BATCHES_A_SECOND = 100


class Flooded(msgspec.Struct):
    """What came of it."""

    sent: int
    seconds: float
    taken: int
    """Of those sent, advertisements that the pipeline has seen."""
    shed: int
    """Likewise, that the lanes gave up and counted: with `taken` it makes `sent`."""
    cpu_s: float
    rss_mib: list[float]
    """Once a second, from the moment on at which all addresses may have been heard."""
    changes: list[str]
    """Of the tag, which walks to and fro between two shelves."""
    found: list[str]
    """Files of the daemon in which a foreign address or payload stands."""


def foreigners(rng: random.Random) -> Iterator[dict[str, Any]]:
    addresses = [an_address(rng) for _ in range(ADDRESSES)]
    while True:
        n = rng.randrange(ADDRESSES)
        yield stranger(rng, addresses[n], KINDS[n % len(KINDS)])


async def flooded(place: Place, seconds: float, a_second: float = 5_000.0) -> Flooded:
    place.enrol(consent("card-1", TAG.format(n=1)), consent("card-2", TAG.format(n=2)))
    rng, each = random.Random(11), round(a_second / BATCHES_A_SECOND)
    source = foreigners(rng)
    # Made beforehand, so that the flood is the daemon's to bear and not this process's; sent again in turn.
    needed = min(2 * ADDRESSES // each, round(seconds * BATCHES_A_SECOND))
    batches = [[next(source) for _ in range(each)] for _ in range(needed)]
    bodies = [msgspec.json.encode(batch) for batch in batches]
    with_tag = msgspec.json.encode([*batches[0][1:], raw(1, -45)])
    async with consuming(Receiver, place, "platform") as at, sender(place) as s, place.daemon() as daemon:
        await daemon.ready()
        pid = daemon.process.pid
        rss_mib: list[float] = []
        began_s, sent = time.monotonic(), 0
        while (now_s := time.monotonic() - began_s) < seconds:
            near = "pi-01" if now_s % 16 < 8 else "pi-02"
            if sent % 10 == 0:
                await s.publish(f"receivers/v1/test/{near}", with_tag, qos=0)
            else:
                await s.publish(f"receivers/v1/test/pi-0{1 + sent % 2}", bodies[sent % len(bodies)], qos=0)
            sent += 1
            if now_s > min(seconds / 2, 1.5 * ADDRESSES / a_second) and len(rss_mib) < now_s:
                rss_mib.append(_rss_mib(pid))
            await asyncio.sleep(max(0.0, began_s + sent / BATCHES_A_SECOND - time.monotonic()))
        took_s, cpu_s = time.monotonic() - began_s, _cpu_s(pid)
        behind = 0
        while "card-2" not in at.subjects():  # who comes behind the flood: all of it has been taken or shed
            await s.publish("receivers/v1/test/pi-01", msgspec.json.encode([raw(2, -45)]), qos=0)
            behind += 1
            await asyncio.sleep(0.5)
        await daemon.stop()
    counted = place.counted()
    shed = counted.get("lanes", {}).get("sightings_dropped", 0) * each
    taken = counted["profiles.generic-raw"]["matched"] - behind
    found = _found(place, [e for batch in batches for e in batch][:SECRETS_LOOKED_FOR])
    changes = [e["type"].split(".")[1] for e in at.first if e.get("subject") == "card-1"]
    return Flooded(sent * each, took_s, taken, shed, cpu_s, rss_mib, changes, found)


def _found(place: Place, elements: list[dict[str, Any]]) -> list[str]:
    """Looks for addresses as text and as bytes either way round, and for payloads."""
    secrets: set[bytes] = set()
    for element in elements:
        address = bytes.fromhex(element["address"].replace(":", ""))
        adv = bytes.fromhex(element["adv"])
        secrets |= {element["address"].encode(), address.hex().encode(), address, address[::-1]}
        secrets |= {adv.hex().encode(), adv}
    lengths = sorted({len(secret) for secret in secrets})
    found = []
    for path in [place.log, *(p for p in place.state.rglob("*") if p.is_file())]:
        content = path.read_bytes()
        for length in lengths:
            if any(content[i : i + length] in secrets for i in range(len(content) - length + 1)):
                found.append(path.name)
                break
    return found


def _rss_mib(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def _cpu_s(pid: int) -> float:
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")
