"""kill -9 at random moments and at every named step: what was reported stored is there, whole and in sequence,
and arrives.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from outbox_child import EVENTS, RECIPIENTS, STEPS, Nursery, stay_after
from releases import queued

from gateway.counts import Counts
from gateway.model import OpenStay
from gateway.outbox import Outbox

pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery() as made:
        yield made


# --- at random moments ---


def live_and_die(nursery: Nursery, path: Path, first: int, moment: random.Random) -> list[tuple[str, int]]:
    """What the child said until it was killed: most often at work, sometimes while it starts."""
    said = path.with_name("said")
    said.write_bytes(b"")
    child = nursery.begin("live", path, first)
    if moment.random() < 0.2:
        time.sleep(moment.uniform(0.0, 0.03))
    else:
        until_s = time.monotonic() + 30
        while not said.stat().st_size and time.monotonic() < until_s:
            time.sleep(0.001)
        time.sleep(moment.uniform(0.0, 0.06))
    os.kill(child, signal.SIGKILL)
    assert nursery.end() == -signal.SIGKILL
    lines = said.read_text().splitlines()
    return [(word, int(n)) for word, n in (line.split() for line in lines)]


def stays_after(last: int) -> list[OpenStay]:
    """The stays that transactions 1 to `last` leave open."""
    changes = {change.subject: change for change in map(stay_after, range(max(1, last - 6), last + 1))}
    return [change for _, change in sorted(changes.items()) if isinstance(change, OpenStay)]


async def check(path: Path, said: list[tuple[str, int]], acknowledged: int, checked: int) -> tuple[int, int]:
    """Returns the last transaction on disk and the platform's last sequence that was acknowledged."""
    highest = {word: max((n for w, n in said if w == word), default=0) for word in ("stored", "acknowledge")}
    surely = max((n for word, n in said if word == "acknowledged"), default=acknowledged)
    async with Outbox(path, RECIPIENTS, counts=Counts()) as outbox:
        platform = await queued(outbox)
        last = platform[-1][0] if platform else 0
        gone = platform[0][0] - 1 if platform else 0
        assert platform == [(n, f"event-{n}") for n in range(gone + 1, last + 1)]
        assert surely <= gone <= max(highest["acknowledge"], acknowledged)
        assert last >= max(highest["stored"], checked)
        insurer = await outbox.pending("insurer", checked // 3, 1_000_000)
        expected = [(k, f"event-{3 * k}") for k in range(checked // 3 + 1, last // 3 + 1)]
        assert [(row.sequence, row.id) for row in insurer] == expected
        assert await outbox.open_stays() == stays_after(last)
        assert outbox.quarantined == 0
    return last, gone


SLOW = [pytest.mark.slow, pytest.mark.timeout(1_800)]


@pytest.mark.parametrize("kills", [20, pytest.param(1_000, marks=SLOW)])
async def test_what_was_stored_survives_kill_9(nursery: Nursery, tmp_path: Path, kills: int) -> None:
    path, moment = tmp_path / "outbox.db", random.Random(9)
    last = acknowledged = 0
    lives_at_work = 0
    for _ in range(kills):
        said = live_and_die(nursery, path, last + 1, moment)
        lives_at_work += bool(said)
        last, acknowledged = await check(path, said, acknowledged, last)
    assert lives_at_work >= kills // 2
    assert acknowledged > 0


# --- at every named step ---


def deliver(nursery: Nursery, home: Path, step: str, nth: int) -> int:
    nursery.begin("deliver", home, step, nth)
    return nursery.end()


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("lives", [3, pytest.param(100, marks=SLOW)])
def test_killed_at_a_named_step_every_event_arrives(
    nursery: Nursery, tmp_path: Path, step: str, lives: int
) -> None:
    moment = random.Random(step)
    killed = 0
    for round in range(lives // 3 if lives > 3 else 1):
        home = tmp_path / str(round)
        home.mkdir()
        (home / "received").touch()
        for _ in range(3):
            killed += deliver(nursery, home, step, moment.randrange(1, 12)) == -signal.SIGKILL
        assert deliver(nursery, home, "never", 1) == 0
        received = [json.loads(line) for line in (home / "received").read_text().splitlines()]
        ids = {int(event["sequence"]): event["id"] for event in received}
        assert len({event["generation"] for event in received}) == 1
        assert all(ids[int(event["sequence"])] == event["id"] for event in received)
        assert sorted(ids) == list(range(1, max(ids) + 1))
        assert len({event["id"] for event in received}) == EVENTS
    assert killed >= lives // 2  # it does come to the step
