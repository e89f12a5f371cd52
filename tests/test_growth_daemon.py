"""What a running daemon holds does not grow with what happens to it: bench/soak.py in two minutes."""

from __future__ import annotations

import asyncio
import json
import signal
from collections import Counter
from pathlib import Path

import pytest
from daemons import SITE, TAG, Daemon, Place, consent, heard, raw, sender, until

ROUNDS, GUESTS, CHANCE = 6, 8, 5
"""In each round as many are new, of everything, as make more than chance in the second half."""
ELSEWHERE = {
    "Holdings._gone", "Holdings._versions", "Holdings._bars", "Versions._facts", "len(Versions)",
    "Profiles._topics", "Profiles._vehicle_topics", "ReceiverStates._topics", "PacketStream._topics",
}  # fmt: skip
"""What is kept for days, or for more real seconds than a round takes: test_growth.py and test_bounds.py."""


def renew(place: Place, turn: int) -> None:
    """Other guests, another zone, and one record of who was here before."""
    guests = range(turn * GUESTS, (turn + 1) * GUESTS)
    gone = {"subject": f"guest-{turn * GUESTS - 1}", "version": 2, "erased": True}
    place.enrol(gone, *(consent(f"guest-{n}", TAG.format(n=n + 1)) for n in guests))
    offer = f"      - {{id: offer-{turn}, kind: shelf, at: [15, 5]}}\nreceivers:\n"
    (place.config / "site.yaml").write_text(SITE.replace("receivers:\n", offer))


async def a_round(place: Place, daemon: Daemon, census: Path, turn: int) -> Counter[str]:
    """A reload, guests that come and go, and every other time a broker that is killed; then what is held."""
    renew(place, turn)
    daemon.process.send_signal(signal.SIGHUP)
    await daemon.says(f"zones new: offer-{turn}")
    async with sender(place) as sending:
        for n in range(turn * GUESTS, (turn + 1) * GUESTS):
            for _ in range(5):
                await heard(sending, "pi-01", raw(n + 1, -45.0, f"c3:00:00:00:{n // 256:02x}:{n % 256:02x}"))
                await heard(sending, f"pi-{turn}-{n}", raw(0xFFFF, -45.0))
                await asyncio.sleep(0.01)
    if turn % 2:
        ups = daemon.said().count("sink local: up")
        place.broker.kill()
        place.broker.start()
        await until(lambda: daemon.said().count("sink local: up") > ups, 120.0)
    held = [await counted(daemon, census) for _ in range(3)]
    return held[0] & held[1] & held[2]  # without what is only passing through


async def counted(daemon: Daemon, census: Path) -> Counter[str]:
    """A quarter of an hour later, in which everybody has gone."""
    await asyncio.sleep(1.0)
    before = len(told(census))
    daemon.process.send_signal(signal.SIGUSR1)
    await until(lambda: len(told(census)) > before)
    return Counter(json.loads(told(census)[-1])["tables"])


def told(census: Path) -> list[str]:
    return census.read_text().splitlines() if census.exists() else []


@pytest.mark.slow  # it waits for reconnects; test_growth.py is its short form
@pytest.mark.timeout(400)
async def test_what_a_daemon_holds_does_not_grow(place: Place, tmp_path: Path) -> None:
    census = tmp_path / "census"
    environ = {"GATEWAY_CENSUS": str(census), "PYTHONPATH": str(Path(__file__).parent)}
    async with place.daemon("--clock", "now,900", module="census", **environ) as daemon:
        await daemon.ready()
        held = [await a_round(place, daemon, census, turn) for turn in range(ROUNDS)]
        await daemon.stop()
    before, after = held[1] | held[2], held[-2] | held[-1]
    assert before["Holdings._held"] == GUESTS
    assert before["asyncio.all_tasks"] > CHANCE
    grown = {table: (before[table], n) for table, n in after.items() if n > before[table] + CHANCE}
    assert not grown.keys() - ELSEWHERE, grown
