"""Partners behind a webhook: a real outbox and courier, a real HTTP server that behaves and misbehaves."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from authority import Authority
from consents import NOON_S, PURPOSE, entry, record
from daemons import TAG, Place, arrival, consent, drove, platform, sender
from jsonschema import Draft7Validator
from mosquitto import Mosquitto
from partner_server import KEY, PartnerServer
from releases import stored
from test_consent_http import SYSTEM

from gateway.consent import ConsentScreen, Keys, Policy, Purpose, Recipient, Register
from gateway.consent.bars import OPEN, Withdrawal
from gateway.contract import schema_of
from gateway.counts import Counts
from gateway.credentials import SecretUnusableError
from gateway.https import Tls
from gateway.model import Presence
from gateway.outbox import Outbox, Transaction
from gateway.outbox import outbox as outbox_room
from gateway.sinks import courier as courier_room
from gateway.sinks import http as room
from gateway.sinks.courier import Courier
from gateway.sinks.http import Partner, WebhookSink
from gateway.sinks.signing import signed_headers, signing_keys

OTHER = "whsec_c2VjcmV0LW9mLWEtcm90YXRlZC1lbmRwb2ludA=="
NAMES = ["parking", "insurer"]


# --- signatures ---


def test_the_vector_of_standard_webhooks() -> None:
    keys = signing_keys(KEY.encode(), "parking.secret")
    assert signed_headers(keys, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}') == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_two_keys_give_two_signatures() -> None:
    both = signing_keys(f"{OTHER}\n{KEY}\n".encode(), "parking.secret")
    signatures = signed_headers(both, "id", 1, b"[]")["webhook-signature"].split(" ")
    assert signatures == [signed_headers([key], "id", 1, b"[]")["webhook-signature"] for key in both]
    assert len(set(signatures)) == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "holds 0 keys"),
        (b"\n".join([KEY.encode()] * 5), "holds 5 keys"),
        (b"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "a key is whsec_"),
        (b"whsec_MfKQ", "24 to 64 random bytes"),
        (b"whsec_" + b"A" * 100, "24 to 64 random bytes"),
        (b"whsec_!!!!", "a key is whsec_"),
    ],
)
def test_a_key_that_cannot_serve(text: bytes, words: str) -> None:
    with pytest.raises(SecretUnusableError, match=words) as caught:
        signing_keys(text, "parking.secret")
    assert "MfKQ" not in str(caught.value)


# --- the way to a partner ---


class Way:
    """From the consents over the outbox to one partner's server."""

    def __init__(self, name: str, outbox: Outbox, screen: ConsentScreen, counts: Counts, partner: Partner):
        self.name, self.outbox = name, outbox
        self.sink = WebhookSink(partner, "/sites/s/gateways/g")
        self.courier = Courier(name, "puback", sink=self.sink, outbox=outbox, screen=screen,
                               clock=lambda: NOON_S, counts=counts)  # fmt: skip

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.sink.run())
            group.create_task(self.courier.run())

    async def is_empty(self) -> bool:
        return (await self.outbox.backlog()).get(self.name, 0) == 0


class Town:
    def __init__(self, outbox: Outbox, counts: Counts) -> None:
        self.outbox, self.counts = outbox, counts
        self.register = Register(counts)
        purpose = Purpose(PURPOSE, "eu-gdpr:A6-1-a", frozenset(["entered"]), frozenset(["zone"]))
        policy = Policy("s", "g", tuple(Recipient(name, (purpose,)) for name in NAMES))
        self.screen = ConsentScreen(policy, self.register, Keys(bytes(32)), counts)
        consenting = [record(who, entry(recipients=NAMES)) for who in ("anna", "ben")]
        self.screen.know(self.register.absorb(consenting))
        self.tasks = contextlib.ExitStack()

    def way(self, url: str, name: str = "parking", *, keys: str = KEY, tls: Tls = SYSTEM) -> Way:
        partner = Partner(name, url, tls, lambda: signing_keys(keys.encode(), "secret"))
        way = Way(name, self.outbox, self.screen, self.counts, partner)
        self.tasks.callback(asyncio.create_task(way.run()).cancel)
        return way

    async def happen(self, n: int, subject: str = "anna") -> None:
        presences = [
            Presence(NOON_S + i, NOON_S + i, subject, "cereals", "entered", NOON_S, 0.0, 0.9, {})
            for i in range(n)
        ]
        releases = [release for p in presences for release in self.screen.releases(p)]
        await stored(self.outbox, Transaction(releases))


@pytest.fixture
async def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Town]:
    monkeypatch.setattr(courier_room, "full_jitter", lambda: iter(lambda: 0.02, None))
    monkeypatch.setattr(outbox_room, "ACKNOWLEDGE_S", 0.02)
    counts = Counts()
    async with Outbox(tmp_path / "outbox.sqlite", NAMES, commit_delay_s=0.005, counts=counts) as outbox:
        made = Town(outbox, counts)
        with made.tasks:
            yield made


