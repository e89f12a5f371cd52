"""A damaged store: put aside, said loudly, what is whole taken over; who withdrew stays withdrawn."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from consents import NOON_S, entry, record
from releases import ANNA, BEN, acknowledged, events, queued, release, stay, stored

from gateway.consent import Register
from gateway.consent.bars import EVERYBODY, OPEN, Bar, Withdrawal
from gateway.counts import Counts
from gateway.errors import StoreError
from gateway.outbox import Outbox, Transaction

pytestmark = pytest.mark.faults

PAGE = 1024
N = 300
BODY = b'{"pad":"' + b"x" * 700 + b'"}'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "outbox.sqlite"


def at(path: Path, counts: Counts | None = None, **more: Any) -> Outbox:
    return Outbox(path, ("platform",), commit_delay_s=0.005, counts=counts or Counts(), **more)


def asides(path: Path) -> list[Path]:
    return sorted(path.parent.glob("outbox.sqlite.*-[0-9]*"))


async def filled(path: Path) -> str:
    """A store with N events, a stay and a bar; its generation."""
    async with at(path) as outbox:
        await outbox.purge([Withdrawal("card-ben", BEN, Bar(version=7, until_s=9e9))])
        made = [release(f"e{k}", body=BODY) for k in range(N)]
        await stored(outbox, Transaction(made[: N // 2], [stay("anna")]), Transaction(made[N // 2 :]))
        return outbox.generation


# --- ways to damage it, of a store that is closed ---


def _header(path: Path) -> None:
    _overwrite(path, 0, b"not a database at all")


def _all_of_it(path: Path) -> None:
    path.write_bytes(b"\xa5" * path.stat().st_size)


def _cut_off(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 3 + 100)


def _a_page_in_the_middle(path: Path) -> None:
    _overwrite(path, path.stat().st_size // PAGE // 2 * PAGE, b"\x00" * PAGE)


def _half_a_page(path: Path) -> None:
    """As a power cut leaves it: the first half is new, the second is old."""
    _overwrite(path, path.stat().st_size // PAGE // 3 * PAGE + PAGE // 2, b"\x5a" * (PAGE // 2))


def _the_index_by_sequence(path: Path) -> None:
    """The rows themselves are whole, and have to be found past it."""
    db = sqlite3.connect(path)
    find = "SELECT rootpage FROM sqlite_schema WHERE name = 'sqlite_autoindex_queued_1'"
    (page,) = db.execute(find).fetchone()
    db.close()
    _overwrite(path, (page - 1) * PAGE, b"\xa5" * PAGE)


def _a_newer_schema(path: Path) -> None:
    _execute(path, "PRAGMA user_version = 99")


def _a_table_is_missing(path: Path) -> None:
    _execute(path, "DROP TABLE sweep")


def _no_generation(path: Path) -> None:
    _execute(path, "DELETE FROM store")


async def read_anew(outbox: Outbox) -> None:
    """What SQLite has in memory it would not read again, and the damage would not show."""
    store = outbox._store
    await outbox._in_thread(lambda: store._db.execute("PRAGMA shrink_memory"))


def _overwrite(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def _execute(path: Path, sql: str) -> None:
    db = sqlite3.connect(path)
    db.execute(sql)
    db.commit()
    db.close()


@pytest.mark.parametrize(
    ("damage", "least", "most"),
    [
        (_header, 0, 0),
        (_all_of_it, 0, 0),
        (_cut_off, 0, N),
        (_a_page_in_the_middle, N - 20, N),
        (_half_a_page, N - 20, N),
        (_the_index_by_sequence, N, N),
        (_a_newer_schema, N, N),
        (_a_table_is_missing, N, N),
        (_no_generation, N, N),
    ],
)
async def test_a_damaged_store_is_put_aside_and_what_is_whole_goes_on(
    path: Path, caplog: pytest.LogCaptureFixture, *, damage: Callable[[Path], None], least: int, most: int
) -> None:
    generation, counts = await filled(path), Counts()
    damage(path)
    async with at(path, counts) as outbox:
        rows = list(await outbox.pending("platform", 0, 10_000))  # a torn body shows when it is read
        assert outbox.generation != generation
        assert least <= len(rows) <= most
        assert {row.body for row in rows} <= {BODY}
        numbers = [int(row.id[1:]) for row in rows]
        assert numbers == sorted(set(numbers))
        assert [row.sequence for row in rows] == list(range(1, len(rows) + 1))
        assert dict(await outbox.bars())[BEN].version == 7
        assert await outbox.sweep_due()  # what was asked for of the old one may not be done
        await stored(outbox, events("new"))
        assert (await queued(outbox))[-1][1] == "new"
        assert (outbox.quarantined, counts.of("outbox", "replaced")) == (1, 1)
    (aside,) = asides(path)
    assert stat.S_IMODE(aside.stat().st_mode) == 0o600
    assert [r.levelname for r in caplog.records if "is damaged" in r.message] == ["ERROR"]


async def test_somebody_elses_database_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    _execute(path, "CREATE TABLE recipes (cake TEXT)")
    with pytest.raises(StoreError, match="is a database, but no outbox"):
        async with at(path):
            pass
    assert asides(path) == []


async def test_a_deleted_shm_file_is_no_damage(path: Path) -> None:
    generation = await filled(path)
    path.with_name("outbox.sqlite-shm").unlink(missing_ok=True)
    async with at(path) as outbox:
        assert (outbox.generation, len(await queued(outbox))) == (generation, N)


# --- the log ---


async def crashed_with_a_log(path: Path, to: Path) -> str:
    """Copies a store in the middle of its life, its log not yet empty; its generation."""
    async with at(path) as outbox:
        for k in range(20):
            await stored(outbox, events(f"e{k}"))
        to.parent.mkdir()
        for file in path.parent.iterdir():
            (to.parent / file.name).write_bytes(file.read_bytes())
        return outbox.generation


@pytest.mark.parametrize(("kept_share", "is_replaced"), [(1.0, False), (0.5, True), (0.0, True)])
async def test_a_log_that_was_cut_off_is_noticed(
    path: Path, tmp_path: Path, kept_share: float, is_replaced: bool
) -> None:
    """SQLite takes what is left for all there was, and would give the missing sequences to others."""
    copy = tmp_path / "copy" / path.name
    generation = await crashed_with_a_log(path, copy)
    log = copy.with_name(copy.name + "-wal")
    log.write_bytes(log.read_bytes()[: int(log.stat().st_size * kept_share)])
    async with at(copy) as outbox:
        assert (outbox.generation != generation) == is_replaced
        found = await queued(outbox)
        assert found == [(k + 1, f"e{k}") for k in range(len(found))]
        assert len(found) == 20 or is_replaced


async def test_a_power_cut_that_took_the_witness_along_is_no_damage(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy" / path.name
    generation = await crashed_with_a_log(path, copy)
    for torn in (b"", b'{"generation"', b"\x00" * 50):
        copy.with_name(copy.name + ".seen").write_bytes(torn)
        async with at(copy) as outbox:
            assert (outbox.generation, len(await queued(outbox))) == (generation, 20)


async def test_a_log_without_its_store_is_not_read_into_the_next(path: Path, tmp_path: Path) -> None:
    """The move was cut off between two files."""
    copy = tmp_path / "copy" / path.name
    await crashed_with_a_log(path, copy)
    copy.rename(copy.with_name(copy.name + ".unread-1"))
    async with at(copy) as outbox:
        assert [id for _, id in await queued(outbox)] == [f"e{k}" for k in range(20)]
    assert [file.name for file in asides(copy)] == ["outbox.sqlite.damaged-1"]


# --- while it runs ---


@pytest.mark.parametrize("damage", [_all_of_it, _cut_off, _a_page_in_the_middle, _half_a_page])
async def test_damage_while_it_runs(
    path: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], None]
) -> None:
    await filled(path)
    told: list[str] = []
    async with at(path) as outbox:
        outbox.on_replaced = lambda: told.append(outbox.generation)
        before = outbox.generation
        damage(path)
        await read_anew(outbox)
        await stored(outbox, events("while"))
        ids = [id for _, id in await queued(outbox)]
        assert "while" in ids
        assert len(set(ids)) == len(ids)
        assert outbox.generation != before
        assert told == [outbox.generation]
        assert await acknowledged(outbox, "platform", before, [(1, len(ids))]) == 0
        assert await acknowledged(outbox, "platform", outbox.generation, [(1, len(ids))]) == len(ids)
        assert dict(await outbox.bars())[BEN].version == 7
    assert any("is damaged" in r.message and r.levelname == "ERROR" for r in caplog.records)


async def test_what_was_under_way_in_the_old_generation_touches_nothing_in_the_new(path: Path) -> None:
    await filled(path)
    async with at(path) as outbox:
        before = outbox.generation
        await outbox.pending("platform", 0, N)
        outbox.acknowledge("platform", before, [(1, 100)])  # waits for a commit
        _all_of_it(path)
        await read_anew(outbox)
        await stored(outbox, events(*(f"new{k}" for k in range(50))))
        left = [id for _, id in await queued(outbox)]
        assert [id for id in left if id.startswith("new")] == [f"new{k}" for k in range(50)]
        await outbox.remove("platform", [1, 2, 3], "expired", before)
        assert [id for _, id in await queued(outbox)] == left


# --- who withdrew ---


@pytest.mark.parametrize("spoil", [lambda file: file.unlink(), lambda file: file.write_bytes(b"{}")])
async def test_a_whole_store_makes_its_copy_of_the_bars_anew(
    path: Path, spoil: Callable[[Path], None]
) -> None:
    await filled(path)
    spoil(path.with_name("bars.json"))
    for _ in range(2):  # the second time the store is gone, and the copy is all there is
        async with at(path) as outbox:
            assert [(key, bar.version) for key, bar in await outbox.bars()] == [(BEN, 7)]
        _all_of_it(path)


@pytest.mark.parametrize("spoil", [lambda file: file.unlink(), lambda file: file.write_bytes(b"{}")])
async def test_if_nobody_knows_who_withdrew_every_consent_of_before_is_void(
    path: Path, spoil: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    await filled(path)
    _all_of_it(path)
    spoil(path.with_name("bars.json"))
    now_s = NOON_S + 60
    async with at(path, clock=lambda: now_s) as outbox:
        bars = dict(await outbox.bars())
    assert list(bars) == [EVERYBODY]
    assert any("cannot be known any more" in r.message and r.levelname == "ERROR" for r in caplog.records)
    async with at(path, clock=lambda: now_s) as outbox:
        assert dict(await outbox.bars()) == bars  # also after the next start
    register = Register(Counts())
    register.absorb([record()])
    assert register.admits("card-1234", now_s)
    register.bar(EVERYBODY, bars[EVERYBODY])
    assert not register.admits("card-1234", now_s)
    register.absorb([record("card-1234", entry(version=2, event_time="2025-12-22T12:30:00Z"), version=2)])
    assert register.admits("card-1234", now_s + 3600)


async def test_a_copy_of_the_bars_that_is_put_back_ends_the_doubt(path: Path) -> None:
    await filled(path)
    file = path.with_name("bars.json")
    copy = file.read_bytes()
    _all_of_it(path)
    file.unlink()
    async with at(path) as outbox:
        await outbox.purge([Withdrawal("card-anna", ANNA, Bar(version=3, until_s=9e9))])
        assert set(dict(await outbox.bars())) == {EVERYBODY, ANNA}
    file.write_bytes(copy)
    for _ in range(2):
        async with at(path) as outbox:
            assert set(dict(await outbox.bars())) == {BEN, ANNA}


# --- how long it lies there ---


async def test_no_more_than_two_are_kept(path: Path) -> None:
    for n in range(1, 5):
        async with at(path) as outbox:
            await stored(outbox, events("a"))
        _all_of_it(path)
        async with at(path) as outbox:
            assert outbox.quarantined == min(n, 2)
    assert len(asides(path)) == 2


async def test_it_goes_after_a_week_or_with_the_next_withdrawal(path: Path) -> None:
    now_s = 1_000_000.0
    for _ in range(2):
        await filled(path)
        _half_a_page(path)
        async with at(path) as outbox:
            await queued(outbox)
            assert outbox.quarantined == 1
            await outbox.discard_due()
            assert outbox.quarantined == 1
            await outbox.purge([Withdrawal("anybody", b"key", OPEN)])
            await outbox.discard_due()
            assert outbox.quarantined == 0
        assert asides(path) == []
    await filled(path)
    _all_of_it(path)
    async with at(path, clock=lambda: now_s) as outbox:  # a clock that is off does not keep it longer
        await outbox.discard_due()
        assert (outbox.quarantined, asides(path)) == (0, [])
