"""Disks that are really full or read-only: nothing is said to be stored that is not, and it goes on by itself."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from daemons import until
from releases import acknowledged, events, queued, release, stored
from small_disks import ext4, fill, remount, repair, tmpfs

from gateway.consent.bars import Bar, Withdrawal
from gateway.counts import Counts
from gateway.errors import StoreError
from gateway.outbox import Limits, Outbox, Transaction

pytestmark = pytest.mark.faults
BODY = b'{"pad":"' + b"x" * 600 + b'"}'


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with tmpfs(tmp_path / "disk", 8) as mounted:
        yield mounted


def at(directory: Path, **more: Any) -> Outbox:
    path = directory / "outbox.sqlite"
    return Outbox(path, ["platform"], commit_delay_s=0.005, counts=Counts(), **more)


def words(caplog: pytest.LogCaptureFixture, level: str = "WARNING") -> list[str]:
    return [record.message for record in caplog.records if record.levelname == level]


async def test_a_disk_that_the_outbox_itself_fills(disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    """`max_mb` is larger than the disk. What is acknowledged makes room again."""
    caplog.set_level(logging.INFO)
    said: list[int] = []
    async with at(disk, limits=Limits(64 << 20)) as outbox:
        sent = 0
        async with asyncio.timeout(30):
            while outbox.link.state == "up":
                for _ in range(50):
                    outbox.submit(Transaction([release(f"e{sent}", body=BODY)]), partial(said.append, sent))
                    sent += 1
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.5)
        stuck = len(said)
        assert 0 < stuck < sent
        assert outbox.uncommitted == sent - stuck
        found = await queued(outbox)
        assert len(found) >= stuck  # what is said to be stored is there
        assert [id for _, id in found] == [f"e{k}" for k in range(len(found))]
        assert len(words(caplog)) == 1
        assert "cannot store" in words(caplog)[0]
        remount(disk, "size=32m")
        await stored(outbox)
        assert (said, outbox.uncommitted, outbox.link.state) == (list(range(sent)), 0, "up")
        assert [id for _, id in await queued(outbox)] == [f"e{k}" for k in range(sent)]
    assert len(words(caplog)) == 1


async def test_a_disk_that_somebody_else_fills(disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    said: list[str] = []
    async with at(disk) as outbox:
        await stored(outbox, *(events(f"e{k}") for k in range(20)))
        filler = fill(disk)
        for k in range(2_000):
            outbox.submit(Transaction([release(f"f{k}", body=BODY)]), partial(said.append, f"f{k}"))
        withdrawal = asyncio.create_task(outbox.purge([Withdrawal("anna", b"other", Bar(version=1))]))
        await asyncio.sleep(1.0)
        assert said == []
        assert not withdrawal.done()
        assert [id for _, id in await queued(outbox)] == [f"e{k}" for k in range(20)]
        filler.unlink()
        async with asyncio.timeout(60):
            await withdrawal
        assert said == [f"f{k}" for k in range(2_000)]
        assert dict(await outbox.bars())[b"other"].version == 1
        last = (await queued(outbox))[-1][0]
        assert await acknowledged(outbox, "platform", outbox.generation, [(1, last)]) == 2_020
    assert len(words(caplog)) == 1


async def test_a_start_on_a_full_disk(disk: Path) -> None:
    async with at(disk) as outbox:
        await stored(outbox, events("before"))
        generation = outbox.generation
    filler = fill(disk)
    async with at(disk) as outbox:
        assert (outbox.generation, outbox.quarantined) == (generation, 0)
        outbox.submit(events("while"))
        await asyncio.sleep(0.2)
        assert await queued(outbox) == [(1, "before")]
        filler.unlink()
        await stored(outbox)
        assert await queued(outbox) == [(1, "before"), (2, "while")]


async def test_a_start_on_a_read_only_disk(disk: Path) -> None:
    async with at(disk) as outbox:
        await stored(outbox, events("before"))
    remount(disk, "ro")
    with pytest.raises(StoreError, match="needs a directory that it may write"):
        async with at(disk):
            pass
    remount(disk, "rw")
    async with at(disk) as outbox:
        assert await queued(outbox) == [(1, "before")]
        assert outbox.quarantined == 0


async def test_a_disk_that_turns_read_only_while_it_runs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As the kernel does it when a card fails; whoever repairs and mounts it again finds all that was said."""
    said: list[str] = []
    image = tmp_path / "image"
    with ext4(tmp_path / "disk", image) as disk, pytest.raises(StoreError, match="20 transactions could not"):
        async with at(disk) as outbox:
            await stored(outbox, *(events(f"e{k}") for k in range(50)))
            remount(disk, "abort")
            for k in range(20):
                outbox.submit(events(f"f{k}"), partial(said.append, f"f{k}"))
            await until(lambda: outbox.link.state == "down")
            await asyncio.sleep(0.5)
            assert (said, outbox.link.state, outbox.quarantined) == ([], "down", 0)
            assert len(words(caplog)) == 1
    repair(image)
    with ext4(tmp_path / "disk", image) as disk:
        async with at(disk) as outbox:
            assert await queued(outbox) == [(k + 1, f"e{k}") for k in range(50)]
            await stored(outbox, events("after"))
            assert outbox.quarantined == 0


async def test_damage_on_a_full_disk(disk: Path) -> None:
    """What is whole is taken over when there is room, all of it and before what came meanwhile."""
    async with at(disk) as outbox:
        n = 1_500
        await stored(outbox, *(Transaction([release(f"e{k}", body=BODY)]) for k in range(n)))
        filler = fill(disk)
        path = disk / "outbox.sqlite"
        with path.open("r+b") as file:
            file.seek(path.stat().st_size // 2048 * 1024)
            file.write(bytes(1024))
        store = outbox._store
        await outbox._in_thread(lambda: store._db.execute("PRAGMA shrink_memory"))
        with contextlib.suppress(StoreError):
            await queued(outbox)  # the damage shows
        outbox.submit(events("new"))
        await until(lambda: outbox.link.state == "down")
        await asyncio.sleep(0.5)
        assert (outbox.uncommitted, outbox.link.state) == (1, "down")
        filler.unlink()
        await stored(outbox)
        found = await queued(outbox)
        assert [sequence for sequence, _ in found] == list(range(1, len(found) + 1))
        *old, new = [id for _, id in found]
        assert new == "new"
        assert len(old) >= n - 20
        assert old == sorted(set(old), key=lambda id: int(id[1:]))
        assert outbox.quarantined == 1
