"""A damaged store under the real daemon: said on the state topic, what is whole arrives, an erasure removes it."""

from __future__ import annotations

import json
import sqlite3
import time
from typing import Any

import pytest
from daemons import Place, sender, until
from withdrawals import receiver, stock, traces, verb

pytestmark = pytest.mark.faults
EACH = 40


def spoil(place: Place) -> None:
    """A newer gateway was there: nothing is torn, and nothing can be gone on with."""
    db = sqlite3.connect(place.state / "outbox.sqlite")
    db.execute("PRAGMA user_version = 99")
    db.close()


def asides(place: Place) -> list[str]:
    return sorted(file.name for file in place.state.glob("outbox.sqlite.*-[0-9]*"))


async def test_damage_is_told_survived_and_erased(place: Place) -> None:
    states: list[dict[str, Any]] = []
    await stock(place, ["anna", "ben"], EACH, time.time() - 30)
    spoil(place)
    async with receiver(place) as at, sender(place) as s:
        s._on_message = lambda m: states.append(json.loads(m.payload))
        assert s._client is not None
        await s._client.subscribe("presence/v1/test/gw/state", qos=1)
        async with place.daemon() as daemon:
            await daemon.says("is damaged")
            await until(lambda: any(state["alive"] and state["damaged_stores"] == 1 for state in states))
            await until(lambda: len(at.events) >= 2 * EACH)
            assert states[-1]["generation"] == next(iter(at.events.values()))["generation"]
            assert len(asides(place)) == 1
            code, said, complained = await verb(place, "erase", "anna")
            assert code == 0, complained
            assert asides(place) == []
            assert traces(place, b'"anna"') == {}
            await daemon.stop()
    assert place.counted()["outbox"]["replaced"] == 1
    assert not at.missing
    assert said
