"""A withdrawal reaches what waits to be sent: the daemon as an operator has it, a real mosquitto, thousands of
events in the queue and a link that is down, stalled, or comes back too late."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from consent_feeds import ADDRESS, manifest
from daemons import TAG, Place, consent, sender, until
from mosquitto import Mosquitto
from withdrawals import gate, reads_socket, receiver, stock, traces, verb

pytestmark = pytest.mark.timeout(120)

SUBJECTS = ("anna", "ben", "carla", "dora", "emil")
LONG = pytest.param(2_000, marks=pytest.mark.slow)
"""10,000 events in all."""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with Mosquitto(tmp_path / "broker") as broker:
        made = Place(tmp_path, broker)
        made.enrol(*(consent(name, TAG.format(n=n)) for n, name in enumerate(SUBJECTS, start=1)))
        yield made


def withdrawn(subject: str) -> dict[str, object]:
    return consent(subject, status="ConsentWithdrawn", version=2) | {"version": 2}


def without_anna(place: Place) -> None:
    kept = (consent(name, TAG.format(n=n)) for n, name in enumerate(SUBJECTS, start=1) if name != "anna")
    place.enrol(withdrawn("anna"), *kept)


# --- ten thousand events wait, the link is down ---


@pytest.mark.parametrize("way", ["withdraw", "erase", "file", "file, while it did not run"])
@pytest.mark.parametrize("each", [200, LONG])
async def test_withdrawn_while_the_link_is_down(place: Place, each: int, way: str) -> None:
    async with gate(place) as link, receiver(place) as at:
        await stock(place, SUBJECTS, each, time.time())
        if way == "file, while it did not run":
            place.enrol(*(consent(name) for name in SUBJECTS if name != "anna"))
        async with place.daemon() as daemon:
            await reads_socket(daemon, place.state)
            began_s = time.monotonic()
            if way in ("withdraw", "erase"):
                code, said, complained = await verb(place, way, "anna")
                left = "" if way == "erase" else "left: 1 record\n"  # which says that it is withdrawn
                assert (code, complained) == (0, left)
                assert f"{each} queued events" in said
            elif way == "file":
                without_anna(place)
                daemon.process.send_signal(signal.SIGHUP)
                await daemon.says("5 records")
            await until(lambda: not traces(place, b'"anna"'), 60 - (time.monotonic() - began_s))
            link.open()
            await until(lambda: len(at.removed) == each and not at.missing, 60)
            await daemon.stop()
    assert at.subjects == set(SUBJECTS) - {"anna"}
    assert b'"anna"' not in link.passed
    assert list(at.removed.values()) == ["withdrawn"] * each
