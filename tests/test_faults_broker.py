"""Brokers that die, forget and are shared: the real daemon, a real mosquitto, and a receiver that counts.

Each car that parks is three events, `entering`, `entered` and `dwelled`: what has to arrive is known beforehand.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from daemons import Place, arrival, consent, consuming, drove, sender, until
from mosquitto import Mosquitto
from receiver_model import Centred, Receiver, assert_quiet, complete, received

from gateway.mqtt import Connection

pytestmark = [pytest.mark.faults, pytest.mark.timeout(120)]

EACH = 3
"""Events of a car that parks."""
RECOVERY_S = 2.0
BACKED_OFF_S = 1 + 2 + 4
"""The pauses of three tries, at most."""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with Mosquitto(tmp_path / "broker") as broker:
        yield made(tmp_path, broker)


@pytest.fixture
def centred(tmp_path: Path) -> Iterator[Centred]:
    with Mosquitto(tmp_path / "broker") as broker, Mosquitto(tmp_path / "centre") as centre:
        yield Centred(made(tmp_path, broker), centre)


def made(folder: Path, broker: Mosquitto, cars: int = 400) -> Place:
    place = Place(folder, broker)
    place.enrol(*(consent(f"driver-{n}", f"vehicle:fleet/car-{n}") for n in range(cars)))
    return place


async def park(sending: Connection, cars: range, *, each_s: float = 0.0) -> None:
    """They come, one after the other, and stay."""
    for n in cars:
        for t_s, lat, speed_kmh in arrival(time.time() - 45):
            await drove(sending, f"car-{n}", t_s, lat, vel=speed_kmh)
        await asyncio.sleep(each_s)


@contextlib.asynccontextmanager
async def receiver(place: Place) -> AsyncIterator[Receiver]:
    async with consuming(Receiver, place, "platform") as at:
        yield at


async def test_a_broker_killed_after_its_acknowledgement_with_the_settings_it_comes_with(
    tmp_path: Path,
) -> None:
    """mosquitto's defaults keep nothing on disk: what it acknowledged for an absent platform is gone with it."""
    with Mosquitto(tmp_path / "broker", as_it_comes=True) as broker:
        place = made(tmp_path, broker)
        async with receiver(place):
            pass  # its session is known from here on, and it is away
        async with place.daemon() as daemon, sender(place) as s:
            await daemon.ready()
            await park(s, range(10))
            await daemon.says("recipient platform: up")
            await asyncio.sleep(1.0)  # all of it is acknowledged by the broker
            broker.kill()
            broker.start()
            async with receiver(place) as at:
                took_s = await received(at, daemon, 10 * EACH)
                assert took_s < RECOVERY_S + BACKED_OFF_S
                await until(lambda: at.through == 10 * EACH)
                await asyncio.sleep(0.5)  # the acknowledgement
                await daemon.stop()
        assert_quiet(daemon)
        await complete(at, place)
        assert dict(at.changes()) == dict.fromkeys(("entering", "entered", "dwelled"), 10)


@pytest.mark.slow
async def test_a_broker_killed_again_and_again_while_cars_come(centred: Centred) -> None:
    """The broker in the centre; that in the store, which could lose what it owes the gateway, stays."""
    far = centred.seen_from_the_centre
    async with receiver(far) as at, sender(centred.place) as s, centred.place.daemon() as daemon:
        await daemon.says("source local: up")
        for round in range(3):
            await park(s, range(round * 5, round * 5 + 5))
            centred.centre.kill()
            await asyncio.sleep(0.2)
            centred.centre.start()
            await at.connection.wait_up()
        took_s = await received(at, daemon, 15 * EACH)
        assert took_s < RECOVERY_S + BACKED_OFF_S
        await until(lambda: at.through == 15 * EACH)
        await asyncio.sleep(0.5)
        await daemon.stop()
        assert_quiet(daemon)
    await complete(at, centred.place)
    assert dict(at.changes()) == dict.fromkeys(("entering", "entered", "dwelled"), 15)


