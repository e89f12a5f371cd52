"""A partner's webhook: checks signatures by its own means, keeps what it took; and its misbehaviour."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any

from listening import listening

KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
Answer = tuple[int, dict[str, str], bytes]
"""Status, headers, body."""


class PartnerServer:
    def __init__(self, *, tls: ssl.SSLContext | None = None, key: str = KEY) -> None:
        self.misbehave: Callable[[list[dict[str, Any]]], Answer | None] = lambda _: None
        """Instead of taking a batch."""
        self.hangs = asyncio.Event()
        """While set, no request is answered, nor is any read."""
        self.asked: list[tuple[dict[str, str], bytes]] = []
        """Headers and body of every request."""
        self.events: list[dict[str, Any]] = []
        """What it took, in the order in which it came."""
        self.resets = 0
        """Connections that were broken rather than closed."""
        self.url = ""
        self._tls, self._key = tls, key

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[PartnerServer]:
        async with listening(self._serve, tls=self._tls, limit=1 << 20) as port:
            self.url = f"http{'s' if self._tls else ''}://127.0.0.1:{port}/presence"
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii").split("\r\n")
                headers = {k.lower(): v.strip() for k, _, v in (ln.partition(":") for ln in head[1:] if ln)}
                body = await reader.readexactly(int(headers["content-length"]))
                self.asked.append((headers, body))
                if self.hangs.is_set():
                    await reader.read(1)  # until the other end gives up
                    return
                status, more, answer = self._answer(headers, body)
                told = {"Content-Length": str(len(answer)), **more}
                lines = [f"HTTP/1.1 {status} Answer", *(f"{k}: {v}" for k, v in told.items()), "", ""]
                writer.write("\r\n".join(lines).encode() + answer)
                await writer.drain()
        except (ConnectionResetError, BrokenPipeError):
            self.resets += 1
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass

    def _answer(self, headers: dict[str, str], body: bytes) -> Answer:
        if not self._is_signed(headers, body):
            return 401, {}, b""
        batch = json.loads(body)
        answer = self.misbehave(batch)
        if answer is None or 200 <= answer[0] < 300:
            self.events += batch
        return answer or (204, {}, b"")

    def _is_signed(self, headers: dict[str, str], body: bytes) -> bool:
        """As docs/events.md tells a partner to check it, but for the age."""
        key = base64.b64decode(self._key.removeprefix("whsec_"))
        told = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        right = "v1," + base64.b64encode(hmac.new(key, told, hashlib.sha256).digest()).decode()
        return any(hmac.compare_digest(right, one) for one in headers["webhook-signature"].split(" "))
