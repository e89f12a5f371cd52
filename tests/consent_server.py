"""A small reference server of the HTTP feed: pages by cursor, ETag, bearer token, TLS; and its misbehaviour.

A platform keeps a log of changes; a cursor is a place in it. `GET /consents?after=CURSOR` answers
`{records, cursor, complete}`; without `after` the whole set as it is now, in pages.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from listening import listening

Answer = tuple[int, dict[str, str], bytes]
"""Status, headers, body."""


class ConsentServer:
    def __init__(
        self, *, page: int = 100, token: str | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        """`page`: records on one page."""
        self.changes: list[tuple[str, bytes]] = []
        """Subject and record, in the order of the changes."""
        self.epoch = 1
        """Part of each cursor: with a new one the old are unknown."""
        self.misbehave: Callable[[str | None], Answer | None] = lambda _: None
        """Instead of an answer of its own, given the cursor."""
        self.asked: list[tuple[str | None, dict[str, str]]] = []
        """Cursor and headers of every request."""
        self.answered: list[int] = []
        self._page, self._token, self._tls = page, token, tls
        self.url = ""
        self._running = contextlib.AsyncExitStack()

    def put(self, subject: str, record: bytes) -> None:
        self.changes.append((subject, record))

    def rebuild(self, *gone: str) -> None:
        """The log begins anew, without some subjects."""
        self.changes = [(subject, record) for subject, record in self.changes if subject not in gone]
        self.epoch += 1

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[ConsentServer]:
        async with self._running:
            self._port = await self._running.enter_async_context(listening(self._serve, tls=self._tls))
            self.url = f"http{'s' if self._tls else ''}://127.0.0.1:{self._port}/consents"
            yield self

    async def restart(self, tls: ssl.SSLContext) -> None:
        """At the same address; who was connected is not any more."""
        await self._running.aclose()
        await self._running.enter_async_context(listening(self._serve, self._port, tls=tls))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii").split("\r\n")
                headers = {
                    k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)
                }
                query = parse_qs(urlsplit(head[0].split(" ")[1]).query)
                cursor = query.get("after", [None])[0]
                self.asked.append((cursor, headers))
                status, more, body = self.misbehave(cursor) or self._answer(cursor, headers)
                self.answered.append(status)
                told = {"Content-Length": str(len(body)), **more}
                lines = [f"HTTP/1.1 {status} Answer", *(f"{k}: {v}" for k, v in told.items()), "", ""]
                writer.write("\r\n".join(lines).encode() + body)
                await writer.drain()

    def _answer(self, cursor: str | None, headers: dict[str, str]) -> Answer:
        if self._token is not None and headers.get("authorization") != f"Bearer {self._token}":
            return 401, {}, b""
        epoch, _, place = (cursor or f"{self.epoch}-0").partition("-")
        if epoch != str(self.epoch):
            return 410, {}, b""
        start = int(place)
        end = min(start + self._page, len(self.changes))
        records = [json.loads(record) for _, record in self.changes[start:end]]
        page = {"records": records, "cursor": f"{self.epoch}-{end}", "complete": end == len(self.changes)}
        body = json.dumps(page).encode()
        tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        if headers.get("if-none-match") == tag:
            return 304, {"ETag": tag}, b""
        return 200, {"ETag": tag, "Content-Type": "application/json"}, body


def page(records: list[Any], cursor: str = "c", complete: bool = True) -> bytes:
    return json.dumps({"records": records, "cursor": cursor, "complete": complete}).encode()
