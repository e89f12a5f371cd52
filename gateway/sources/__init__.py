"""Where signals come from. A source hands over and never waits for the pipeline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from gateway.links import Link
from gateway.model import Signal

Hear = Callable[[Signal], None]
"""Takes a signal without blocking; what does not fit is counted there, not here."""
Clock = Callable[[], float]
"""Pipeline time, Unix seconds; never runs backwards."""


class Source(Protocol):
    link: Link

    async def run(self) -> None:
        """Hear until cancelled; a lost transport is said on `link` and tried again."""
