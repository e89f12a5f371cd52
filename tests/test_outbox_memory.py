"""A queue that is long lies on the disk, not in memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from outbox_child import Nursery

pytestmark = pytest.mark.faults

SLOW = [pytest.mark.slow, pytest.mark.timeout(1_800)]


@pytest.mark.parametrize("events", [20_000, pytest.param(1_000_000, marks=SLOW)])
def test_what_is_queued_does_not_live_in_memory(tmp_path: Path, events: int) -> None:
    with Nursery() as nursery:
        nursery.begin("fill", tmp_path / "outbox.sqlite", events)
        assert nursery.end() == 0
    held_kib = json.loads((tmp_path / "memory").read_text())
    print(f"{events} events: {held_kib}")
    grown_kib = max(held_kib["filled"], held_kib["opened"]) - (held_kib["begun"] or held_kib["filled"])
    assert grown_kib < 16 * 1024
    assert max(held_kib.values()) < 96 * 1024
