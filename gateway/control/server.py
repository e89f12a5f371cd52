"""The answering side, in the daemon."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from gateway.control.wire import MAX_BYTES, NAME, QUESTION_BYTES, Reply, Request, near, own_directory
from gateway.conversations import Conversations
from gateway.errors import GatewayError

PATIENCE_S = 5.0
"""How long a client may take for its question."""

Answer = Callable[[Request], Awaitable[dict[str, Any]]]


class ControlServer:
    """Answers this user and root, nobody else. Run it as a task; a GatewayError is an answer."""

    def __init__(self, state_dir: Path, answer: Answer) -> None:
        self._directory = own_directory(state_dir)
        self._answer = answer
        self._conversations = Conversations(self._serve)

    async def run(self) -> NoReturn:
        (self._directory / NAME).unlink(missing_ok=True)  # of a run that was cut off; the lock is ours
        listening = socket.socket(socket.AF_UNIX)
        with near(self._directory) as path:
            before = os.umask(0o177)
            try:
                listening.bind(path)
            finally:
                os.umask(before)
        # `start_unix_server` of Python 3.13 looks the path up, by a descriptor that is closed.
        server = await asyncio.start_server(self._conversations.begin, sock=listening, limit=QUESTION_BYTES)
        try:
            # `serve_forever` of Python 3.12 waits for open connections when it is cancelled.
            await asyncio.Event().wait()
        finally:
            server.close()
            (self._directory / NAME).unlink(missing_ok=True)
            await self._conversations.end()
        raise AssertionError("it serves for ever")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reply = await self._reply(reader, _uid_of(writer))
        payload = msgspec.json.encode(reply)
        if len(payload) > MAX_BYTES:
            too_long = f"the answer is longer than {MAX_BYTES >> 20} MiB"
            payload = msgspec.json.encode(Reply(refused=too_long))
        writer.write(payload + b"\n")
        await writer.drain()

    async def _reply(self, reader: asyncio.StreamReader, uid: int) -> Reply:
        """Reads the question in any case: an unread one would break the connection before the refusal."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                question = await reader.readline()
            request = msgspec.json.decode(question, type=Request)
        except (
            ValueError,
            msgspec.DecodeError,
            RecursionError,
        ) as error:  # ValueError: too long
            return Reply(refused=f"not understood: {error}")
        if uid not in (0, os.geteuid()):
            return Reply(refused="this socket answers root and the gateway's own user")
        try:
            return Reply(said=await self._answer(request))
        except GatewayError as error:
            return Reply(refused=str(error))


def _uid_of(writer: asyncio.StreamWriter) -> int:
    """Of the process at the other end (unix(7), SO_PEERCRED)."""
    connection = writer.get_extra_info("socket")
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", credentials)
    return int(uid)
