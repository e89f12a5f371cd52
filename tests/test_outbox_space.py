"""A store that is full: what goes, in which order, what is said about it, and what always fits."""

from __future__ import annotations

import asyncio
import logging
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
from outbox_machine import FailingStore
from releases import BEN, acknowledged, queued, release, stored

from gateway.consent.bars import Bar, Withdrawal
from gateway.counts import Counts
from gateway.outbox import Class, Limits, Outbox, Row, Transaction, writer

MAX_BYTES = 1 << 20
BODY = b'{"pad":"' + b"x" * 600 + b'"}'
ROWS_THAT_FIT = 500
"""Fewer than fit in the part that events may fill."""
SMALL = Limits(MAX_BYTES, classes=(Class("low", changes=["entering"]), Class("high", purposes=["ex:Alarm"])))


def at(path: Path, counts: Counts | None = None, limits: Limits = SMALL, **more: Any) -> Outbox:
    counts = counts or Counts()
    names = ("platform", "insurer")
    return Outbox(path, names, commit_delay_s=0.005, counts=counts, limits=limits, **more)


def some(
    first: int, n: int, recipient: str = "platform", *, at_once: int = 50, **more: Any
) -> list[Transaction]:
    made = [release(f"e{k}", recipient, body=BODY, **more) for k in range(first, first + n)]
    return [Transaction(made[i : i + at_once]) for i in range(0, n, at_once)]


async def everything(outbox: Outbox, recipient: str = "platform") -> list[Row]:
    return await outbox.pending(recipient, 0, 1_000_000)


def covered(rows: list[Row]) -> set[int]:
    """Sequences that are there or that a tombstone names."""
    said = [msgspec.json.decode(row.body)["ranges"] for row in rows if row.kind == "removed"]
    named = {n for ranges in said for first, last in ranges for n in range(first, last + 1)}
    return named | {row.sequence for row in rows}


def size_of(path: Path) -> int:
    return path.stat().st_size


async def test_the_oldest_go_first_and_every_sequence_is_accounted_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    counts, path = Counts(), tmp_path / "outbox.db"
    async with at(path, counts) as outbox:
        await stored(outbox, *some(1, 5 * ROWS_THAT_FIT))
        rows = await everything(outbox)
        left = [row.sequence for row in rows if row.kind == "event"]
        assert ROWS_THAT_FIT < len(left) < 2 * ROWS_THAT_FIT
        last = rows[-1].sequence
        assert covered(rows) == set(range(1, last + 1))
        removed = [row for row in rows if row.kind == "removed"]
        ids = [row.id for row in rows if row.kind == "event"]
        assert ids == [f"e{k}" for k in range(5 * ROWS_THAT_FIT - len(left) + 1, 5 * ROWS_THAT_FIT + 1)]
        assert {msgspec.json.decode(row.body)["reason"] for row in removed} == {"capped"}
        assert counts.of("outbox", "capped") == 5 * ROWS_THAT_FIT - len(left)
    assert size_of(path) <= MAX_BYTES
    assert [r.levelname for r in caplog.records if "is full" in r.message] == ["WARNING"]


@pytest.mark.parametrize(
    ("old", "new", "survive"),
    [
        ({}, {"change": "entering"}, "old"),
        ({"change": "entering"}, {}, "new"),
        ({"zone": "pump"}, {"zone": "shelf"}, "new"),
        ({"purpose": "ex:Alarm"}, {}, "old"),
        ({"purpose": "ex:Alarm"}, {"change": "entering"}, "old"),
        (
            {"change": "entering"},
            {"change": "entering", "purpose": "ex:Alarm"},
            "new",
        ),  # the first class fits
    ],
)
async def test_what_is_worth_least_goes_first(
    tmp_path: Path, old: dict[str, Any], new: dict[str, Any], survive: str
) -> None:
    async with at(tmp_path / "outbox.db") as outbox:
        n = ROWS_THAT_FIT
        await stored(outbox, *some(0, n, **old), *some(n, n, **new))
        ids = [int(row.id[1:]) for row in await everything(outbox) if row.kind == "event"]
        of_old, of_new = sum(k < n for k in ids), sum(k >= n for k in ids)
        assert (of_old if survive == "old" else of_new) == n
        assert (of_new if survive == "old" else of_old) < n


async def test_the_oldest_across_recipients_go(tmp_path: Path) -> None:
    now_s = 1_000.0
    async with at(tmp_path / "outbox.db", clock=lambda: now_s) as outbox:
        await stored(outbox, *some(0, 190, "insurer"))
        now_s = 2_000.0
        await stored(outbox, *some(0, 600))
        left = [row.kind for row in await everything(outbox, "insurer")]
        assert 0 < len(left) < 190 or set(left) == {"removed"}
        if "event" in left:
            assert "removed" not in [row.kind for row in await everything(outbox)]


