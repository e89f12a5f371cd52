"""`gateway demo`, as a newcomer runs it, only faster."""

from __future__ import annotations

import asyncio
import io
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import demo as room
from gateway.assembly import assemble, read_configuration
from gateway.consent import Keys
from gateway.consent.keys import KEY_BYTES
from gateway.demo import demo
from gateway.demo_words import WANTED
from gateway.errors import GatewayError
from gateway.model import ConsentSignal, Presence
from gateway.sim import scenes
from gateway.sim.recorded import signals


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the demo puts its files, and where none may be left however it ends."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    yield tmp_path
    assert list(tmp_path.glob("gateway-*")) == []


async def test_the_demo_shows_the_whole_path() -> None:
    out = io.StringIO()
    assert await demo(out, rate=100.0) == 0, out.getvalue()
    lines = out.getvalue().splitlines()
    assert max(len(line) for line in lines) <= 100
    seen = {
        (line[10:22].strip(), line[23:32].strip(), line[33:45].strip())
        for line in lines
        if "platform" in line
    }
    for wanted in (
        ("card-1001", "entering", "Car park"),
        ("card-1001", "entered", "Car park"),
        ("card-1003", "passed", "Car park"),
    ):
        assert wanted in seen
    assert not any(who == "card-1004" for who, _, _ in seen)
    assert not any(who == "card-1005" and where == "Checkout" for who, _, where in seen)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_scene_gives_every_wanted_change_and_nothing_of_whom_must_not_be_seen(seed: int) -> None:
    configuration = read_configuration(room.CONFIG)
    assembled = assemble(configuration, Keys(bytes(KEY_BYTES)))
    presences: list[Presence] = []
    assembled.pipeline.watch = presences.append
    assembled.pipeline.feed([ConsentSignal(0.0, tuple(configuration.consent_records), complete=True)])
    for entry in signals(scenes.demo(configuration.site, seed=seed)):
        assembled.pipeline.feed([entry])
    site = configuration.site
    kinds = {zone.id: zone.kind for zone in site.zones} | {fence.id: fence.kind for fence in site.fences}
    seen = {(kinds[p.zone], p.change) for p in presences}
    assert {(kind, change) for kind, changes in WANTED for change in changes} <= seen
    assert {p.subject for p in presences} == {"card-1001", "card-1002", "card-1003", "card-1005"}


async def test_a_daemon_that_ends_is_an_error_with_its_own_words(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = temporary / "broken"
    broken.mkdir()
    for file in room.CONFIG.iterdir():
        (broken / file.name).write_text(file.read_text().replace("via: local", "via: lokal"))
    monkeypatch.setattr(room, "CONFIG", broken)
    with pytest.raises(GatewayError, match="exit code 78") as error:
        await demo(io.StringIO())
    assert "did you mean local?" in str(error.value)


async def test_ctrl_c_stops_everything() -> None:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "demo"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert child.stdout is not None
    while not (await child.stdout.readline()).rstrip().endswith(b" platform"):  # the first event
        assert child.returncode is None
    child.send_signal(signal.SIGINT)
    said = await child.stdout.read()
    assert await child.wait() == 1
    assert said.endswith(b"stopped; nothing is left behind\n")
