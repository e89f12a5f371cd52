"""What a broker answers to events on the whole way, from the outbox by courier and sink: none is lost, none blocks."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from consents import NOON_S, record
from daemons import until
from mosquitto import Mosquitto
from releases import stored
from scripted_broker import MAXIMUM_PACKET_SIZE, Published, Scripted, running

from gateway.consent import ConsentScreen, Keys, Policy, Purpose, Recipient, Register
from gateway.counts import Counts
from gateway.errors import RefusedError
from gateway.links import Link, full_jitter
from gateway.model import Presence
from gateway.mqtt import Connection
from gateway.mqtt_client import Endpoint
from gateway.outbox import Outbox, Transaction
from gateway.sinks import Delivery, Tombstone, courier
from gateway.sinks.courier import Courier
from gateway.sinks.mqtt import MqttSink, Uplink


@pytest.fixture
def quick_courier(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier, "full_jitter", lambda: full_jitter(0.01, 0.05))


def an_uplink(endpoint: Endpoint) -> Uplink:
    return Uplink(endpoint, "gw", site="s", gateway="g", acknowledging=[], state=lambda alive: b"%d" % alive)


PURPOSE = Purpose("dpv:PersonalisedBenefits", "eu-gdpr:A6-1-a", frozenset(["entered"]), frozenset(["zone"]))
ZONES = {"cereals": ("shelf", "Cereals"), "long": ("shelf", "L" * 2_000)}


DELIVERY = Delivery(Tombstone("t-1", NOON_S, b'{"ranges":[[1,1]],"reason":"capped"}'), 2, "g", NOON_S, False)


class Way:
    """One recipient in PUBACK mode, from the outbox to a scripted broker."""

    def __init__(self, endpoint: Endpoint, outbox: Outbox, counts: Counts) -> None:
        self.outbox, self.counts = outbox, counts
        register = Register(counts)
        self.screen = ConsentScreen(
            Policy("s", "g", (Recipient("platform", (PURPOSE,)),), zone_facts=ZONES),
            register,
            Keys(bytes(32)),
            counts,
        )
        self.screen.know(register.absorb([record()]))
        self.uplink = an_uplink(endpoint)
        sink = MqttSink(self.uplink, "platform")
        self.courier = Courier("platform", "puback", sink=sink, outbox=outbox, screen=self.screen,
                               clock=lambda: NOON_S, counts=counts)  # fmt: skip

    async def happen(self, *zones: str) -> None:
        """One event a zone."""
        presences = [
            Presence(NOON_S + i, NOON_S + i, "card-1234", zone, "entered", NOON_S, 0.0, 0.9, {})
            for i, zone in enumerate(zones)
        ]
        await stored(self.outbox, Transaction([r for p in presences for r in self.screen.releases(p)]))

    async def emptied(self) -> None:
        async with asyncio.timeout(60):
            while any((await self.outbox.backlog()).values()):  # noqa: ASYNC110 - the disk knows
                await asyncio.sleep(0.02)


def at(folder: Path, counts: Counts) -> Outbox:
    return Outbox(folder / "outbox.sqlite", ["platform"], commit_delay_s=0.005, counts=counts)


@contextlib.asynccontextmanager
async def way(broker: Scripted | Endpoint, folder: Path) -> AsyncIterator[Way]:
    counts = Counts()
    async with at(folder, counts) as outbox:
        endpoint = broker if isinstance(broker, Endpoint) else broker.endpoint()
        made = Way(endpoint, outbox, counts)
        async with running(made.uplink), running(made.courier):
            yield made


def sequences(broker: Scripted) -> list[int]:
    return [int(msgspec.json.decode(p.payload)["sequence"]) for p in broker.events()]


async def test_a_refused_state_ends_nothing() -> None:
    """Birth on a topic that the ACL forbids: the uplink is down and says so, the daemon lives."""
    async with Scripted(answer=lambda _: 0x87) as broker:
        uplink = an_uplink(broker.endpoint())
        async with running(uplink):
            await until(lambda: "ACL" in uplink.link.detail)
            await asyncio.sleep(0.2)
            assert len(broker.connects_s) == 1


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("announced", [True, False])
async def test_an_event_too_large_for_the_broker_leaves_a_tombstone(tmp_path: Path, announced: bool) -> None:
    """Announced with the welcome, or found out by the break: the rest goes on, and completeness can be proven."""
    limit = 1_500
    async with Scripted(end=lambda p: 0x95 if p.size > limit else None) as broker:
        if announced:
            broker.properties = bytes([MAXIMUM_PACKET_SIZE]) + limit.to_bytes(4)
        async with way(broker, tmp_path) as made:
            await made.happen("cereals", "long", "cereals", "cereals")
            await made.emptied()
    assert made.counts.of("too_large", "platform") >= 1
    tombstone = msgspec.json.decode(broker.events()[-1].payload)
    assert tombstone["data"] == {"ranges": [[2, 2]], "reason": "capped"}
    assert set(sequences(broker)) - {2} == {1, 3, 4, 5}
    assert len(broker.connects_s) == (1 if announced else 2)


@pytest.mark.usefixtures("quick", "quick_courier")
@pytest.mark.parametrize("version", [3, 5])
async def test_a_broker_that_hangs_up_on_what_is_too_large(
    tmp_path: Path, version: int, caplog: pytest.LogCaptureFixture
) -> None:
    """As MQTT 3.1.1 has it: without a word. Four breaks, and what was no larger has arrived."""
    limit = 1_500
    async with Scripted(version=version, says_why=False) as broker:
        broker.end = lambda p: 0x95 if p.size > limit else None
        async with way(broker, tmp_path) as made:
            await made.happen(*["cereals"] * 30, "long", *["cereals"] * 30)
            await made.emptied()
    assert made.counts.of("too_large", "platform") == 1
    assert len(broker.connects_s) == 5
    small = [p for p in broker.events() if p.size <= limit]
    assert {int(msgspec.json.decode(p.payload)["sequence"]) for p in small} == {*range(1, 63)} - {31}
    tombstone = msgspec.json.decode(small[-1].payload)
    assert tombstone["data"] == {"ranges": [[31, 31]], "reason": "capped"}
    assert "taken for too large" in caplog.text
    assert "same identifier" not in caplog.text


@pytest.mark.usefixtures("quick", "quick_courier")
@pytest.mark.parametrize("version", [3, 5])
async def test_what_is_too_large_for_mosquitto(tmp_path: Path, version: int) -> None:
    with Mosquitto(tmp_path / "broker", more="max_packet_size 1500") as mosquitto:
        endpoint = Endpoint("central", mosquitto.host, mosquitto.port, version=version)
        heard: list[Any] = []
        listening = Connection(
            Endpoint("platform", mosquitto.host, mosquitto.port), "platform", Link("platform"),
            subscriptions=[("presence/v1/s/g/platform/+", 1)],
            on_message=lambda incoming: heard.append(msgspec.json.decode(incoming.payload)),
        )  # fmt: skip
        async with running(listening):
            await listening.wait_up()
            async with way(endpoint, tmp_path) as made:
                await made.happen(*["cereals"] * 10, "long", *["cereals"] * 10)
                await made.emptied()
            await until(lambda: len({event["sequence"] for event in heard}) == 21)
    assert made.counts.of("too_large", "platform") == 1
    assert heard[-1]["data"] == {"ranges": [[11, 11]], "reason": "capped"}


@pytest.mark.usefixtures("quick", "quick_courier")
async def test_a_broker_that_goes_away_again_and_again_costs_no_event(tmp_path: Path) -> None:
    """Thrice at the same event: those of its size have been taken, so it cannot be what is wrong."""
    hung_up_at: list[int] = []
    async with Scripted(version=3) as broker:

        def end(p: Published) -> int | None:
            wanted = [31, 12, 31, 31]
            at = 0 if p.topic.endswith("/state") else int(msgspec.json.decode(p.payload)["sequence"])
            if len(hung_up_at) == len(wanted) or at != wanted[len(hung_up_at)]:
                return None
            hung_up_at.append(at)
            return 0

        broker.end = end
        async with way(broker, tmp_path) as made:
            await made.happen(*["cereals"] * 60)
            await made.emptied()
    assert made.counts.of("too_large", "platform") == 0
    assert set(sequences(broker)) == {*range(1, 61)}
    assert hung_up_at == [31, 12, 31, 31]


@pytest.mark.usefixtures("quick", "quick_courier")
@pytest.mark.parametrize("says_so", [True, False])
async def test_a_tombstone_too_large_for_the_broker_is_divided(tmp_path: Path, says_so: bool) -> None:
    """80 ranges do not fit: smaller ones say the same, and the sequence of the large one as well."""
    limit = 700
    async with Scripted(version=5 if says_so else 3, says_why=says_so) as broker:
        if says_so:
            broker.properties = bytes([MAXIMUM_PACKET_SIZE]) + limit.to_bytes(4)
        else:
            broker.end = lambda p: 0x95 if p.size > limit else None
        counts = Counts()
        async with at(tmp_path, counts) as outbox:
            made = Way(broker.endpoint(), outbox, counts)
            await made.happen(*["cereals"] * 160)
            await outbox.remove("platform", range(1, 161, 2), "expired")
            async with running(made.uplink), running(made.courier):
                await made.emptied()
    taken = [msgspec.json.decode(p.payload) for p in broker.events() if p.size <= limit]
    tombstones = [t for t in taken if t["type"] == "presence.removed.v1"]
    named = {n for t in tombstones for first, last in t["data"]["ranges"] for n in range(first, last + 1)}
    arrived = {int(t["sequence"]) for t in taken}
    assert {*range(1, 161, 2), 161} <= named
    assert named | arrived == {*range(1, max(arrived) + 1)}, "completeness can be proven"
    assert all(t["data"]["reason"] == "expired" for t in tombstones)


@pytest.mark.parametrize("code", [0x80, 0x97])
async def test_what_is_refused_for_now_comes_again(tmp_path: Path, code: int) -> None:
    refusals = itertools.count()
    async with Scripted() as broker:
        broker.answer = lambda p: code if not p.topic.endswith("/state") and next(refusals) < 6 else 0
        async with way(broker, tmp_path) as made:
            await made.happen("cereals", "cereals", "cereals")
            await made.emptied()
    assert set(sequences(broker)) == {1, 2, 3}
    assert made.counts.of("refused", "platform") == 6


async def test_what_is_forbidden_is_kept_said_once_and_tried_slowly(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    forbidding = Scripted(answer=lambda p: 0 if p.topic.endswith("/state") else 0x87)
    async with forbidding as broker, way(broker, tmp_path) as made:
        await made.happen("cereals", "cereals")
        await until(lambda: "ACL" in made.courier.link.detail)
        await asyncio.sleep(2.5)
        assert sequences(broker) == [1, 2]
        assert await made.outbox.backlog() == {"platform": 2}
    assert sum("ACL" in r.message for r in caplog.records) == 1


async def test_a_recipient_that_is_forbidden_slows_down_nobody_else(tmp_path: Path) -> None:
    forbidding = Scripted(answer=lambda p: 0x87 if "/partner/" in p.topic else 0)
    async with forbidding as broker, way(broker, tmp_path) as made:
        await made.uplink.connection.wait_up()
        forbidden = MqttSink(made.uplink, "partner")
        with pytest.raises(RefusedError, match="ACL"):
            await forbidden.send(DELIVERY)
        waiting = asyncio.create_task(forbidden.ready())
        await made.happen(*["cereals"] * 20)
        await made.emptied()
        assert not waiting.done()
        waiting.cancel()


async def test_nobody_who_is_subscribed_is_no_delivery(tmp_path: Path) -> None:
    async with Scripted(answer=lambda _: 0x10) as broker, way(broker, tmp_path) as made:
        await made.happen("cereals")
        await until(lambda: "nobody is subscribed" in made.courier.link.detail)
        assert await made.outbox.backlog() == {"platform": 1}
        broker.answer = lambda _: 0
        await made.emptied()
        assert made.courier.link.state == "up"
