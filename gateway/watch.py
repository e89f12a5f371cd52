"""Notices that a file of the configuration was written, by looking at it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import NoReturn

LOOK_S = 0.25
"""A file that has rested for so long after a change is written."""

Stamps = dict[Path, tuple[int, int, int] | None]


def stamps(files: Iterable[Path]) -> Stamps:
    """When each was written last, how long it is and which file it is; None for one that is not there."""
    return {path: _stamp(path) for path in files}


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


async def watch(files: Callable[[], Iterable[Path]], changed: Callable[[], Awaitable[object]]) -> NoReturn:
    """Calls `changed` once after each change of any of the files, when all of them rest; run it as a task."""
    known = seen = stamps(files())
    while True:
        await asyncio.sleep(LOOK_S)
        before, seen = seen, stamps(files())
        if seen == before != known:
            known = seen
            await changed()
