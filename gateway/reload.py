"""What is read again while the daemon runs: identity keys, deny-list and consent file, each as a whole."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TypeVar

from gateway.assembly import Assembly, identity_keys_of
from gateway.clock import PipelineClock
from gateway.consent import load_consent_file, load_deny_list
from gateway.errors import ConfigError
from gateway.lanes import Lanes
from gateway.model import ConsentSignal
from gateway.pump import Pump
from gateway.reloads import LastReload, place_of

_log = logging.getLogger("gateway.reload")
_P = TypeVar("_P")
_T = TypeVar("_T")


class Reload:
    def __init__(self, assembly: Assembly, pump: Pump, lanes: Lanes, clock: PipelineClock) -> None:
        self._assembly = assembly
        self._pump = pump
        self._lanes = lanes
        self._clock = clock
        self.last = LastReload()
        self._problems: list[str] = []

    async def reread(self) -> None:
        """Each file that can be used is taken over; a broken one changes nothing and says why."""
        settings, pipeline, self._problems = self._assembly.settings, self._assembly.pipeline, []
        if settings.identity_keys is not None:  # first: who is enrolled now may need one
            keys = await self._read_again("the identity keys", identity_keys_of, settings)
            if keys is not None:
                _log.info("identity keys taken over: %d irk, %d eid, %d bind", *keys.numbers)
                self._assembly.identity_keys = keys
                pipeline.rekey(keys)
        listed = settings.consent.deny if settings.consent else None
        denied = await self._read_again(listed.name, load_deny_list, listed) if listed else None
        if listed and denied is not None:
            _log.info("%s taken over: %d entries", listed.name, len(denied))
            await self._pump.store(pipeline.deny(denied, self._clock()))
        file = settings.consent.feed.file if settings.consent else None
        records = await self._read_again(file.name, load_consent_file, file) if file else None
        if file and records is not None:
            _log.info("%s taken over: %d records", file.name, len(records))
            self._lanes.control(ConsentSignal(self._clock(), tuple(records), complete=True))
        self.last.done(self._clock(), self._problems)

    async def _read_again(self, what: str, read: Callable[[_P], _T], place: _P) -> _T | None:
        """None for a broken file, which changes nothing and says why."""
        try:
            return await asyncio.to_thread(read, place)
        except ConfigError as error:
            _log.error("%s cannot be used, and what was read before holds on:\n%s", what, error)
            self._problems += map(place_of, error.problems)
            return None
