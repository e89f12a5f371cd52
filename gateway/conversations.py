"""The open connections of a server: each a task, counted until its socket is closed, none left at a stop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

TAKEN_S: Final = 10.0
"""For the other end to take what was written last."""

Converse = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Conversations:
    def __init__(self, converse: Converse, taken_s: float = TAKEN_S) -> None:
        """`converse`: what it raises breaks the connection off; an OSError or TimeoutError, which the other
        end can bring about, goes no further."""
        self._converse = converse
        self._taken_s = taken_s
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """For `asyncio.start_server`, which reports a task of its own when it is cancelled at a stop."""
        task = asyncio.create_task(self._hold(reader, writer))
        self._open[task] = writer
        task.add_done_callback(self._open.pop)

    async def _hold(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._converse(reader, writer)
            writer.close()
            async with asyncio.timeout(self._taken_s):
                await writer.wait_closed()
        except (OSError, TimeoutError):
            pass
        finally:
            writer.transport.abort()  # who takes nothing would hold the socket for as long as they like

    async def end(self) -> None:
        """All are broken off, also one whose task has not begun."""
        writers = list(self._open.values())
        for task in list(self._open):  # the callback takes them out
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        for writer in writers:
            writer.transport.abort()
        await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)
