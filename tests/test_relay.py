"""A Pi that hears for another one: what it tells and what not, and one gateway with two relays on one broker."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from daemons import TAG, Place, advertisement, consent, platform, until
from fake_bluez import FakeBluez, private_bus
from mosquitto import Mosquitto
from test_identity_resolvable import IRK, address

from gateway.counts import Counts
from gateway.hearing import is_identifying
from gateway.links import Link
from gateway.model import ReceiverState, Sighting, Signal
from gateway.mqtt import Connection, Incoming
from gateway.mqtt_client import Endpoint
from gateway.profiles import load_profiles
from gateway.sources import receivers
from gateway.sources.frames import IdentityFrames, structures
from gateway.sources.rawform import encode_state, state_topic
from gateway.sources.receivers import ReceiverStates
from gateway.sources.relay import BATCH, WAITING, Relay

PROFILES = load_profiles()
IBEACON = "1aff4c000215e2c56db5dffb48d2b060d0f5a71096e000010011c5"
EDDYSTONE = "1516aafe00e700010203040506070809aabbccddeeff"
EID = "0d16aafe30e4afc638315dcd9977"
CONTINUITY = "0bff4c001006031e2f3a4b5c"
FIND_MY = "1eff4c001219" + "00" * 25
EXPOSURE = "1716" + "6ffd" + "00" * 20
FAST_PAIR = "06162cfe112233"
STATIC, PRIVATE, FLEETING, PUBLIC = (
    "c3:00:00:00:00:01",
    "4a:00:00:00:00:01",
    "0a:00:00:00:00:01",
    "00:11:22:33:44:55",
)


def identifies(structure: bytes) -> bool:
    return is_identifying(PROFILES, structure, Counts())


@pytest.mark.parametrize(
    ("where", "kind", "adv", "told"),
    [
        (STATIC, "random", "020106" + IBEACON, IBEACON),
        (STATIC, "random", EDDYSTONE + CONTINUITY + IBEACON, EDDYSTONE + IBEACON),
        (STATIC, "random", EID + "0303aafe", EID),  # whose it is, the gateway may know
        (STATIC, "random", CONTINUITY, None),
        (STATIC, "random", EXPOSURE + FAST_PAIR, None),
        (STATIC, "random", "", None),
        (FLEETING, "random", FIND_MY, None),
        (FLEETING, "", CONTINUITY, None),
        (
            PRIVATE,
            "random",
            CONTINUITY,
            "",
        ),  # an iPhone: its key's owner may know it, what it says stays here
        (PRIVATE, "", FIND_MY, ""),
        (PUBLIC, "public", FAST_PAIR, ""),
        (PRIVATE, "public", "", ""),
        (STATIC, "random", IBEACON[:-2], None),  # cut short
        (STATIC, "random", IBEACON + "05ff", IBEACON),
        (STATIC, "random", IBEACON + "00" + IBEACON, IBEACON),  # nothing counts after an early end
        (STATIC, "random", "ff" * 5000, None),
    ],
)
def test_what_is_told_of_an_advertisement(where: str, kind: str, adv: str, told: str | None) -> None:
    heard = Sighting(1.0, "pi-02", where, kind, -60.0, bytes.fromhex(adv))
    for _ in range(2):
        kept = IdentityFrames(identifies, ["public", "resolvable"]).reduced(heard)
        assert (None if kept is None else kept.adv.hex()) == told
    if told == "":
        assert IdentityFrames(identifies, []).reduced(heard) is None


def test_structures_of_any_bytes() -> None:
    for adv in (b"", b"\x00", b"\x01", b"\x05\xff", b"\xff" * 300, bytes(300)):
        assert b"".join(structures(adv)) == b"" or adv.startswith(b"".join(structures(adv)))


def relay_to(port: int, counts: Counts) -> Relay:
    frames = IdentityFrames(identifies, ["public", "resolvable"])
    return Relay(
        Endpoint("store", "127.0.0.1", port), "r", site="s", receiver="pi-02", frames=frames, counts=counts
    )


def tag(n: int, adv: bytes = bytes.fromhex(IBEACON)) -> Sighting:
    return Sighting(n / 1000, "pi-02", STATIC, "random", -60.0, adv)


async def test_what_waits_for_a_broker_that_is_away_is_bounded() -> None:
    counts = Counts()
    relay = relay_to(1, counts)
    for n in range(2000):
        relay.hear(tag(n))
    assert counts.of("relay", "dropped") == 2000 - WAITING


async def test_batches_are_small_in_number_and_bytes_and_nothing_is_lost(tmp_path: Path) -> None:
    long = b"".join(bytes.fromhex(IBEACON) for _ in range(55))
    with Mosquitto(tmp_path) as broker:
        heard: list[Incoming] = []
        ear = Connection(Endpoint("t", "127.0.0.1", broker.port), "ear", Link("ear"),
                         subscriptions=[("receivers/v1/s/pi-02", 0)], on_message=heard.append)  # fmt: skip
        relay = relay_to(broker.port, Counts())
        tasks = [asyncio.create_task(ear.run()), asyncio.create_task(relay.run())]
        await ear.wait_up()
        await until(lambda: relay.link.state == "up")
        for n in range(300):
            relay.hear(tag(n, long if n % 3 == 0 else tag(n).adv))
        await until(lambda: sum(len(msgspec.json.decode(i.payload)) for i in heard) == 300)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    assert all(len(msgspec.json.decode(i.payload)) <= BATCH for i in heard)
    assert max(len(i.payload) for i in heard) < 48 * 1024


# --- what receivers say of themselves ---


def states_of(heard: list[Signal], counts: Counts, *profiles: str) -> ReceiverStates:
    readers, names = PROFILES.states(profiles), ["pi-01", "pi-02", "pi-03", "kitchen", "shelly-kitchen"]
    return ReceiverStates(readers, heard.append, lambda: 5.0, counts, site="s", is_known=names.__contains__)


@pytest.mark.parametrize(
    ("profile", "topic", "alive", "dead"),
    [
        ("espresense", "espresense/rooms/kitchen/status", "online", "offline"),
        ("openmqttgateway", "home/kitchen/LWT", "online", "offline"),
        ("tasmota", "tele/kitchen/LWT", "Online", "Offline"),
        ("shelly", "shelly-kitchen/online", "true", "false"),
        ("shelly-blu-gateway", "shelly-kitchen/online", "true", "false"),
        ("generic-raw", "receivers/v1/s/kitchen/state", '{"alive": true}', '{"alive": false}'),
    ],
)
def test_last_wills_of_other_makers(profile: str, topic: str, alive: str, dead: str) -> None:
    heard: list[Signal] = []
    counts = Counts()
    states = states_of(heard, counts, profile)
    assert PROFILES.states([profile])
    assert any(topic.endswith(f.rpartition("+")[2]) for f in states.topic_filters)
    for payload, retained in ((alive, False), (alive, True), (dead, False), (dead, True), ("?", False)):
        assert states.take(topic, payload.encode(), retained=retained)
    receiver = "shelly-kitchen" if "shelly" in profile else "kitchen"
    assert heard == [ReceiverState(5.0, receiver, alive) for alive in (True, False, False)]
    assert counts.by_room() == {"receivers": {"alive": 1, "retained": 1, "dead": 2, "malformed": 1}}
    assert not states_of(heard, counts, "owntracks").take(topic, dead.encode(), retained=False)


async def test_a_word_without_a_promise_does_not_end_a_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    """ESPresense says `online` once, and its telemetry goes on."""
    monkeypatch.setattr(receivers, "LOOK_S", 0.01)
    monkeypatch.setattr(receivers, "MISSED", 0.005)
    heard: list[Signal] = []
    states = states_of(heard, Counts(), "espresense")
    states.take("espresense/rooms/kitchen/telemetry", b'{"uptime": 1}', retained=False)
    states.take("espresense/rooms/kitchen/status", b"online", retained=False)
    states.take("espresense/rooms/pi-01/status", b"online", retained=False)
    task = asyncio.create_task(states.watch())
    await until(lambda: len(heard) == 4)
    task.cancel()
    assert heard[3] == ReceiverState(5.0, "kitchen", alive=False)


@pytest.mark.parametrize(
    ("topic", "payload", "retained", "signals", "counted"),
    [
        ("receivers/v1/s/pi-02/state", encode_state(alive=True), False, [True], "alive"),
        ("receivers/v1/s/pi-02/state", encode_state(alive=False), False, [False], "dead"),
        ("receivers/v1/s/pi-02/state", encode_state(alive=True), True, [], "retained"),
        ("receivers/v1/s/pi-02/state", encode_state(alive=False), True, [False], "dead"),
        ("receivers/v1/s/pi-99/state", encode_state(alive=True), False, [], "unknown"),
        ("receivers/v1/s/pi-02/state", b'{"alive":"yes"}', False, [], "malformed"),
        ("receivers/v1/s/pi-02/state", b'{"alive":true,"every_s":0}', False, [], "malformed"),
        ("receivers/v1/s/pi-02/state", b'{"alive":true,"every_s":NaN}', False, [], "malformed"),
        ("receivers/v1/s/pi-02/state", b"", False, [], "malformed"),
        ("receivers/v1/s/pi-02/state", b"\xff\xfe", False, [], "malformed"),
        ("receivers/v1/s/pi-02", b"[]", False, [], None),
        ("owntracks/anna/golf/state", b"[]", False, [], None),
        (f"receivers/v1/s/{'p' * 2000}/state", encode_state(alive=True), False, [], None),
        ("receivers/v1/t/pi-02/state", encode_state(alive=True), False, [], None),
    ],
)
def test_a_receivers_word(
    topic: str, payload: bytes, retained: bool, signals: list[bool], counted: str | None
) -> None:
    heard: list[Signal] = []
    counts = Counts()
    states = states_of(heard, counts, "generic-raw")
    assert states.take(topic, payload, retained=retained) == (counted is not None)
    assert heard == [ReceiverState(5.0, "pi-02", alive) for alive in signals]
    assert counts.by_room() == ({"receivers": {counted: 1}} if counted else {})


async def test_a_receiver_whose_heartbeat_stops_is_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receivers, "LOOK_S", 0.01)
    monkeypatch.setattr(receivers, "MISSED", 0.1)
    heard: list[Signal] = []
    states = states_of(heard, Counts(), "generic-raw")
    task = asyncio.create_task(states.watch())
    for receiver, every_s in (("pi-02", 1.0), ("pi-03", 60.0)):
        states.take(state_topic("s", receiver), encode_state(alive=True, every_s=every_s), retained=False)
    await until(lambda: len(heard) == 3)
    task.cancel()
    assert heard[2] == ReceiverState(5.0, "pi-02", alive=False)


# --- one gateway, two relays ---

SETTINGS = """\
gateway: {{id: {receiver}, state_dir: {state}}}
brokers:
  store: {{host: 127.0.0.1, port: {port}}}
