"""Processes to be killed, forked from one that has imported everything: a thousand lives take a minute.

`live`: submits transactions FIRST, FIRST + 1, ... and says `stored N` for each on disk. Transaction N has one
event for the platform, every third also one for the insurer, and changes the stay of subject N mod 7: closed by
every fifth, else open with `since_s` N. Of the platform's, `acknowledge N` and `acknowledged N` stand around a
cumulative acknowledgement.

`deliver`: stores events, publishes them, acknowledges, deletes, and kills itself at the NTH time that it comes to
a named step.

`fill`: queues many.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from consents import NOON_S, PURPOSE, record
from releases import acknowledged, release, stay

from gateway.consent import ConsentScreen, Keys, Policy, Purpose, Recipient, Register
from gateway.counts import Counts
from gateway.model import OpenStay, Presence, StayClosed
from gateway.outbox import Limits, Outbox, Transaction
from gateway.outbox import outbox as outbox_room
from gateway.sinks import Delivery, Tombstone, cloudevents
from gateway.sinks.courier import Courier

RECIPIENTS = ("platform", "insurer")
BURST = 7
EVENTS = 60
STEPS = (
    "before insert", "after insert", "after commit",
    "before publish", "after publish",
    "before ack", "after ack",
    "before delete", "after delete",
)  # fmt: skip


class Nursery:
    """Where they are forked. Use `with`."""

    def __enter__(self) -> Nursery:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self._process = subprocess.Popen([sys.executable, __file__], text=True, **pipes)  # type: ignore[call-overload]
        return self

    def __exit__(self, *_exc: object) -> None:
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()

    def begin(self, do: str, *words: object) -> int:
        """The process's id; `end` has to be waited for."""
        self._process.stdin.write(json.dumps([do, *map(str, words)]) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def end(self) -> int:
        """Its exit code, or minus the signal that killed it."""
        return int(self._process.stdout.readline())


def nurse() -> None:
    work: dict[str, Callable[..., Coroutine[Any, Any, None]]]
    work = {"live": live, "deliver": deliver, "fill": fill}
    for line in sys.stdin:
        do, *words = json.loads(line)
        if not (child := os.fork()):
            with open(os.devnull) as nothing:  # noqa: PTH123 - the descriptor is what is wanted
                os.dup2(nothing.fileno(), 0)
            asyncio.run(work[do](*words))
            os._exit(0)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


# --- live ---


def stay_after(n: int) -> OpenStay | StayClosed:
    subject = f"subject-{n % 7}"
    return StayClosed(subject, "cereals") if n % 5 == 0 else stay(subject, since_s=float(n))


def transaction(n: int) -> Transaction:
    releases = [release(f"event-{n}", recipient) for recipient in RECIPIENTS[: 2 if n % 3 == 0 else 1]]
    return Transaction(releases, [stay_after(n)])


@contextmanager
def speech(path: Path) -> Iterator[Callable[..., None]]:
    """Words that are said are there, whatever happens to the process."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def say(*words: object) -> None:
        os.write(descriptor, (" ".join(map(str, words)) + "\n").encode())

    yield say
    os.close(descriptor)


async def live(path: str, first: str) -> None:
    with speech(Path(path).with_name("said")) as say:
        async with Outbox(Path(path), RECIPIENTS, commit_delay_s=0.001, counts=Counts()) as outbox:
            n = int(first)
            while True:
                for _ in range(BURST):
                    outbox.submit(transaction(n), partial(say, "stored", n))
                    n += 1
                rows = await outbox.pending("platform", 0, 20)
                if len(rows) == 20:
                    through = rows[9].sequence
                    say("acknowledge", through)
                    await acknowledged(outbox, "platform", outbox.generation, [(1, through)])
                    say("acknowledged", through)


# --- deliver ---


class Doom:
    """Kills the process at the NTH time that it comes to a step."""

    def __init__(self, step: str, nth: int) -> None:
        self._step, self._left = step, nth

    def at(self, step: str) -> None:
        if step == self._step:
            self._left -= 1
            if not self._left:
                os.kill(os.getpid(), signal.SIGKILL)

    def around(self, what: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def doomed(*args: Any, **kwargs: Any) -> Any:
            self.at(f"before {what}")
            answer = work(*args, **kwargs)
            self.at(f"after {what}")
            return answer

        return doomed


class FileSink:
    """What it is sent stands in a file at once; what stands there is what its application has."""

    def __init__(self, path: Path, doom: Doom) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._write = doom.around("publish", partial(os.write, self._descriptor))

    async def ready(self) -> int:
        return 1

    def drop(self) -> None:
        raise AssertionError("nobody withdraws here")

    async def send(self, delivery: Delivery) -> None:
        assert not isinstance(delivery.content, Tombstone)
        self._write(cloudevents.encode(delivery, "/sites/s/gateways/g", "platform") + b"\n")
        await asyncio.sleep(0)


async def deliver(directory: str, step: str, nth: str) -> None:
    home, doom = Path(directory), Doom(step, int(nth))
    counts = Counts()
    register = Register(counts)
    purpose = Purpose(PURPOSE, "eu-gdpr:A6-1-a", frozenset(["entered"]), frozenset(["zone"]))
    policy = Policy("s", "g", (Recipient("platform", (purpose,)),))
    screen = ConsentScreen(policy, register, Keys(bytes(32)), counts)
    screen.know(register.absorb([record()]))
    outbox_room.ACKNOWLEDGE_S = 0.005
    with speech(home / "stored") as say:
        path = home / "outbox.sqlite"
        async with Outbox(path, ["platform"], commit_delay_s=0.001, counts=counts) as outbox:
            store = outbox._store
            store.add = doom.around("insert", store.add)  # type: ignore[method-assign]
            store.commit = doom.around("commit", store.commit)  # type: ignore[method-assign]
            store.acknowledge = doom.around("delete", store.acknowledge)  # type: ignore[method-assign]
            courier = Courier(
                "platform", "platform", sink=FileSink(home / "received", doom), outbox=outbox,
                screen=screen, clock=lambda: NOON_S, counts=counts, backlog_per_s=10_000,
            )  # fmt: skip
            tasks = [asyncio.create_task(courier.run()), asyncio.create_task(apply(home, courier, doom))]
            done = len((home / "stored").read_text().splitlines())
            for n in range(done, EVENTS):
                presence = Presence(
                    NOON_S + n, NOON_S + n, "card-1234", "cereals", "entered", NOON_S, 0, 0.9, {}
                )
                outbox.submit(Transaction(screen.releases(presence)), partial(say, n))
                await asyncio.sleep(0.001)
            while outbox.uncommitted or any((await outbox.backlog()).values()):  # noqa: ASYNC110 - the disk knows
                await asyncio.sleep(0.002)
            for task in tasks:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task


async def apply(home: Path, courier: Courier, doom: Doom) -> None:
    """The application: acknowledges what is in the file, again and again."""
    say = doom.around("ack", partial(courier.acknowledge, retained=False))
    while True:
        await asyncio.sleep(0.004)
        events = [json.loads(line) for line in (home / "received").read_bytes().splitlines()]
        if events:
            numbers = sorted({int(event["sequence"]) for event in events})
            also = [[n, n] for n in numbers]
            say(json.dumps({"generation": events[-1]["generation"], "also": also}).encode())


# --- fill ---


async def fill(path: str, n: str) -> None:
    """Queues N events while nobody takes them; `memory` beside the store says how many KiB it held meanwhile:
    after the first two thousand, at most, and at most when it was opened again and read from.
    """
    limits = Limits(max_bytes=4 << 30)
    held_kib = {"begun": 0, "filled": 0, "opened": 0}
    async with Outbox(Path(path), ["platform"], counts=Counts(), limits=limits) as outbox:
        for k in range(int(n)):
            outbox.submit(Transaction([release(f"event-{k}")]))
            if outbox.uncommitted >= 2_000:  # where the pump holds back
                while outbox.uncommitted:  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
                which = "begun" if k < 2_500 else "filled"
                held_kib[which] = max(held_kib[which], resident_kib())
    async with Outbox(Path(path), ["platform"], counts=Counts(), limits=limits) as outbox:
        assert await outbox.backlog() == {"platform": int(n)}
        after = 0
        while rows := await outbox.pending("platform", after, 1_000):
            after = rows[-1].sequence
            held_kib["opened"] = max(held_kib["opened"], resident_kib())
        assert after == int(n)
    Path(path).with_name("memory").write_text(json.dumps(held_kib))


def resident_kib() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


if __name__ == "__main__":
    nurse()
