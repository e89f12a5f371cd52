"""Three days without a line, ten events a second: what fits is kept, what does not leaves a tombstone, nothing else.

Outbox, screen and courier are the real ones; time is compressed, and the line is a sink that is shut at first.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from consents import entry, record

from gateway.consent import ConsentScreen, Keys, Policy, Purpose, Recipient, Register
from gateway.counts import Counts
from gateway.model import Change, Presence
from gateway.outbox import Outbox, Transaction
from gateway.outbox.limits import DEFAULTS, Limits
from gateway.sinks import Delivery, Tombstone
from gateway.sinks.courier import Courier

pytestmark = pytest.mark.faults
A_SECOND, HOUR_S = 10, 3_600
SUBJECTS = 60
LONG_H = float(os.environ.get("GATEWAY_OFFLINE_HOURS", "72"))
CHANGES: tuple[Change, ...] = ("entered", "dwelled", "left")
PURPOSE = Purpose(
    "dpv:PersonalisedBenefits", "eu-gdpr:A6-1-a", frozenset(CHANGES), frozenset(["zone", "since", "dwell_s"])
)


class Line:
    """Shut until `open` is set. Keeps of each delivery what the assertions need."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.events: list[int] = []
        """Sequences, in the order of arrival."""
        self.tombstones: set[int] = set()
        self.ids: set[str] = set()
        self.gone: set[int] = set()
        """Sequences that a tombstone stands for."""
        self.reasons: set[str] = set()
        self._through = 0

    async def ready(self) -> int:
        await self.open.wait()
        return 1

    def drop(self) -> None:
        raise AssertionError("nobody withdraws here")

    async def send(self, delivery: Delivery) -> None:
        self.ids.add(delivery.content.id)
        if isinstance(delivery.content, Tombstone):
            said = msgspec.json.decode(delivery.content.body)
            self.tombstones.add(
                delivery.sequence
            )  # one that went ahead comes again in its turn, under its id
            self.gone.update(n for first, last in said["ranges"] for n in range(first, last + 1))
            self.reasons.add(said["reason"])
        else:
            assert delivery.historical is True
            self.events.append(delivery.sequence)

    def accounted(self) -> set[int]:
        return {*self.events, *self.tombstones, *self.gone}

    def acknowledgement(self, generation: str) -> bytes:
        known = self.accounted()
        while self._through + 1 in known:
            self._through += 1
        above = sorted(n for n in self.tombstones if n > self._through)
        said = {"generation": generation, "through": self._through, "also": [[n, n] for n in above]}
        return msgspec.json.encode(said)


def presences(from_s: float, seconds: int) -> Iterator[list[Presence]]:
    """Second by second."""
    n = 0
    for second in range(seconds):
        batch = []
        for _ in range(A_SECOND):
            t_s = from_s + second + 0.1 * (n % A_SECOND)
            subject, change = f"card-{n % SUBJECTS}", CHANGES[n // SUBJECTS % len(CHANGES)]
            batch.append(Presence(t_s, t_s, subject, "cereals", change, t_s - 20, 20.0, 0.9, {}))
            n += 1
        yield batch


def a_screen(counts: Counts) -> ConsentScreen:
    register = Register(counts)
    facts = {"cereals": ("shelf", "Cereals")}
    policy = Policy("s", "g", (Recipient("platform", (PURPOSE,)),), zone_facts=facts)
    screen = ConsentScreen(policy, register, Keys(bytes(32)), counts)
    for n in range(SUBJECTS):
        lasting = entry(
            record_id=f"c-{n}", event_time="2020-01-01T00:00:00Z", valid_until="2100-01-01T00:00:00Z"
        )
        screen.know(register.absorb([record(f"card-{n}", lasting, identities=[f"vehicle:car-{n}"])]))
    return screen


class Outage:
    """`happen`, then `recover`."""

    def __init__(self, folder: Path, seconds: int, limits: Limits) -> None:
        self.path, self.seconds, self.limits = folder / "outbox.sqlite", seconds, limits
        self.counts, self.line = Counts(), Line()
        self.screen = a_screen(self.counts)
        self.began_s = self.now_s = time.time() - seconds - 120
        self.largest_bytes = 0

    def outbox(self) -> Outbox:
        return Outbox(self.path, ["platform"], commit_delay_s=0.02, counts=self.counts, clock=lambda: self.now_s,
                      limits=self.limits)  # fmt: skip

    def courier(self, outbox: Outbox) -> Courier:
        return Courier("platform", "platform", sink=self.line, outbox=outbox, screen=self.screen,
                       clock=lambda: self.now_s, counts=self.counts, backlog_per_s=1e6)  # fmt: skip

    async def happen(self, outbox: Outbox) -> None:
        for n, batch in enumerate(presences(self.began_s, self.seconds)):
            self.now_s = self.began_s + n
            outbox.submit(Transaction([release for p in batch for release in self.screen.releases(p)]))
            while outbox.uncommitted > 500:  # noqa: ASYNC110 - as the pump does
                await asyncio.sleep(0.001)
            if n % 1_000 == 0:
                self.largest_bytes = max(self.largest_bytes, self.path.stat().st_size)
        while outbox.uncommitted:  # noqa: ASYNC110 - the disk knows
            await asyncio.sleep(0.01)

    async def recover(self, outbox: Outbox, courier: Courier) -> int:
        """The last sequence that was given."""
        self.line.open.set()
        while (await outbox.backlog()).get("platform"):
            courier.acknowledge(self.line.acknowledgement(outbox.generation), retained=False)
            await asyncio.sleep(0.3)
        return await outbox.wait("platform", 0)


@pytest.mark.parametrize(
    ("hours", "limits"),
    [
        pytest.param(0.1, Limits(max_bytes=64 << 20), id="fits", marks=pytest.mark.slow),
        pytest.param(0.15, Limits(max_bytes=3 << 19), id="does_not_fit"),
        pytest.param(LONG_H, DEFAULTS, id="long", marks=[pytest.mark.slow, pytest.mark.timeout(14_400)]),
    ],
)
async def test_hours_without_a_line(tmp_path: Path, hours: float, limits: Limits) -> None:
    outage = Outage(tmp_path, round(hours * HOUR_S), limits)
    line = outage.line
    async with outage.outbox() as outbox:
        courier = outage.courier(outbox)
        running = asyncio.create_task(courier.run())
        await outage.happen(outbox)
        assert outage.largest_bytes <= limits.max_bytes
        last = await outage.recover(outbox, courier)
        running.cancel()
    assert line.accounted() == set(range(1, last + 1)), (
        "every committed event came, or a tombstone stands for it"
    )
    assert not line.gone & set(line.events), "what came was not said to be removed"
    assert len(line.events) + len(line.tombstones) == len(line.ids), "each once"
    assert line.events == sorted(line.events), "the backlog in its order"
    committed = outage.seconds * A_SECOND
    assert outage.counts.of("outbox", "stored") == committed
    assert committed <= last <= committed * 1.2, "tombstones take sequences too"
    assert line.reasons == ({"capped"} if line.gone else set())
    assert bool(line.gone) is (committed * 400 > limits.max_bytes)
