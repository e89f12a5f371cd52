"""Moves signals from the lanes through the pipeline into the outbox, in batches, and says thanks afterwards.

A signal of a persistent session is acknowledged to its broker when everything that came of it, and of all
signals before it, is on disk.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence
from typing import NoReturn, Protocol

from gateway.clock import PipelineClock
from gateway.consent.bars import Withdrawal
from gateway.lanes import Acknowledge, Lanes
from gateway.outbox import Outbox, Transaction
from gateway.pipeline import Outcome, Pipeline

BATCH = 256
"""Signals between two looks at the event loop: some 10 ms of work."""
BATCH_BYTES = 1 << 16
"""Of messages with sightings, likewise: some three hundred advertisements."""
UNCOMMITTED = 2_000
"""Transactions in memory above which the lanes have to hold the rest."""
BREATH_S = 0.05
LOOK_S = 1.0
"""Longest sleep where nothing is due, so that an idle pump can be told from one that hangs."""
FINISH_S = 2.0


class Keeper(Protocol):
    """Who sees to the rest of a withdrawal."""

    def heed(self, withdrawals: Sequence[Withdrawal]) -> None:
        """Told before these are committed."""

    def carried_out(self, withdrawals: Sequence[Withdrawal], removed: int) -> None:
        """Told afterwards, with how many queued events went."""


class Pump:
    def __init__(
        self, lanes: Lanes, pipeline: Pipeline, outbox: Outbox, keeper: Keeper, clock: PipelineClock
    ) -> None:
        self._lanes = lanes
        self._pipeline = pipeline
        self._outbox = outbox
        self._keeper = keeper
        self._clock = clock
        self._owed: deque[tuple[int, list[Acknowledge]]] = deque()
        """Acknowledgements by the transaction that they wait for, rising."""
        self._submitted = self._committed = 0
        self._all_committed = asyncio.Event()
        self._all_committed.set()
        self.batches = 0
        """Taken through the pipeline, empty ones too."""
        self.progress = 0
        """Rises with each batch, empty ones too, and each commit; stands still while nothing gets through."""

    async def run(self) -> NoReturn:
        while True:
            await self._lanes.wait(self._idle_s())
            await self.step()
            await asyncio.sleep(BREATH_S if self._outbox.uncommitted > UNCOMMITTED else 0)

    async def step(self) -> None:
        """One batch through the pipeline, and everything that is due by now."""
        if self._outbox.uncommitted > UNCOMMITTED:
            return
        arrivals = self._lanes.drain(BATCH, BATCH_BYTES)
        outcome = self._pipeline.feed([a.signal for a in arrivals])
        if not len(self._lanes):  # else a signal that waits is older than now
            due = self._pipeline.advance(self._clock())
            outcome.releases += due.releases
            outcome.stays += due.stays
        await self.store(outcome, [a.acknowledge for a in arrivals if a.acknowledge is not None])
        self.batches += 1
        self.progress += 1

    async def store(self, outcome: Outcome, acknowledges: list[Acknowledge] = []) -> None:  # noqa: B006 - read only
        """Hand an outcome to the outbox; a withdrawal is on disk when this returns."""
        if outcome.releases or outcome.stays:
            self._outbox.submit(Transaction(outcome.releases, outcome.stays), self._thank)
            self._submitted += 1
            self._all_committed.clear()
        if acknowledges:
            self._owed.append((self._submitted, acknowledges))
            self._pay()
        if outcome.withdrawn:
            self._keeper.heed(outcome.withdrawn)
            self._keeper.carried_out(outcome.withdrawn, await self._outbox.purge(outcome.withdrawn))

    def _thank(self) -> None:
        self._committed += 1
        self.progress += 1
        if self._committed == self._submitted:
            self._all_committed.set()
        self._pay()

    def _pay(self) -> None:
        while self._owed and self._owed[0][0] <= self._committed:
            for acknowledge in self._owed.popleft()[1]:
                acknowledge()

    async def finish(self) -> None:
        """Take what is in the lanes now and see it committed and acknowledged, for `FINISH_S` at most.

        What comes meanwhile is not waited for: a flood must not hold up a stop, and it was not acknowledged.
        """
        for _ in range(len(self._lanes) // BATCH + self._lanes.weight_bytes // BATCH_BYTES + 1):
            await self.step()
            await asyncio.sleep(0)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FINISH_S):
                await self._all_committed.wait()

    def _idle_s(self) -> float:
        """Real seconds until something is due, `LOOK_S` at most."""
        deadline_s = self._pipeline.next_deadline()
        if deadline_s is None:
            return LOOK_S
        return min(LOOK_S, max(0.0, self._clock.real_s(deadline_s - self._clock())))
