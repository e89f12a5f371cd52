"""The status of one running gateway as tasks: it looks, tells the brokers, and serves the page."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from gateway.access import page_token
from gateway.status.health import HealthTeller
from gateway.status.vitals import Lookout

if TYPE_CHECKING:
    from gateway.status.http import PageServer
    from gateway.status.page import Journey


class Status:
    """Run it as a task. ConfigError for a token that cannot serve."""

    def __init__(self, lookout: Lookout, journey: Journey, tell: Callable[[], None]) -> None:
        """`tell` is called when `health` has changed."""
        settings = lookout.assembly.settings
        self._lookout = lookout
        self._teller = HealthTeller(lookout, tell)
        self._server: PageServer | None = None
        if settings.page.address is not None:
            # Loaded where there is a page.
            from gateway.status.http import Gate, PageServer  # noqa: PLC0415
            from gateway.status.page import Page  # noqa: PLC0415

            gate = Gate(page_token(settings), frozenset(host.lower() for host in settings.page.hosts))
            page = Page(lookout, gate, journey)
            self._server = PageServer(settings.page.address, gate, page.serve, lookout.assembly.counts)

    @property
    def health(self) -> dict[str, Any]:
        """As it was last looked at; empty before the first look."""
        return self._teller.health or {}

    async def run(self) -> NoReturn:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._lookout.run())
            group.create_task(self._teller.run())
            if self._server is not None:
                group.create_task(self._server.run())
        raise AssertionError("its tasks never end")
