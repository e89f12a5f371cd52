"""Consents over HTTP from a real server: pages, changes, a lost cursor, and servers that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import shutil
import ssl
import tracemalloc
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from authority import Authority
from consent_feeds import ADDRESS, erasure, payload, signed
from consent_server import Answer, ConsentServer, page
from consents import NOON_S
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from daemons import until
from listening import listening

from gateway.access import bearer_token
from gateway.certificates import Certificates
from gateway.consent import pages
from gateway.consent.pages import MAX_PAGE_BYTES, PagedFeed, PageError
from gateway.consent.register import Register
from gateway.consent.signature import Signers
from gateway.counts import Counts
from gateway.credentials import SecretUnusableError
from gateway.https import Tls
from gateway.lanes import Lanes
from gateway.links import retry_after_s
from gateway.model import ConsentSignal, FeedState
from gateway.settings.secrets import Secret
from gateway.sources import consent_http
from gateway.sources.consent_http import ConsentHttp, Place

SYSTEM = functools.cache(ssl.create_default_context)


class Asker:
    """The source with a register behind its lane; asks again after 50 ms."""

    def __init__(
        self,
        url: str,
        *,
        signers: Signers | None = None,
        token: Callable[[], str] | None = None,
        tls: Tls = SYSTEM,
    ) -> None:
        self.counts = Counts()
        self.lanes = Lanes(self.counts)
        self.register = Register(Counts())
        self.states: list[FeedState] = []
        self.completes = 0
        self.t_s = NOON_S
        self.feed = PagedFeed("test", self.counts, signers)
        place = Place(url, 0.05, tls, token)
        self.source = ConsentHttp(place, self.feed, self.lanes, lambda: self.t_s)

    @property
    def confirmed_s(self) -> float | None:
        return self.states[-1].confirmed_s if self.states else None

    @contextlib.asynccontextmanager
    async def asking(self) -> AsyncIterator[Asker]:
        tasks = [asyncio.create_task(self.source.run()), asyncio.create_task(self._absorb())]
        try:
            yield self
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def admits(self, *subjects: str) -> list[str]:
        return [subject for subject in subjects if self.register.admits(subject, NOON_S)]

    async def _absorb(self) -> None:
        while True:
            await self.lanes.wait(None)
            for arrival in self.lanes.drain(256):
                if isinstance(arrival.signal, ConsentSignal):
                    self.register.absorb(arrival.signal.records, complete=arrival.signal.complete)
                    self.completes += arrival.signal.complete
                elif isinstance(arrival.signal, FeedState):
                    self.states.append(arrival.signal)
            await asyncio.sleep(0)


async def test_a_thousand_records_then_changes() -> None:
    async with ConsentServer(page=130).serving() as server:
        for n in range(1000):
            server.put(f"card-{n}", payload(f"card-{n}"))
        async with Asker(server.url).asking() as ear:
            await until(lambda: ear.confirmed_s == NOON_S)
            assert [s.doubt for s in ear.states][:2] == ["never_confirmed", ""]
            assert ear.admits("card-0", "card-999") == ["card-0", "card-999"]
            await until(lambda: len(server.asked) > 8)
            assert [cursor for cursor, _ in server.asked][:9] == [
                *(None, "1-130", "1-260", "1-390", "1-520", "1-650", "1-780", "1-910", "1-1000")
            ]
            ear.t_s = NOON_S + 60
            server.put("card-0", payload("card-0", version=2, consents=[]))
            server.put("card-1", erasure("card-1", 2))
            await until(lambda: ear.admits("card-0", "card-1", "card-2") == ["card-2"])
            await until(lambda: ear.confirmed_s == NOON_S + 60)
            ear.t_s = NOON_S + 120
            await until(lambda: server.answered.count(304) >= 2)  # nothing new is confirmation too
            await until(lambda: ear.confirmed_s == NOON_S + 120)
            assert ear.completes == 0


async def test_a_lost_cursor_starts_from_the_beginning_and_drops_who_is_gone() -> None:
    async with ConsentServer(page=2).serving() as server:
        for subject in ("anna", "ben", "carl"):
            server.put(subject, payload(subject))
        async with Asker(server.url).asking() as ear:
            await until(lambda: ear.admits("anna", "ben", "carl") == ["anna", "ben", "carl"])
            server.rebuild("ben")
            ear.t_s = NOON_S + 60
            await until(lambda: ear.confirmed_s == NOON_S + 60)
            assert ear.admits("anna", "ben", "carl") == ["anna", "carl"]
            assert (ear.completes, server.answered.count(410)) == (1, 1)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((500, {}, b""), "HTTP 500"),
        ((404, {}, b""), "HTTP 404"),
        ((302, {"Location": "http://127.0.0.1:1/"}, b""), "redirects are not followed"),
        ((401, {}, b""), "token or client certificate refused"),
        ((200, {}, b""), "what came is no page"),
        ((200, {}, b"{"), "what came is no page"),
        ((200, {}, b"[" * 100_000), "what came is no page"),
        ((200, {}, b'{"records": {}, "cursor": "c", "complete": true}'), "what came is no page"),
        ((200, {}, b'{"records": [], "cursor": null, "complete": true}'), "what came is no page"),
        ((200, {}, b'{"records": [], "cursor": "c"}'), "what came is no page"),
        ((200, {}, page([], "c" * 2000)), "more than 1024 characters"),
        ((200, {"Content-Encoding": "gzip"}, b"\x1f\x8b"), "compressed"),
        ((200, {"Content-Length": str(100 << 20)}, b"{"), "more than 16 MiB"),
        ((200, {"Content-Length": "-5"}, b""), "RemoteProtocolError"),
        ((304, {}, b""), "HTTP 304"),
    ],
    ids=str,
)  # fmt: skip
async def test_servers_that_misbehave_confirm_nothing(answer: Answer, words: str) -> None:
    async with ConsentServer().serving() as server:
        server.misbehave = lambda _: answer
        async with Asker(server.url).asking() as ear:
            await until(lambda: words in ear.source.link.detail)
            assert [s.doubt for s in ear.states] == ["never_confirmed"]
            server.put("anna", payload("anna"))
            server.misbehave = lambda _: None
            await until(lambda: ear.admits("anna") == ["anna"])


async def test_a_body_without_an_announced_end_is_bounded_while_it_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """100 MB in chunks: given up at the limit, without the memory."""
    sent = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        piece = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        with contextlib.suppress(ConnectionError):
            for _ in range(1600):
                writer.write(piece)
                await writer.drain()
                sent += 0x10000

    monkeypatch.setattr(consent_http, "full_jitter", lambda: iter([3600.0]))
    tracemalloc.start()
    try:
        async with listening(flood) as port, Asker(f"http://127.0.0.1:{port}/").asking() as ear:
            await until(lambda: "more than 16 MiB" in ear.source.link.detail)
            _, peak = tracemalloc.get_traced_memory()
            assert [s.doubt for s in ear.states] == ["never_confirmed"]
    finally:
        tracemalloc.stop()
    assert sent < 2 * MAX_PAGE_BYTES
    assert peak < 3 * MAX_PAGE_BYTES


async def test_a_server_that_says_when_to_come_back_is_left_alone() -> None:
    async with ConsentServer().serving() as server:
        server.misbehave = lambda _: (503, {"Retry-After": "3600"}, b"")
        async with Asker(server.url).asking() as ear:
            await until(lambda: "HTTP 503" in ear.source.link.detail)
            await asyncio.sleep(1.5)  # the first pause alone is a second at most
            assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [
        (None, 0.0),
        ("7", 7.0),
        ("0", 0.0),
        ("86400", 3600.0),
        ("9" * 400, 3600.0),
        ("-1", 0.0),
        ("soon", 0.0),
        ("٣", 0.0),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0.0),
        ("Fri, 31 Dec 2999 23:59:59 GMT", 3600.0),
        ("Fri, 31 Dec 2999 23:59:59 -0000", 3600.0),
    ],
)
def test_when_to_come_back(text: str | None, wait_s: float) -> None:
    assert retry_after_s(text) == wait_s


async def test_a_token_is_read_anew_and_never_follows_elsewhere(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("wrong\n")
    file.chmod(0o600)
    async with ConsentServer(token="right").serving() as server:  # noqa: S106 - of a test
        server.put("anna", payload("anna"))
        async with Asker(server.url, token=lambda: bearer_token(Secret(file))).asking() as ear:
            await until(lambda: "HTTP 401" in ear.source.link.detail)
            file.write_text("right\n")
            await until(lambda: ear.admits("anna") == ["anna"])
        assert {h["authorization"] for _, h in server.asked} == {"Bearer wrong", "Bearer right"}


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        (b"x\ny", 0o600, "does not hold one line"),
        (b"", 0o600, "does not hold one line"),
        (b"\xff", 0o600, "does not hold one line"),
        (b"right", 0o644, "open to others"),
    ],
)
def test_tokens_that_cannot_serve(tmp_path: Path, content: bytes, mode: int, words: str) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    file.chmod(mode)
    with pytest.raises(SecretUnusableError, match=words):
        bearer_token(Secret(file))


async def test_tls_with_a_ca_and_a_client_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with_ca, with_both = authority.context(None), authority.context("pi-01")
    async with ConsentServer(tls=authority.serving()).serving() as server:
        server.put("anna", payload("anna"))
        for tls in (SYSTEM, lambda: with_ca):  # an unknown authority; nobody that the server knows
            async with Asker(server.url, tls=tls).asking() as ear:
                await until(lambda ear=ear: "trying again" in ear.source.link.detail)  # type: ignore[misc]
                assert ear.admits("anna") == []
        async with Asker(server.url, tls=lambda: with_both).asking() as ear:
            await until(lambda: ear.admits("anna") == ["anna"])


async def test_certificates_change_while_it_asks(tmp_path: Path) -> None:
    """The authority changes, and with it everything. The log says once that a key is missing yet, and no more."""
    old, new = Authority(tmp_path / "old"), Authority(tmp_path / "new")
    mine = tmp_path / "mine"
    mine.mkdir()

    for authority in (old, new):
        authority.issue("pi-01")

    def take(authority: Authority, *names: str) -> None:
        for name in names:
            shutil.copy(authority.folder / name, mine / name)

    take(old, "ca.pem", "pi-01.pem", "pi-01.key")
    tls = Certificates("feed", ca=mine / "ca.pem", cert=mine / "pi-01.pem", key=str(mine / "pi-01.key"))
    async with ConsentServer(tls=old.serving()).serving() as server:
        server.put("anna", payload("anna"))
        async with Asker(server.url, tls=tls).asking() as ear:
            await until(lambda: ear.admits("anna") == ["anna"])
            await server.restart(new.serving())
            server.put("ben", payload("ben"))
            await until(lambda: "trying again" in ear.source.link.detail)
            take(new, "ca.pem", "pi-01.pem")
            await asyncio.sleep(0.3)
            assert ear.admits("ben") == []
            take(new, "pi-01.key")
            await until(lambda: ear.admits("ben") == ["ben"])


# --- the feed alone: pages in, signals out ---


def feed_of(signers: Signers | None = None) -> tuple[PagedFeed, Counts]:
    counts = Counts()
    return PagedFeed("test", counts, signers), counts


def turn(feed: PagedFeed, body: bytes, t_s: float = NOON_S) -> list[Any]:
    told = feed.read(body)
    records = [record for chunk in feed.records(told) for record in chunk]
    return [*records, *feed.finish(told, t_s, t_s)]


def record_of(subject: str, **changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(payload(subject, **changes))
    return made


def test_a_page_that_leads_nowhere_is_refused() -> None:
    feed, _ = feed_of()
    turn(feed, page([record_of("anna")], "c1", complete=False))
    assert feed.cursor == "c1"
    with pytest.raises(PageError, match="lead nowhere"):
        feed.read(page([], "c1", complete=False))


def test_a_change_that_cannot_be_used_denies_and_has_all_of_them_read_again() -> None:
    feed, _ = feed_of()
    turn(feed, page([record_of("anna"), record_of("ben")], "c1"))
    bad = '{"records": [{"subject": "anna", "version": 2, "version": 3}], "cursor": "c2", "complete": true}'
    told = feed.read(bad.encode())
    handed = feed.records(told)
    assert next(handed) == ({"subject": "anna", "fault": "doubled_key"},)
    with pytest.raises(PageError, match="reading all of them again"):
        next(handed)
    assert feed.cursor is None
    *_, whole, state = turn(feed, page([record_of("anna", version=3)], "c3"))
    assert whole == ConsentSignal(NOON_S, (record_of("anna", version=3),), complete=True)
    assert state == FeedState(NOON_S, NOON_S)


@pytest.mark.parametrize(
    ("text", "outcome", "denied"),
    [
        ('{"subject": "anna", "version": 2, "version": 3}', "doubled_key", [("anna", None)]),
        (
            '{"subject": "anna", "subject": "ben", "version": 2}',
            "doubled_key",
            [("anna", None), ("ben", None)],
        ),
        (json.dumps({"subject": "anna", "notice": "x" * 70_000}), "too_long", []),
        ('{"subject": ""}', "malformed", []),
        ("7", "malformed", []),
    ],
    ids=lambda value: str(value)[:40],
)
def test_bad_records_on_a_page(text: str, outcome: str, denied: list[tuple[str, int | None]]) -> None:
    feed, counts = feed_of()
    told = turn(feed, f'{{"records": [{text}], "cursor": "c", "complete": false}}'.encode())
    assert [(said["subject"], said.get("version")) for said in told] == denied
    assert counts.by_room() == {"consent_feed": {outcome: 1}}


def test_signed_records_on_a_page() -> None:
    key = Ed25519PrivateKey.generate()
    feed, counts = feed_of(Signers([key.public_key()]))
    right = json.loads(signed(key, f"{ADDRESS}k1", payload("anna"), named="k1"))
    elsewhere = right | {"key": "k2"}
    nameless = {k: v for k, v in right.items() if k != "key"}
    told = turn(feed, page([right, elsewhere, nameless, record_of("ben")], complete=False))
    assert told == [
        record_of("anna"),
        {"subject": "anna", "version": 1, "fault": "wrong_signature"},
        {"subject": "ben", "version": 1, "fault": "unsigned"},
    ]
    assert counts.by_room()["consent_feed"] == {
        "malformed": 1,
        "record": 1,
        "unsigned": 1,
        "wrong_signature": 1,
    }


def test_more_than_a_gateway_holds_confirms_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "MAX_RECORDS", 3)
    feed, counts = feed_of()
    told = turn(feed, page([record_of(f"s{n}") for n in range(5)]))
    assert told[-1] == FeedState(NOON_S, None, "unmatched")
    assert (len(told), counts.of("consent_feed", "too_many")) == (4, 2)
    feed.start_again()
    assert turn(feed, page([record_of("s0")]))[-1] == FeedState(NOON_S, NOON_S)
    feed.start_again()
    with pytest.raises(PageError, match="more records than a gateway holds"):  # pages without end
        turn(feed, page([record_of(f"s{n}") for n in range(5)], "c2", complete=False))
