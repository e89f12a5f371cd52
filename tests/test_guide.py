"""The guided walk: a terminal that says where to stand, and readings that come by a real broker or a file."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from daemons import SITE, TAG, Place, advertisement, heard, raw, sender
from mosquitto import Mosquitto

from gateway.calibration import fit, samples
from gateway.errors import GatewayError
from gateway.model import Label
from gateway.settings import load_site
from gateway.verbs import guide

STAND_S = 1.2
LINKS = ("pi-01", "pi-02")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with Mosquitto(tmp_path) as broker:
        yield Place(tmp_path, broker)


class Somebody:
    """Who reads the terminal and walks; `at` is where they stand."""

    def __init__(self, *answers: str) -> None:
        self.at = ""
        self.lines: list[str] = []
        self._answers = list(answers)

    async def ask(self, question: str) -> str:
        self.lines.append(question)
        self.at = question.removeprefix("stand ").removeprefix("at ").partition(",")[0]
        return self._answers.pop(0) if self._answers else ""

    def say(self, line: str) -> None:
        self.lines.append(line)


async def beside(telling: Callable[[], Awaitable[None]], walking: Awaitable[guide.Walk]) -> guide.Walk:
    """Walk while the device advertises ten times a second."""

    async def advertise() -> None:
        while True:
            await telling()
            await asyncio.sleep(0.1)

    task = asyncio.create_task(advertise())
    try:
        return await walking
    finally:
        task.cancel()


def levels(at: str) -> tuple[float, float]:
    return {"cereals": (-50.0, -80.0), "dairy": (-80.0, -50.0)}.get(at, (-85.0, -85.0))


async def test_a_walk_by_the_broker_tells_the_zones_apart(place: Place) -> None:
    somebody = Somebody()
    async with sender(place) as sending:

        async def advertise() -> None:
            for receiver, rssi_dbm in zip(LINKS, levels(somebody.at), strict=True):
                await heard(sending, receiver, raw(1, rssi_dbm), raw(2, -40.0, "c3:00:00:00:00:02"))

        wishes = guide.Wishes(TAG.format(n=1), STAND_S)
        terminal = guide.Terminal(somebody.ask, somebody.say)
        walked = await beside(advertise, guide.walk(place.config, wishes, terminal))
    stood = [line for line in somebody.lines if ": done" in line]
    assert [line.partition(":")[0] for line in stood] == ["cereals", "dairy", "outside"]
    assert "samples from 2 receivers" in stood[0]
    assert "told apart from cereals: " in stood[1]
    assert {e.device for e in walked.entries} == {TAG.format(n=1)}, "others are not kept"
    assert [e.zone for e in walked.entries if isinstance(e, Label)] == ["cereals", "dairy", None]
    found = fit(samples(walked.entries, LINKS), load_site(place.config), LINKS)
    assert [z.zone for z in found.zones] == ["cereals", "dairy"]


async def test_a_walk_by_a_recording_that_is_being_written(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(SITE)
    growing = tmp_path / "now.jsonl"
    growing.write_text("")
    somebody, clock = Somebody("", "", "s"), iter(range(10_000))

    async def advertise() -> None:
        t_s = 1_766_390_400 + next(clock) / 10
        with growing.open("a") as file:
            for receiver, rssi_dbm in zip(LINKS, levels(somebody.at), strict=True):
                ble = {
                    "receiver": receiver,
                    "address": "c3:00:00:25:ef:6a",
                    "rssi": rssi_dbm,
                    "adv": advertisement(7),
                }
                file.write(json.dumps({"t": t_s, "ble": ble}) + "\n")

    wishes = guide.Wishes(None, STAND_S, growing)
    walked = await beside(advertise, guide.walk(tmp_path, wishes, guide.Terminal(somebody.ask, somebody.say)))
    assert walked.device == TAG.format(n=7), "the loudest, as none was named"
    assert any("told apart" in line or "samples" in line for line in somebody.lines)


async def test_nothing_heard_is_said_and_ends_in_an_error(place: Place) -> None:
    somebody = Somebody()
    wishes = guide.Wishes(TAG.format(n=1), 0.2)
    with pytest.raises(GatewayError, match="nothing was heard"):
        await guide.walk(place.config, wishes, guide.Terminal(somebody.ask, somebody.say))
    assert sum(guide.SILENT in line for line in somebody.lines) == 3
