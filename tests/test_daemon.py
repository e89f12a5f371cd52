"""The daemon as an operator has it: a process, a real mosquitto, a platform that receives. Tables of what is
published and what arrives."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from daemons import (
    TAG,
    Daemon,
    Place,
    Platform,
    advertisement,
    arrival,
    consent,
    drove,
    heard,
    platform,
    raw,
    sender,
    until,
)

from gateway.mqtt import Connection

ENROLLED = (
    consent("anna", TAG.format(n=1), "vehicle:fleet/golf", partner=True),
    consent("ben", TAG.format(n=2), "vehicle:fleet/polo", status="ConsentWithdrawn"),
)


async def drive(sending: Connection, car: str, t0_s: float, until_n: int = 40) -> None:
    for n, (t_s, lat, speed_kmh) in enumerate(arrival(t0_s)):
        if n < until_n:
            await drove(sending, car, t_s, lat, vel=speed_kmh)


async def stand(sending: Connection, receiver: str, seconds: float, *tags: int) -> None:
    """Tags stand right under a receiver."""
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        await heard(sending, receiver, *(raw(n, -45) for n in tags))
        await asyncio.sleep(0.2)


async def test_the_main_path(place: Place) -> None:
    async with (
        place.daemon() as daemon,
        platform(place) as at,
        platform(place, "partner") as partner,
        sender(place) as s,
    ):
        await daemon.ready()
        await drive(s, "golf", time.time() - 45)
        await until(lambda: at.zone_changes("car-park") == ["entering", "entered", "dwelled"])
        await stand(s, "pi-01", 6, 1)
        await until(lambda: at.zone_changes("cereals")[-1:] == ["left"])
        assert at.zone_changes("cereals") == ["entered", "dwelled", "left"]
        await until(lambda: len(partner.events) == 1)
        assert await daemon.stop() < 15
    (seen,) = partner.events.values()
    assert seen["type"] == "presence.entered.v1"
    assert seen["subject"] != "anna"
    assert seen["data"] == {"zone": {"id": "car-park", "kind": "car_park", "name": "car-park"}}
    assert {e["subject"] for e in at.events.values()} == {"anna"}
    assert at.through == len(at.events) == 6
    assert place.counted()["outbox"]["acknowledged"] == 7


async def test_state_is_retained_and_the_last_will_speaks_after_a_kill(place: Place) -> None:
    states: list[bool] = []
    topic = "presence/v1/test/gw/state"

    def note(payload: bytes) -> None:
        """Health is said on this topic too: what counts here is birth and death."""
        alive = json.loads(payload)["alive"]
        if states[-1:] != [alive]:
            states.append(alive)

    async with sender(place) as s:
        s._subscriptions, s._on_message = [(topic, 1)], lambda m: note(m.payload)
        client = s._client
        assert client is not None
        await client.subscribe(topic, qos=1)
        async with place.daemon() as daemon:
            await until(lambda: states == [True])
            await daemon.kill()
            await until(lambda: states == [True, False])
        async with place.daemon() as daemon:
            await until(lambda: states == [True, False, True])
            await daemon.stop()
            await until(lambda: states == [True, False, True, False])


async def test_without_consent_nothing_leaves_a_trace(place: Place, tmp_path: Path) -> None:
    """Ben withdrew, tag 77 is unknown: no event, no row, no line of a recording or log names them."""
    out = tmp_path / "recording.jsonl"
    command = [sys.executable, "-m", "gateway", "record", "--config", str(place.config), "--out", str(out)]
    async with place.daemon() as daemon, platform(place) as at, sender(place) as s:
        recorder = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
        assert recorder.stderr is not None
        async with asyncio.timeout(60):
            while b"source local: up" not in await recorder.stderr.readline():
                pass
        await daemon.ready()
        await drive(s, "polo", time.time() - 45)
        await drive(s, "stranger", time.time() - 45)
        await stand(s, "pi-01", 5, 2, 77, 1)
        await until(lambda: "entered" in at.zone_changes("cereals"))
        recorder.send_signal(signal.SIGTERM)
        await asyncio.wait_for(recorder.communicate(), 60)
        assert recorder.returncode == 0
        await daemon.stop()
    assert {e["subject"] for e in at.events.values()} == {"anna"}
    assert out.stat().st_mode & 0o777 == 0o600
    recorded = out.read_bytes()
    assert advertisement(1).encode() in recorded
    written = {path: path.read_bytes() for path in place.state.rglob("*") if path.is_file()}
    assert any(b"anna" in content for content in written.values()) or at.events
    written |= {place.log: place.log.read_bytes(), out: recorded}
    for path, content in written.items():
        for trace in (b"ben", b"polo", b"stranger", advertisement(2).encode(), advertisement(77).encode(),
                      TAG.format(n=2).encode(), TAG.format(n=77).encode(), bytes.fromhex(advertisement(77)[-12:-2])):  # fmt: skip
            assert trace not in content, f"{trace!r} in {path}"
    assert b"anna" not in written[place.log]
    assert place.counted()["identity"]["without_consent"] > 40
    assert place.counted()["identity"]["unknown"] > 40


async def test_no_consent_record_at_all(place: Place) -> None:
    place.enrol()
    async with place.daemon() as daemon, platform(place) as at, sender(place) as s:
        await daemon.ready()
        await drive(s, "golf", time.time() - 45)
        await stand(s, "pi-01", 4, 1)
        await daemon.stop()
        assert at.events == {}
    assert "outbox" not in place.counted() or "stored" not in place.counted()["outbox"]


async def test_open_stays_resume_after_a_kill(place: Place) -> None:
    """The car stands in the car park, the tag at the shelf; the daemon is killed; the car leaves, the tag is gone."""
    t0_s = time.time() - 50
    async with platform(place) as at, sender(place) as s:
        async with place.daemon() as daemon:
            await daemon.ready()
            await drive(s, "golf", t0_s)
            await stand(s, "pi-01", 4, 1)
            await until(
                lambda: "entered" in at.zone_changes("cereals") and "dwelled" in at.zone_changes("car-park")
            )
            await asyncio.sleep(0.5)
            await daemon.kill()
        async with place.daemon() as daemon:
            await daemon.ready()
            await until(lambda: at.zone_changes("cereals")[-1] == "left")
            for n in range(6):
                await drove(s, "golf", time.time() - 6 + n, 49.9990 - n * 0.0002, vel=40)
            await until(lambda: at.zone_changes("car-park")[-1] == "left")
            await daemon.stop()
    assert at.zone_changes("car-park") == ["entering", "entered", "dwelled", "left"]
    assert at.zone_changes("cereals") == ["entered", "dwelled", "left"]
    entered, _, left = (e for e in at.events.values() if e["data"]["zone"]["id"] == "cereals")
    assert left["data"]["since"] == entered["data"]["since"]
    assert left["data"]["dwell_s"] >= 2


async def test_sighup_withdraws(place: Place) -> None:
    """A withdrawal reaches what is already queued: the platform gets a tombstone in its place."""
    async with place.daemon() as daemon, sender(place) as s:
        async with platform(place) as at:
            at.acknowledging = False
            await daemon.ready()
            await drive(s, "golf", time.time() - 45)
            await until(lambda: len(at.events) == 3)
            place.enrol(
                consent("anna", TAG.format(n=1), "vehicle:fleet/golf", status="ConsentWithdrawn")
                | {"version": 2}
            )
            daemon.process.send_signal(signal.SIGHUP)
            await until(lambda: at.changes()["removed"] == 1)
            tombstone = at.events[at.by_sequence[4]]
            assert tombstone["data"] == {"ranges": [[1, 3]], "reason": "withdrawn"}
        (place.config / "consent.yaml").write_text("- subject: anna\n  version: one\n")
        daemon.process.send_signal(signal.SIGHUP)
        await daemon.says("cannot be used, and what was read before holds on")
        await daemon.stop()


BAD = {
    "oversized": b'{"_type":"location","x":"' + b"x" * 70_000 + b'"}',
    "not_utf8": b'{"_type":"location","lat":50,"tid":"\xff\xfe"}',
    "too_deep": b'{"_type":"location","x":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "not_finite": b'{"_type":"location","lat":NaN,"lon":7,"tst":1}',
    "malformed": b"{",
    "out_of_range": b'{"_type":"location","lat":91,"lon":7,"tst":1766397600}',
    "not_mine": b'{"_type":"lwt","tst":1}',
}


async def test_bad_payloads_are_counted_by_reason_and_dropped(place: Place) -> None:
    async with place.daemon() as daemon, platform(place) as at, sender(place) as s:
        await daemon.ready()
        for payload in BAD.values():
            await s.publish("owntracks/fleet/golf", payload)
        for payload in (b"[" * 50_000, b"null", b'[{"address":1}]', os.urandom(500)):
            await s.publish("receivers/v1/test/pi-01", payload, qos=0)
        for n in range(200):
            junk = {
                "address": "c3:00:00:25:ef:6a",
                "address_type": "random",
                "rssi": -60,
                "adv": os.urandom(n % 60).hex(),
            }
            await heard(s, "pi-01", junk)
        await drive(s, "golf", time.time() - 45)
        await until(lambda: len(at.events) == 3)
        await daemon.stop()
        assert "Traceback" not in daemon.said()
    assert {reason: place.counted()["profiles.owntracks"][reason] for reason in BAD} == dict.fromkeys(BAD, 1)
    assert place.counted()["profiles.owntracks"]["matched"] == 40


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_loses_nothing(place: Place, number: int) -> None:
    """Stopped with the platform away and messages coming: what was acknowledged to a car's broker is stored."""
    async with sender(place) as s:
        async with place.daemon() as daemon:
            await daemon.ready()
            await drive(s, "golf", time.time() - 45)
            assert await daemon.stop(number) < 5
        async with platform(place) as at, place.daemon() as daemon:
            await until(lambda: at.zone_changes("car-park") == ["entering", "entered", "dwelled"])
            await daemon.stop()
            assert at.through == len(at.by_sequence)


