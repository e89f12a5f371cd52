"""Consents over a real mosquitto: the set as it changes, as it is rebuilt, and as it was changed while we were away."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from consent_feeds import ADDRESS, digest, manifest, payload, signed
from consents import NOON_S
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from daemons import until
from mosquitto import Mosquitto

from gateway.consent.feed import ConsentFeed
from gateway.consent.register import Register
from gateway.consent.signature import Signers
from gateway.counts import Counts
from gateway.lanes import Lanes
from gateway.links import Link
from gateway.model import ConsentSignal, DriverSignal, FeedState
from gateway.mqtt import Connection
from gateway.mqtt_client import Endpoint
from gateway.sources import consent_mqtt
from gateway.sources.consent_mqtt import ConsentMqtt, Renewals
from gateway.sources.drivers import Drivers


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as running:
        yield running


class Listener:
    """The source, with a register behind its lane as the pipeline has one."""

    def __init__(self, broker: Mosquitto, signers: Signers | None = None) -> None:
        self.counts = Counts()
        self.lanes = Lanes(self.counts)
        self.register = Register(Counts())
        self.state = FeedState(0.0, None)
        self.states: list[str] = []
        self.drivers: dict[str, str | None] = {}
        self.records = 0
        self.t_s = NOON_S
        self.source = ConsentMqtt(
            Endpoint("central", broker.host, broker.port),
            "gw-consent",
            feed=ConsentFeed("test", self.counts, signers),
            drivers=Drivers("test", self.counts, signers),
            lanes=self.lanes,
            clock=lambda: self.t_s,
            counts=self.counts,
        )

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[Listener]:
        tasks = [asyncio.create_task(self.source.run()), asyncio.create_task(self._absorb())]
        try:
            yield self
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def confirmed(self, t_s: float = NOON_S) -> None:
        await until(lambda: self.state.confirmed_s == t_s)

    async def _absorb(self) -> None:
        while True:
            await self.lanes.wait(None)
            for arrival in self.lanes.drain(256):
                match arrival.signal:
                    case ConsentSignal(records=records, complete=complete):
                        self.records += len(records)
                        self.register.absorb(records, complete=complete)
                    case FeedState() as state:
                        self.state = state
                        self.states.append(state.doubt or "confirmed")
                    case DriverSignal() as said:
                        self.drivers[said.vehicle] = said.subject
            await asyncio.sleep(0)


class Platform:
    """Keeps records on the broker and says in the manifest what there is."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.retained: dict[str, bytes] = {}

    async def put(
        self, records: Mapping[str, bytes], *, t_s: float | None = NOON_S, generation: int = 1
    ) -> None:
        """An empty payload removes. `t_s` None: the manifest stays as it was."""
        self.retained = {k: v for k, v in {**self.retained, **records}.items() if v}
        await asyncio.gather(*(self.say(f"{ADDRESS}{key}", content) for key, content in records.items()))
        if t_s is not None:
            await self.say(f"{ADDRESS}_manifest", manifest(self.retained, t_s, generation))

    async def is_up(self) -> None:
        await self._connection.wait_up()

    async def say(self, topic: str, content: bytes) -> None:
        await self._connection.publish(topic, content, retain=True)


@contextlib.asynccontextmanager
async def platform(broker: Mosquitto) -> AsyncIterator[Platform]:
    connection = Connection(Endpoint("p", broker.host, broker.port), "platform", Link("platform"))
    task = asyncio.create_task(connection.run())
    try:
        await connection.wait_up()
        yield Platform(connection)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_thousand_records_through_a_change_and_a_removal(broker: Mosquitto) -> None:
    async with platform(broker) as at:
        await at.put({f"k{n:04}": payload(f"card-{n}") for n in range(1000)})
        async with Listener(broker).listening() as ear:
            await ear.confirmed()
            assert ear.records == 1000
            assert ear.register.admits("card-7", NOON_S)

            refused = payload("card-7", version=2, consents=[])
            await at.put({"k0007": refused}, t_s=None)
            await until(lambda: not ear.register.admits("card-7", NOON_S))
            assert ear.state.doubt == "unmatched"  # until the manifest follows
            await at.put({}, t_s=NOON_S + 1)
            ear.t_s = NOON_S + 60
            await ear.confirmed(NOON_S + 1)

            await at.put({"k0008": b""}, t_s=NOON_S + 2)
            await ear.confirmed(NOON_S + 2)
            assert not ear.register.admits("card-8", NOON_S)
            assert ear.register.admits("card-9", NOON_S)
            assert ear.counts.of("consent_feed", "renewed") == 1
            assert ear.counts.of("consent_feed", "complete") == 1
    assert ear.states == ["never_confirmed", *["confirmed", "unmatched"] * 2, "confirmed"]


