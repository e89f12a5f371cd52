"""A withdrawal reaches what waits to be sent: the daemon as an operator has it, a real mosquitto, thousands of
events in the queue and a link that is down, stalled, or comes back too late."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from datetime import UTC, datetime

import pytest
from consent_feeds import ADDRESS, manifest
from daemons import TAG, Place, advertisement, consent, sender, until
from withdrawals import CARRIED_S, gate, reads_socket, receiver, stock, traces, verb

from gateway import assembly
from gateway.clock import PipelineClock
from gateway.consent import Release
from gateway.custody import Custody
from gateway.lanes import Lanes
from gateway.model import ConsentSignal, Message, ObjectionSignal, Sighting, Signal
from gateway.outbox import Outbox
from gateway.pump import Pump

SUBJECTS = ("anna", "ben", "carla", "dora", "emil")
LONG = pytest.param(2_000, marks=[pytest.mark.slow, pytest.mark.timeout(600)])
"""10,000 events in all."""


ENROLLED = tuple(consent(name, TAG.format(n=n)) for n, name in enumerate(SUBJECTS, start=1))


def withdrawn(subject: str) -> dict[str, object]:
    return consent(subject, status="ConsentWithdrawn", version=2) | {"version": 2}


def without_anna(place: Place) -> None:
    kept = (consent(name, TAG.format(n=n)) for n, name in enumerate(SUBJECTS, start=1) if name != "anna")
    place.enrol(withdrawn("anna"), *kept)


# --- ten thousand events wait, the link is down ---


@pytest.mark.parametrize("way", ["withdraw", "erase", "file", "file, while it did not run"])
@pytest.mark.parametrize("each", [200, LONG])
async def test_withdrawn_while_the_link_is_down(place: Place, each: int, way: str) -> None:
    async with gate(place) as link, receiver(place) as at:
        await stock(place, SUBJECTS, each, time.time())
        if way == "file, while it did not run":
            place.enrol(*(consent(name) for name in SUBJECTS if name != "anna"))
        async with place.daemon() as daemon:
            await reads_socket(daemon, place.state)
            began_s = time.monotonic()
            if way in ("withdraw", "erase"):
                code, said, complained = await verb(place, way, "anna")
                left = "" if way == "erase" else "left: 1 record\n"  # which says that it is withdrawn
                assert (code, complained) == (0, left)
                assert f"{each} queued events" in said
            elif way == "file":
                without_anna(place)
                daemon.process.send_signal(signal.SIGHUP)
                await daemon.says("5 records")
            await until(lambda: not traces(place, b'"anna"'), 60 - (time.monotonic() - began_s))
            link.open()
            await until(lambda: len(at.removed) == each and not at.missing, CARRIED_S)
            await daemon.stop()
    assert at.subjects == set(SUBJECTS) - {"anna"}
    assert b'"anna"' not in link.passed
    assert list(at.removed.values()) == ["withdrawn"] * each


async def test_withdrawn_by_the_feed_while_the_link_is_down(place: Place) -> None:
    """Records by MQTT from a broker that is there; the recipients' broker is not."""
    async with gate(place) as link, receiver(place) as at, sender(place) as s:
        await stock(place, SUBJECTS, 200, time.time())
        settings = place.config / "gateway.yaml"
        settings.write_text(settings.read_text().replace("{file: consent.yaml}", "{mqtt: local}"))
        retained = {name: json.dumps(consent(name)).encode() for name in SUBJECTS}
        async with place.daemon() as daemon:
            for changes in ({}, {"anna": json.dumps(withdrawn("anna")).encode(), "ben": b""}):
                retained |= changes
                for name, record in retained.items():
                    await s.publish(f"{ADDRESS}{name}", record, retain=True)
                retained = {name: record for name, record in retained.items() if record}
                await s.publish(f"{ADDRESS}_manifest", manifest(retained, time.time()), retain=True)
                await daemon.says(f"{len(retained)} records, as their manifest says")
            await until(lambda: not traces(place, b'"anna"', b'"ben"'), 60)
            link.open()
            await until(lambda: len(at.removed) == 400 and not at.missing, CARRIED_S)
            await daemon.stop()
    assert at.subjects == {"carla", "dora", "emil"}
    assert b'"anna"' not in link.passed
    assert b'"ben"' not in link.passed


# --- the link is up and takes nothing ---


