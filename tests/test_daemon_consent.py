"""The daemon with consents that come by a feed: nobody is known before, a withdrawal acts when it arrives."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from consent_feeds import ADDRESS, manifest
from consent_server import ConsentServer
from daemons import TAG, Place, Platform, advertisement, consent, heard, platform, raw, sender, until
from mosquitto import Mosquitto

from gateway.mqtt import Connection


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with Mosquitto(tmp_path / "broker") as broker:
        yield Place(tmp_path, broker)


def feed_by(place: Place, feed: str) -> None:
    path = place.config / "gateway.yaml"
    path.write_text(path.read_text().replace("{feed: {file: consent.yaml}}", f"{{feed: {feed}}}"))
    (place.config / "consent.yaml").unlink()


def record(subject: str, n: int, version: int = 1, status: str = "ConsentGiven") -> bytes:
    made = consent(subject, TAG.format(n=n), status=status)
    made["version"] = version
    for entry in made["consents"]:
        entry["version"] = version
    return json.dumps(made).encode()


async def stands(sending: Connection, at: Platform, n: int) -> int:
    """A tag stands at the cereals until the platform knows; how many events came."""
    before = len(at.events)
    end_s = time.monotonic() + 20
    while len(at.events) == before and time.monotonic() < end_s:
        await heard(sending, "pi-01", raw(n, -45))
        await asyncio.sleep(0.2)
    return len(at.events) - before


async def stays_silent(sending: Connection, at: Platform, n: int) -> None:
    before = set(at.events)
    for _ in range(15):
        await heard(sending, "pi-01", raw(n, -45))
        await asyncio.sleep(0.2)
    assert set(at.events) == before


async def test_by_mqtt(place: Place) -> None:
    feed_by(place, "{mqtt: local}")
    async with place.daemon() as daemon, platform(place) as at, sender(place) as s:
        await daemon.ready()
        await daemon.says("consent local: up")
        await stays_silent(s, at, 1)
        retained = {"k1": record("anna", 1), "k2": record("ben", 2)}
        for key, content in retained.items():
            await s.publish(f"{ADDRESS}{key}", content, retain=True)
        await s.publish(f"{ADDRESS}_manifest", manifest(retained, time.time()), retain=True)
        await daemon.says("2 records, as their manifest says")
        assert await stands(s, at, 1) > 0

        retained["k1"] = record("anna", 1, 2, "ConsentWithdrawn")
        await s.publish(f"{ADDRESS}k1", retained["k1"], retain=True)
        await s.publish(f"{ADDRESS}_manifest", manifest(retained, time.time()), retain=True)
        await until(lambda: daemon.said().count("2 records, as their manifest says") == 2)
        await asyncio.sleep(1)
        await stays_silent(s, at, 1)
        assert await daemon.stop() < 15
    assert {e["subject"] for e in at.events.values() if "subject" in e} == {"anna"}
    assert "anna" not in place.log.read_text()


async def test_by_http(place: Place) -> None:
    async with ConsentServer().serving() as server:
        feed_by(place, f"{{http: {{url: '{server.url}', interval: 1s}}}}")
        server.put("anna", record("anna", 1))
        async with place.daemon() as daemon, platform(place) as at, sender(place) as s:
            await daemon.ready()
            await daemon.says("consent http: up")
            assert await stands(s, at, 1) > 0
            server.put("anna", record("anna", 1, 2, "ConsentWithdrawn"))
            asked = len(server.asked)
            await until(lambda: len(server.asked) >= asked + 2)
            await asyncio.sleep(1)
            await stays_silent(s, at, 1)
            assert await daemon.stop() < 15
        said = place.log.read_text()
    assert "anna" not in said
    assert "after=" not in said  # httpx would log every request


async def test_a_recording_holds_who_is_enrolled_by_the_feed_and_nobody_else(
    place: Place, tmp_path: Path
) -> None:
    feed_by(place, "{mqtt: local}")
    out = tmp_path / "recording.jsonl"
    command = [sys.executable, "-m", "gateway", "record", "--config", str(place.config), "--out", str(out)]
    async with sender(place) as s:
        retained = {"k1": record("anna", 1), "k2": record("ben", 2, status="ConsentWithdrawn")}
        for key, content in retained.items():
            await s.publish(f"{ADDRESS}{key}", content, retain=True)
        await s.publish(f"{ADDRESS}_manifest", manifest(retained, time.time()), retain=True)
        recorder = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
        assert recorder.stderr is not None
        async with asyncio.timeout(60):
            while b"2 records, as their manifest says" not in await recorder.stderr.readline():
                pass
        await asyncio.sleep(0.5)  # and the other broker connection, for what is heard
        for n in (1, 2, 77):
            await heard(s, "pi-01", raw(n, -45))
        await asyncio.sleep(0.5)
        recorder.send_signal(signal.SIGTERM)
        await asyncio.wait_for(recorder.communicate(), 60)
    recorded = out.read_text()
    assert [advertisement(n) in recorded for n in (1, 2, 77)] == [True, False, False]
