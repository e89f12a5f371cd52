"""What waits in the outbox and may wait no longer: its consent or its time has ended, link or no link.

Asked once a minute of everything queued, a piece at a time, so that nobody waits for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import NoReturn

from gateway.consent import ConsentScreen
from gateway.errors import StoreError
from gateway.outbox import Outbox, Reason, Waiting

EVERY_S = 60.0
PIECE = 500
"""Events between two looks at the event loop: a few milliseconds."""
PAUSE_S = 0.02

_log = logging.getLogger("gateway.lapses")


class Lapses:
    """Use `run` as a task."""

    def __init__(self, outbox: Outbox, screen: ConsentScreen, clock: Callable[[], float]) -> None:
        """`clock`: of the pipeline, Unix seconds."""
        self._outbox = outbox
        self._screen = screen
        self._clock = clock

    async def run(self) -> NoReturn:
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.once()
            except StoreError as error:
                _log.warning("what may wait no longer is looked for again: %s", error)

    async def once(self) -> int:
        """How many events went."""
        gone = 0
        for recipient in await self._outbox.backlog():
            after = 0
            while rows := await self._outbox.waiting(recipient, after, PIECE):
                generation = self._outbox.generation
                lapsed: dict[Reason, list[int]] = {}
                for row in rows:
                    reason = self._reason(row)
                    if reason is not None:
                        lapsed.setdefault(reason, []).append(row.sequence)
                for reason, sequences in lapsed.items():
                    await self._outbox.remove(recipient, sequences, reason, generation)
                    gone += len(sequences)
                after = rows[-1].sequence
                await asyncio.sleep(PAUSE_S)
        return gone

    def _reason(self, row: Waiting) -> Reason | None:
        now_s = self._clock()
        if self._screen.is_clock_doubted(now_s):  # then no time can be said to have ended
            return None
        if row.is_overdue or (row.expires_s is not None and row.expires_s <= now_s):
            return "expired"
        return self._screen.lapsed(row, now_s) if row.subject_key else None
