"""The platform asks what is held of one subject, and gets the overview that `gateway consent show` gives."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from gateway.consent.records import MAX_REFERENCE
from gateway.counts import Counts
from gateway.errors import GatewayError

WAITING = 10
"""Questions that may wait; an answer reads recordings and takes its time."""

Reply = Callable[[str, bytes], Awaitable[None]]


class Question(Struct, frozen=True):
    id: Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{1,64}$")]
    """Chosen by who asks; the last part of the answer's topic."""
    subject: Annotated[str, Meta(min_length=1, max_length=MAX_REFERENCE)]


class Questions:
    """One at a time. Counted in room `questions`: answered, malformed, too_many, failed."""

    def __init__(self, overview: Callable[[str], Awaitable[bytes]], counts: Counts) -> None:
        self._overview = overview
        self._counts = counts
        self._waiting = 0
        self._turn = asyncio.Lock()

    async def answer(self, payload: bytes, reply: Reply) -> None:
        """Never raises; what cannot be answered is counted and not answered."""
        try:
            question = msgspec.json.decode(payload, type=Question)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._counts.count("questions", "malformed")
            return
        if self._waiting >= WAITING:
            self._counts.count("questions", "too_many")
            return
        self._waiting += 1
        try:
            async with self._turn:
                await reply(question.id, await self._overview(question.subject))
            self._counts.count("questions", "answered")
        except GatewayError:
            self._counts.count("questions", "failed")
        finally:
            self._waiting -= 1
