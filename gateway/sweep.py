"""What a withdrawal leaves to be done after its commit: free pages given back, recordings rewritten, damaged
stores that lie aside deleted.

The store remembers that a sweep was asked for until it is done, so that a crash at any step resumes it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from msgspec import Struct

from gateway import recordings
from gateway.errors import RecordingError, StoreError
from gateway.outbox import Outbox
from gateway.recordings import Part

PIECE_PAGES = 256
"""Freed at a time: a few milliseconds of the writer's thread."""
LOOK_S = 30.0
"""How often recordings that grow are looked at: another process writes them."""
AGAIN_S = 1.0

Parts = Callable[[], Callable[[], Part] | None]

_log = logging.getLogger("gateway.sweep")


class Swept(Struct):
    """What went, and what could not be done."""

    lines: int = 0
    """Of recordings."""
    problems: list[str] = []


class Sweep:
    """Use `run` as a task; `ask` after each withdrawal."""

    def __init__(self, outbox: Outbox, state_dir: Path, part: Parts) -> None:
        """`part()` gives what makes, anew for each recording, the judge of its lines; None while nobody knows
        who may stay, as before the feed of consents is confirmed.
        """
        self._outbox = outbox
        self._state_dir = state_dir
        self._part = part
        self._asked = asyncio.Event()
        self._looked_at: dict[Path, int] = {}
        """Recording → time of its last change when it was swept."""

    def ask(self) -> None:
        self._asked.set()

    async def run(self) -> NoReturn:
        self._asked.set()  # what was withdrawn while this program did not run
        while True:
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._asked.wait()
            except TimeoutError:
                pass
            self._asked.clear()
            try:
                swept = await self.once()
            except StoreError as error:
                _log.warning("the sweep after a withdrawal is tried again: %s", error)
                swept = None
            if swept is None or swept.problems:
                await asyncio.sleep(AGAIN_S)
                self._asked.set()

    async def once(self) -> Swept | None:
        """All of it, once; None while there are recordings and it is not known who may stay in them."""
        asked = await self._outbox.sweep_due()
        if asked:
            self._looked_at.clear()
            while await self._outbox.vacuum(PIECE_PAGES):  # noqa: ASYNC110 - others write between pieces
                await asyncio.sleep(0)
        await self._outbox.discard_due()
        part = self._part()
        if part is not None:
            swept = await asyncio.to_thread(self._recordings, part)
        elif await asyncio.to_thread(self._has_recordings):
            return None
        else:
            swept = Swept(0, [])
        for problem in swept.problems:
            _log.error("a withdrawal does not reach a recording: %s", problem)
        if asked and not swept.problems:
            await self._outbox.swept(asked)
        return swept

    def _has_recordings(self) -> bool:
        return bool(recordings.enlisted(self._state_dir))

    def _recordings(self, part: Callable[[], Part]) -> Swept:
        swept, paths = Swept(0, []), recordings.enlisted(self._state_dir)
        self._looked_at = {path: at_ns for path, at_ns in self._looked_at.items() if path in paths}
        for path in paths:
            try:
                changed_ns = path.stat().st_mtime_ns
                if self._looked_at.get(path) != changed_ns:
                    removed = recordings.rewrite(path, part())
                    swept.lines += removed
                    if not removed:  # else something may have been appended since
                        self._looked_at[path] = changed_ns
            except (OSError, RecordingError) as error:
                swept.problems.append(str(error))
        return swept
