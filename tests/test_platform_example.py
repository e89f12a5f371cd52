"""examples/platform: what the consumer keeps, forgets and acknowledges; alone, and against a gateway and mosquitto."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from daemons import TAG, Place, consent, heard, raw, sender, until
from jsonschema import Draft7Validator

from gateway.contract import schema_of

CONSUMER = Path(__file__).parent.parent / "examples" / "platform" / "consumer.py"


def load() -> Any:
    spec = importlib.util.spec_from_file_location("consumer", CONSUMER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


consumer = load()


def event(sequence: int, id: str = "", generation: str = "g") -> dict[str, Any]:
    return {
        "id": id or f"id-{sequence}",
        "type": "presence.entered.v1",
        "sequence": f"{sequence:020d}",
        "generation": generation,
        "data": {},
    }


def stone(sequence: int, *ranges: tuple[int, int], generation: str = "g") -> dict[str, Any]:
    said = {"ranges": [list(r) for r in ranges], "reason": "withdrawn"}
    return event(sequence, generation=generation) | {"type": "presence.removed.v1", "data": said}


STORIES: list[tuple[str, list[dict[str, Any]], list[str], str]] = [
    ("in order", [event(1), event(2)], ["id-1", "id-2"], '"through": 2, "also": []'),
    ("a gap", [event(1), event(4), event(3)], ["id-1", "id-3", "id-4"], '"through": 1, "also": [[3, 4]]'),
    ("live before backlog", [event(3), event(1), event(2)], ["id-1", "id-2", "id-3"], '"through": 3, "also": []'),
    ("it comes twice", [event(1), event(1)], ["id-1"], '"through": 1, "also": []'),
    ("the first is missing", [event(2)], ["id-2"], '"through": 0, "also": [[2, 2]]'),
    ("a tombstone deletes", [event(1), event(2), stone(3, (1, 1))], ["id-2"], '"through": 3, "also": []'),
    ("a tombstone overtakes", [stone(3, (1, 2)), event(1), event(2)], [], '"through": 3, "also": []'),
    ("for what never came", [event(1), stone(4, (2, 3))], ["id-1"], '"through": 4, "also": []'),
    ("the tombstone comes twice", [event(1), stone(2, (1, 1)), stone(2, (1, 1))], [], '"through": 2, "also": []'),
    ("a new generation sends it again", [event(1, "a", "old"), event(1, "b"), event(2, "a")], ["a", "b"],
     '"through": 2, "also": []'),
    ("and removes it", [event(1, "a", "old"), event(1, "a"), stone(2, (1, 1))], [], '"through": 2, "also": []'),
    ("another generation's tombstone", [event(1), stone(2, (1, 1), generation="old")], ["id-1"],
     '"through": 1, "also": []'),
]  # fmt: skip


@pytest.mark.parametrize(("story", "events", "kept", "said"), STORIES, ids=[story for story, *_ in STORIES])
def test_what_is_kept_and_acknowledged(
    story: str, events: list[dict[str, Any]], kept: list[str], said: str
) -> None:
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        db.executescript(consumer.TABLES)
        for one in events:
            consumer.take(db, one)
        assert [id for (id,) in db.execute("SELECT id FROM events ORDER BY id")] == kept, story
        assert consumer.acknowledgement("g", consumer.accounted(db, "g")) == f'{{"generation": "g", {said}}}'


# --- against the real thing ---


class Store:
    """What the consumer has on its disk."""

    def __init__(self, place: Place) -> None:
        self.path = place.folder / "events.sqlite"
        self._place = place

    def events(self) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        with (
            contextlib.closing(sqlite3.connect(self.path)) as db,
            contextlib.suppress(sqlite3.OperationalError),
        ):
            return [json.loads(text) for (text,) in db.execute("SELECT event FROM events")]
        return []

    def said_of(self, subject: str, zone: str) -> list[str]:
        mine = [e for e in self.events() if e["subject"] == subject and e["data"]["zone"]["id"] == zone]
        return [e["type"].split(".")[1] for e in sorted(mine, key=lambda e: str(e["sequence"]))]

    async def report(self) -> dict[str, Any]:
        asked = await asyncio.create_subprocess_exec(
            *(sys.executable, str(CONSUMER), "test", "gw", "--store", str(self.path), "--report"),
            stdout=asyncio.subprocess.PIPE,
        )
        answer, _ = await asked.communicate()
        (line,) = answer.splitlines()
        said: dict[str, Any] = json.loads(line)
        return said

    @contextlib.asynccontextmanager
    async def consumer(self, *options: str) -> AsyncIterator[None]:
        """Runs until the end of the block, and is killed there."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(CONSUMER), "test", "gw", "--port", str(self._place.broker.port)),
            *("--store", str(self.path), *options),
        )
        try:
            yield
            assert process.returncode is None
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
            await process.wait()


async def test_killed_in_the_middle_and_a_withdrawal_in_the_middle(place: Place) -> None:
    store = Store(place)
    async with place.daemon() as daemon, sender(place) as s:
        await daemon.ready()

        async def stand(receiver: str, *tags: int) -> None:
            for _ in range(20):
                await heard(s, receiver, *(raw(n, -45) for n in tags))
                await asyncio.sleep(0.2)

        async with store.consumer("--ack-every", "3600"):  # killed before it acknowledges anything
            await stand("pi-01", 1, 2)
            await until(lambda: store.said_of("anna", "cereals") == ["entered", "dwelled"])
            await until(lambda: store.said_of("ben", "cereals") == ["entered", "dwelled"])
        await stand("pi-02", 1, 2)  # nobody receives
        place.enrol(
            consent("anna", TAG.format(n=1)),
            consent("ben", TAG.format(n=2), status="ConsentWithdrawn", version=2),
        )
        daemon.process.send_signal(signal.SIGHUP)
        await daemon.says("consent.yaml taken over")
        async with store.consumer():
            await until(lambda: store.said_of("anna", "dairy")[:2] == ["entered", "dwelled"])
            await until(lambda: not any(e["subject"] == "ben" for e in store.events()))
            await stand("pi-01", 1, 2)
            await until(lambda: store.said_of("anna", "dairy")[-1] == "left")
            async with asyncio.timeout(60):
                while not (said := await store.report())["removed"] or said["missing"]:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
        await daemon.stop()
    assert {reason for *_, reason in said["removed"]} == {"withdrawn"}
    assert not any(event["subject"] == "ben" for event in store.events())
    kept = {int(event["sequence"]) for event in store.events()}
    gone = {n for first, last, _ in said["removed"] for n in range(first, last + 1)}
    assert kept
    assert gone
    assert not kept & gone
    for received in store.events():
        change = received["type"].split(".")[1]
        assert not list(Draft7Validator(schema_of(change)).iter_errors(received))
    # What it acknowledged is all that the gateway had: in its next life nothing comes again.
    assert place.counted()["outbox"]["acknowledged"] >= len(kept)
    assert "acks" in place.counted()
    assert place.counted()["acks"].keys() == {"taken"}