ble: {{adapters: [auto]}}
relay: {{via: store}}
"""


class RelayPlace(Place):
    """A relay's configuration: the same map, and neither recipients nor consent."""

    def __init__(self, folder: Path, broker: Mosquitto, receiver: str) -> None:
        folder.mkdir()
        super().__init__(folder, broker)
        (self.config / "consent.yaml").unlink()
        settings = SETTINGS.format(receiver=receiver, state=self.state, port=broker.port)
        (self.config / "gateway.yaml").write_text(settings)


@asynccontextmanager
async def radio() -> AsyncIterator[tuple[FakeBluez, dict[str, str]]]:
    with tempfile.TemporaryDirectory() as folder:  # a socket's path is short
        async with private_bus(Path(folder) / "bus") as bus, FakeBluez("hci0", bus=bus) as fake:
            yield fake, {"DBUS_SYSTEM_BUS_ADDRESS": bus}


@asynccontextmanager
async def listening(place: Place, topic: str) -> AsyncIterator[list[Incoming]]:
    heard: list[Incoming] = []
    connection = Connection(
        place.endpoint(), "the-listener", Link("l"), subscriptions=[(topic, 0)], on_message=heard.append
    )
    task = asyncio.create_task(connection.run())
    await connection.wait_up()
    try:
        yield heard
    finally:
        task.cancel()
        await asyncio.wait({task})


