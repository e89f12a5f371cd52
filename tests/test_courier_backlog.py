"""After an outage: what is live goes first, the backlog beside it at a bounded rate, each in its order."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import pytest
from consents import entry, record
from couriers import Bench, until

from gateway.counts import Counts
from gateway.outbox import Outbox
from gateway.sinks import Delivery, courier
from gateway.sinks.pace import Pace

OUTAGE_S = 3_600.0


class Town:
    """An outbox whose clock stands an hour back while the link is down."""

    def __init__(self, stack: contextlib.AsyncExitStack, path: Path) -> None:
        self._stack, self._path = stack, path
        self.behind_s = OUTAGE_S
        self.tasks: list[asyncio.Task[None]] = []

    async def bench(self, mode: Literal["platform", "puback"], backlog_per_s: float) -> Bench:
        counts = Counts()
        outbox = await self._stack.enter_async_context(
            Outbox(self._path, ["platform"], commit_delay_s=0.005, counts=counts, clock=self.clock)
        )
        return Bench(outbox, mode, counts, backlog_per_s)

    def clock(self) -> float:
        return time.time() - self.behind_s

    def connect(self, bench: Bench) -> None:
        self.behind_s = 0.0
        self._stack.callback(asyncio.create_task(bench.courier.run()).cancel)


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with contextlib.AsyncExitStack() as stack:
        yield Town(stack, tmp_path / "outbox.sqlite")


def lanes(bench: Bench) -> tuple[list[int], list[int]]:
    """Sequences as they were sent: live, backlog."""
    sent: tuple[list[int], list[int]] = ([], [])
    for said in bench.sink.payloads:
        sent[said["historical"]].append(int(said["sequence"]))
    return sent


@pytest.mark.parametrize("mode", ["puback", "platform"])
async def test_live_first_and_each_in_its_order(town: Town, mode: Literal["platform", "puback"]) -> None:
    at = await town.bench(mode, backlog_per_s=100)
    await at.happen(300)
    town.behind_s = 0.0
    await at.happen(50, first=300)  # while the link comes back
    town.connect(at)
    await until(lambda: len(at.sink.sent) >= 60)
    await at.happen(50, first=350)
    await until(lambda: len(at.sink.sent) == 400)
    live, backlog = lanes(at)
    assert live == list(range(301, 401))
    assert backlog == list(range(1, 301))
    assert at.sink.sent[:50] == live[:50]
    assert at.sink.sent.index(400) < at.sink.sent.index(280)  # it did not wait for the end of the backlog


async def test_the_backlog_goes_at_its_rate(town: Town) -> None:
    at = await town.bench("puback", backlog_per_s=40)
    await at.happen(120)
    began_s = time.monotonic()
    town.connect(at)
    await until(lambda: len(at.sink.sent) >= 100)
    took_s = time.monotonic() - began_s
    assert took_s > 1.3  # 40 at once, the other 60 in a second and a half


async def test_a_live_event_is_not_held_up_by_a_backlog(town: Town) -> None:
    at = await town.bench("puback", backlog_per_s=50)
    await at.happen(5_000)
    town.connect(at)
    await until(lambda: len(at.sink.sent) >= 60)
    waits_s = []
    for n in range(10):
        began_s = time.monotonic()
        await at.happen(1, first=5_000 + n)
        await until(lambda n=n: 5_001 + n in at.sink.sent)  # type: ignore[misc]
        waits_s.append(time.monotonic() - began_s)
        await asyncio.sleep(0.03)
    assert sorted(waits_s)[5] < 5.0  # the backlog takes a hundred seconds


async def test_a_backlog_leaves_half_of_the_window_to_what_is_live(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "OUTSTANDING", 20)
    at = await town.bench("platform", backlog_per_s=1_000)
    await at.happen(100)
    town.connect(at)
    await until(lambda: len(at.sink.sent) == 10)
    await asyncio.sleep(0.3)
    assert at.sink.sent == list(range(1, 11))
    await at.happen(10, first=100)
    await until(lambda: len(at.sink.sent) == 20)
    assert at.sink.sent[10:] == list(range(101, 111))
    await at.acknowledge(through=0, also=[[101, 110]])
    await at.acknowledge(through=10)
    await until(lambda: len(at.sink.sent) >= 30)
    assert at.sink.sent[20:30] == list(range(11, 21))


async def test_a_link_that_is_slower_than_what_happens_turns_live_into_backlog(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "LIVE_S", 1.0)
    at = await town.bench("puback", backlog_per_s=10_000)
    monkeypatch.setattr(courier, "WINDOW", 1)
    slow = at.sink.send

    async def send(delivery: Delivery) -> None:
        await asyncio.sleep(0.05)
        await slow(delivery)

    monkeypatch.setattr(at.sink, "send", send)
    town.connect(at)
    await at.happen(60)
    await until(lambda: len(at.sink.sent) == 60)
    live, backlog = lanes(at)
    assert live and backlog
    assert (live, backlog) == (sorted(live), sorted(backlog))
    assert sorted(live + backlog) == list(range(1, 61))  # none of them twice


async def test_what_is_withdrawn_from_a_backlog_is_not_sent(town: Town) -> None:
    at = await town.bench("puback", backlog_per_s=20)
    await at.happen(100)
    town.connect(at)
    await until(lambda: len(at.sink.sent) >= 20)
    at.say(record("card-1234", entry(version=2, status="ConsentWithdrawn"), version=2))
    already = len(at.sink.sent)
    await until(lambda: any("removed" in said["type"] for said in at.sink.payloads))
    events = [said for said in at.sink.payloads[already:] if "removed" not in said["type"]]
    assert events == []


async def test_no_backlog_no_pace(town: Town) -> None:
    """A burst that is live is not held back."""
    at = await town.bench("puback", backlog_per_s=1)
    town.connect(at)
    began_s = time.monotonic()
    await at.happen(500)
    await until(lambda: len(at.sink.sent) == 500)
    assert time.monotonic() - began_s < 60.0  # at the pace of a backlog 500


@pytest.mark.parametrize(
    ("per_s", "takes", "allowed"),
    [
        (10.0, [(0.0, 99)], [10]),  # a second's worth at once
        (10.0, [(0.0, 10), (0.35, 3)], [10, 3]),
        (10.0, [(0.0, 10), (60.0, 0)], [10, 10]),  # and no more after a pause
        (0.5, [(0.0, 1), (1.0, 0), (2.0, 1)], [1, 0, 1]),
    ],
)
def test_pace(per_s: float, takes: list[tuple[float, int]], allowed: list[int]) -> None:
    moments_s = [0.0]
    pace, seen = Pace(per_s, lambda: moments_s[-1]), []
    for moment_s, n in takes:
        moments_s.append(moment_s)
        seen.append(pace.allowed())
        pace.spend(min(n, seen[-1]))
    assert seen == allowed


def test_pace_says_when_it_goes_on() -> None:
    pace = Pace(4.0, lambda: 0.0)
    pace.spend(4)
    assert pace.pause_s() == pytest.approx(0.25)