async def until(true: Callable[[], bool | Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while True:
            answer = true()
            if answer if isinstance(answer, bool) else await answer:
                return
            await asyncio.sleep(0.01)


async def test_batches_of_cloudevents_signed_and_acknowledged_by_the_answer(town: Town) -> None:
    async with PartnerServer().serving() as server:
        way = town.way(server.url)
        await town.happen(250)
        await until(way.is_empty)
        assert [int(event["sequence"]) for event in server.events] == list(range(1, 251))
        assert len(server.asked) <= 10
        for headers, body in server.asked:
            assert headers["content-type"] == "application/cloudevents-batch+json"
            assert len(json.loads(body)) <= room.MAX_BATCH
        for event in server.events:
            assert not list(Draft7Validator(schema_of("entered")).iter_errors(event))
        assert (way.sink.link.state, way.courier.link.state) == ("up", "up")


ANSWERS: list[tuple[int, dict[str, str], int, str]] = [
    # status, headers, times refused, words for the operator
    (408, {}, 0, "HTTP 408"),
    (425, {}, 0, "HTTP 425"),
    (429, {"Retry-After": "0"}, 0, "HTTP 429"),
    (500, {}, 0, "HTTP 500"),
    (503, {}, 0, "HTTP 503"),
    (301, {"Location": "http://127.0.0.1:1/"}, 3, "redirects are not followed; give the address itself"),
    (307, {"Location": "http://127.0.0.1:1/"}, 3, "redirects are not followed; give the address itself"),
    (400, {}, 3, "the partner does not understand it"),
    (401, {}, 3, "does not accept the signature or the client certificate"),
    (404, {}, 3, "there is nothing at this address"),
    (410, {}, 3, "gone for good"),
    (415, {}, 3, "does not take application/cloudevents-batch+json"),
    (422, {}, 3, "the partner refuses it"),
]


@pytest.mark.parametrize("answer", ANSWERS, ids=[str(answer[0]) for answer in ANSWERS])
async def test_what_an_answer_means(
    town: Town,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    answer: tuple[int, dict[str, str], int, str],
) -> None:
    """Nothing is lost by any of them; the second answer is a good one."""
    status, headers, refused, words = answer
    monkeypatch.setattr(room, "SLOWLY_S", 0.05)
    async with PartnerServer().serving() as server:
        server.misbehave = lambda _: (status, headers, b"no") if len(server.asked) == 1 else None
        await town.happen(3)
        way = town.way(server.url)
        await until(way.is_empty)
    said = [line.getMessage() for line in caplog.records]
    assert any(line.startswith("webhook parking: down") and words in line for line in said)
    assert town.counts.of("refused", "parking") == refused
    assert [int(event["sequence"]) for event in server.events] == [1, 2, 3]
    assert len(server.asked) == 2
    assert way.sink.link.state == "up"


@pytest.mark.parametrize(
    ("status", "headers"), [(400, {}), (404, {}), (410, {}), (302, {}), (429, {"Retry-After": "60"}), (503, {"Retry-After": "60"})]
)  # fmt: skip
async def test_no_hot_loop(town: Town, status: int, headers: dict[str, str]) -> None:
    """The courier would try fifty times in this second."""
    async with PartnerServer().serving() as server:
        server.misbehave = lambda _: (status, headers, b"")
        way = town.way(server.url)
        await town.happen(3)
        await until(lambda: way.sink.link.state == "down" and f"HTTP {status}" in way.sink.link.detail)
        await asyncio.sleep(1)
        assert len(server.asked) == 1
        assert not await way.is_empty()


async def test_too_large_a_batch_is_halved_down_to_what_the_partner_takes(town: Town) -> None:
    async with PartnerServer().serving() as server:
        server.misbehave = lambda batch: (413, {}, b"") if len(batch) > 10 else None
        await town.happen(60)
        way = town.way(server.url)
        await until(way.is_empty)
        assert {int(event["sequence"]) for event in server.events} == set(range(1, 61))
        assert town.counts.of("refused", "parking") == 0


async def test_a_batch_has_a_size(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MAX_BATCH_BYTES", 2000)
    async with PartnerServer().serving() as server:
        way = town.way(server.url)
        await town.happen(20)
        await until(way.is_empty)
        assert max(len(body) for _, body in server.asked) < 2100
        assert len(server.events) == 20


async def test_what_comes_again_has_the_same_webhook_id(town: Town) -> None:
    async with PartnerServer().serving() as server:
        server.misbehave = lambda _: (500, {}, b"") if len(server.asked) == 1 else None
        await town.happen(3)
        way = town.way(server.url)
        await until(way.is_empty)
        first, second = (headers["webhook-id"] for headers, _ in server.asked)
        assert first == second


async def test_a_long_answer_is_not_read_to_its_end(town: Town) -> None:
    async with PartnerServer().serving() as server:
        server.misbehave = lambda _: (200, {}, bytes(32 << 20))
        way = town.way(server.url)
        await town.happen(2)
        await until(way.is_empty)
        assert len(server.events) == 2
        await until(lambda: server.resets == 1)


async def test_a_wrong_key_is_refused_and_a_second_one_helps(town: Town) -> None:
    async with PartnerServer().serving() as server:
        await town.happen(1)
        wrong = town.way(server.url, keys=OTHER)
        await until(lambda: "does not accept the signature" in wrong.sink.link.detail)
        right = town.way(server.url, "insurer", keys=f"{OTHER}\n{KEY}")
        await until(right.is_empty)
        assert [event["recipient"] for event in server.events] == ["insurer"]


async def test_nobody_there(town: Town) -> None:
    way = town.way("http://127.0.0.1:1/presence")
    await town.happen(1)
    await until(lambda: "ConnectError" in way.sink.link.detail)
    assert not await way.is_empty()


async def test_a_partner_that_hangs_slows_nobody(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "ANSWER_S", 1.0)
    async with PartnerServer().serving() as dead, PartnerServer().serving() as other:
        dead.hangs.set()
        stuck, well = town.way(dead.url), town.way(other.url, "insurer")
        await town.happen(1, "ben")
        await until(lambda: len(dead.asked) == 1)
        began_s = asyncio.get_running_loop().time()
        await town.happen(300)
        await until(well.is_empty)
        assert asyncio.get_running_loop().time() - began_s < 20
        assert len(other.events) == 301
        await until(lambda: "no answer within 1 s" in stuck.sink.link.detail)
        dead.hangs.clear()
        await until(stuck.is_empty)
        assert {event["id"] for event in dead.events}.isdisjoint(event["id"] for event in other.events)
        assert len({event["id"] for event in dead.events}) == 301


async def test_a_withdrawal_breaks_what_hangs(town: Town) -> None:
    """What is under way of the subject must not arrive later; the others come again."""
    async with PartnerServer().serving() as server:
        server.hangs.set()
        way = town.way(server.url)
        await town.happen(1, "ben")
        await town.happen(1, "anna")
        await until(lambda: len(server.asked) >= 1)
        town.register.absorb([record("ben", version=2, consents=[])])
        await town.outbox.purge([Withdrawal("ben", town.screen.subject_key("ben"), OPEN)])
        async with asyncio.timeout(15):
            await way.courier.withdraw([town.screen.subject_key("ben")])
        await until(lambda: server.resets == 1)
        server.hangs.clear()
        await until(way.is_empty)
        assert sorted(event["type"] for event in server.events) == [
            "presence.entered.v1",
            "presence.removed.v1",
        ]


async def test_tls_with_a_ca_and_a_client_certificate(town: Town, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with PartnerServer(tls=authority.serving()).serving() as server:
        await town.happen(1)
        stranger = town.way(server.url, "insurer")
        await until(lambda: "CERTIFICATE_VERIFY_FAILED" in stranger.sink.link.detail)
        ours = authority.context("pi-01")
        way = town.way(server.url, tls=lambda: ours)
        await until(way.is_empty)
        assert [event["recipient"] for event in server.events] == ["parking"]


# --- the daemon ---


async def test_a_partner_of_the_daemon(tmp_path: Path) -> None:
    with Mosquitto(tmp_path / "broker") as broker:
        place = Place(tmp_path, broker)
        place.enrol(consent("anna", TAG.format(n=1), "vehicle:fleet/golf", partner=True))
        secret = place.config / "partner.secret"
        secret.write_text(KEY)
        secret.chmod(0o600)
        async with PartnerServer().serving() as server:
            settings = (place.config / "gateway.yaml").read_text()
            webhook = f"webhook: {{url: '{server.url}', secret: ./partner.secret}}"
            changed = settings.replace("via: local\n    ack: puback", webhook)
            assert changed != settings
            (place.config / "gateway.yaml").write_text(changed)
            async with place.daemon() as daemon, platform(place) as at, sender(place) as s:
                await daemon.ready()
                for t_s, lat, speed_kmh in arrival(time.time() - 45):
                    await drove(s, "golf", t_s, lat, vel=speed_kmh)
                await until(lambda: "entered" in at.zone_changes("car-park"))
                await until(lambda: len(server.events) == 1)
                await daemon.stop()
    (event,) = server.events
    assert (event["type"], event["recipient"]) == ("presence.entered.v1", "partner")
    assert event["subject"] != "anna"