def manufacturer(minor: int) -> dict[int, bytes]:
    return {0x004C: bytes.fromhex(advertisement(minor))[7:]}


async def advertise(fake: FakeBluez, rssi: int, seconds: float) -> None:
    """The tag, Anna's phone, and an iPhone that nobody knows, near this radio."""
    for n in range(round(seconds / 0.1)):
        await fake.advert("C3:00:00:25:EF:6A", rssi - n % 3, manufacturer=manufacturer(1))
        await fake.advert(
            address(1).upper(), rssi - n % 3, manufacturer={0x004C: bytes.fromhex("1006031e2f3a4b5c")}
        )
        await fake.advert("F1:00:00:00:00:01", rssi, manufacturer={0x004C: bytes.fromhex("1219" + "00" * 25)})
        await asyncio.sleep(0.1)


async def test_a_gateway_with_two_relays(tmp_path: Path) -> None:
    with Mosquitto(tmp_path / "broker") as broker:
        gateway = Place(tmp_path, broker)
        keys = tmp_path / "identity-keys.yaml"
        keys.write_text(f'irk: {{anna-phone: "{IRK.hex()}"}}\n')
        keys.chmod(0o600)
        settings = gateway.config / "gateway.yaml"
        settings.write_text(settings.read_text() + f"identity_keys: {keys}\n")
        gateway.enrol(consent("trolley", TAG.format(n=1)), consent("anna", "irk:anna-phone"))
        one, two = (RelayPlace(tmp_path / name, broker, name) for name in ("pi-01", "pi-02"))
        async with AsyncExitStack() as stack:
            air = {name: await stack.enter_async_context(radio()) for name in ("pi-01", "pi-02")}
            daemon = await stack.enter_async_context(gateway.daemon())
            at = await stack.enter_async_context(platform(gateway))
            told = await stack.enter_async_context(listening(gateway, "receivers/v1/test/#"))
            await daemon.ready()
            first = await stack.enter_async_context(one.daemon(**air["pi-01"][1]))
            second = await stack.enter_async_context(two.daemon(**air["pi-02"][1]))
            await first.says("ble: up")
            await second.says("ble: up")
            await until(lambda: {i.topic for i in told if _alive(i)} >= {state_topic("test", r) for r in air})

            # Followed from one relay to the other.
            await asyncio.gather(advertise(air["pi-01"][0], -45, 4), advertise(air["pi-02"][0], -85, 4))
            await until(lambda: _where(at.events, "trolley") == _where(at.events, "anna") == {"cereals"})
            await asyncio.gather(advertise(air["pi-01"][0], -85, 5), advertise(air["pi-02"][0], -45, 5))
            await until(
                lambda: _where(at.events, "trolley") == _where(at.events, "anna") == {"cereals", "dairy"}
            )

            # Killed, it is dead at once by its last will; what stops cleanly says so itself.
            before = len(told)
            await second.kill()
            await until(lambda: any(_is_will(i, "pi-02") for i in told[before:]), seconds=2)
            await first.stop()
            await until(lambda: any(_is_will(i, "pi-01") for i in told[before:]), seconds=2)
            await daemon.stop()
        said = b"".join(incoming.payload for incoming in told)
        assert b"1006031e" not in said
        assert b"f1:00:00" not in said.lower()
        counted, relayed = gateway.counted(), one.counted()["relay"]
        assert counted["receivers"]["dead"] >= 2
        assert counted["receivers"]["alive"] >= 2
        assert relayed["relayed"] > 100
        assert relayed["nobody"] > 50
        for trace in ("C3:00:00", "c3:00:00", address(1), IRK.hex(), "anna-phone"):
            for place in (gateway, one, two):
                assert trace not in place.log.read_text()


