"""How the gateway is, gathered from its rooms at one moment: what page, metrics and health are made of."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from gateway import __version__
from gateway.assembly import Assembly
from gateway.calibration.separation import Separation, separations
from gateway.clock import PipelineClock
from gateway.consent.board import Line
from gateway.core.form import core_form
from gateway.errors import Problem, StoreError
from gateway.lanes import Lanes
from gateway.links import Link
from gateway.model import ReceiverHealth, SiteMap
from gateway.outbox import Outbox
from gateway.settings.calibration import map_changed

BACKLOG_S: Final = 5.0
"""The queue is counted on disk: not more often than this."""
STALLED_S: Final = 30.0
"""Without progress for so long the gateway is taken to hang; an idle one makes progress every second."""
TICKER: Final = 12


class Accuracy(Struct, frozen=True):
    """Of the calibration in use, as its model expects it."""

    mean: float
    """Of all zones, each against the one most like it."""
    worst: Separation
    is_outdated: bool
    """The map has changed since."""


class Reloaded(Struct, frozen=True):
    """What came of reading the configuration again, or of the start."""

    at_s: float
    problems: tuple[Problem, ...] = ()
    """Of the map; they name nobody."""
    refused: tuple[str, ...] = ()
    """Of files about people: where they have problems, and no more."""
    waiting: tuple[str, ...] = ()
    """Changes that need a restart."""

    @property
    def has_failed(self) -> bool:
        return bool(self.problems or self.refused)


class Vitals(Struct, frozen=True):
    """Numbers and names of the configuration; no identity, address or reference."""

    t_s: float
    """Pipeline time."""
    links: tuple[tuple[str, str, str], ...]
    """(name, up or down, detail) of sources and sinks."""
    receivers: tuple[ReceiverHealth, ...]
    lanes: dict[str, int]
    queued: dict[str, int]
    """Events on disk, by recipient."""
    uncommitted: int
    is_disk_usable: bool
    doubt: str
    """Why nothing personal may leave now; empty: nothing is in doubt."""
    enrolled: int
    counts: dict[str, int]
    """Consenting subjects by zone."""
    ticker: tuple[Line, ...]
    reload: Reloaded
    accuracy: Accuracy | None
    """None: not calibrated, or one zone only."""
    is_stalled: bool
    batches: int
    """Taken through the pipeline since the start."""


class Lookout:
    """Looks at the rooms of one running gateway. `run` keeps count of progress; `look` gathers."""

    def __init__(
        self,
        assembly: Assembly,
        outbox: Outbox,
        lanes: Lanes,
        clock: PipelineClock,
        *,
        links: Sequence[Link],
        progress: Callable[[], float],
        batches: Callable[[], int],
        reload: Callable[[], Reloaded],
    ) -> None:
        self.assembly = assembly
        self.clock = clock
        self.started_s = time.time()
        self.core_form = core_form()
        self.version = __version__
        self._outbox = outbox
        self._lanes = lanes
        self._links = links
        self._progress = progress
        self._batches = batches
        self._reload = reload
        self._accuracy: Accuracy | None = None
        self._queued: dict[str, int] = {}
        self._counted_at_s = float("-inf")
        self._seen = -1.0
        self._seen_at_s = time.monotonic()

    async def run(self) -> None:
        site: SiteMap | None = None
        while True:
            self._mark()
            if self.assembly.site is not site:
                site = self.assembly.site
                self._accuracy = await asyncio.to_thread(accuracy, site)
            await asyncio.sleep(BACKLOG_S)

    @property
    def is_stalled(self) -> bool:
        """Signals wait, and none has got through for a while."""
        self._mark()
        return time.monotonic() - self._seen_at_s > STALLED_S

    async def look(self) -> Vitals:
        if time.monotonic() - self._counted_at_s >= BACKLOG_S:
            self._counted_at_s = time.monotonic()
            with contextlib.suppress(StoreError):  # the link of the outbox says so
                self._queued = await self._outbox.backlog()
        now_s, pipeline, register = self.clock(), self.assembly.pipeline, self.assembly.register
        return Vitals(
            t_s=now_s,
            links=tuple((link.name, link.state, link.detail) for link in self._links),
            receivers=tuple(pipeline.receivers()),
            lanes=self._lanes.waiting,
            queued=self._queued,
            uncommitted=self._outbox.uncommitted,
            is_disk_usable=self._outbox.link.state == "up",
            doubt=register.doubt(now_s) or "",
            enrolled=len(register.subjects()),
            counts=pipeline.board.counts(now_s),
            ticker=tuple(pipeline.board.ticker(now_s, TICKER)),
            reload=self._reload(),
            accuracy=self._accuracy,
            is_stalled=self.is_stalled,
            batches=self._batches(),
        )

    def counted(self) -> dict[str, dict[str, int]]:
        return self.assembly.pipeline.counted().by_room()

    def _mark(self) -> None:
        progress = self._progress()
        if progress != self._seen:
            self._seen, self._seen_at_s = progress, time.monotonic()


def accuracy(site: SiteMap) -> Accuracy | None:
    """Some hundred milliseconds for a large map."""
    told = separations(site.calibration) if site.calibration is not None else []
    if not told:
        return None
    mean = sum(separation.accuracy for separation in told) / len(told)
    return Accuracy(mean, min(told, key=lambda separation: separation.accuracy), map_changed(site))
