"""The outbox: what is submitted is stored once, numbered, and handed out until it is acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import msgspec
import pytest
from releases import ANNA, BEN, acknowledged, events, queued, release, stay, stored

from gateway.consent.bars import OPEN, Withdrawal
from gateway.counts import Counts
from gateway.model import StayClosed
from gateway.outbox import Outbox, Row, Transaction
from gateway.outbox import outbox as room

NOW_S = 1_766_400_000.0


@pytest.fixture
def counts() -> Counts:
    return Counts()


@pytest.fixture
async def outbox(tmp_path: Path, counts: Counts) -> AsyncIterator[Outbox]:
    path = tmp_path / "state" / "outbox.db"
    recipients = ("platform", "insurer")
    async with Outbox(path, recipients, commit_delay_s=0.005, counts=counts, clock=lambda: NOW_S) as opened:
        yield opened


async def tombstones(outbox: Outbox, recipient: str = "platform") -> list[tuple[int, object]]:
    rows = await outbox.pending(recipient, 0, 10_000)
    return [(row.sequence, msgspec.json.decode(row.body)) for row in rows if row.kind == "removed"]


# --- in and out ---


async def test_a_row_carries_the_release_its_sequence_and_the_time_of_the_commit(outbox: Outbox) -> None:
    await stored(outbox, Transaction([release("e1", expires_s=NOW_S + 60, body=b'{"a":1}')]))
    assert await outbox.pending("platform", 0, 10) == [
        Row(
            recipient="platform",
            sequence=1,
            kind="event",
            id="e1",
            subject_key=ANNA,
            purpose="dpv:PersonalisedBenefits",
            zone="cereals",
            change="entered",
            t_s=1_766_397_600.0,
            expires_s=NOW_S + 60,
            stored_s=NOW_S,
            body=b'{"a":1}',
        )
    ]


async def test_each_recipient_counts_for_itself(outbox: Outbox) -> None:
    both = [release("e1"), release("e1", "insurer"), release("e2"), release("e3", "insurer")]
    await stored(outbox, Transaction(both), events("e4"))
    assert await queued(outbox) == [(1, "e1"), (2, "e2"), (3, "e4")]
    assert await queued(outbox, "insurer") == [(1, "e1"), (2, "e3")]
    assert await outbox.backlog() == {"platform": 3, "insurer": 2}


@pytest.mark.parametrize(
    ("after", "limit", "sequences"),
    [(0, 10, [1, 2, 3, 4, 5]), (0, 2, [1, 2]), (2, 2, [3, 4]), (4, 10, [5]), (5, 10, []), (0, 0, [])],
)
async def test_pending_pages_upwards(outbox: Outbox, after: int, limit: int, sequences: list[int]) -> None:
    await stored(outbox, events("a", "b", "c", "d", "e"))
    assert [row.sequence for row in await outbox.pending("platform", after, limit)] == sequences


async def test_an_event_that_is_still_queued_is_not_stored_twice(outbox: Outbox, counts: Counts) -> None:
    await stored(outbox, events("e1", "e2"), events("e2", "e3", "e3"))
    assert await queued(outbox) == [(1, "e1"), (2, "e2"), (3, "e3")]
    assert (counts.of("outbox", "stored"), counts.of("outbox", "already_queued")) == (3, 2)


async def test_done_comes_after_the_commit_in_the_order_of_submission(outbox: Outbox) -> None:
    order: list[int] = []
    for n in range(20):
        outbox.submit(events(f"e{n}"), partial(order.append, n))
    assert (order, outbox.uncommitted) == ([], 20)
    await stored(outbox)
    assert (order, outbox.uncommitted) == (list(range(20)), 0)


async def test_a_thousand_submits_in_one_turn_share_few_commits(outbox: Outbox, counts: Counts) -> None:
    await stored(outbox, *(events(f"e{n}") for n in range(1000)))
    assert counts.of("outbox", "stored") == 1000
    assert counts.of("outbox", "commits") <= 3


async def test_a_large_batch_does_not_wait_and_a_small_one_does(tmp_path: Path, counts: Counts) -> None:
    async with Outbox(tmp_path / "outbox.db", ["platform"], commit_delay_s=30.0, counts=counts) as outbox:
        async with asyncio.timeout(5):
            await stored(outbox, *(events(f"e{n}") for n in range(999)))
        outbox.submit(events("small"))
        await outbox.backlog()
        assert outbox.uncommitted == 1
        async with asyncio.timeout(5):  # a withdrawal does not wait either
            await outbox.purge([Withdrawal("card-ben", BEN, OPEN)])
        assert outbox.uncommitted == 0


async def test_nothing_to_store_costs_no_commit(outbox: Outbox, counts: Counts) -> None:
    await stored(outbox, Transaction(), Transaction())
    assert counts.of("outbox", "commits") == 0


async def test_a_write_that_can_never_succeed_harms_no_other(outbox: Outbox, counts: Counts) -> None:
    done: list[str] = []
    outbox.submit(events("e1"), lambda: done.append("e1"))
    outbox.submit(
        Transaction([release("half"), release("nan", t_s=float("nan"))]), lambda: done.append("nan")
    )
    outbox.submit(events("e2"), lambda: done.append("e2"))
    await stored(outbox)
    assert await queued(outbox) == [(1, "e1"), (2, "e2")]
    assert done == ["e1", "nan", "e2"]
    assert counts.of("outbox", "refused") == 1


async def test_an_acknowledgement_rides_on_the_next_commit(outbox: Outbox, counts: Counts) -> None:
    await stored(outbox, events("a"))
    await outbox.pending("platform", 0, 10)
    commits = counts.of("outbox", "commits")
    told: list[int] = []
    outbox.acknowledge("platform", outbox.generation, [(1, 1)], told.append)
    await stored(outbox, events("b"))
    assert (told, await queued(outbox)) == ([1], [(2, "b")])
    assert counts.of("outbox", "commits") == commits + 1


async def test_what_waits_to_be_deleted_is_not_handed_out_again(outbox: Outbox) -> None:
    await stored(outbox, events("a", "b"))
    await outbox.pending("platform", 0, 10)
    outbox.acknowledge("platform", outbox.generation, [(1, 1)])
    assert [row.sequence for row in await outbox.pending("platform", 0, 10)] == [2]  # from the beginning


async def test_an_acknowledgement_that_comes_while_another_is_written_is_not_forgotten(
    outbox: Outbox,
) -> None:
    await stored(outbox, events("a", "b", "c"))
    await outbox.pending("platform", 0, 10)
    second = partial(outbox.acknowledge, "platform", outbox.generation, [(2, 2)])
    outbox.acknowledge("platform", outbox.generation, [(1, 1)], lambda _: second())
    await stored(outbox, events("d"))  # carries the first
    assert [row.sequence for row in await outbox.pending("platform", 0, 10)] == [3, 4]


async def test_many_acknowledgements_do_not_wait(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "ACKNOWLEDGE_S", 60.0)
    await stored(outbox, *(events(f"e{n}") for n in range(150)))
    await outbox.pending("platform", 0, 200)
    gone = asyncio.Event()
    async with asyncio.timeout(20):
        outbox.acknowledge("platform", outbox.generation, [(1, 120)], lambda _: gone.set())
        await gone.wait()


async def test_wait_returns_when_there_is_something_new(outbox: Outbox) -> None:
    waiting = asyncio.create_task(outbox.wait("insurer", 0))
    await stored(outbox, events("e1"))
    assert not waiting.done()
    await stored(outbox, events("e1", "e2", recipient="insurer"))
    assert await waiting == 2
    assert await outbox.wait("platform", 0) == 1


# --- acknowledgement ---


@pytest.mark.parametrize(
    ("ranges", "left", "out_of_range"),
    [
        ([(1, 3)], "def", 0),
        ([(1, 2), (4, 4)], "cef", 0),
        ([(2, 2), (2, 2), (1, 3)], "def", 0),
        ([(1, 4)], "ef", 0),
        ([(1, 5)], "abcdef", 1),  # e and f were never handed out
        ([(1, 10**30), (1, 1)], "bcdef", 1),
        ([(0, 2)], "abcdef", 1),
        ([(3, 2)], "abcdef", 1),
        ([], "abcdef", 0),
    ],
)
async def test_acknowledged_ranges_go(
    outbox: Outbox, counts: Counts, *, ranges: list[tuple[int, int]], left: str, out_of_range: int
) -> None:
    await stored(outbox, events(*"abcdef"), events("a", recipient="insurer"))
    await outbox.pending("platform", 0, 4)
    assert await acknowledged(outbox, "platform", outbox.generation, ranges) == 6 - len(left)
    assert "".join(id for _, id in await queued(outbox)) == left
    assert await queued(outbox, "insurer") == [(1, "a")]
    assert counts.of("outbox", "ack_out_of_range") == out_of_range
    assert counts.of("outbox", "acknowledged") == 6 - len(left)


async def test_an_acknowledgement_repeated_is_harmless(outbox: Outbox) -> None:
    await stored(outbox, events("a", "b"))
    await queued(outbox)
    assert await acknowledged(outbox, "platform", outbox.generation, [(1, 1)]) == 1
    assert await acknowledged(outbox, "platform", outbox.generation, [(1, 1)]) == 0
    assert await queued(outbox) == [(2, "b")]


@pytest.mark.parametrize(
    ("recipient", "generation", "outcome"),
    [
        ("platform", "another", "ack_wrong_generation"),
        ("platform", "", "ack_wrong_generation"),
        ("insurer", None, "ack_out_of_range"),
        ("nobody", None, "ack_out_of_range"),
    ],
)
async def test_a_wrong_acknowledgement_is_ignored_and_counted(
    outbox: Outbox, counts: Counts, recipient: str, generation: str | None, outcome: str
) -> None:
    await stored(outbox, events("a", "b"))
    await queued(outbox)
    sent = outbox.generation if generation is None else generation
    assert await acknowledged(outbox, recipient, sent, [(1, 2)]) == 0
    assert counts.of("outbox", outcome) == 1
    assert await queued(outbox) == [(1, "a"), (2, "b")]


# --- removal ---


@pytest.mark.parametrize(
    ("sequences", "left", "ranges"),
    [
        ([2, 3], [1, 4, 5], [[2, 3]]),
        ([5, 1, 3, 1], [2, 4], [[1, 1], [3, 3], [5, 5]]),
        ([1, 2, 3, 4, 5, 99], [], [[1, 5]]),
        ([98, 99], [1, 2, 3, 4, 5], None),
        ([], [1, 2, 3, 4, 5], None),
    ],
)
async def test_what_is_removed_leaves_one_tombstone(
    outbox: Outbox, counts: Counts, sequences: list[int], left: list[int], ranges: list[list[int]] | None
) -> None:
    await stored(outbox, events("a", "b", "c", "d", "e"))
    await outbox.remove("platform", sequences, "expired")
    events_left = [row.sequence for row in await outbox.pending("platform", 0, 10) if row.kind == "event"]
    assert events_left == left
    expected = [] if ranges is None else [(6, {"ranges": ranges, "reason": "expired"})]
    assert await tombstones(outbox) == expected
    assert counts.of("outbox", "removed") == 5 - len(left)


async def test_a_tombstone_belongs_to_nobody_stays_until_acknowledged_and_counts_on(outbox: Outbox) -> None:
    await stored(outbox, events("a", "b"))
    await outbox.remove("platform", [1, 2], "capped")
    [tombstone] = await outbox.pending("platform", 0, 10)
    assert (tombstone.sequence, tombstone.kind, tombstone.change) == (3, "removed", "removed")
    assert (tombstone.subject_key, tombstone.zone, tombstone.purpose) == (b"", "", "")
    await outbox.remove("platform", [3], "capped")
    await outbox.purge([Withdrawal("", b"", OPEN)])
    await stored(outbox, events("c"))
    assert [sequence for sequence, _ in await queued(outbox)] == [3, 4]
    assert await acknowledged(outbox, "platform", outbox.generation, [(3, 3)]) == 1
    assert await queued(outbox) == [(4, "c")]


async def test_scattered_removals_fill_several_tombstones(outbox: Outbox) -> None:
    await stored(outbox, events(*(str(n) for n in range(2500))))
    await outbox.remove("platform", range(1, 2501, 2), "capped")
    found = [row for row in await outbox.pending("platform", 2500, 20) if row.kind == "removed"]
    ranges = [first for row in found for first, _ in msgspec.json.decode(row.body)["ranges"]]
    assert (len(found), ranges) == (13, list(range(1, 2501, 2)))


async def test_a_withdrawal_takes_all_of_one_subject_and_nothing_else(outbox: Outbox, tmp_path: Path) -> None:
    secret = b'{"subject":"card-anna-4711"}'
    anna = Transaction([release("a1", body=secret), release("a1", "insurer")], [stay("card-anna-4711")])
    ben = Transaction([release("b1", subject_key=BEN)], [stay("card-ben")])
    await stored(outbox, anna, ben)
    outbox.submit(Transaction([release("a2", body=secret)], [stay("card-anna-4711", "checkout")]))
    await outbox.purge([Withdrawal("card-anna-4711", ANNA, OPEN)])
    assert [row.id for row in await outbox.pending("platform", 0, 10) if row.kind == "event"] == ["b1"]
    assert await tombstones(outbox) == [(4, {"ranges": [[1, 1], [3, 3]], "reason": "withdrawn"})]
    assert await tombstones(outbox, "insurer") == [(2, {"ranges": [[1, 1]], "reason": "withdrawn"})]
    assert await outbox.open_stays() == [stay("card-ben")]
    on_disk = b"".join(file.read_bytes() for file in (tmp_path / "state").iterdir())
    assert b"card-ben" in on_disk
    assert b"card-anna-4711" not in on_disk
    assert ANNA not in on_disk


# --- stays ---


async def test_stays_follow_their_events(outbox: Outbox) -> None:
    await stored(outbox, Transaction([release("e1")], [stay("anna", since_s=1.0), stay("ben")]))
    await stored(outbox, Transaction([release("e2")], [stay("anna", since_s=2.0), stay("anna", "checkout")]))
    assert await outbox.open_stays() == [stay("anna", since_s=2.0), stay("anna", "checkout"), stay("ben")]
    gone = [StayClosed("anna", "cereals"), StayClosed("ben", "cereals"), StayClosed("ben", "nowhere")]
    await stored(outbox, Transaction(stays=[*gone]))
    assert await outbox.open_stays() == [stay("anna", "checkout")]