async def test_degraded_and_saying_so(place: Place) -> None:
    """No broker, no radio: alive, one line for each link, and up when the broker comes."""
    settings = (place.config / "gateway.yaml").read_text()
    (place.config / "gateway.yaml").write_text(settings + "ble: {adapters: [auto], receiver: pi-01}\n")
    place.broker.kill()
    async with place.daemon() as daemon:
        await daemon.says("source local: down")
        await daemon.says("sink local: down")
        await daemon.says("ble: down")
        await asyncio.sleep(3)
        lines = [line for line in daemon.said().splitlines() if ": down" in line]
        assert len(lines) == len(set(lines))
        assert daemon.process.returncode is None
        place.broker.start()
        await daemon.ready()
        assert await daemon.stop() < 15


def run(place: Place, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway", "run", "--config", str(place.config), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_a_broken_configuration_exits_78_with_every_problem(place: Place) -> None:
    (place.config / "site.yaml").write_text("site: {id: test, name: Test, timezone: Mars/Base}\nfloor: []\n")
    (place.config / "gateway.yaml").write_text(
        "gateway: {id: gw}\n"
        "brokers: {local: {host: localhost, subscribe: [owntrack]}}\n"
        "consent: {feed: {file: consent.yaml}}\n"
    )
    (place.config / "consent.yaml").write_text("- subject: anna\n")
    done = run(place)
    assert (done.returncode, done.stdout) == (78, "")
    for words in (
        "consent.yaml:1:3: 0: missing key 'version'",
        "gateway.yaml:2:48: brokers.local.subscribe.0: ",
        "did you mean owntracks?",
        "site.yaml:1:40: site.timezone: ",
        "site.yaml:2:1: floor: unknown key; did you mean floors?",
        "4 problems found",
    ):
        assert words in done.stderr, done.stderr


def test_a_scaled_clock_is_refused_with_a_real_broker(place: Place) -> None:
    settings = (place.config / "gateway.yaml").read_text().replace("127.0.0.1", "mqtt.example.org")
    (place.config / "gateway.yaml").write_text(settings)
    done = run(place, "--clock", "now,20")
    assert done.returncode == 1
    assert "loopback" in done.stderr
    assert run(place, "--clock", "20").returncode == 2


async def test_two_gateways_in_one_state_directory(place: Place) -> None:
    async with place.daemon() as daemon:
        await daemon.ready()
        done = await asyncio.to_thread(run, place)
        assert done.returncode == 1
        assert "in use by another gateway" in done.stderr
        await daemon.stop()


async def test_ten_thousand_and_two_kills(place: Place) -> None:
    """10,000 vehicle messages and 10,000 sightings in; the daemon and the broker are killed on the way.

    Every event that was committed arrives once by id, and the sequence has no gap.
    """
    cars, fixes = 250, 40
    place.enrol(
        *(consent(f"driver-{c}", f"vehicle:fleet/car-{c}") for c in range(cars)),
        *(consent(f"shopper-{n}", TAG.format(n=n)) for n in range(100, 350)),
    )
    async with platform(place) as at, sender(place) as s:
        async with place.daemon() as daemon:
            await daemon.ready()
            sending = asyncio.create_task(flood(s, cars, fixes))
            await until(lambda: len(at.events) >= 200, 60)
            await daemon.kill()
        async with place.daemon() as daemon:
            await until(lambda: len(at.events) >= 400, 60)
            place.broker.kill()
            await asyncio.sleep(0.3)
            place.broker.start()
            await sending
            await settled(at, daemon)
            assert await daemon.stop() < 15
    assert sorted(at.by_sequence) == list(range(1, len(at.by_sequence) + 1))
    assert len(set(at.by_sequence.values())) == len(at.by_sequence) == len(at.events)
    assert at.changes()["entered"] >= cars
    assert place.counted().get("outbox", {}).get("refused", 0) == 0
    await nothing_is_left(place, len(at.by_sequence))


async def flood(s: Connection, cars: int, fixes: int) -> None:
    """`cars` x `fixes` vehicle messages and as many sightings, mixed; waits for the broker where it is away."""
    t0_s = time.time() - 60
    tracks = {f"car-{c}": list(arrival(t0_s + c % 7)) for c in range(cars)}
    for n in range(fixes):
        publishing = [
            drove(s, car, track[n][0], track[n][1], vel=track[n][2]) for car, track in tracks.items()
        ]
        receiver = "pi-01" if (n // 10) % 2 else "pi-02"
        publishing += [
            heard(s, receiver, *(raw(100 + k, -45) for k in range(tag, tag + 25)))
            for tag in range(0, 250, 25)
        ]
        for answer in await asyncio.gather(*publishing, return_exceptions=True):
            if isinstance(answer, Exception):
                await s.wait_up()
        await asyncio.sleep(0.25)


async def settled(at: Platform, daemon: Daemon) -> None:
    """Nothing new for two seconds, and all of it acknowledged."""
    seen = -1
    while len(at.by_sequence) != seen:
        seen = len(at.by_sequence)
        await asyncio.sleep(2)
        assert daemon.process.returncode is None, daemon.said()


async def nothing_is_left(place: Place, last_sequence: int) -> None:
    """The outbox is empty and gave exactly the sequences that arrived."""
    from gateway.counts import Counts
    from gateway.outbox import Outbox

    async with Outbox(place.state / "outbox.sqlite", ["platform"], counts=Counts()) as outbox:
        assert not any((await outbox.backlog()).values())
        assert await outbox.wait("platform", 0) == last_sequence
