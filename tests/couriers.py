"""One recipient's path for tests: a real outbox and courier, a sink of twenty lines, the clock in the hand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import msgspec
from consents import NOON_S, record
from releases import stored

from gateway.consent import ConsentScreen, Keys, Policy, Purpose, Recipient, Register
from gateway.counts import Counts
from gateway.errors import NotConnectedError, RefusedError
from gateway.model import Presence
from gateway.outbox import Outbox, Transaction
from gateway.sinks import Delivery
from gateway.sinks.cloudevents import encode
from gateway.sinks.courier import Courier

PURPOSE = Purpose("dpv:PersonalisedBenefits", "eu-gdpr:A6-1-a", frozenset(["entered"]), frozenset(["zone"]))


class FakeSink:
    """Confirms what it is given, unless it is cut off."""

    def __init__(self) -> None:
        self.connection = 1
        self.cut_after: int | None = None
        self.refuses = False
        self.dropped = 0
        self.sent: list[int] = []
        self.payloads: list[dict[str, Any]] = []

    async def ready(self) -> int:
        return self.connection

    def drop(self) -> None:
        self.dropped += 1

    async def send(self, delivery: Delivery) -> None:
        await asyncio.sleep(0)
        if self.refuses:
            raise RefusedError("Not authorized")
        if self.cut_after is not None and len(self.sent) >= self.cut_after:
            raise NotConnectedError("cut off")
        self.sent.append(delivery.sequence)
        self.payloads.append(msgspec.json.decode(encode(delivery, "/sites/s/gateways/g", "platform")))


class Bench:
    """One recipient's path, with the clock in the test's hand."""

    def __init__(
        self, outbox: Outbox, mode: Literal["platform", "puback"], counts: Counts, backlog_per_s: float = 50.0
    ) -> None:
        self.counts, self.outbox, self.sink, self.now_s = counts, outbox, FakeSink(), NOON_S
        self.register = Register(counts)
        policy = Policy("s", "g", (Recipient("platform", (PURPOSE,)),))
        self.screen = ConsentScreen(policy, self.register, Keys(bytes(32)), counts)
        self.courier = Courier("platform", mode, sink=self.sink, outbox=outbox, screen=self.screen,
                               clock=lambda: self.now_s, counts=counts, backlog_per_s=backlog_per_s)  # fmt: skip
        self.say(record())

    def say(self, *records: Any) -> None:
        self.screen.know(self.register.absorb(list(records)))

    async def happen(self, n: int, first: int = 0) -> None:
        """Events number `first` and so on, each of another second."""
        moments_s = [NOON_S + i for i in range(first, first + n)]
        presences = [
            Presence(t_s, t_s, "card-1234", "cereals", "entered", NOON_S, 0.0, 0.9, {}) for t_s in moments_s
        ]
        releases = [release for p in presences for release in self.screen.releases(p)]
        await stored(self.outbox, Transaction(releases))

    async def acknowledge(self, **said: Any) -> None:
        payload = msgspec.json.encode({"generation": self.outbox.generation} | said)
        self.courier.acknowledge(payload, retained=False)

    async def left(self) -> int:
        return (await self.outbox.backlog()).get("platform", 0)


async def until(true: Callable[[], bool | Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while True:
            answer = true()
            if answer if isinstance(answer, bool) else await answer:
                return
            await asyncio.sleep(0.005)