@pytest.mark.parametrize("way", ["withdraw", "file"])
async def test_nothing_more_comes_out_of_a_stalled_connection(place: Place, way: str) -> None:
    """The broker accepted the connection, took the first events and reads no more: what the gateway has written
    to the socket since must not leave it after the withdrawal."""
    async with gate(place) as link, receiver(place) as at:
        await stock(place, SUBJECTS, 200, time.time())
        link.open(budget=8_000)
        async with place.daemon() as daemon:
            await until(lambda: link.is_stalled and link.unread > 0)
            await asyncio.sleep(0.5)
            out_already = len(link.passed) + link.unread
            if way == "withdraw":
                await verb(place, "withdraw", "anna")
            else:
                without_anna(place)
                daemon.process.send_signal(signal.SIGHUP)
            await asyncio.sleep(1.5)
            link.allow(1 << 30)
            await until(
                lambda: bool(at.removed) and len(at.of(*SUBJECTS[1:])) >= 800 and not at.missing, CARRIED_S
            )
            await daemon.stop()
    assert b'"anna"' in link.passed[:out_already]
    assert b'"anna"' not in link.passed[out_already:]
    assert 0 < len(at.of("anna")) < 10


# --- the consent ends while the event waits ---


async def test_an_event_that_waited_through_the_end_of_its_consent_does_not_leave(place: Place) -> None:
    place.enrol(consent("anna"), consent("ben"))
    async with gate(place) as link, receiver(place) as at:
        await stock(place, ["anna", "ben"], 50, time.time())
        async with place.daemon() as daemon:
            await daemon.says("source local: up")
            end_s = time.time() + 2
            ends = datetime.fromtimestamp(end_s, UTC).isoformat()
            place.enrol(consent("anna", version=2, valid_until=ends) | {"version": 2}, consent("ben"))
            daemon.process.send_signal(signal.SIGHUP)
            await daemon.says("taken over: 2 records")
            await asyncio.sleep(max(0.0, end_s - time.time()))
            link.open()
            await until(lambda: len(at.removed) == 50 and not at.missing, CARRIED_S)
            await daemon.stop()
    assert at.subjects == {"ben"}
    assert set(at.removed.values()) == {"expired"}
    assert b'"anna"' not in link.passed


# --- the lanes are full ---


@pytest.mark.parametrize(
    "word",
    [
        ConsentSignal(0.0, (withdrawn("anna"),)),
        ConsentSignal(0.0, (withdrawn("anna"),), complete=True),
        ObjectionSignal(0.0, "anna", erase=True),
    ],
    ids=["record", "whole file", "objection"],
)
async def test_unsendable_at_once_behind_full_lanes(place: Place, word: Signal) -> None:
    """The word waits behind 20,000 sightings and 5,000 fixes; nothing of hers is sent from its arrival on, and
    nothing of what those bring about ever is."""
    now_s = time.time()
    configuration = assembly.read_configuration(place.config)
    made = assembly.assemble(configuration, assembly.keys_of(configuration.settings))
    lanes = Lanes(made.counts, heed=made.screen.heed)
    async with Outbox(place.state / "o.sqlite", made.settings.recipients, counts=made.counts) as outbox:
        clock = PipelineClock()
        custody = Custody(made, outbox, lanes, clock)
        pump = Pump(lanes, made.pipeline, outbox, custody, clock)
        await pump.store(
            made.pipeline.feed([ConsentSignal(now_s, tuple(configuration.consent_records), complete=True)])
        )
        adv = bytes.fromhex(advertisement(1))
        for i in range(20_000):
            if i % 4 == 0:
                fix = {"_type": "location", "tst": round(now_s), "lat": 50.001, "lon": 7.0015, "acc": 5}
                lanes.fix(Message(now_s + i / 4_000, "owntracks/fleet/golf", json.dumps(fix).encode()))
            lanes.sighting(Sighting(now_s + i / 4_000, "pi-01", "c3:00:00:25:ef:6a", "random", -45.0, adv))
        for _ in range(60):
            await pump.step()
        await until(lambda: outbox.uncommitted == 0)
        (row, *_) = await outbox.pending("platform", 0, 10)
        assert isinstance(made.screen.again(row, clock()), Release)
        waiting = len(lanes)
        lanes.control(word)
        assert made.screen.again(row, clock()) is None
        while len(lanes):
            assert made.screen.again(row, clock()) is None
            await pump.step()
        assert waiting > 5_000
        assert made.screen.again(row, clock()) == "withdrawn"
        assert [row.kind for row in await outbox.pending("platform", 0, 100)] == ["removed"]
        assert await outbox.open_stays() == []
