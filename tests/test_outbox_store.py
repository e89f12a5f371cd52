"""The outbox's file: for one owner, refused with a reason, the same after a restart; and a full disk."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from daemons import until
from releases import acknowledged, events, queued, release, stay, stored

from gateway.consent.bars import OPEN, Withdrawal
from gateway.counts import Counts
from gateway.errors import StoreError
from gateway.outbox import Outbox, Transaction


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "outbox.db"


def at(path: Path, *recipients: str) -> Outbox:
    return Outbox(path, recipients or ("platform",), commit_delay_s=0.005, counts=Counts())


# --- restart ---


async def test_a_restart_keeps_rows_stays_generation_and_the_sequence(path: Path) -> None:
    async with at(path, "platform", "insurer") as outbox:
        generation = outbox.generation
        outbox.submit(Transaction([release("a"), release("a", "insurer")], [stay("anna")]))
        outbox.submit(events("b"))  # the exit stores it
    async with at(path, "platform", "insurer") as outbox:
        assert (outbox.generation, await outbox.open_stays()) == (generation, [stay("anna")])
        assert await queued(outbox) == [(1, "a"), (2, "b")]
        assert await acknowledged(outbox, "platform", generation, [(1, 2)]) == 2
    async with at(path, "platform") as outbox:  # the insurer is no longer in the settings
        assert await outbox.backlog() == {"platform": 0, "insurer": 1}
        await stored(outbox, events("c"))
        assert await queued(outbox) == [(3, "c")]


async def test_an_acknowledgement_of_what_an_earlier_run_sent_still_counts(path: Path) -> None:
    async with at(path) as outbox:
        await stored(outbox, events("a", "b"))
    async with at(path) as outbox:
        await stored(outbox, events("c"))
        assert await acknowledged(outbox, "platform", outbox.generation, [(1, 3)]) == 0
        assert await acknowledged(outbox, "platform", outbox.generation, [(1, 2)]) == 2


async def test_two_stores_are_two_generations(tmp_path: Path) -> None:
    async with at(tmp_path / "a.db") as one, at(tmp_path / "b.db") as other:
        assert one.generation
        assert one.generation != other.generation


# --- the file ---


async def test_only_the_owner_may_read_it(path: Path) -> None:
    async with at(path) as outbox:
        await stored(outbox, events("a"))
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    files = ("outbox.db", "outbox.db-wal", "outbox.db.seen", "bars.json")
    assert modes == dict.fromkeys(files, 0o600)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def _foreign(path: Path) -> None:
    _execute(path, "CREATE TABLE recipes (cake TEXT)")


def _execute(path: Path, sql: str) -> None:
    db = sqlite3.connect(path)
    db.execute(sql)
    db.close()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_foreign, "is a database, but no outbox"),
        (Path.mkdir, "cannot be opened"),
    ],
)
async def test_one_that_cannot_be_used_is_named(
    tmp_path: Path, spoil: Callable[[Path], None], says: str
) -> None:
    path = tmp_path / "outbox.db"
    spoil(path)
    with pytest.raises(StoreError) as raised:
        async with at(path):
            pass
    assert str(raised.value).startswith(f"{path}: {says}")


async def test_a_second_gateway_is_refused(path: Path) -> None:
    async with at(path):
        with pytest.raises(StoreError, match="in use by another process"):
            async with at(path):
                pass


async def test_a_closed_outbox_takes_nothing(path: Path) -> None:
    async with at(path) as outbox:
        pass
    with pytest.raises(StoreError, match="is not open"):
        outbox.submit(events("a"))


# --- a disk that refuses ---


@contextmanager
def full_disk(path: Path) -> Iterator[None]:
    """The kernel lets no file of this process grow beyond the store's size now, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    largest = max(file.stat().st_size for file in path.parent.iterdir())
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_full_disk_loses_nothing_and_says_so(path: Path) -> None:
    order: list[str] = []
    async with at(path) as outbox:
        await stored(outbox, events("a"))
        with full_disk(path):
            outbox.submit(events("b"), lambda: order.append("b"))
            await until(lambda: outbox.link.state == "down")
            outbox.submit(events("c"), lambda: order.append("c"))
            assert await queued(outbox) == [(1, "a")]  # reading goes on
            assert (order, outbox.uncommitted, outbox.link.state) == ([], 2, "down")
            assert "outbox.db: cannot store" in outbox.link.detail
        await stored(outbox)
        assert (order, outbox.uncommitted, outbox.link.state) == (["b", "c"], 0, "up")
        assert await queued(outbox) == [(1, "a"), (2, "b"), (3, "c")]


async def test_an_exit_that_cannot_store_says_what_is_lost(path: Path) -> None:
    with ExitStack() as disk, pytest.raises(StoreError, match="1 transactions could not be stored"):
        async with at(path) as outbox:
            await stored(outbox, events("a"))
            disk.enter_context(full_disk(path))
            outbox.submit(events("b"))
            withdrawal = asyncio.create_task(outbox.purge([Withdrawal("anna", b"key", OPEN)]))
    with pytest.raises(StoreError, match="closed before this was stored"):
        await withdrawal
    async with at(path) as outbox:
        assert await queued(outbox) == [(1, "a")]
