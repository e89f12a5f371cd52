"""The brokers' configurations of systemd/mosquitto, run by a real mosquitto: who gets in, who may say what."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from authority import Authority
from daemons import FLOOR, TAG, Daemon, Place, advertisement, consent, until
from mosquitto import PASSWORD, Documented

from gateway.errors import RefusedError
from gateway.links import Link
from gateway.mqtt import Connection, Incoming
from gateway.mqtt_client import Endpoint


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def store(tmp_path: Path, authority: Authority) -> Iterator[Documented]:
    with Documented(tmp_path / "store", "store", authority) as broker:
        yield broker


@pytest.fixture
def central(tmp_path: Path, authority: Authority) -> Iterator[Documented]:
    with Documented(tmp_path / "central", "central", authority) as broker:
        yield broker


class Heard(list[Incoming]):
    def topics(self) -> list[str]:
        return [message.topic for message in self]


@contextlib.asynccontextmanager
async def connected(
    broker: Documented,
    tls: ssl.SSLContext | None,
    *topics: str,
    name: str = "a client",
    password: str | None = None,
) -> AsyncIterator[tuple[Connection, Heard]]:
    """By TLS, or on the plain port with the gateway's name. TimeoutError when it does not come up."""
    heard = Heard()
    endpoint = Endpoint(
        "broker", broker.host, broker.port if tls else broker.plain_port,
        username="gateway" if password else None, password=password, tls=(lambda: tls) if tls else None,
    )  # fmt: skip
    connection = Connection(
        endpoint, name, Link(name), subscriptions=[(topic, 1) for topic in topics], on_message=heard.append
    )
    task = asyncio.create_task(connection.run())
    try:
        async with asyncio.timeout(60):
            await connection.wait_up()
        yield connection, heard
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


STORE = [
    ("pi-01", "receivers/v1/koeln-01/pi-01", True),
    ("pi-01", "receivers/v1/koeln-01/pi-01/state", True),
    ("pi-01", "receivers/v1/koeln-01/pi-02", False),
    ("pi-01", "receivers/v1/koeln-01/pi-02/state", False),
    ("kitchen", "espresense/devices/iBeacon:x/kitchen", True),
    ("kitchen", "espresense/devices/iBeacon:x/bath", False),
    ("kitchen", "espresense/rooms/kitchen/status", True),
    ("van-3", "vehicles/v1/koeln-01/van-3", True),
    ("van-3", "vehicles/v1/koeln-01/van-4", False),
    ("anna", "owntracks/anna/golf", True),
    ("anna", "owntracks/bert/golf", False),
    ("pi-01", "consent/v1/koeln-01/abc", False),
    ("pi-01", "consent/v1/koeln-01/_manifest", False),
    ("van-3", "drivers/v1/koeln-01/van-3", False),
    ("platform", "consent/v1/koeln-01/abc", True),
    ("platform", "drivers/v1/koeln-01/van-3", True),
    ("gateway", "consent/v1/koeln-01/abc", False),
    ("+", "receivers/v1/koeln-01/pi-01", False),
    ("#", "receivers/v1/koeln-01/pi-01", False),
]
CENTRAL = [
    ("koeln-01-pi-01", "presence/v1/koeln-01/pi-01/platform/entered", True),
    ("koeln-01-pi-01", "presence/v1/koeln-01/pi-01/state", True),
    ("koeln-01-pi-01", "presence/v1/koeln-01/pi-02/platform/entered", False),
    ("koeln-01-pi-01", "presence/v1/bonn-02/pi-01/platform/entered", False),
    ("koeln-01-pi-01", "consent/v1/koeln-01/abc", False),
    ("koeln-01-pi-01", "drivers/v1/koeln-01/van-3", False),
    ("platform", "consent/v1/koeln-01/abc", True),
    ("platform", "drivers/v1/koeln-01/van-3", True),
    ("platform", "presence/v1/koeln-01/pi-01/platform/ack", True),
    ("platform", "presence/v1/koeln-01/pi-01/platform/ask", True),
    ("platform", "presence/v1/koeln-01/pi-01/platform/entered", False),
    ("parking-partner", "presence/v1/koeln-01/pi-01/parking-partner/ack", True),
    ("parking-partner", "presence/v1/koeln-01/pi-01/platform/ack", False),
    ("parking-partner", "consent/v1/koeln-01/abc", False),
    ("stranger", "presence/v1/koeln-01/stranger/platform/entered", False),
]


async def written_by(
    broker: Documented, authority: Authority, table: list[tuple[str, str, bool]]
) -> list[tuple[str, str, bool]]:
    """The same rows, as the broker has it."""
    found = {}
    for name in dict.fromkeys(name for name, _, _ in table):
        async with connected(broker, authority.context(name)) as (connection, _):
            for topic in (topic for who, topic, _ in table if who == name):
                try:
                    await connection.publish(topic, b"{}")
                    found[name, topic] = True
                except RefusedError:
                    found[name, topic] = False
    return [(name, topic, found[name, topic]) for name, topic, _ in table]


