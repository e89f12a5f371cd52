"""The HTTP server by itself: a table of requests, as bytes, and what comes back. Nothing here needs a gateway."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator

import pytest
from daemons import until
from mosquitto import free_port

from gateway.counts import Counts
from gateway.status import http
from gateway.status.http import Answer, Asked, Gate, PageServer

TOKEN = "a-token-of-some-length"  # noqa: S105


async def echo(asked: Asked) -> Answer:
    if asked.path == "/stream":
        return Answer(200, content_type="text/event-stream", stream=_stream())
    if asked.path == "/flood":
        return Answer(200, stream=_stream(b"x" * 65_536))
    if asked.path == "/broken":
        raise RuntimeError("a bug")
    if asked.path == "/breaks":
        return Answer(200, stream=_breaking())
    if asked.path != "/":
        return Answer(404, b"nothing")
    return Answer(200, asked.body or b"hello")


async def _stream(part: bytes = b"data: 1\n\n") -> AsyncIterator[bytes]:
    while True:
        yield part
        await asyncio.sleep(0.001)


async def _breaking() -> AsyncIterator[bytes]:
    yield b"data: 1\n\n"
    raise RuntimeError("a bug")


class Served:
    def __init__(self, port: int, counts: Counts, server: PageServer) -> None:
        self.port, self.counts, self._server = port, counts, server

    def held(self) -> int:
        """Connections that the server has."""
        return len(self._server._conversations)

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def say(self, request: bytes) -> bytes:
        """What comes until the other end closes; nothing where it shuts the door."""
        reader, writer = await self.open()
        writer.write(request)
        try:
            return await asyncio.wait_for(reader.read(), 10)
        except ConnectionResetError:
            return b""
        finally:
            writer.close()


@contextlib.asynccontextmanager
async def serving(token: str | None = None, hosts: tuple[str, ...] = ()) -> AsyncIterator[Served]:
    counts, port = Counts(), free_port()
    server = PageServer(("127.0.0.1", port), Gate(token, frozenset(hosts)), echo, counts)
    task = asyncio.create_task(server.run())
    try:
        await until(lambda: server.link.state == "up")
        yield Served(port, counts, server)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def get(
    path: str = "/", *headers: str, method: str = "GET", host: str = "localhost", body: str = ""
) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def basic(text: str) -> str:
    return "Authorization: Basic " + base64.b64encode(text.encode()).decode()


TABLE: dict[str, tuple[bytes, int]] = {
    "the page": (get(), 200),
    "HEAD": (get(method="HEAD"), 200),
    "something else": (get("/x"), 404),
    "out of the folder": (get("/../../etc/passwd"), 404),
    "out of the folder, in disguise": (get("/%2e%2e/%2e%2e/etc/passwd"), 404),
    "a whole address": (get("http://localhost/"), 200),
    "an address that is none": (get("//["), 404),
    "no path": (get("*", method="OPTIONS"), 400),
    "a host that is none": (get(host="[::"), 421),
    "by address": (get(host="192.168.1.7:8780"), 200),
    "by address, version 6": (get(host="[::1]:8780"), 200),
    "a name of somebody else (DNS rebinding)": (get(host="evil.example"), 421),
    "a form of another site": (get(method="POST", body="a=b"), 200),
    "a form that says so": (get("/", "Sec-Fetch-Site: cross-site", method="POST", body="a=b"), 403),
    "not HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "a header that never ends": (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 20_000, 431),
    "a body that is too long": (get(method="POST", body="x" * 5_000), 413),
    "two lengths": (
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        400,
    ),
    "smuggled": (
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n"
        b"Connection: close\r\n\r\n0\r\n\r\n",
        200,  # the length does not count beside chunks (RFC 9112 §6.3)
    ),
}


async def test_requests_and_their_answers() -> None:
    async with serving() as served:
        for name, (request, status) in TABLE.items():
            answer = await served.say(request)
            assert answer.split(b" ", 2)[1] == str(status).encode(), f"{name}: {answer[:200]!r}"
        assert served.counts.of("page", "malformed") >= 5


async def test_every_answer_says_what_a_browser_may_do() -> None:
    async with serving() as served:
        for request in (get(), get("/x"), get(host="evil.example"), b"nonsense\r\n\r\n"):
            head = (await served.say(request)).partition(b"\r\n\r\n")[0].decode()
            for name in http.SECURITY:
                assert f"\r\n{name}: " in head, name
            policy = http.SECURITY["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("X-Nothing: 1", 401),
        (f"Authorization: Bearer {TOKEN}", 200),
        (basic(f"anybody:{TOKEN}"), 200),
        (basic(f"anybody:{TOKEN}x"), 401),
        (basic(TOKEN), 401),
        ("Authorization: Bearer ", 401),
        ("Authorization: Basic %%%", 401),
        (f"Authorization: Digest {TOKEN}", 401),
        ("Authorization: Basic " + base64.b64encode(b"a:\xff").decode(), 401),
    ],
)
async def test_the_token(header: str, status: int) -> None:
    async with serving(TOKEN) as served:
        answer = await served.say(get("/", header))
    assert answer.split(b" ", 2)[1] == str(status).encode()
    assert TOKEN.encode() not in answer
    assert (b"www-authenticate" in answer) == (status == 401)


async def test_health_needs_no_token_and_a_proxy_has_its_name() -> None:
    async with serving(TOKEN, ("shop.example",)) as served:
        assert b" 404 " in await served.say(get("/healthz"))  # past the gate
        assert b" 401 " in await served.say(get("/", host="shop.example"))
        assert b" 421 " in await served.say(get("/healthz", host="other.example"))


async def test_one_connection_takes_many_requests() -> None:
    async with serving() as served:
        reader, writer = await served.open()
        for _ in range(3):
            writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            assert b"HTTP/1.1 200" in head
            assert await reader.readexactly(5) == b"hello"
        writer.close()


async def test_too_many_connections_and_streams() -> None:
    async with serving() as served:
        held = [await served.open() for _ in range(http.CONNECTIONS)]
        assert await served.say(get()) == b""
        for _, writer in held:
            writer.close()
        await until(lambda: served.held() == 0)
        streams = [await served.open() for _ in range(http.STREAMS)]
        for reader, writer in streams:
            writer.write(get("/stream"))
            assert b"data: 1" in await reader.readuntil(b"data: 1\n")
        assert b" 503 " in await served.say(get("/stream"))
        for _, writer in streams:
            writer.close()
        for _ in range(100):
            if b" 200" in await _first_line(served):
                break
            await asyncio.sleep(0.05)
        else:
            pytest.fail("the room of readers that went is not given back")
        assert served.counts.of("page", "too_many_connections") == 1
        assert served.counts.of("page", "too_many_streams") >= 1


async def _first_line(served: Served) -> bytes:
    reader, writer = await served.open()
    writer.write(get("/stream"))
    line = await reader.readline()
    writer.close()
    return line


async def test_a_bug_of_the_page_is_an_answer_and_a_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as served:
        assert b" 500 " in await served.say(get("/broken"))
        assert b"data: 1" in await served.say(get("/breaks"))
        assert b" 200 " in await served.say(get())
        assert served.counts.of("page", "failed") == 2
    assert [record.message for record in caplog.records if record.exc_info] == [
        "the page failed at /broken", "the page failed in a stream",
    ]  # fmt: skip


async def test_who_asks_nothing_or_slowly_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "REQUEST_S", 0.2)
    async with serving() as served:
        assert await served.say(b"") == b""
        assert await served.say(b"GET / HTTP/1.1\r\nHost: loc") == b""


async def test_a_reader_that_takes_nothing_is_let_go() -> None:
    async with serving() as served:
        _, writer = await asyncio.open_connection("127.0.0.1", served.port, limit=1)
        writer.write(get("/flood"))
        await until(lambda: served.counts.of("page", "broken_off") == 1)
        writer.close()


async def test_a_port_that_is_taken_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "REBIND_S", 0.05)
    port = free_port()
    squatter = await asyncio.start_server(lambda *_: None, "127.0.0.1", port)
    server = PageServer(("127.0.0.1", port), Gate(None), echo, Counts())
    task = asyncio.create_task(server.run())
    await until(lambda: "listen" in server.link.detail)
    assert server.link.state == "down"
    squatter.close()
    await squatter.wait_closed()
    await until(lambda: server.link.state == "up")
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
