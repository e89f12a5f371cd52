"""A store that an earlier version wrote: taken over at a start, and of use until it is."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

import pytest
from releases import ANNA, acknowledged, events, queued, stored
from test_outbox_damage import BODY, N, at, filled

from gateway.outbox import Outbox, schema

pytestmark = pytest.mark.faults


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "outbox.sqlite"


_AS_IN_3 = """
DROP TRIGGER numbered;
ALTER TABLE queued RENAME TO made;
CREATE TABLE queued (
    recipient TEXT NOT NULL, sequence INTEGER NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL,
    subject_key BLOB NOT NULL, purpose TEXT NOT NULL, zone TEXT NOT NULL, change TEXT NOT NULL,
    t_s REAL NOT NULL, expires_s REAL, stored_s REAL NOT NULL, check_sum INTEGER NOT NULL DEFAULT 0,
    body BLOB NOT NULL,
    PRIMARY KEY (recipient, sequence), UNIQUE (recipient, id)
) WITHOUT ROWID;
INSERT INTO queued SELECT * FROM made;
DROP TABLE made;
CREATE TRIGGER numbered AFTER INSERT ON queued BEGIN
    INSERT INTO recipient VALUES (NEW.recipient, NEW.sequence)
        ON CONFLICT (name) DO UPDATE SET last_sequence = NEW.sequence;
END;
PRAGMA user_version = 3;
"""
_AS_IN_2 = _AS_IN_3 + "ALTER TABLE queued DROP COLUMN check_sum; PRAGMA user_version = 2;"
_AS_IN_1 = _AS_IN_2 + "DROP TABLE bar; DROP TABLE sweep; PRAGMA user_version = 1;"


@pytest.mark.parametrize("as_before", [_AS_IN_3, _AS_IN_2, _AS_IN_1], ids=["3", "2", "1"])
async def test_a_store_of_a_version_before_is_taken_over(
    path: Path, caplog: pytest.LogCaptureFixture, as_before: str
) -> None:
    generation = await filled(path)
    _script(path, as_before)
    for n in (1, 2):
        async with at(path) as outbox:
            rows = await queued(outbox)
            assert (outbox.generation, len(rows)) == (generation, N + n - 1)
            assert (await outbox.queued_of(ANNA))[0].body == BODY
            await stored(outbox, events(f"later-{n}"))
            assert await sequences(outbox) == [*range(1, N + n + 1)], "numbering goes on"
    assert _version(path) == 4
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_a_long_queue_of_the_version_before_is_read_as_it_is(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generation = await filled(path)
    _script(path, _AS_IN_3)
    monkeypatch.setattr(schema, "_SHORT", N - 1)
    async with at(path) as outbox:
        await stored(outbox, events("later"))
        assert (outbox.generation, await sequences(outbox)) == (generation, [*range(1, N + 2)])
        assert await acknowledged(outbox, "platform", generation, [(1, N)]) == N
    assert _version(path) == 3
    async with at(path) as outbox:
        assert await sequences(outbox) == [N + 1]
    assert _version(path) == 4


async def test_without_room_for_the_move_the_version_before_serves(path: Path) -> None:
    await filled(path)
    _script(path, _AS_IN_3)
    db = schema.connect(path)
    db.execute(f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0]}")
    schema.prepare(db, path)
    assert db.execute("PRAGMA user_version").fetchone() == (3,)
    assert db.execute("SELECT count(*) FROM queued").fetchone() == (N,)
    db.close()


async def sequences(outbox: Outbox) -> list[int]:
    return [row.sequence for row in await outbox.pending("platform", 0, 10_000)]


def _script(path: Path, sql: str) -> None:
    db = sqlite3.connect(path)
    db.executescript(sql)
    db.close()


def _version(path: Path) -> int:
    db = sqlite3.connect(path)
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    db.close()
    return version
