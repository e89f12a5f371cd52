"""What a simulator wrote, put onto a broker at a daemon's pace, and the subscriber that hears what comes of it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from test_sim import DEMO, T0

from gateway.counts import Counts
from gateway.errors import GatewayError
from gateway.links import Link
from gateway.model import Message, ReceiverState, Sighting, Signal
from gateway.mqtt import Connection
from gateway.mqtt_client import Endpoint
from gateway.profiles import load_profiles
from gateway.sim.broker import EmbeddedBroker
from gateway.sim.publish import Pace, batched, pace_of, publish, publish_to
from gateway.sim.recorded import by_time
from gateway.sim.subscriber import Event, Subscriber, ranges


def heard(t_s: float, receiver: str = "rx-1", rssi_dbm: float = -60.0) -> Sighting:
    return Sighting(T0 + t_s, receiver, "c0:00:00:00:00:01", "random", rssi_dbm, b"\x02\x01\x06")


def test_sightings_are_gathered_by_receiver_and_messages_go_as_they_are() -> None:
    fix = Message(T0 + 0.06, "owntracks/a/b", b"{}")
    given: list[Signal] = [
        heard(0.0),
        heard(0.05, "rx-2"),
        fix,
        heard(0.08),
        ReceiverState(T0 + 0.09, "rx-1", False),
        heard(0.2),
    ]
    sent = [(round(m.t_s - T0, 2), m.topic) for m in batched(given, "s")]
    assert sent == [
        (0.06, "owntracks/a/b"),
        (0.08, "receivers/v1/s/rx-1"),
        (0.05, "receivers/v1/s/rx-2"),
        (0.2, "receivers/v1/s/rx-1"),
    ]


def test_a_batch_is_read_back_as_the_same_sightings() -> None:
    (message,) = batched([heard(0.0), heard(0.01, rssi_dbm=-71.0)], "s")
    found = load_profiles().read(message, Counts())
    assert [s for s in found if isinstance(s, Sighting)] == [heard(0.01), heard(0.01, rssi_dbm=-71.0)]


@pytest.mark.parametrize(
    ("payload", "pace"),
    [
        (b'{"alive":true,"clock":{"time_s":5,"wall_s":7,"rate":20}}', Pace(5.0, 7.0, 20.0)),
        (b'{"alive":false,"clock":{"time_s":5,"wall_s":7,"rate":20}}', None),
        (b'{"alive":true}', None),
        (b"", None),
        (b"\xff", None),
    ],
)
def test_the_pace_is_read_from_the_state_of_a_running_gateway(payload: bytes, pace: Pace | None) -> None:
    assert pace_of(payload) == pace


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as running:
        yield running


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ("1883", "expected HOST:PORT"),
        ("127.0.0.1:mqtt", "expected HOST:PORT"),
        ("127.0.0.1:70000", "expected HOST:PORT"),
    ],
)
async def test_where_to_publish_is_host_and_port(where: str, text: str) -> None:
    with pytest.raises(GatewayError, match=text):
        await publish_to([], DEMO, where)


@pytest.mark.parametrize(
    ("clock_s", "text"), [(T0 + 6.0, "--clock 2025-12-22T07:59:00Z"), (T0 - 99_999.0, "is far ahead")]
)
async def test_a_clock_that_is_not_near_the_first_signal_is_an_error(
    broker: EmbeddedBroker, clock_s: float, text: str
) -> None:
    pace = Pace(clock_s, time.time(), 20.0)
    with pytest.raises(GatewayError, match=text):
        await publish([heard(0.0)], broker.endpoint(), "s", pace=pace)


async def test_no_broker_no_gateway_and_no_loopback_are_errors(broker: EmbeddedBroker) -> None:
    nowhere = Endpoint("nowhere", "127.0.0.1", 1)
    with pytest.raises(GatewayError, match="no broker answers"):
        await publish([], nowhere, "s", answer_s=0.3)
    with pytest.raises(GatewayError, match="no gateway of s runs"):
        await publish([], broker.endpoint(), "s", answer_s=0.3)
    far = Endpoint("far", "broker.example.org", 1883)
    with pytest.raises(GatewayError, match="a scaled clock is for brokers on loopback"):
        await publish([], far, "s", pace=Pace(T0, time.time(), 20.0))


async def test_signals_arrive_when_the_clock_of_the_gateway_reaches_them(broker: EmbeddedBroker) -> None:
    rate, began_s = 50.0, time.time()
    pace = Pace(T0 - 10.0, began_s, rate)
    arrived: list[tuple[str, float]] = []
    connection = Connection(
        broker.endpoint(),
        "gateway",
        Link("gateway"),
        subscriptions=[("receivers/#", 1), ("owntracks/#", 1)],
        on_message=lambda m: arrived.append((m.topic, pace.now_s() - T0)),
    )
    running = asyncio.create_task(connection.run())
    await connection.wait_up()
    state = {"alive": True, "clock": msgspec.structs.asdict(pace)}
    await connection.publish("presence/v1/s/g/state", msgspec.json.encode(state), retain=True)
    fixes = [Message(T0 + t, "owntracks/a/b", b"{}") for t in (1.0, 12.0)]
    sent = await publish(by_time([heard(0.0), heard(20.0)], fixes), broker.endpoint(), "s")  # type: ignore[arg-type]
    async with asyncio.timeout(30):
        while len(arrived) < 4:  # noqa: ASYNC110 - a list
            await asyncio.sleep(0.02)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert sent == 4
    assert [topic.split("/")[0] for topic, _ in arrived] == [
        "receivers",
        "owntracks",
        "owntracks",
        "receivers",
    ]
    for (_, at_s), due_s in zip(arrived, (0.0, 1.0, 12.0, 20.0), strict=True):
        assert due_s <= at_s < due_s + 10.0  # 10 s of its time are 0.2 s here


# --- the subscriber ---


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ([], (0, [])),
        ([1, 2, 3], (3, [])),
        ([3, 1, 2, 2], (3, [])),
        ([1, 2, 4, 5, 9], (2, [(4, 5), (9, 9)])),
        ([2, 3], (0, [(2, 3)])),
    ],
)
def test_ranges_of_an_acknowledgement(numbers: list[int], said: tuple[int, list[tuple[int, int]]]) -> None:
    assert ranges(numbers) == said


def event(number: int, recipient: str = "platform") -> dict[str, Any]:
    return {
        "id": f"id-{number}",
        "type": "presence.entered.v1",
        "time": "2025-12-22T08:00:00.000Z",
        "recipient": recipient,
        "sequence": f"{number:020d}",
        "generation": "g1",
        "subject": "card-1",
        "data": {"zone": {"id": "wine", "kind": "shelf", "name": "Wine"}, "confidence": 0.5},
    }


async def test_the_subscriber_takes_each_event_once_finds_gaps_and_acknowledges(
    broker: EmbeddedBroker,
) -> None:
    seen: list[Event] = []
    acks: list[Any] = []
    base = "presence/v1/sub/gw"
    platform = Connection(
        broker.endpoint(),
        "events",
        Link("events"),
        subscriptions=[(f"{base}/platform/ack", 1)],
        on_message=lambda m: acks.append(json.loads(m.payload)),
    )
    running = asyncio.create_task(platform.run())
    await platform.wait_up()
    async with Subscriber(broker.endpoint(), "sub", seen.append, acknowledging=["platform"]) as subscriber:
        for number in (1, 2, 2, 4):
            await platform.publish(f"{base}/platform/entered", msgspec.json.encode(event(number)))
        await platform.publish(f"{base}/partner/entered", msgspec.json.encode(event(1, "partner")))
        await platform.publish(f"{base}/platform/entered", b"no event")
        await subscriber.quiet(0.5)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert [(e.recipient, e.number, e.change) for e in seen] == [
        ("platform", 1, "entered"),
        ("platform", 2, "entered"),
        ("platform", 4, "entered"),
        ("partner", 1, "entered"),
    ]
    assert subscriber.missing("platform") == [3]
    assert subscriber.missing("partner") == []
    assert subscriber.unreadable == 1
    assert acks[-1] == {"generation": "g1", "through": 2, "also": [[4, 4]]}
    assert subscriber.acknowledged == {"platform": 3}
