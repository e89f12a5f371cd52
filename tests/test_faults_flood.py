"""A flood of strangers: bounded tables, an enrolled tag still found, and nothing of the others anywhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from daemons import Place
from flood import flooded
from mosquitto import Mosquitto

pytestmark = pytest.mark.faults


@pytest.mark.parametrize(
    "seconds",
    [
        pytest.param(4, marks=pytest.mark.slow),
        pytest.param(120, marks=[pytest.mark.slow, pytest.mark.timeout(300)]),
    ],
)
async def test_a_flood_of_strangers(tmp_path: Path, seconds: float) -> None:
    with Mosquitto(tmp_path / "broker") as broker:
        came_of_it = await flooded(Place(tmp_path, broker), seconds)
    assert "entered" in came_of_it.changes
    assert came_of_it.found == []
    assert came_of_it.taken + came_of_it.shed == came_of_it.sent, "what is not taken is counted"
    if seconds > 60:
        quarter = len(came_of_it.rss_mib) // 4
        assert max(came_of_it.rss_mib[-quarter:]) < max(came_of_it.rss_mib[:quarter]) + 4, came_of_it.rss_mib
        assert came_of_it.changes.count("entered") >= seconds / 16
