"""Whether the gateway lives and whether it can do its work, in few words."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, Literal, NoReturn

from gateway.status.vitals import Lookout, Vitals

SAY_S: Final = 10.0
"""The retained word follows a change within so long."""


Unready = Literal["stalled", "disk", "sources", "consent"]


def unready(vitals: Vitals) -> list[Unready]:
    """Why it does not do its work; empty: it does. Links to recipients do not count: events wait for them."""
    sources = [state for name, state, _ in vitals.links if name.startswith(("source ", "ble"))]
    reasons: list[tuple[Unready, bool]] = [
        ("stalled", vitals.is_stalled),
        ("disk", not vitals.is_disk_usable),
        ("sources", bool(sources) and "up" not in sources),
        ("consent", bool(vitals.doubt)),
    ]
    return [reason for reason, holds in reasons if holds]


def health(vitals: Vitals) -> dict[str, Any]:
    """As it is retained on the state topic (docs/events.md): names of the configuration, and no detail."""
    return {
        "ready": not unready(vitals),
        "consent": vitals.doubt or "confirmed",
        "links_down": sorted(name for name, state, _ in vitals.links if state == "down"),
        "receivers_dead": sorted(r.id for r in vitals.receivers if r.is_dead),
        "reload_failed": vitals.reload.has_failed,
    }


class HealthTeller:
    """Calls `tell` when what it says has changed, and never more often than every `SAY_S`."""

    def __init__(self, lookout: Lookout, tell: Callable[[], None]) -> None:
        self.health: dict[str, Any] | None = None
        """None: not looked yet."""
        self._lookout = lookout
        self._tell = tell

    async def run(self) -> NoReturn:
        while True:
            now = health(await self._lookout.look())
            if now != self.health:
                self.health = now
                self._tell()
            await asyncio.sleep(SAY_S)
