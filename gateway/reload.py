"""What a running gateway takes over without a restart: the map, identity keys, deny-list and consent file.

Each is read and validated as a whole before anything changes; what cannot be used changes nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from gateway import lastmap
from gateway.assembly import Assembly, Configuration, identity_keys_of, zone_facts
from gateway.calibration.remarks import remarks
from gateway.clock import PipelineClock
from gateway.consent import load_consent_file, load_deny_list
from gateway.core import prepare
from gateway.errors import ConfigError, Problem
from gateway.lanes import Lanes
from gateway.located import MAX_BYTES
from gateway.model import ConsentSignal, SiteMap
from gateway.profiles import profiles_of
from gateway.pump import Pump
from gateway.settings import GatewaySettings, look, right
from gateway.settings.restarts import waiting
from gateway.settings.secrets import SETTINGS_FILE

_PLACE = re.compile(r"[^:\s]+:\d+:\d+")
_log = logging.getLogger("gateway.reload")
_P = TypeVar("_P")
_T = TypeVar("_T")


class Report(Struct):
    """What came of the last reload, for an operator."""

    at_s: float
    taken: list[str] = []
    """One line for each file that holds now."""
    waiting: list[str] = []
    """Changes that need a restart: `file: key`."""
    problems: list[Problem] = []
    """Why the map was not taken over; empty where it was, or had not changed."""
    refused: list[str] = []
    """Why other files were not taken over."""

    def refused_places(self) -> list[str]:
        """For a page: of files about people no more than where they have problems."""
        places = [_PLACE.match(line) for refusal in self.refused for line in refusal.splitlines()[1:]]
        return [place[0] for place in places if place]


class Reload:
    def __init__(
        self, assembly: Assembly, configuration: Configuration, pump: Pump, lanes: Lanes, clock: PipelineClock
    ) -> None:
        self._assembly = assembly
        self._directory = configuration.directory
        self._profiles, self._profiles_digest = configuration.profiles, _digest(self._directory)
        self._pump = pump
        self._lanes = lanes
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()
        self.last = Report(clock(), problems=list(configuration.map_problems))

    async def everything(self) -> Report:
        """SIGHUP: all of it again."""
        async with self._one_at_a_time:
            self.last = report = Report(self._clock())
            await self._reread(report)
            if report.refused:
                _log.error("the map holds on as it was: what belongs to it cannot be used")
            else:
                await self._map(report)
            return report

    async def reread(self) -> None:
        """Identity keys, deny-list and consent file alone."""
        async with self._one_at_a_time:
            await self._reread(Report(self._clock()))

    def files(self) -> list[Path]:
        """All that a reload reads, as far as it is there."""
        settings = self._assembly.settings
        named = [settings.consent.feed.file, settings.consent.deny] if settings.consent else []
        if settings.identity_keys is not None:
            named.append(settings.identity_keys.path())
        own = sorted((self._directory / "profiles").glob("*.yaml"))
        map_files = lastmap.map_files(self._directory)
        return [self._directory / SETTINGS_FILE, *map_files, *own, *(path for path in named if path)]

    async def keep_map(self) -> None:
        """The map that holds is the one for a start with a broken one."""
        if not self.last.problems:
            state_dir = self._assembly.settings.gateway.state_dir
            await asyncio.to_thread(lastmap.keep, state_dir, self._directory)

    # --- the map ---

    async def _map(self, report: Report) -> None:
        try:
            candidate, other_profiles = await asyncio.to_thread(self._candidate)
        except ConfigError as error:
            report.problems = list(error.problems)
            _log.error("the map holds on as it was; its candidate has problems:\n%s", error)
            return
        assembly = self._assembly
        report.waiting = waiting((assembly.site, assembly.settings), candidate)
        if other_profiles:
            report.waiting.append("profiles: firmware profiles of this directory")
        for key in report.waiting:
            _log.warning("%s was changed and waits for a restart", key)
        old = assembly.site
        # Under the name that the topics of this run have.
        new = msgspec.structs.replace(candidate[0], site=old.site)
        if new == old:
            return
        await asyncio.to_thread(prepare, new)  # the swap itself is quick
        # No await from here to the swap: it falls between two signals.
        outcome = assembly.pipeline.replace_site(new, zone_facts(new))
        assembly.site = new
        report.taken.append(f"map taken over: {changes(old, new)}")
        _log.info("%s", report.taken[-1])
        for remark in remarks(new):
            _log.warning("%s", remark)
        await self._pump.store(outcome)
        await self.keep_map()

    def _candidate(self) -> tuple[tuple[SiteMap, GatewaySettings], bool]:
        """Map and settings anew, and whether the firmware profiles of the directory are others than those
        that run. Those that run are not read again: it would take longer than all the rest."""
        other = _digest(self._directory) != self._profiles_digest
        profiles = profiles_of(self._directory) if other else self._profiles
        return right(look(self._directory, profiles=profiles.subscribable)), other

    # --- the other files ---

    async def _reread(self, report: Report) -> None:
        settings, pipeline = self._assembly.settings, self._assembly.pipeline
        if settings.identity_keys is not None:  # first: who is enrolled now may need one
            keys = await _read_again("the identity keys", identity_keys_of, settings, report)
            if keys is not None:
                self._took(report, "identity keys taken over: {} irk, {} eid, {} bind".format(*keys.numbers))
                self._assembly.identity_keys = keys
                pipeline.rekey(keys)
        listed = settings.consent.deny if settings.consent else None
        denied = await _read_again(listed.name, load_deny_list, listed, report) if listed else None
        if listed and denied is not None:
            self._took(report, f"{listed.name} taken over: {len(denied)} entries")
            await self._pump.store(pipeline.deny(denied, self._clock()))
        file = settings.consent.feed.file if settings.consent else None
        records = await _read_again(file.name, load_consent_file, file, report) if file else None
        if file and records is not None:
            self._took(report, f"{file.name} taken over: {len(records)} records")
            self._lanes.control(ConsentSignal(self._clock(), tuple(records), complete=True))

    @staticmethod
    def _took(report: Report, line: str) -> None:
        report.taken.append(line)
        _log.info("%s", line)


async def _read_again(what: str, read: Callable[[_P], _T], place: _P, report: Report) -> _T | None:
    """None for a broken file, which changes nothing and says why."""
    try:
        return await asyncio.to_thread(read, place)
    except ConfigError as error:
        report.refused.append(f"{what} cannot be used, and what was read before holds on:\n{error}")
        _log.error("%s", report.refused[-1])
        return None


def changes(old: SiteMap, new: SiteMap) -> str:
    """What differs, by kind of thing and name."""
    words = []
    for what in ("floors", "zones", "fences", "receivers", "beacons"):
        before = {thing.id: thing for thing in getattr(old, what)}
        after = {thing.id: thing for thing in getattr(new, what)}
        groups = {
            "changed": [name for name in after if name in before and before[name] != after[name]],
            "new": [name for name in after if name not in before],
            "gone": [name for name in before if name not in after],
        }
        words += [f"{what} {how}: {', '.join(names)}" for how, names in groups.items() if names]
    if old.calibration != new.calibration:
        words.append("another calibration" if new.calibration else "no calibration any more")
    return "; ".join(words) or "names or defaults only"


def _digest(directory: Path) -> bytes:
    """Of the firmware profiles that belong to a configuration."""
    digest = hashlib.sha256()
    for path in sorted((directory / "profiles").glob("*.yaml")):
        digest.update(path.name.encode() + b"\0" + _content(path) + b"\0")
    return digest.digest()


def _content(path: Path) -> bytes:
    """No more than a profile may be long; of what cannot be read, why."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        return str(error).encode()