async def test_a_broker_that_was_away_is_read_again(broker: Mosquitto, tmp_path: Path) -> None:
    saved = tmp_path / "broker" / "mosquitto.db"
    async with platform(broker) as at:
        await at.put({"k1": payload("anna"), "k2": payload("ben")})
        async with Listener(broker).listening() as ear:
            await ear.confirmed()
            written_s = time.time()
            await until(lambda: saved.exists() and saved.stat().st_mtime > written_s)
            broker.kill()
            await until(lambda: ear.source.link.state == "down")
            assert ear.state.confirmed_s == NOON_S  # it ages, nothing speaks against it
            broker.start()
            await until(lambda: ear.source.link.state == "up")
            ear.t_s = NOON_S + 60
            await at.is_up()
            await at.put({"k1": b""}, t_s=NOON_S + 30)
            await ear.confirmed(NOON_S + 30)
            assert not ear.register.admits("anna", NOON_S)
            assert ear.register.admits("ben", NOON_S)


async def test_what_was_removed_while_we_were_away_is_gone_at_the_next_connect(broker: Mosquitto) -> None:
    async with platform(broker) as at:
        await at.put({"k1": payload("anna"), "k2": payload("ben")})
        ear = Listener(broker)
        async with ear.listening():
            await ear.confirmed()
        await at.put({"k1": b""}, t_s=NOON_S + 30)
        ear.t_s = NOON_S + 60
        async with ear.listening():
            await ear.confirmed(NOON_S + 30)
        assert ear.counts.of("consent_feed", "renewed") == 0
        assert not ear.register.admits("anna", NOON_S)
        assert ear.register.admits("ben", NOON_S)


async def test_a_rebuilt_set_is_read_as_a_whole(broker: Mosquitto) -> None:
    async with platform(broker) as at:
        await at.put({"k1": payload("anna"), "k2": payload("ben")})
        async with Listener(broker).listening() as ear:
            await ear.confirmed()
            ear.t_s = NOON_S + 60
            await at.put({"k1": b"", "k2": b"", "n1": payload("ben")}, t_s=NOON_S + 1, generation=2)
            await ear.confirmed(NOON_S + 1)
            assert not ear.register.admits("anna", NOON_S)
            assert ear.register.admits("ben", NOON_S)


async def test_a_mismatch_that_lasts_is_read_again_and_never_believed(
    broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consent_mqtt, "LASTING_S", 0.3)
    async with platform(broker) as at:
        await at.put({"k1": payload("anna")})
        await at.say(f"{ADDRESS}k2", payload("mallory"))  # nobody's manifest knows of it
        async with Listener(broker).listening() as ear:
            await until(lambda: ear.counts.of("consent_feed", "renewed") >= 2)
            assert ear.states == ["never_confirmed"]
            await at.say(f"{ADDRESS}k2", b"")
            await ear.confirmed()
            assert not ear.register.admits("mallory", NOON_S)
            assert ear.register.admits("anna", NOON_S)


async def test_a_broker_user_cannot_grant(broker: Mosquitto) -> None:
    """Who may publish but has no key: no grant, no replay elsewhere, no old set with a manifest of one's own."""
    key = Ed25519PrivateKey.generate()
    anna = signed(key, f"{ADDRESS}k1", payload("anna"))
    retained = {"k1": anna}
    right = signed(key, f"{ADDRESS}_manifest", manifest(retained))
    async with platform(broker) as at:
        await at.say(f"{ADDRESS}k1", anna)
        await at.say(f"{ADDRESS}_manifest", right)
        async with Listener(broker, Signers([key.public_key()])).listening() as ear:
            await ear.confirmed()
            ear.t_s = NOON_S + 60
            forged = {
                "k2": payload("mallory"),
                "k3": anna,
                "k4": signed(Ed25519PrivateKey.generate(), f"{ADDRESS}k4", payload("eve")),
            }
            for name, content in forged.items():
                await at.say(f"{ADDRESS}{name}", content)
            await at.say(f"{ADDRESS}_manifest", manifest({**retained, **forged}, NOON_S + 30))
            await until(lambda: ear.counts.of("consent_feed", "manifest_unsigned") == 1)
            assert [ear.register.admits(s, NOON_S) for s in ("mallory", "eve")] == [False, False]
            await until(lambda: ear.state.doubt == "unmatched")
            for name in forged:
                await at.say(f"{ADDRESS}{name}", b"")
            await at.say(f"{ADDRESS}_manifest", right)
            await ear.confirmed()


async def test_who_drives(broker: Mosquitto) -> None:
    said = json.dumps({"subject": "anna", "until": "2025-12-22T18:00:00Z"}).encode()
    async with platform(broker) as at:
        await at.say("drivers/v1/test/anna/golf", said)
        await at.say("drivers/v1/test/polo", said)
        ear = Listener(broker)
        async with ear.listening():
            await until(lambda: ear.drivers == {"anna/golf": "anna", "polo": "anna"})
            await at.say("drivers/v1/test/polo", b"")
            await until(lambda: ear.drivers["polo"] is None)


