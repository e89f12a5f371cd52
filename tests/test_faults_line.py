"""A line to the centre that loses everything, that loses a third, that is slow: over real TCP, the real daemon."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from bad_line import FAR, NEAR, BadLine, own_network, why_not
from daemons import sender, until
from mosquitto import Mosquitto
from receiver_model import Centred, assert_quiet, complete, received
from test_faults_broker import EACH, made, park, receiver

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(300),
    pytest.mark.skipif(bool(why_not()), reason=why_not() or "can be done"),
]


@pytest.fixture
def line() -> Iterator[BadLine]:
    with own_network(), BadLine() as made:
        yield made


@pytest.fixture
def centred(line: BadLine, tmp_path: Path) -> Iterator[Centred]:
    """The gateway reaches the centre over the line; the platform lives there."""
    assert line.loss == 0
    with Mosquitto(tmp_path / "broker") as broker, Mosquitto(tmp_path / "centre", host=NEAR) as centre:
        yield Centred(made(tmp_path, broker), centre, FAR)


LINES = [
    # loss, delay each way in s, within s
    pytest.param(0.0, 0.05, 20, id="50ms"),
    pytest.param(0.3, 0.02, 120, id="loss30", marks=pytest.mark.slow),
    pytest.param(0.0, 2.0, 90, id="delay2s", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("loss", "delay_s", "within_s"), LINES)
async def test_a_bad_line_loses_nothing(
    line: BadLine, centred: Centred, loss: float, delay_s: float, within_s: float
) -> None:
    async with receiver(centred.seen_from_the_centre) as at, sender(centred.place) as s:
        line.loss, line.delay_s = loss, delay_s
        async with centred.place.daemon() as daemon:
            await daemon.says("source local: up")
            await park(s, range(20), each_s=0.1)
            await received(at, daemon, 20 * EACH, within_s)
            assert at.is_ordered(historical=False)
            assert at.is_ordered(historical=True)
            line.loss = 0.0
            await until(lambda: at.through == 20 * EACH)
            await asyncio.sleep(2 * delay_s + 3)
            await daemon.stop()
        assert_quiet(daemon)
    assert line.lost > 0 or not loss
    await complete(at, centred.place)
    assert dict(at.changes()) == dict.fromkeys(("entering", "entered", "dwelled"), 20)


@pytest.mark.slow
@pytest.mark.parametrize("dead_s", [3, 100])
async def test_a_line_that_is_dead_for_a_while(line: BadLine, centred: Centred, dead_s: float) -> None:
    """No packet gets through, no error comes either; then the line is back."""
    async with receiver(centred.seen_from_the_centre) as at, sender(centred.place) as s:
        async with centred.place.daemon() as daemon:
            await daemon.says("sink central: up")
            await park(s, range(5))
            await received(at, daemon, 5 * EACH)
            line.loss = 1.0
            await park(s, range(5, 10))
            await asyncio.sleep(dead_s)
            assert len(at.events) == 5 * EACH
            line.loss = 0.0
            began_s = time.monotonic()
            await received(at, daemon, 10 * EACH, 150)
            took_s = time.monotonic() - began_s
            if dead_s > 30:
                assert "sink central: down" in daemon.said()
            assert took_s < 5 + dead_s * 1.3, "no longer than TCP waits by itself, or the pause of a try"
            await until(lambda: at.through == 10 * EACH)
            await asyncio.sleep(1)
            await daemon.stop()
        assert_quiet(daemon)
    await complete(at, centred.place)


@pytest.mark.slow
async def test_a_stop_does_not_wait_for_a_dead_line(line: BadLine, centred: Centred) -> None:
    line.loss = 1.0
    async with centred.place.daemon() as daemon:
        await daemon.says("source local: up")
        await asyncio.sleep(0.5)
        assert await daemon.stop() < 15