async def test_who_may_write_in_the_store(store: Documented, authority: Authority) -> None:
    assert await written_by(store, authority, STORE) == STORE


async def test_who_may_write_in_the_centre(central: Documented, authority: Authority) -> None:
    assert await written_by(central, authority, CENTRAL) == CENTRAL


async def test_who_hears_what(central: Documented, authority: Authority) -> None:
    written = [
        "consent/v1/koeln-01/a", "consent/v1/bonn-02/b", "drivers/v1/bonn-02/van-9",
        "presence/v1/koeln-01/pi-01/platform/ack", "presence/v1/koeln-01/pi-02/platform/ack",
    ]  # fmt: skip
    async with (
        connected(central, authority.context("koeln-01-pi-01"), "#", name="gw") as (gateway, of_gateway),
        connected(central, authority.context("parking-partner"), "#", name="partner") as (_, of_partner),
        connected(central, authority.context("platform"), "presence/#", name="platform") as (
            platform,
            of_platform,
        ),
    ):
        for topic in written:
            await platform.publish(topic, b"{}")
        for recipient in ("platform", "parking-partner"):
            await gateway.publish(f"presence/v1/koeln-01/pi-01/{recipient}/entered", b"{}")
        await until(lambda: len(of_gateway) >= 2 and len(of_partner) >= 1 and len(of_platform) >= 3)
        await asyncio.sleep(0.3)
    assert of_gateway.topics() == ["consent/v1/koeln-01/a", "presence/v1/koeln-01/pi-01/platform/ack"]
    assert of_partner.topics() == ["presence/v1/koeln-01/pi-01/parking-partner/entered"]
    heard = [topic for topic in of_platform.topics() if not topic.endswith("/ack")]
    assert heard == ["presence/v1/koeln-01/pi-01/platform/entered"]


async def test_who_does_not_get_in(
    store: Documented, central: Documented, authority: Authority, tmp_path: Path
) -> None:
    other = Authority(tmp_path / "other")
    stranger = other.context("pi-01")
    stranger.load_verify_locations(authority.ca)

    async def is_refused(broker: Documented, tls: ssl.SSLContext | None, password: str | None = None) -> None:
        with pytest.raises(TimeoutError):
            async with connected(broker, tls, password=password):
                pass

    attempts = [is_refused(b, tls) for b in (store, central) for tls in (authority.context(None), stranger)]
    await asyncio.gather(*attempts, is_refused(store, None), is_refused(store, None, "guessed"))
    async with connected(store, None, password=PASSWORD), connected(store, authority.context("pi-01")):
        pass


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # paho leaves its socket to the collector
async def test_a_broker_of_another_authority_is_not_believed(store: Documented, tmp_path: Path) -> None:
    with pytest.raises(TimeoutError):
        async with connected(store, Authority(tmp_path / "other").context("pi-01")):
            pass


async def test_a_receiver_cannot_push_the_gateway_out(store: Documented, authority: Authority) -> None:
    """A broker ends the connection of a client when another comes under its client id."""
    async with connected(store, None, name="koeln-01-pi-01-store-in", password=PASSWORD) as (gateway, _):
        async with connected(store, authority.context("pi-02"), name="koeln-01-pi-01-store-in"):
            await asyncio.sleep(0.3)
        assert gateway.times_up == 1
        assert gateway.link.state == "up"


async def test_more_retained_consents_than_a_default_broker_would_send(
    central: Documented, authority: Authority
) -> None:
    """Mosquitto's own max_queued_messages is 1,000, beyond which 2.0.16 and later drop what is retained."""
    async with connected(central, authority.context("platform"), name="platform") as (platform, _):
        for n in range(2_000):
            await platform.publish(f"consent/v1/koeln-01/{n}", b"{}", retain=True, qos=n % 100 == 99)
        async with connected(
            central, authority.context("koeln-01-pi-01"), "consent/v1/koeln-01/#", name="gw"
        ) as (_, heard):
            await until(lambda: len(heard) == 2_000)


SITE = FLOOR.replace("id: test", "id: koeln-01")
SETTINGS = """\
gateway: {{id: pi-01, state_dir: {state}, clock: {{trust: always}}}}
brokers:
  store: {{host: 127.0.0.1, port: {store}, username: gateway, password: credential:store-password, subscribe: [generic-raw]}}
  central: {{host: 127.0.0.1, port: {central}, tls: {{ca: ca.pem, cert: gw.pem, key: credential:gw.key}}}}
recipients:
  platform:
    via: central
    purposes:
      dpv:PersonalisedBenefits: {{legal_basis: eu-gdpr:A6-1-a, fields: [zone, since]}}
consent: {{feed: {{file: consent.yaml}}}}
"""


