"""A process to be killed: submits transactions FIRST, FIRST + 1, ... and prints `stored N` for each on disk.

Transaction N has one event for the platform, every third also one for the insurer, and changes the stay of
subject N mod 7: closed by every fifth, else open with `since_s` N. Of the platform's, `acknowledge N` and
`acknowledged N` stand around a cumulative acknowledgement.
"""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from pathlib import Path

from releases import acknowledged, release, stay

from gateway.counts import Counts
from gateway.model import OpenStay, StayClosed
from gateway.outbox import Outbox, Transaction

RECIPIENTS = ("platform", "insurer")
BURST = 7


def stay_after(n: int) -> OpenStay | StayClosed:
    subject = f"subject-{n % 7}"
    return StayClosed(subject, "cereals") if n % 5 == 0 else stay(subject, since_s=float(n))


def transaction(n: int) -> Transaction:
    releases = [release(f"event-{n}", recipient) for recipient in RECIPIENTS[: 2 if n % 3 == 0 else 1]]
    return Transaction(releases, [stay_after(n)])


def say(*words: object) -> None:
    print(*words, flush=True)


async def acknowledge_some(outbox: Outbox) -> None:
    rows = await outbox.pending("platform", 0, 20)
    if len(rows) == 20:
        through = rows[9].sequence
        say("acknowledge", through)
        await acknowledged(outbox, "platform", outbox.generation, [(1, through)])
        say("acknowledged", through)


async def main(path: Path, first: int) -> None:
    async with Outbox(path, RECIPIENTS, commit_delay_s=0.001, counts=Counts()) as outbox:
        n = first
        while True:
            for _ in range(BURST):
                outbox.submit(transaction(n), partial(say, "stored", n))
                n += 1
            await acknowledge_some(outbox)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