async def test_who_drove_and_was_removed_meanwhile(
    broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consent_mqtt, "SETTLED_S", 0.5)
    async with platform(broker) as at:
        await at.say("drivers/v1/test/golf", b'{"subject": "anna"}')
        await at.say("drivers/v1/test/polo", b'{"subject": "ben"}')
        ear = Listener(broker)
        async with ear.listening():
            await until(lambda: ear.drivers == {"golf": "anna", "polo": "ben"})
        await at.say("drivers/v1/test/golf", b"")
        async with ear.listening():
            await until(lambda: ear.drivers == {"golf": None, "polo": "ben"})


async def test_more_than_fits_is_refused_and_denies(
    broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consent_mqtt, "MAX_WAITING_BYTES", 50_000)
    monkeypatch.setattr(consent_mqtt, "AHEAD", -1)  # nothing is worked off
    monkeypatch.setattr(consent_mqtt, "full_jitter", lambda *_: itertools.repeat(1.0))
    async with platform(broker) as at:
        await at.put({f"k{n:04}": payload(f"card-{n}") for n in range(300)})
        async with Listener(broker).listening() as ear:
            await until(lambda: ear.counts.of("consent_feed", "overflow") + len(ear.source._waiting) > 301)
            assert ear.source._waiting_bytes <= 50_000
            assert ear.counts.of("consent_feed", "overflow") > 100
            monkeypatch.setattr(consent_mqtt, "AHEAD", 1000)
            monkeypatch.setattr(consent_mqtt, "MAX_WAITING_BYTES", 1 << 20)
            await ear.confirmed()  # by reading everything again
            assert ear.counts.of("consent_feed", "renewed") >= 1


def test_a_set_in_doubt_is_asked_for_ever_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.links.random.uniform", lambda _low, high: high)
    renewals = Renewals()
    renewals.began(0.0)
    asked = []
    for now_s in range(0, 3600):
        if renewals.are_due(float(now_s), lasting=now_s >= 100, urgent=False):
            renewals.began(float(now_s))
            asked.append(now_s)
    assert asked == [110, 140, 190, 280, 450, 780, 1390, 2000, 2610, 3220]
    assert not renewals.are_due(3600.0, lasting=False, urgent=False)
    assert not renewals.are_due(3700.0, lasting=True, urgent=False)
    assert renewals.are_due(3710.0, lasting=True, urgent=False)
    assert renewals.are_due(3710.0, lasting=True, urgent=True)


@pytest.mark.parametrize(
    ("name", "content", "signal", "outcome"),
    [
        ("golf", {"subject": "anna"}, DriverSignal(1.0, "golf", "anna"), "said"),
        ("Anna/Golf", {"subject": "anna"}, DriverSignal(1.0, "anna/golf", "anna"), "said"),
        ("golf", {"subject": "anna", "until": "2025-12-22T12:00:00+00:00"}, DriverSignal(1.0, "golf", "anna", NOON_S), "said"),
        ("golf", {"subject": "anna", "until": "noon"}, DriverSignal(1.0, "golf", None), "malformed"),
        ("golf", {"subject": "anna", "until": 5}, DriverSignal(1.0, "golf", None), "malformed"),
        ("golf", {"subject": 5}, DriverSignal(1.0, "golf", None), "malformed"),
        ("golf", {"subject": ""}, DriverSignal(1.0, "golf", None), "malformed"),
        ("golf", [], DriverSignal(1.0, "golf", None), "malformed"),
        ("golf", b"{", DriverSignal(1.0, "golf", None), "broken"),
        ("golf", b'{"subject": "anna", "subject": "ben"}', DriverSignal(1.0, "golf", None), "doubled_key"),
        ("golf", b"", DriverSignal(1.0, "golf", None), "nobody"),
        ("a/b/c", {"subject": "anna"}, None, "not_a_vehicle"),
        ("", {"subject": "anna"}, None, "not_a_vehicle"),
        ("a b", {"subject": "anna"}, None, "not_a_vehicle"),
        ("g" * 129, {"subject": "anna"}, None, "not_a_vehicle"),
    ],
)  # fmt: skip
def test_words_who_drives(name: str, content: Any, signal: DriverSignal | None, outcome: str) -> None:
    counts = Counts()
    said = content if isinstance(content, bytes) else json.dumps(content).encode()
    assert Drivers("test", counts).take(name, said, 1.0) == signal
    assert counts.by_room() == {"drivers": {outcome: 1}}


def test_who_drives_is_signed_too_where_records_are() -> None:
    key = Ed25519PrivateKey.generate()
    drivers = Drivers("test", Counts(), Signers([key.public_key()]))
    said = b'{"subject": "anna"}'
    right = signed(key, "drivers/v1/test/golf", said)
    assert drivers.take("golf", right, 1.0) == DriverSignal(1.0, "golf", "anna")
    assert drivers.take("polo", right, 1.0) == DriverSignal(1.0, "polo", None)
    assert drivers.take("golf", said, 1.0) == DriverSignal(1.0, "golf", None)


def test_the_digest_of_the_tests_is_that_of_the_feed() -> None:
    """The tests' platform computes it by itself; an empty set has the digest of nothing."""
    assert digest({}) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
