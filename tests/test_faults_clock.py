"""A clock that says 1970 at the start, one that is put right while the daemon runs, and one that loses its source."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from daemons import TAG, Place, consent, heard, platform, raw, sender, until
from fake_bluez import private_bus
from mosquitto import Mosquitto
from test_daemon import stand
from timedated import FakeTimedated

from gateway.clock import SLEW, PipelineClock

pytestmark = [pytest.mark.faults, pytest.mark.timeout(120)]
SKEWED = Path(__file__).parent / "skewed"


class Skewed:
    """A place whose daemon sees a wall clock that the test sets."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._file = place.folder / "skew"
        settings = place.config / "gateway.yaml"
        settings.write_text(settings.read_text().replace("trust: always", "trust: kernel"))
        self.off_by(0.0)

    def off_by(self, seconds: float) -> None:
        beside = self._file.with_suffix(".new")
        beside.write_text(str(seconds))
        beside.replace(self._file)

    def environ(self, bus: str) -> dict[str, str]:
        path = os.pathsep.join([str(SKEWED), *filter(None, [os.environ.get("PYTHONPATH")])])
        return {"SKEW_FILE": str(self._file), "PYTHONPATH": path, "DBUS_SYSTEM_BUS_ADDRESS": bus}


@pytest.fixture
def skewed(tmp_path: Path) -> Iterator[Skewed]:
    with Mosquitto(tmp_path / "broker") as broker:
        place = Place(tmp_path, broker)
        place.enrol(consent("anna", TAG.format(n=1)))
        yield Skewed(place)


@pytest.fixture
async def bus_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    async with private_bus(tmp_path / "bus") as address:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
        yield address


def moment_s(event: dict[str, Any]) -> float:
    return datetime.fromisoformat(event["time"]).timestamp()


async def test_started_in_1970(skewed: Skewed, bus_address: str) -> None:
    """A Pi without a clock of its own: nothing is heard before the time is known, and then it is the right one."""
    skewed.off_by(-time.time())
    place, environ = skewed.place, skewed.environ(bus_address)
    async with (
        platform(place) as at,
        sender(place) as s,
        FakeTimedated(synchronised=False) as timedated,
        place.daemon(**environ) as daemon,
    ):
        await daemon.says("clock: not synchronised; nothing is heard until it is")
        await heard(s, "pi-01", raw(1, -45))
        skewed.off_by(0.0)
        timedated.synchronise()
        await daemon.says("clock: synchronised")
        await daemon.ready()
        await stand(s, "pi-01", 4, 1)
        await until(lambda: "entered" in at.zone_changes("cereals"))
        await daemon.stop()
    assert all(abs(moment_s(event) - time.time()) < 60 for event in at.events.values())
    assert daemon.said().count("clock: not synchronised") == 1


@pytest.mark.slow
@pytest.mark.parametrize("moved_s", [3600.0, -3600.0, 20.0])
async def test_moved_while_running(skewed: Skewed, bus_address: str, moved_s: float) -> None:
    """Stays go on as if nothing were: no dwell jumps, none is left early, and the log says it once."""
    place = skewed.place
    async with platform(place) as at, sender(place) as s, FakeTimedated(synchronised=True):
        async with place.daemon(**skewed.environ(bus_address)) as daemon:
            await daemon.ready()
            await stand(s, "pi-01", 4, 1)
            await until(lambda: "dwelled" in at.zone_changes("cereals"))
            skewed.off_by(moved_s)
            await stand(s, "pi-01", 25, 1)
            assert at.zone_changes("cereals") == ["entered", "dwelled"]
            await until(lambda: at.zone_changes("cereals")[-1] == "left")
            await daemon.stop()
        (left,) = (e for e in at.events.values() if e["type"] == "presence.left.v1")
        assert 25 <= left["data"]["dwell_s"] <= 40
        assert daemon.said().count("clock: moved by") == 1


@pytest.mark.slow
async def test_no_longer_synchronised(skewed: Skewed, bus_address: str) -> None:
    environ = skewed.environ(bus_address)
    async with FakeTimedated(synchronised=True) as timedated, skewed.place.daemon(**environ) as daemon:
        await daemon.ready()
        timedated.synchronise(False)
        await daemon.says("clock: no longer synchronised")
        timedated.synchronise()
        await daemon.says("clock: synchronised again")
        await daemon.stop()


class Walls:
    """Both clocks of the machine, in the hand of a test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall_s, self.monotonic_s = 1_766_397_600.0, 100.0
        monkeypatch.setattr(time, "time", lambda: self.wall_s)
        monkeypatch.setattr(time, "monotonic", lambda: self.monotonic_s)

    def go(self, seconds: float) -> None:
        self.wall_s += seconds
        self.monotonic_s += seconds


@pytest.mark.parametrize("moved_s", [60.0, -60.0, 3.0, 86_400.0, -86_400.0])
def test_pipeline_time_follows_and_never_runs_backwards(
    monkeypatch: pytest.MonkeyPatch, moved_s: float
) -> None:
    walls = Walls(monkeypatch)
    clock = PipelineClock()
    walls.wall_s += moved_s
    seen, looks = clock(), 0
    while abs(clock.follow()) > 1.0 and looks < 2_000:
        looks += 1
        walls.go(10.0)
        assert 10.0 * (1 - SLEW) - 1e-6 <= clock() - seen <= 10.0 * (1 + SLEW) + 1e-6
        seen = clock()
    if abs(moved_s) <= 60:
        assert looks <= 120
        assert abs(clock.drift_s()) <= 1.0
    else:
        assert abs(clock.drift_s()) < abs(moved_s)


def test_a_clock_that_begins_when_the_time_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    walls = Walls(monkeypatch)
    walls.wall_s = 12.0
    clock = PipelineClock()
    walls.go(30.0)
    walls.wall_s = 1_766_397_600.0
    clock.begin()
    assert clock() == 1_766_397_600.0
    walls.go(5.0)
    assert clock() == 1_766_397_605.0
    scaled = PipelineClock(1000.0, 60.0)
    scaled.begin()
    walls.go(1.0)
    assert scaled() == 1060.0, "a simulated clock has its own beginning"
