"""kill -9 at random moments: what was reported stored is there, whole, once and in sequence."""

from __future__ import annotations

import random
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
from outbox_child import RECIPIENTS, stay_after, transaction
from releases import queued

from gateway.counts import Counts
from gateway.model import OpenStay
from gateway.outbox import Outbox

CHILD = Path(__file__).with_name("outbox_child.py")


def live_and_die(path: Path, first: int, moment: random.Random) -> list[tuple[str, int]]:
    """What the child said until it was killed: most often at work, sometimes while it starts."""
    child = subprocess.Popen([sys.executable, CHILD, path, str(first)], stdout=subprocess.PIPE)
    with child:
        assert child.stdout is not None
        if moment.random() < 0.2:
            time.sleep(moment.uniform(0.0, 0.3))
        else:
            select.select([child.stdout], [], [], 30)
            time.sleep(moment.uniform(0.0, 0.06))
        child.kill()
        said = child.stdout.read().decode()
    whole_lines = said[: said.rfind("\n") + 1].splitlines()
    return [(word, int(n)) for word, n in (line.split() for line in whole_lines)]


def stays_after(last: int) -> list[OpenStay]:
    """The stays that transactions 1 to `last` leave open."""
    changes = {change.subject: change for change in map(stay_after, range(1, last + 1))}
    return [change for _, change in sorted(changes.items()) if isinstance(change, OpenStay)]


async def check(path: Path, said: list[tuple[str, int]], acknowledged: int) -> tuple[int, int]:
    """Returns the last transaction on disk and the platform's last sequence that was acknowledged."""
    highest = {word: max((n for w, n in said if w == word), default=0) for word in ("stored", "acknowledge")}
    surely = max((n for word, n in said if word == "acknowledged"), default=acknowledged)
    async with Outbox(path, RECIPIENTS, counts=Counts()) as outbox:
        platform, insurer = await queued(outbox), await queued(outbox, "insurer")
        last = platform[-1][0] if platform else 0
        gone = platform[0][0] - 1 if platform else 0
        assert platform == [(n, f"event-{n}") for n in range(gone + 1, last + 1)]
        assert surely <= gone <= max(highest["acknowledge"], acknowledged)
        assert last >= highest["stored"]
        both = [n for n in range(1, last + 1) if len(transaction(n).releases) == 2]
        assert insurer == [(k, f"event-{n}") for k, n in enumerate(both, start=1)]
        assert await outbox.open_stays() == stays_after(last)
    return last, gone


@pytest.mark.parametrize("kills", [20, pytest.param(200, marks=[pytest.mark.slow, pytest.mark.timeout(300)])])
async def test_what_was_stored_survives_kill_9(tmp_path: Path, kills: int) -> None:
    path, moment = tmp_path / "outbox.db", random.Random(9)
    last = acknowledged = 0
    lives_that_stored = 0
    for _ in range(kills):
        said = live_and_die(path, last + 1, moment)
        lives_that_stored += any(word == "stored" for word, _ in said)
        last, acknowledged = await check(path, said, acknowledged)
    assert lives_that_stored >= kills // 2
    assert acknowledged > 0