class Secured(Place):
    """A gateway between both brokers, with its secrets where the unit would put them."""

    def __init__(self, folder: Path, store: Documented, central: Documented, authority: Authority) -> None:
        super().__init__(folder, store)
        self.credentials, self.runtime = folder / "credentials", folder / "runtime"
        for place in (self.credentials, self.runtime):
            place.mkdir()
        (self.config / "site.yaml").write_text(SITE)
        text = SETTINGS.format(state=self.state, store=store.plain_port, central=central.port)
        (self.config / "gateway.yaml").write_text(text)
        (self.credentials / "gateway_store-password").write_text(PASSWORD + "\n")
        self.certify(authority, self.credentials / "gateway_gw.key")
        self.environ = {
            "CREDENTIALS_DIRECTORY": str(self.credentials),
            "RUNTIME_DIRECTORY": str(self.runtime),
        }

    def certify(self, authority: Authority, key_file: Path) -> None:
        certificate, key = authority.issue("koeln-01-pi-01")
        (self.config / "ca.pem").write_bytes(authority.ca.read_bytes())
        (self.config / "gw.pem").write_bytes(certificate.read_bytes())
        key_file.parent.mkdir(exist_ok=True)
        key_file.touch(0o600)
        key_file.write_bytes(key.read_bytes())


@pytest.fixture
def place(tmp_path: Path, store: Documented, central: Documented, authority: Authority) -> Secured:
    return Secured(tmp_path, store, central, authority)


async def up(daemon: Daemon) -> None:
    await daemon.says("source store: up")
    await daemon.says("sink central: up")


async def test_only_a_receivers_own_word_becomes_an_event(
    place: Secured, store: Documented, central: Documented, authority: Authority
) -> None:
    place.enrol(consent("card-1", TAG.format(n=1)))
    said = {"address": "c3:00:00:25:ef:6a", "address_type": "random", "rssi": -45, "adv": advertisement(1)}
    topic = "receivers/v1/koeln-01/{}"
    async with (
        place.daemon(**place.environ) as daemon,
        connected(store, authority.context("pi-01"), name="pi-01") as (first, _),
        connected(store, authority.context("pi-02"), name="pi-02") as (second, _),
        connected(central, authority.context("platform"), "presence/#", name="platform") as (_, events),
    ):
        await up(daemon)
        for _ in range(15):
            with pytest.raises(RefusedError):
                await second.publish(topic.format("pi-01"), json.dumps(said).encode())
            await second.publish(
                topic.format("pi-02"), json.dumps(said | {"receiver": "pi-01"}).encode(), qos=0
            )
            await asyncio.sleep(0.1)
        assert [t for t in events.topics() if not t.endswith("/state")] == []

        end_s = time.monotonic() + 20
        while (
            "presence/v1/koeln-01/pi-01/platform/entered" not in events.topics() and time.monotonic() < end_s
        ):
            await first.publish(
                topic.format("pi-01"), json.dumps(said | {"receiver": "pi-01"}).encode(), qos=0
            )
            await asyncio.sleep(0.2)
        (event,) = [m for m in events if m.topic.endswith("/entered")]
        assert json.loads(event.payload)["data"]["zone"]["id"] == "cereals"
        await daemon.stop()
    assert place.counted()["profiles.generic-raw"]["impostor"] == 15


async def test_certificates_change_while_it_runs(place: Secured, central: Documented, tmp_path: Path) -> None:
    """The authority changes, and with it everything: only the new certificate and key open the new broker."""
    new = Authority(tmp_path / "new")
    async with place.daemon(**place.environ) as daemon:
        await up(daemon)
        central.kill()
        await daemon.says("sink central: down")
        central.trust(new)
        central.start()
        (place.config / "gw.pem").write_bytes(
            new.issue("koeln-01-pi-01")[0].read_bytes()
        )  # without its key yet
        await daemon.says("those from before are")
        said = len(daemon.said())
        place.certify(new, place.runtime / "credentials" / "gw.key")  # what renew-credentials does
        daemon.process.send_signal(signal.SIGHUP)
        async with asyncio.timeout(60):
            while "sink central: up" not in daemon.said()[said:]:  # noqa: ASYNC110 - a log
                await asyncio.sleep(0.05)
        await daemon.stop()


@pytest.mark.parametrize("secret", ["gw.key", "password"])
async def test_a_secret_that_others_can_read_is_refused(place: Secured, secret: str) -> None:
    path = place.config / secret
    path.write_bytes((place.credentials / "gateway_gw.key").read_bytes())
    path.chmod(0o644)
    settings = place.config / "gateway.yaml"
    named = {"gw.key": "credential:gw.key", "password": "credential:store-password"}[secret]
    settings.write_text(settings.read_text().replace(named, secret))
    async with place.daemon(**place.environ) as daemon:
        assert await asyncio.wait_for(daemon.process.wait(), 60) == 78, daemon.said()
        assert "open to others (mode 0644)" in daemon.said()
