"""What waits while the link is down: it leaves the disk when its consent, its expiry or its time ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from consents import NOON_S, PURPOSE, entry, record
from releases import stored

from gateway import lapses
from gateway.consent import ConsentScreen, Keys, Policy, Purpose, Recipient, Register
from gateway.counts import Counts
from gateway.lapses import Lapses
from gateway.model import Change, ClockTrust, FeedState, Presence
from gateway.outbox import Class, Limits, Outbox, Transaction

CHANGES: frozenset[Change] = frozenset(["entered", "entering", "left"])
HOUR_S, DAY_S = 3600.0, 86_400.0
LIMITS = Limits(
    keep_s=30 * DAY_S, classes=(Class(keep_s=HOUR_S, changes=["entering"]), Class(keep_s=99 * DAY_S))
)


class Place:
    """Consents, clock and outbox, and no link at all."""

    def __init__(self, outbox: Outbox) -> None:
        self.outbox, self.now_s, self.stored_s = outbox, NOON_S, NOON_S
        counts = Counts()
        self.register = Register(counts)
        purpose = Purpose(PURPOSE, "eu-gdpr:A6-1-a", CHANGES, frozenset(["zone"]))
        recipients = Recipient("platform", (purpose,)), Recipient("insurer", (purpose,))
        self.screen = ConsentScreen(Policy("s", "g", recipients), self.register, Keys(bytes(32)), counts)
        self.lapses = Lapses(outbox, self.screen, lambda: self.now_s)

    def say(self, *records: Any) -> None:
        self.screen.know(self.register.absorb(list(records)))

    async def happen(self, *changes: Change, subject: str = "card-1234") -> None:
        for i, change in enumerate(changes):
            t_s = self.now_s + i
            presence = Presence(t_s, t_s, subject, "cereals", change, t_s, 0.0, 0.9, {})
            await stored(self.outbox, Transaction(self.screen.releases(presence)))

    async def rows(self, recipient: str = "platform") -> list[str]:
        """Changes of events, and what tombstones say."""
        found = []
        for row in await self.outbox.pending(recipient, 0, 10_000):
            said = msgspec.json.decode(row.body) if row.kind == "removed" else None
            found.append(f"{said['ranges']} {said['reason']}" if said else row.change)
        return found


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    made: list[Place] = []
    names = ("platform", "insurer")
    async with Outbox(
        tmp_path / "outbox.sqlite",
        names,
        commit_delay_s=0.005,
        counts=Counts(),
        limits=LIMITS,
        clock=lambda: made[0].stored_s if made else NOON_S,
    ) as outbox:
        made.append(Place(outbox))
        yield made[0]


def on_disk(directory: Path) -> bytes:
    return b"".join(file.read_bytes() for file in directory.glob("outbox.sqlite*"))


def both(**changes: Any) -> dict[str, Any]:
    return entry(recipients=["platform", "insurer"], **changes)


@pytest.mark.parametrize(
    ("later_s", "platform"),
    [
        (0.0, ["entering", "entered", "left"]),
        (HOUR_S + 1, ["entered", "left", "[[1, 1]] expired"]),  # a class that keeps less
        (29 * DAY_S, ["entered", "left", "[[1, 1]] expired"]),
        (30 * DAY_S + 1, ["[[1, 3]] expired"]),  # no class keeps longer than the outbox
    ],
)
async def test_what_waited_too_long_goes(place: Place, later_s: float, platform: list[str]) -> None:
    place.say(record("card-1234", entry()))
    await place.happen("entering", "entered", "left")
    place.stored_s += later_s
    await place.lapses.once()
    assert await place.rows() == platform
    place.now_s += later_s
    assert await place.lapses.once() == 0


async def test_a_consent_that_ends_takes_what_waits_along(place: Place, tmp_path: Path) -> None:
    place.say(record("card-1234", both(valid_until="2025-12-22T13:00:00Z")), record("card-2", both()))
    await place.happen("entered", "left")
    place.now_s += 2 * HOUR_S
    assert await place.lapses.once() == 4
    assert await place.rows() == ["[[1, 2]] expired"]
    assert await place.rows("insurer") == ["[[1, 2]] expired"]
    assert b"card-1234" not in on_disk(tmp_path)


async def test_an_expiry_that_ends_before_the_consent(place: Place) -> None:
    """A partner's events may be used for a span of their own; then they are of no use to anybody."""
    place.say(record("card-1234", both(valid_until="2025-12-23T13:00:00Z")))
    await place.happen("entered")
    (row,) = await place.outbox.pending("insurer", 0, 10)
    assert row.expires_s is not None
    place.now_s = row.expires_s
    await place.lapses.once()
    assert await place.rows("insurer") == ["[[1, 1]] expired"]
    assert await place.rows() == ["entered"]


async def test_a_consent_that_names_a_recipient_no_more(place: Place) -> None:
    """The subject is still admitted, so nothing is purged: it goes at the next look."""
    place.say(record("card-1234", both()))
    await place.happen("entered")
    place.say(record("card-1234", entry(version=2), version=2))
    await place.lapses.once()
    assert await place.rows("insurer") == ["[[1, 1]] withdrawn"]
    assert await place.rows() == ["entered"]


async def test_doubt_about_everybody_removes_nothing_but_what_is_over(place: Place) -> None:
    place.register = Register(Counts(), max_age_s=HOUR_S)
    place.screen._register = place.register
    place.register.confirm(FeedState(NOON_S, NOON_S))
    place.say(record("card-1234", entry(valid_until="2025-12-22T15:00:00Z")))
    await place.happen("entered")
    place.now_s += 2 * HOUR_S  # the feed has fallen silent
    assert await place.lapses.once() == 0
    place.now_s += 2 * HOUR_S
    assert await place.lapses.once() == 1


async def test_a_clock_that_nobody_trusts_ends_nothing(place: Place) -> None:
    place.say(record("card-1234", entry()))
    await place.happen("entered")
    signal = ClockTrust(place.now_s, trusted=False)
    place.register.trust_clock(signal.trusted)
    place.now_s += 9_999 * DAY_S
    place.stored_s += 9_999 * DAY_S
    assert await place.lapses.once() == 0


async def test_many_leave_few_tombstones_and_nobody_waits_long(place: Place) -> None:
    place.say(record("card-1234", entry(valid_until="2025-12-22T13:00:00Z")))
    presences = [
        Presence(NOON_S + i / 100, NOON_S + i / 100, "card-1234", "cereals", "entered", NOON_S, 0.0, 0.9, {})
        for i in range(3_000)
    ]
    await stored(place.outbox, Transaction([r for p in presences for r in place.screen.releases(p)]))
    place.now_s += 2 * HOUR_S
    looking, longest_s = asyncio.create_task(place.lapses.once()), 0.0
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    while not looking.done():
        before_s = loop.time()
        await asyncio.sleep(0)
        longest_s = max(longest_s, loop.time() - before_s)
    assert await looking == 3_000
    assert len(await place.rows()) <= 6
    assert longest_s < max(1.0, 0.5 * (loop.time() - began_s))


async def test_it_looks_by_itself(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lapses, "EVERY_S", 0.02)
    place.say(record("card-1234", entry(valid_until="2025-12-22T13:00:00Z")))
    await place.happen("entered")
    task = asyncio.create_task(place.lapses.run())
    place.now_s += 2 * HOUR_S
    async with asyncio.timeout(30):
        assert await place.outbox.wait("platform", 1) == 2  # the tombstone
    assert await place.rows() == ["[[1, 1]] expired"]
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