async def test_a_gateway_may_relay_as_well(tmp_path: Path) -> None:
    with Mosquitto(tmp_path / "broker") as broker:
        place = Place(tmp_path, broker)
        settings = place.config / "gateway.yaml"
        own = settings.read_text().replace("subscribe: [generic-raw, owntracks]", "subscribe: [owntracks]")
        settings.write_text(
            own + "ble: {adapters: [auto], receiver: pi-01}\nrelay: {via: local, addresses: []}\n"
        )
        place.enrol(consent("trolley", TAG.format(n=1)))
        async with AsyncExitStack() as stack:
            fake, environ = await stack.enter_async_context(radio())
            told = await stack.enter_async_context(listening(place, "receivers/v1/test/#"))
            at = await stack.enter_async_context(platform(place))
            daemon = await stack.enter_async_context(place.daemon(**environ))
            await daemon.says("ble: up")
            await daemon.says("relay local: up")
            await advertise(fake, -45, 4)
            await until(lambda: _where(at.events, "trolley") == {"cereals"})
            await daemon.stop()
            states = "receivers/v1/test/pi-01/state"
            await until(lambda: _is_will([i for i in told if i.topic == states][-1], "pi-01"))
        raw = [
            e for i in told if i.topic == "receivers/v1/test/pi-01" for e in msgspec.json.decode(i.payload)
        ]
        assert {e["address"] for e in raw} == {"c3:00:00:25:ef:6a"}
        assert {e["adv"] for e in raw} == {advertisement(1)[6:]}


def _alive(incoming: Incoming) -> bool:
    return incoming.topic.endswith("/state") and bool(msgspec.json.decode(incoming.payload)["alive"])


def _is_will(incoming: Incoming, receiver: str) -> bool:
    return (incoming.topic, incoming.payload) == (state_topic("test", receiver), encode_state(alive=False))


def _where(events: dict[str, dict[str, Any]], subject: str) -> set[str]:
    """Zones that the subject has entered."""
    entered = [e for e in events.values() if e["subject"] == subject and e["type"] == "presence.entered.v1"]
    return {event["data"]["zone"]["id"] for event in entered}
