"""What a broker answers, and what comes of it: said clearly, tried again at the right pace, nothing lost, no loops."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from daemons import until
from scripted_broker import MAXIMUM_QOS, RECEIVE_MAXIMUM, RETAIN_AVAILABLE, Scripted, running

from gateway import mqtt, mqtt_client
from gateway.errors import NotConnectedError, RefusedError
from gateway.links import SLOWLY_S, Link, full_jitter, slow_jitter
from gateway.mqtt import Connection

CONNECTS = [
    # code, words for the operator, tried again slowly
    (0x84, "does not speak this version of MQTT", True),
    (0x86, "user name or password is wrong", True),
    (0x87, "does not let this client in", True),
    (0x8A, "banned", True),
    (0x88, "unavailable", False),
    (0x89, "busy", False),
    (0x97, "quota", False),
]
OF_3_1_1 = [
    (1, "does the broker speak this version of MQTT", False),
    (3, "unavailable", False),
    (4, "user name or password is wrong", True),
    (5, "does not let this client in", True),
]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("version", "code", "words", "is_slow"),
    [(version, *case) for version, cases in ((5, CONNECTS), (3, OF_3_1_1)) for case in cases],
)
async def test_a_client_that_is_not_let_in(
    version: int, code: int, words: str, is_slow: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async with Scripted(version=version, welcome=code) as broker:
        connection = Connection(broker.endpoint(), "gw", Link("sink central"))
        async with running(connection):
            await until(lambda: len(broker.connects_s) >= (1 if is_slow else 4))
            await until(lambda: words in connection.link.detail)
            await asyncio.sleep(0.3)
            assert (len(broker.connects_s) == 1) is is_slow
    said = [r.message for r in caplog.records if r.name == "gateway.links"]
    assert len(said) == 1, "one line, however often it is tried"
    assert ("slowly" in said[0]) is is_slow


LACKS = [(bytes([MAXIMUM_QOS, 0]), "QoS 1"), (bytes([RETAIN_AVAILABLE, 0]), "retained")]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("properties", "words"), LACKS)
async def test_a_broker_that_cannot_serve(properties: bytes, words: str) -> None:
    async with Scripted(properties=properties) as broker:
        connection = Connection(broker.endpoint(), "gw", Link("sink central"))
        async with running(connection):
            await until(lambda: words in connection.link.detail)
            await asyncio.sleep(0.3)
            assert (connection.link.state, len(broker.connects_s)) == ("down", 1)


DISCONNECTS = [
    (0x8E, "another client uses the same identifier", True),
    (0x98, "administrator", False),
    (0x8B, "shuts down", False),
    (0x9D, "moved", True),
    (0x95, "too large", True),  # and nothing was under way that could have been
]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("code", "words", "is_slow"), DISCONNECTS)
async def test_a_client_that_is_sent_away(code: int, words: str, is_slow: bool) -> None:
    async with Scripted() as broker:
        connection = Connection(broker.endpoint(), "gw", Link("sink central"))
        async with running(connection):
            await connection.wait_up()
            broker.disconnect(code)
            await until(lambda: words in connection.link.detail if is_slow else connection.times_up > 1)
            await asyncio.sleep(0.3)
            assert connection.times_up == (1 if is_slow else 2)
            if is_slow:
                with pytest.raises(NotConnectedError):
                    await connection.publish("a", b"")


@pytest.mark.usefixtures("quick")
async def test_a_session_taken_over_without_a_word_is_found_out() -> None:
    """mosquitto 2.0.11 closes the older connection and says nothing: five in a row are no accident."""
    async with Scripted() as broker:
        connection = Connection(broker.endpoint(), "gw", Link("sink central"))
        async with running(connection):
            for n in range(1, 6):
                await until(lambda n=n: connection.times_up == n)  # type: ignore[misc]
                broker.hang_up()
            await until(lambda: "another client uses the same identifier" in connection.link.detail)
            await asyncio.sleep(0.3)
            assert connection.times_up == 5


@pytest.mark.usefixtures("quick")
async def test_a_broker_that_starts_again_and_again_is_not_taken_for_that() -> None:
    """Between two breaks a try fails: that is a broker that was away."""
    async with Scripted() as broker:
        connection = Connection(broker.endpoint(), "gw", Link("sink central"))
        async with running(connection):
            for n in range(1, 8):
                await until(lambda n=n: connection.times_up == n)  # type: ignore[misc]
                broker.welcome, tried = 0x88, len(broker.connects_s)
                broker.hang_up()
                await until(lambda tried=tried: len(broker.connects_s) > tried)  # type: ignore[misc]
                broker.welcome = 0
            await until(lambda: connection.times_up == 8)


PUBACKS = [
    # code, raised, lasting
    (0x00, None, False),
    (0x10, None, False),
    (0x80, RefusedError, False),
    (0x83, RefusedError, False),
    (0x87, RefusedError, True),
    (0x97, RefusedError, False),
    (0x99, RefusedError, True),
]


@pytest.mark.parametrize(("code", "raised", "is_lasting"), PUBACKS)
async def test_the_answer_to_a_publication(
    code: int, raised: type[RefusedError] | None, is_lasting: bool
) -> None:
    async with Scripted(answer=lambda _: code) as broker:
        connection = Connection(broker.endpoint(), "gw", Link("sink central"))
        async with running(connection):
            await connection.wait_up()
            if raised is None:
                await connection.publish("a", b"")
            else:
                with pytest.raises(raised) as caught:
                    await connection.publish("a", b"")
                assert caught.value.is_lasting is is_lasting
            if code == 0x10:
                with pytest.raises(RefusedError, match="nobody is subscribed"):
                    await connection.publish("a", b"", must_be_heard=True)
            assert len(broker.connects_s) == 1, "the connection stays"


@pytest.mark.parametrize("wanted", [1, 7, 65_535])
async def test_never_more_under_way_than_the_broker_wants(wanted: int) -> None:
    properties = bytes([RECEIVE_MAXIMUM]) + wanted.to_bytes(2)
    async with Scripted(properties=properties, answer_s=0.02) as broker:
        connection = Connection(broker.endpoint(), "gw", Link("sink central"))
        async with running(connection):
            await connection.wait_up()
            count = min(5 * wanted, 300)
            await asyncio.gather(*(connection.publish(f"a/{n}", b"") for n in range(count)))
    assert min(wanted, 100) / 2 <= broker.most_under_way <= min(wanted, 100)
    assert [p.topic for p in broker.published] == [f"a/{n}" for n in range(count)]


async def test_what_waits_for_its_turn_does_not_outlive_the_connection() -> None:
    """Behind a withdrawal the connection is broken: nothing that waited may go out on the next one."""
    properties = bytes([RECEIVE_MAXIMUM]) + (1).to_bytes(2)
    async with Scripted(properties=properties, answer=lambda _: None) as broker:
        connection = Connection(broker.endpoint(), "gw", Link("sink central"))
        async with running(connection):
            await connection.wait_up()
            sending = [asyncio.create_task(connection.publish(f"a/{n}", b"")) for n in range(5)]
            await until(lambda: len(broker.published) == 1)
            connection.drop()
            ended = await asyncio.gather(*sending, return_exceptions=True)
            await until(lambda: connection.times_up == 2)
            await asyncio.sleep(0.1)
    assert all(isinstance(e, NotConnectedError) for e in ended)
    assert len(broker.published) == 1


async def test_a_broker_that_acknowledges_nothing_is_left(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Asked of the log: the link may be up again within a moment."""
    monkeypatch.setattr(mqtt, "CONFIRM_TIMEOUT_S", 0.1)
    async with Scripted(answer=lambda _: None) as broker:
        connection = Connection(broker.endpoint(), "gw", Link("sink central"))
        async with running(connection):
            await connection.wait_up()
            with pytest.raises(NotConnectedError):
                await connection.publish("a", b"")
            await until(lambda: "nothing was acknowledged" in caplog.text)


