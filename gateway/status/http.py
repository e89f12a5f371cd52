"""A small HTTP/1.1 server: h11 reads and writes, everything else is bounded here.

For one page on one machine: few connections, short headers, exact paths, no files. What is beyond a limit is
refused and counted in room `page`.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import ipaddress
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final, NoReturn
from urllib.parse import parse_qs, urlsplit

import h11
from msgspec import Struct, field

from gateway.conversations import Conversations
from gateway.counts import Counts
from gateway.links import Link

CONNECTIONS: Final = 32
STREAMS: Final = 8
"""Of the connections, those that stay open for a stream."""
HEADER_BYTES: Final = 8 << 10
BODY_BYTES: Final = 4 << 10
REQUEST_S: Final = 10.0
"""For a whole request to come in, and for an idle connection to ask again."""
WRITE_S: Final = 10.0
"""For a reader to take what it was sent."""
UNTAKEN_BYTES: Final = 256 << 10
"""Of a stream's reader that has fallen behind: it is let go."""
REBIND_S: Final = 30.0
SECURITY: Final = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}
_log = logging.getLogger("gateway.page")
_SAME = frozenset(["same-origin", "none"])


class Asked(Struct, frozen=True):
    """One request, as far as a page needs it."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes = b""

    @property
    def form(self) -> dict[str, str]:
        """The fields of an urlencoded form, each once."""
        return _fields(self.body.decode("utf-8", "replace"))


class Answer(Struct, frozen=True):
    status: int
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)
    stream: AsyncIterator[bytes] | None = None
    """What follows for as long as the reader stays; then `body` is empty."""


Serve = Callable[[Asked], Awaitable[Answer]]


class Gate(Struct, frozen=True):
    """Who may ask, and by which name."""

    token: str | None
    """None: everybody who reaches the port."""
    hosts: frozenset[str] = frozenset()
    """Names beside `localhost`, in lower case; no foreign page can make up an address (DNS rebinding)."""
    open_paths: frozenset[str] = frozenset(["/healthz", "/readyz"])

    def refusal(self, asked: Asked) -> Answer | None:
        """None: it may ask."""
        if not self._knows(asked.headers.get("host", "")):
            return Answer(421, b"This name is not served; page.hosts lists those that are.\n")
        if asked.method == "POST" and asked.headers.get("sec-fetch-site", "none") not in _SAME:
            return Answer(403, b"Not from another site.\n")
        if asked.path not in self.open_paths and not self.admits(asked):
            return Answer(401, b"A token is needed.\n", headers={"www-authenticate": 'Basic realm="gateway"'})
        return None

    def admits(self, asked: Asked) -> bool:
        """The token as password of any user (a browser), or as a bearer's (a collector of metrics)."""
        if self.token is None:
            return True
        scheme, _, said = asked.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                _, _, said = base64.b64decode(said, validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                return False
        elif scheme.lower() != "bearer":
            return False
        return hmac.compare_digest(said.encode(), self.token.encode())

    def _knows(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
            if name == "localhost" or name in self.hosts:
                return True
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


class PageServer:
    """Run it as a task. A port that is taken is tried again: the gateway works without its page."""

    def __init__(self, address: tuple[str, int], gate: Gate, serve: Serve, counts: Counts) -> None:
        self.link = Link("page")
        self._address = address
        self._gate = gate
        self._serve = serve
        self._counts = counts
        self._conversations = Conversations(self._converse)
        self._streams = 0

    async def run(self) -> NoReturn:
        host, port = self._address
        while True:
            try:
                server = await asyncio.start_server(
                    self._connected, host, port, limit=HEADER_BYTES, backlog=16
                )
            except (OSError, UnicodeError) as error:  # a host that cannot be one
                why = getattr(error, "strerror", None) or error
                self.link.down(f"{host}:{port}: {why}; `page: {{listen: …}}` names another")
                await asyncio.sleep(REBIND_S)
                continue
            self.link.up(f"http://{host}:{port}/")
            try:
                await asyncio.Event().wait()  # `serve_forever` would wait for streams when it is cancelled
            finally:
                server.close()
                await self._conversations.end()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._conversations) >= CONNECTIONS:
            self._counts.count("page", "too_many_connections")
            writer.transport.abort()
            return
        self._conversations.begin(reader, writer)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _Conversation(reader, writer).hold(self._answer, self._counts)
        except (OSError, TimeoutError, h11.LocalProtocolError):
            self._counts.count("page", "broken_off")
            writer.transport.abort()
        except Exception:
            self._counts.count("page", "failed")
            _log.exception("the page failed in a stream")
            writer.transport.abort()

    async def _answer(self, asked: Asked) -> Answer:
        refused = self._gate.refusal(asked)
        if refused is not None:
            self._counts.count("page", f"refused_{refused.status}")
            return refused
        try:
            answer = await self._serve(asked)
        except Exception:  # the gateway goes on, whatever is wrong with its page
            self._counts.count("page", "failed")
            _log.exception("the page failed at %s", asked.path)
            return Answer(500, b"This failed; the log says why.\n")
        if answer.stream is None:
            return answer
        if self._streams >= STREAMS:
            self._counts.count("page", "too_many_streams")
            return Answer(503, b"Too many readers.\n")
        return Answer(200, b"", answer.content_type, answer.headers, self._counted(answer.stream))

    async def _counted(self, stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        self._streams += 1
        try:
            async for part in stream:
                yield part
        finally:
            self._streams -= 1


class _Conversation:
    """One connection: requests one after another."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEADER_BYTES)

    async def hold(self, answer: Serve, counts: Counts) -> None:
        while True:
            try:
                async with asyncio.timeout(REQUEST_S):
                    asked = await self._asked()
            except h11.RemoteProtocolError as error:
                counts.count("page", "malformed")
                if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                    await self._send(Answer(error.error_status_hint, b"Not understood.\n"), closing=True)
                return
            except TimeoutError:
                return
            if asked is None:
                return
            counts.count("page", "asked")
            await self._send(await answer(asked), head=asked.method == "HEAD")
            if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                return
            self._http.start_next_cycle()

    async def _asked(self) -> Asked | None:
        """None: the other end is done."""
        request, body = None, bytearray()
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                if self._http.they_are_waiting_for_100_continue:
                    self._writer.write(
                        self._http.send(h11.InformationalResponse(status_code=100, headers=[])) or b""
                    )
                self._http.receive_data(await self._reader.read(HEADER_BYTES))
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > BODY_BYTES:
                    raise h11.RemoteProtocolError("the body is too long", error_status_hint=413)
            elif isinstance(event, h11.EndOfMessage) and request is not None:
                return _asked(request, bytes(body))
            else:
                return None

    async def _send(self, answer: Answer, *, head: bool = False, closing: bool = False) -> None:
        headers = dict(SECURITY) | {"content-type": answer.content_type} | dict(answer.headers)
        if answer.stream is None:
            headers["content-length"] = str(len(answer.body))
        if closing or answer.stream is not None:
            headers["connection"] = "close"
        self._put(h11.Response(status_code=answer.status, headers=list(headers.items())))
        if not head and answer.stream is None:
            self._put(h11.Data(data=answer.body))
        elif not head and answer.stream is not None:
            await self._flow(answer.stream)
        self._put(h11.EndOfMessage())
        async with asyncio.timeout(WRITE_S):
            await self._writer.drain()

    async def _flow(self, stream: AsyncIterator[bytes]) -> None:
        """Until the reader goes, or has fallen too far behind."""
        gone = asyncio.ensure_future(self._reader.read(1))
        try:
            async for part in stream:
                transport = self._writer.transport
                if gone.done() or transport.is_closing() or transport.get_write_buffer_size() > UNTAKEN_BYTES:
                    raise ConnectionError("the reader of a stream is gone")
                self._put(h11.Data(data=part))
        finally:
            gone.cancel()
            close: Any = getattr(stream, "aclose", None)
            if close is not None:
                await close()

    def _put(self, event: h11.Event) -> None:
        self._writer.write(self._http.send(event) or b"")


def _asked(request: h11.Request, body: bytes) -> Asked:
    target = request.target.decode("latin-1")
    if target.startswith("http://"):  # RFC 9112 §3.2.2: the absolute form is to be accepted
        target = "/" + target.removeprefix("http://").partition("/")[2]
    if not target.startswith("/"):
        raise h11.RemoteProtocolError("not a path")
    path, _, query = target.partition("?")
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers}
    return Asked(request.method.decode("ascii"), path, _fields(query), headers, body)


def _fields(text: str) -> dict[str, str]:
    """ValueError never: what is too much is left out."""
    try:
        return {name: values[0] for name, values in parse_qs(text, max_num_fields=8).items()}
    except ValueError:
        return {}
