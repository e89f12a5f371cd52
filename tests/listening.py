"""Servers of the tests, over real sockets, of which nothing is left at their end."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator

from gateway.conversations import Conversations, Converse


@contextlib.asynccontextmanager
async def listening(
    serve: Converse, port: int = 0, *, tls: ssl.SSLContext | None = None, limit: int = 1 << 16
) -> AsyncIterator[int]:
    """The port. At the end every connection is broken and waited for: an open one would be the warning of
    whatever test runs when it is collected. What `serve` raised is raised then.
    """
    errors: list[Exception] = []

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except Exception as error:
            errors.append(error)
            raise ConnectionAbortedError from None

    conversations = Conversations(converse)
    server = await asyncio.start_server(conversations.begin, "127.0.0.1", port, ssl=tls, limit=limit)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for _ in range(5):  # turns of the loop from an accepted socket to `begin`
            await asyncio.sleep(0)
        await conversations.end()
    if errors:
        raise errors[0]