@pytest.mark.usefixtures("quick")
async def test_a_broker_that_sends_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer to a ping stands behind what it has to send first; when nothing comes any more, it is left."""
    monkeypatch.setattr(mqtt_client, "KEEPALIVE_S", 1)
    async with Scripted(answers_pings=False) as broker:
        heard: list[bytes] = []
        connection = Connection(
            broker.endpoint(), "gw", Link("source store"), on_message=lambda i: heard.append(i.payload)
        )
        async with running(connection):
            await connection.wait_up()
            for _ in range(50):
                broker.say("a", b"x")
                await asyncio.sleep(0.1)
            assert (connection.times_up, len(heard)) == (1, 50)
            await until(lambda: connection.times_up == 2)


# --- pauses ---


def test_two_hundred_gateways_that_start_together_do_not_stampede() -> None:
    """The first tries spread over a second, and of the later ones no tenth of the time sees twice its share."""
    gateways = [full_jitter() for _ in range(200)]
    at_s = [0.0] * len(gateways)
    for n in range(7):
        at_s = [t + next(pauses) for t, pauses in zip(at_s, gateways, strict=True)]
        limit_s = min(60.0, 2.0**n)
        pauses_s = sorted(next(itertools.islice(full_jitter(), n, None)) for _ in range(2_000))
        assert all(0.0 <= pause <= limit_s for pause in pauses_s)
        tenths = [sum(k * limit_s / 10 <= p < (k + 1) * limit_s / 10 for p in pauses_s) for k in range(10)]
        assert max(tenths) < 300 and min(tenths) > 120, tenths
        busiest = max(sum(t <= other < t + 0.1 for other in at_s) for t in at_s)
        assert busiest <= (45 if n == 0 else 30), (n, busiest)


def test_slow_pauses_are_never_short() -> None:
    pauses = list(itertools.islice(slow_jitter(), 200))
    assert min(pauses) >= SLOWLY_S / 2
    assert max(pauses) <= 900 + SLOWLY_S / 2
    assert len(set(pauses)) == 200
