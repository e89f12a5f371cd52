"""The pump: batches into the outbox, and thanks only after the commit, in order."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from consents import entry, record
from small_disks import fill, tmpfs

from gateway import pump as pump_room
from gateway.clock import PipelineClock
from gateway.consent import ConsentScreen, Keys, Policy, Purpose, Recipient, Register
from gateway.consent.bars import Withdrawal
from gateway.core import Core
from gateway.counts import Counts
from gateway.identity import Identification
from gateway.lanes import Lanes
from gateway.model import Anchor, ConsentSignal, Sighting, SiteMap, Zone
from gateway.outbox import Outbox
from gateway.pipeline import Pipeline, Tracker
from gateway.profiles import load_profiles
from gateway.pump import LOOK_S, Pump

ADV = bytes.fromhex("0201061aff4c000215e2c56db5dffb48d2b060d0f5a71096e000010011c5")
UNKNOWN = ADV[:-2] + b"\x99\xc5"
SITE = SiteMap(
    "s",
    device_class="store_tag",
    zones=(
        Zone("cereals", "shelf", "Cereals", "g", at=(3.0, 4.0)),
        Zone("dairy", "shelf", "Dairy", "g", at=(30.0, 4.0)),
    ),
    receivers=(Anchor("pi-01", "g", (3.0, 4.0, 2.4)), Anchor("pi-02", "g", (30.0, 4.0, 2.4))),
)
PURPOSE = Purpose(
    "dpv:PersonalisedBenefits", "eu-gdpr:A6-1-a", frozenset(["entered", "left"]), frozenset(["zone"])
)


class Nobody:
    """Sees to nothing; nobody withdraws here."""

    def heed(self, withdrawals: Sequence[Withdrawal]) -> None:
        raise AssertionError(withdrawals)

    def carried_out(self, withdrawals: Sequence[Withdrawal], removed: int) -> None:
        raise AssertionError(withdrawals, removed)


def sighting(t_s: float, adv: bytes = ADV) -> Sighting:
    return Sighting(t_s, "pi-01", "c3:00:00:25:ef:6a", "random", -45.0, adv)


def screened(counts: Counts) -> tuple[Pipeline, float]:
    """A pipeline in which Anna consents, and the moment at which she did."""
    start_s = time.time()
    register = Register(counts)
    screen = ConsentScreen(
        Policy("s", "gw", (Recipient("platform", (PURPOSE,)),)), register, Keys(bytes(32)), counts
    )
    identification = Identification(SITE, load_profiles(), register, counts)
    pipeline = Pipeline(Tracker(identification, Core(SITE), counts), register, screen)
    consented = record("anna", entry(event_time="2020-01-01T00:00:00Z", valid_until=None))
    pipeline.feed([ConsentSignal(start_s, (consented,))])
    return pipeline, start_s


async def test_thanks_come_after_the_commit_and_in_order(tmp_path: Path) -> None:
    counts, lanes = Counts(), Lanes(Counts())
    pipeline, start_s = screened(counts)
    thanked: list[str] = []
    path = tmp_path / "outbox.sqlite"
    async with Outbox(path, ["platform"], commit_delay_s=0.2, counts=counts) as outbox:
        pump = Pump(lanes, pipeline, outbox, Nobody(), PipelineClock())
        lanes.fix(sighting(start_s, UNKNOWN), lambda: thanked.append("a stranger"))
        await pump.step()
        assert thanked == ["a stranger"]  # nothing came of it, nothing is waited for
        for n in range(20):
            lanes.fix(sighting(start_s + n * 0.25), lambda n=n: thanked.append(f"anna {n}"))  # type: ignore[misc]
        await pump.step()
        lanes.fix(sighting(start_s + 5, UNKNOWN), lambda: thanked.append("another stranger"))
        await pump.step()
        assert thanked == ["a stranger"]  # an event is on its way to the disk
        assert await outbox.backlog() == {"platform": 0}
        await pump.finish()
        assert await outbox.backlog() == {"platform": 1}
        await asyncio.sleep(0)
        assert thanked == ["a stranger", *(f"anna {n}" for n in range(20)), "another stranger"]


@pytest.mark.faults
async def test_a_full_disk_holds_the_sources_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pump_room, "UNCOMMITTED", 0)
    counts, lanes = Counts(), Lanes(Counts())
    pipeline, start_s = screened(counts)
    thanked: list[int] = []
    with tmpfs(tmp_path / "disk", 8) as disk:
        async with Outbox(disk / "outbox.sqlite", ["platform"], commit_delay_s=0.01, counts=counts) as outbox:
            pump = Pump(lanes, pipeline, outbox, Nobody(), PipelineClock())
            filler = fill(disk)
            for n in range(20):
                lanes.fix(sighting(start_s + n * 0.25), lambda n=n: thanked.append(n))  # type: ignore[misc]
            await pump.step()
            for n in range(20, 40):
                lanes.fix(sighting(start_s + n * 0.25), lambda n=n: thanked.append(n))  # type: ignore[misc]
            async with asyncio.timeout(30):
                while outbox.link.state == "up":
                    await pump.step()
                    await asyncio.sleep(0.05)
            for _ in range(3):
                await pump.step()
            assert (thanked, len(lanes), outbox.link.state) == ([], 20, "down")
            filler.unlink()
            async with asyncio.timeout(30):
                while len(thanked) < 40:
                    await pump.step()
                    await asyncio.sleep(0.05)
            assert (thanked, outbox.link.state) == (list(range(40)), "up")


class Patient(Nobody):
    """Lets withdrawals happen."""

    def heed(self, withdrawals: Sequence[Withdrawal]) -> None: ...

    def carried_out(self, withdrawals: Sequence[Withdrawal], removed: int) -> None: ...


async def test_an_idle_pump_makes_progress_and_one_that_waits_for_a_hung_disk_makes_none(
    tmp_path: Path,
) -> None:
    counts, lanes = Counts(), Lanes(Counts())
    pipeline, start_s = screened(counts)
    disk_answers = threading.Event()
    async with Outbox(tmp_path / "outbox.sqlite", ["platform"], counts=counts) as outbox:
        pump = Pump(lanes, pipeline, outbox, Patient(), PipelineClock())
        running = asyncio.create_task(pump.run())
        seen = [pump.progress]
        for _ in range(2):
            await asyncio.sleep(LOOK_S + 0.1)
            seen.append(pump.progress)
        assert seen[0] < seen[1] < seen[2], "nothing to do is not a hang"

        hung = asyncio.get_running_loop().run_in_executor(outbox._thread, disk_answers.wait)
        lanes.control(
            ConsentSignal(start_s + 9, (), complete=True)
        )  # Anna withdraws: to be on disk before all else
        await asyncio.sleep(0.1)
        before = pump.progress
        await asyncio.sleep(2 * LOOK_S)
        assert pump.progress == before, "the event loop runs, and nothing gets through"

        disk_answers.set()
        await hung
        async with asyncio.timeout(30):
            while pump.progress == before:  # noqa: ASYNC110 - a number
                await asyncio.sleep(0.01)
        running.cancel()