async def test_a_low_event_does_not_displace_a_normal_one(tmp_path: Path) -> None:
    async with at(tmp_path / "outbox.db") as outbox:
        await stored(outbox, *some(0, 5 * ROWS_THAT_FIT))
        before = {row.id for row in await everything(outbox) if row.kind == "event"}
        for k in range(20):
            await stored(outbox, *some(10_000 + 20 * k, 20, change="entering"))
        rows = await everything(outbox)
        after = {row.id for row in rows if row.kind == "event" and row.change != "entering"}
        # of 400 that come: the room that is made at once, and what the filling had left above it
        assert len(before - after) <= 64
        assert covered(rows) == set(range(1, rows[-1].sequence + 1))


async def test_what_a_failed_commit_did_not_remove_goes_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_RETRY_BASE_S", 0.001)
    path = tmp_path / "outbox.db"
    async with at(path) as outbox:
        failing = FailingStore(outbox._store, path, tmp_path / "never")
        for batch in some(0, 3 * ROWS_THAT_FIT, at_once=10):
            failing.faults.extend(["between"])
            await stored(outbox, batch)
        ids = [row.id for row in await everything(outbox) if row.kind == "event"]
        assert ids == [f"e{k}" for k in range(3 * ROWS_THAT_FIT - len(ids), 3 * ROWS_THAT_FIT)]


async def test_withdrawals_fit_in_a_full_store(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    async with at(path) as outbox:
        mine = [Transaction([release(f"a{k}", body=BODY, subject_key=BEN)]) for k in range(200)]
        await stored(outbox, *some(0, 5 * ROWS_THAT_FIT), *mine)
        bars = [Withdrawal(f"card-{k}", b"key-%d" % k, Bar(version=1)) for k in range(1_000)]
        assert await outbox.purge([Withdrawal("card-ben", BEN, Bar(version=1)), *bars]) == 200
        assert BEN not in {row.subject_key for row in await everything(outbox)}
    assert size_of(path) <= MAX_BYTES


async def test_scattered_tombstones_fit_and_are_put_together(tmp_path: Path) -> None:
    """Each second event goes, one by one: the worst case for tombstones."""
    path = tmp_path / "outbox.db"
    async with at(path) as outbox:
        for round in range(6):
            n = 300
            await stored(outbox, *some(round * n, n))
            mine = [row.sequence for row in await everything(outbox) if row.kind == "event"]
            await asyncio.gather(*(outbox.remove("platform", [s], "expired") for s in mine[-n::2]))
        rows = await everything(outbox)
        assert covered(rows) == set(range(1, rows[-1].sequence + 1))
        assert sum(row.kind == "removed" for row in rows) < 100
    assert size_of(path) <= MAX_BYTES


async def test_a_smaller_size_holds_from_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    async with at(path, limits=Limits(64 << 20)) as outbox:
        await stored(outbox, *some(0, 4 * ROWS_THAT_FIT))
    assert size_of(path) > MAX_BYTES
    async with at(path) as outbox:
        rows = await everything(outbox)
        assert covered(rows) == set(range(1, rows[-1].sequence + 1))
    assert size_of(path) <= MAX_BYTES


async def test_a_full_store_delivers_and_forgets_that_it_was_full(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "gateway.outbox")
    async with at(tmp_path / "outbox.db") as outbox:
        await stored(outbox, *some(0, 5 * ROWS_THAT_FIT))
        last = (await everything(outbox))[-1].sequence
        await acknowledged(outbox, "platform", outbox.generation, [(1, last)])
        await stored(outbox, *some(90_000, 3))
        assert [id for _, id in await queued(outbox)] == ["e90000", "e90001", "e90002"]
    assert [r.message.split(" ", 1)[1] for r in caplog.records if "outbox.db" in r.message][
        -1
    ] == "has room again"


@pytest.mark.parametrize("seed", range(3))
async def test_any_mixture_stays_within_the_size(tmp_path: Path, seed: int) -> None:
    at_random, path, sizes = random.Random(seed), tmp_path / "outbox.db", []
    async with at(path) as outbox:
        for k in range(40):
            change = at_random.choice(["entering", "entered", "left"])
            body = b'{"pad":"' + b"x" * at_random.randrange(10, 3_000) + b'"}'
            names = [at_random.choice(["platform", "insurer"]) for _ in range(100)]
            await stored(outbox, Transaction([release(f"{k}-{i}", name, change=change, body=body)
                                              for i, name in enumerate(names)]))  # fmt: skip
            if at_random.random() < 0.2:
                rows = await outbox.pending("insurer", 0, at_random.randrange(1, 300))
                await acknowledged(
                    outbox, "insurer", outbox.generation, [(1, rows[-1].sequence)] if rows else []
                )
            sizes.append(size_of(path))
        for name in ("platform", "insurer"):
            rows = await everything(outbox, name)
            first = min(covered(rows))
            assert covered(rows) >= {n for n in range(first, rows[-1].sequence + 1) if n > 300 * 40}
    assert max(sizes) <= MAX_BYTES
