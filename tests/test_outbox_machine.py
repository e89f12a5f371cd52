"""The outbox and its courier against a store that fails and a receiver that keeps account, step by random step.

Held at the end of each run, whatever happened in it: every committed event is at the receiver once by its id,
or named by a tombstone; no sequence is missing. Held all the time: order within what is live and within
backlog, and nothing of a subject after its withdrawal.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Coroutine
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
from consents import NOON_S, entry, record
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from outbox_machine import FAULTS, FailingStore, Fault, Receiver

from gateway.consent import ConsentScreen, Keys, Policy, Purpose, Recipient, Register
from gateway.consent.bars import Withdrawal
from gateway.counts import Counts
from gateway.model import Presence
from gateway.outbox import Class, Limits, Outbox, Transaction, tombstones
from gateway.outbox import outbox as outbox_room
from gateway.outbox import writer as writer_room
from gateway.sinks import courier as courier_room

pytestmark = pytest.mark.faults

_T = TypeVar("_T")
SUBJECTS = ("card-1", "card-2", "card-3")
PURPOSE = Purpose(
    "dpv:PersonalisedBenefits", "eu-gdpr:A6-1-a", frozenset(["entered", "entering"]), frozenset(["zone"])
)

LIMITS = Limits(max_bytes=1, classes=(Class("low", changes=["entering"]),))
"""The least that there can be: some 300 events."""
BURST = 60
HOUR_S = 3_600.0


class OutboxMachine(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.loop = asyncio.Runner()
        self.home = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").exists() else None))  # noqa: S108
        self.lives = 0
        self.counts, self.receiver, self.behind_s = Counts(), Receiver(), 0.0
        self.register = Register(self.counts)
        policy = Policy("s", "g", (Recipient("platform", (PURPOSE,)),))
        self.screen = ConsentScreen(policy, self.register, Keys(bytes(32)), self.counts)
        self.versions = dict.fromkeys(SUBJECTS, 1)
        self.screen.know(self.register.absorb([self.said(subject) for subject in SUBJECTS]))
        self.n = 0
        self.unheard: dict[int, Transaction] = {}
        """By number: not reported stored; their sources would tell them again."""
        self.committed: set[str] = set()
        self.sequences: dict[str, tuple[str, int]] = {}
        """Id → generation and sequence, as seen on disk."""
        (self.home / "0").mkdir()
        self.run(self.open())

    # --- what happens ---

    @rule(subject=st.sampled_from(SUBJECTS), n=st.integers(1, 5), fleeting=st.booleans())
    def events(self, subject: str, n: int, fleeting: bool) -> None:
        self.run(self.happen(subject, n, fleeting=fleeting))

    @rule(
        bursts=st.lists(st.tuples(st.sampled_from(SUBJECTS), st.booleans()), min_size=3, max_size=8),
        faults=st.lists(st.sampled_from(FAULTS), max_size=4),
    )
    def outage(self, bursts: list[tuple[str, bool]], faults: list[Fault]) -> None:
        """The link is down for an hour, more happens than there is room for, and the disk has its moods."""
        self.receiver.reconnect(is_up=False)
        self.behind_s = HOUR_S
        self.failing.faults.extend(faults)
        for subject, fleeting in bursts:
            self.run(self.happen(subject, BURST, fleeting=fleeting))
        self.behind_s = 0.0

    @rule(subject=st.sampled_from(SUBJECTS))
    def withdraw(self, subject: str) -> None:
        self.run(self.withdrawal(subject))

    @rule(subject=st.sampled_from(SUBJECTS))
    def consent_again(self, subject: str) -> None:
        self.versions[subject] += 1
        self.screen.know(self.register.absorb([self.said(subject)]))
        self.receiver.withdrawn.discard(subject)

    @rule(picks=st.lists(st.integers(0, 400), min_size=1, max_size=10))
    def give_up(self, picks: list[int]) -> None:
        self.run(self.expire(picks))

    @rule()
    def acknowledge(self) -> None:
        self.run(self.say_what_is_there())

    @rule(beyond=st.integers(1, 100), of_another=st.booleans())
    def lie(self, beyond: int, of_another: bool) -> None:
        """What was never sent is not believed, nor is another generation. What was queued before the last
        start may have been sent by an earlier life, as far as this one knows.
        """
        if of_another:
            self.run(self.tell({"generation": "another", "through": 1}))
        else:
            there = max(self.receiver.accounted.get(self.outbox.generation, {0}) | {self.from_before})
            self.run(self.tell({"generation": self.outbox.generation, "through": there + beyond}))

    @rule()
    def cut_off(self) -> None:
        self.receiver.reconnect(is_up=False)
        self.run(self.settle())

    @rule()
    def connect(self) -> None:
        self.receiver.reconnect(is_up=True)
        self.run(self.settle())

    @rule(faults=st.lists(st.sampled_from(FAULTS), min_size=1, max_size=3))
    def fail(self, faults: list[Fault]) -> None:
        self.failing.faults.extend(faults)

    @rule()
    def start_anew(self) -> None:
        self.run(self.close())
        self.run(self.open())

    # --- how ---

    async def happen(self, subject: str, n: int, *, fleeting: bool = False) -> None:
        for _ in range(n):
            self.n += 1
            t_s, change = NOON_S + self.n, "entering" if fleeting else "entered"
            presence = Presence(t_s, t_s, subject, "cereals", change, t_s, 0.0, 0.9, {})  # type: ignore[arg-type]
            if releases := self.screen.releases(presence):
                self.unheard[self.n] = Transaction(releases)
                self.submit(self.n)
        await self.settle()

    def submit(self, number: int) -> None:
        self.outbox.submit(self.unheard[number], partial(self.heard, number))

    def heard(self, number: int) -> None:
        if (transaction := self.unheard.pop(number, None)) is not None:
            self.committed.update(release.id for release in transaction.releases)

    async def withdrawal(self, subject: str) -> None:
        self.versions[subject] += 1
        self.screen.know(self.register.absorb([self.said(subject, "ConsentWithdrawn")]))
        self.receiver.withdrawn.add(subject)
        key = self.screen.subject_key(subject)
        self.unheard = {
            n: t for n, t in self.unheard.items() if all(r.subject_key != key for r in t.releases)
        }
        withdrawal = Withdrawal(subject, key, self.register.bar_of(subject))
        while not await self.until_done(self.outbox.purge([withdrawal])):  # its source says it again
            await self.settle()
        await self.settle()

    async def expire(self, picks: list[int]) -> None:
        store = self.outbox._store
        rows = await self.outbox._in_thread(lambda: store.reads.pending("platform", 0, 1_000))
        chosen = [rows[k].sequence for k in picks if k < len(rows)]
        await self.until_done(self.outbox.remove("platform", chosen, "expired"))
        await self.settle()

    async def until_done(self, work: Coroutine[Any, Any, object]) -> bool:
        """False when there was a crash before."""
        task = asyncio.ensure_future(work)
        while not task.done() and not self.failing.has_crashed:  # noqa: ASYNC110 - a crash tells nobody
            await asyncio.sleep(0.002)
        return task.done() or not task.cancel()

    async def say_what_is_there(self) -> None:
        await self.tell(self.receiver.acknowledgement(self.outbox.generation))

    async def tell(self, said: dict[str, Any]) -> None:
        self.courier.acknowledge(msgspec.json.encode(said), retained=False)
        await self.settle()

    async def settle(self) -> None:
        """Until everything submitted is stored and everything that can be sent is; a crash is recovered."""
        still = 0
        while still < 3:
            if self.failing.has_crashed:
                await self.rise_from_the_wreckage()
            before = self.state()
            await asyncio.sleep(0.003)
            still = still + 1 if before == self.state() and not self.outbox.uncommitted else 0
        store = self.outbox._store
        for row in await self.outbox._in_thread(lambda: store.reads.pending("platform", 0, 10_000)):
            self.sequences[row.id] = (self.outbox.generation, row.sequence)

    def state(self) -> tuple[Any, ...]:
        accounted = sum(map(len, self.receiver.accounted.values()))
        return accounted, len(self.committed), len(self.failing.faults), self.outbox.uncommitted

    async def open(self) -> None:
        path = self.home / str(self.lives) / "outbox.sqlite"
        self.outbox = Outbox(
            path, ["platform"], commit_delay_s=0.001, counts=self.counts, limits=LIMITS,
            clock=lambda: time.time() - self.behind_s,
        )  # fmt: skip
        await self.outbox.__aenter__()
        self.from_before = self.outbox._last["platform"]
        self.failing = FailingStore(self.outbox._store, path, self.home / str(self.lives + 1))
        self.receiver.reconnect(is_up=self.receiver.is_up)
        self.courier = self.receiver.courier(self.outbox, self.screen, lambda: NOON_S + self.n)
        self.carrying = asyncio.create_task(self.courier.run())
        for number in list(self.unheard):
            self.submit(number)
        await self.settle()

    async def close(self) -> None:
        self.carrying.cancel()
        await asyncio.wait({self.carrying})
        if not self.carrying.cancelled():
            self.carrying.result()
        await self.outbox.__aexit__()

    async def rise_from_the_wreckage(self) -> None:
        self.carrying.cancel()
        await asyncio.wait({self.carrying})
        outbox = self.outbox
        outbox._writer._task.cancel()
        await outbox._in_thread(outbox._store._shut)
        outbox._thread.shutdown(wait=False)
        self.lives += 1
        await self.open()

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        result = self.loop.run(asyncio.wait_for(work, 120))
        if self.carrying.done() and not self.carrying.cancelled():
            self.carrying.result()  # what the receiver had to say against it
        return result

    def said(self, subject: str, status: str = "ConsentGiven") -> dict[str, Any]:
        version = self.versions[subject]
        event_time = f"2025-12-01T00:{version // 60:02d}:{version % 60:02d}Z"
        consent = entry(record_id=subject, version=version, status=status, event_time=event_time)
        return record(subject, consent, version=version, identities=[f"irk:{subject}"])

    # --- the end ---

    def teardown(self) -> None:
        if not hasattr(self, "loop"):
            return
        try:
            self.run(self.until_empty())
            self.account()
        finally:
            self.run(self.close())
            self.loop.close()
            shutil.rmtree(self.home)

    async def until_empty(self) -> None:
        self.behind_s = 0.0
        self.failing.faults.clear()
        self.receiver.reconnect(is_up=True)
        while any((await self.outbox.backlog()).values()) or self.unheard:
            await self.settle()
            await self.say_what_is_there()

    def account(self) -> None:
        generation = self.outbox.generation
        last = self.outbox._last["platform"]
        accounted = self.receiver.accounted.get(generation, set())
        removed = self.receiver.removed.get(generation, set())
        assert set(self.receiver.accounted) <= {generation}
        assert accounted == set(range(1, last + 1)), "a sequence is missing"
        missing = self.committed - self.receiver.events.keys()
        unseen = {id for id in missing if id not in self.sequences}
        lost = {id for id in missing - unseen if self.sequences[id][1] not in removed}
        assert not lost, "a committed event is neither there nor named by a tombstone"
        assert len(unseen) <= self.counts.of("outbox", "capped") + self.counts.of("outbox", "removed")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tombstones, "_MANY", 3)
    monkeypatch.setattr(writer_room, "_RETRY_BASE_S", 0.001)
    monkeypatch.setattr(writer_room, "_RETRY_CAP_S", 0.002)
    monkeypatch.setattr(outbox_room, "ACKNOWLEDGE_S", 0.002)
    monkeypatch.setattr(courier_room, "LOOK_AGAIN_S", 0.01)
    monkeypatch.setattr(courier_room, "full_jitter", lambda: iter(lambda: 0.001, None))


CASES = [
    (7, 15),
    pytest.param(150, 40, marks=[pytest.mark.slow, pytest.mark.timeout(1_800)]),
]


@pytest.mark.parametrize(("examples", "steps"), CASES)
def test_every_committed_event_arrives_or_is_named_by_a_tombstone(examples: int, steps: int) -> None:
    run_state_machine_as_test(
        OutboxMachine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],  # made smaller, a failure would take minutes and be of another timing
            suppress_health_check=list(HealthCheck),
        ),
    )