@pytest.mark.parametrize("cars", [pytest.param(350, marks=pytest.mark.slow)])
async def test_a_platform_away_for_ten_times_what_the_broker_keeps(tmp_path: Path, cars: int) -> None:
    """What the broker dropped behind its acknowledgement comes again once the platform has been silent for a minute."""
    with Mosquitto(tmp_path / "broker", queue=cars * EACH // 10) as broker:
        place = made(tmp_path, broker)
        async with receiver(place):
            pass
        async with place.daemon() as daemon, sender(place) as s:
            await daemon.ready()
            await park(s, range(cars))
            await asyncio.sleep(3)
            async with receiver(place) as at:
                await asyncio.sleep(3)
                assert 0 < len(at.events) < cars * EACH / 4, "the broker has dropped the rest"
                await received(at, daemon, cars * EACH, 110)
                await until(lambda: at.through == cars * EACH)
                await asyncio.sleep(3)
                await daemon.stop()
        assert_quiet(daemon)
        await complete(at, place)


@pytest.mark.slow
async def test_two_gateways_with_one_identity_do_not_fight(tmp_path: Path, place: Place) -> None:
    """A card was copied, and this mosquitto throws the older one out without a word. It is found out all the same."""
    copied = made(tmp_path / "copy", place.broker)
    words = "do two gateways have one site and id?"
    async with place.daemon() as first, copied.daemon() as second:
        both = (first, second)
        await asyncio.gather(first.ready(), second.ready())
        # Source and sink of one of the two give way; which one is chance.
        await until(lambda: sum(daemon.said().count(words) for daemon in both) >= 2, 60)
        before = sum(daemon.said().count(": up (") for daemon in both)
        await asyncio.sleep(60)
        after = sum(daemon.said().count(": up (") for daemon in both)
        assert after - before <= 10
        for daemon in both:
            assert_quiet(daemon)
            await daemon.stop()


@pytest.mark.slow
async def test_two_gateways_of_one_site(tmp_path: Path, place: Place) -> None:
    """Both see the cars; each has its own ids and its own sequence, and both are complete."""
    other = made(tmp_path / "other", place.broker)
    settings = other.config / "gateway.yaml"
    settings.write_text(settings.read_text().replace("{id: gw,", "{id: gw-2,"))
    topics: dict[str, list[dict[str, Any]]] = {"gw": [], "gw-2": []}

    async with (
        place.daemon() as one,
        other.daemon() as two,
        sender(place) as s,
        sender(place, "watcher") as w,
    ):
        w._on_message = lambda m: topics[m.topic.split("/")[3]].append(json.loads(m.payload))
        await w.subscribe([("presence/v1/test/+/platform/+", 1)])
        await one.ready()
        await two.ready()
        await park(s, range(5))
        await until(lambda: all(len(events) == 5 * EACH for events in topics.values()))
        await one.stop()
        await two.stop()
        assert_quiet(one)
        assert_quiet(two)
    ids = [event["id"] for events in topics.values() for event in events]
    assert len(ids) == len(set(ids)) == 2 * 5 * EACH
    for gateway, events in topics.items():
        assert sorted(int(event["sequence"]) for event in events) == list(range(1, 5 * EACH + 1))
        assert {event["source"] for event in events} == {f"/sites/test/gateways/{gateway}"}


async def test_acknowledgements_that_are_wrong_old_retained_or_of_another_generation(place: Place) -> None:
    """None of them removes anything: after a new start all of it comes again."""
    topic = "presence/v1/test/gw/platform/ack"
    async with receiver(place) as at, sender(place) as s:
        at.acknowledging = False
        async with place.daemon() as daemon:
            await daemon.ready()
            await park(s, range(3))
            await received(at, daemon, 3 * EACH)
            generation = next(iter(at.events.values()))["generation"]
            good = {"generation": generation, "through": 4}
            wrong: list[Any] = [
                [], "9", {"through": 9}, {**good, "through": -1}, {**good, "through": 99}, {**good, "also": [[7, 5]]},
                {**good, "generation": "0123456789abcdef", "through": 9},
            ]  # fmt: skip
            for word in wrong:
                await s.publish(topic, msgspec.json.encode(word))
            await s.publish(topic, msgspec.json.encode(good))
            await s.publish(topic, msgspec.json.encode({**good, "through": 2}))  # an old one, late
            await asyncio.sleep(2.5)
            await daemon.stop()
        counted = place.counted()
        assert counted["acks"]["malformed"] == 4
        assert counted["outbox"]["ack_wrong_generation"] == 1
        assert counted["outbox"]["ack_out_of_range"] == 2
        assert counted["outbox"]["acknowledged"] == 4
        await s.publish(topic, msgspec.json.encode({**good, "through": 9}), retain=True)
        doubles = at.doubles
        async with place.daemon() as daemon:
            await until(lambda: at.doubles == doubles + 3 * EACH - 4)
            at.acknowledging = True
            await daemon.stop()
        assert place.counted()["acks"]["retained"] == 1
        await s.publish(topic, b"", retain=True)
    await complete(at, place)


@pytest.mark.slow
async def test_a_withdrawal_while_the_broker_is_away(place: Place) -> None:
    """Whoever withdraws meanwhile is not named when it is back, and a tombstone stands for the events."""
    async with receiver(place) as at, place.daemon() as daemon:
        async with sender(place) as s:
            await daemon.ready()
            await park(s, range(3))
            await received(at, daemon, 3 * EACH)
            await asyncio.sleep(0.5)
            await park(s, range(3, 6))
            place.broker.kill()
        known = {e["subject"] for e in at.events.values()}
        place.enrol(*(consent(f"driver-{n}", f"vehicle:fleet/car-{n}") for n in range(400) if n != 4))
        daemon.process.send_signal(1)
        await daemon.says("taken over")
        await asyncio.sleep(0.5)
        place.broker.start()
        await at.connection.wait_up()
        await until(lambda: "driver-5" in at.subjects() and not at.missing())
        await asyncio.sleep(0.7)
        await daemon.stop()
        assert_quiet(daemon)
        assert at.subjects() - known <= {"driver-3", "driver-5"}
    await complete(at, place)
