"""`gateway scan`: what this machine's radio hears now. Nothing of it is stored, sent or logged."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from gateway import assembly
from gateway.assembly import Configuration
from gateway.clock import PipelineClock
from gateway.consent import Register
from gateway.counts import Counts
from gateway.errors import GatewayError
from gateway.identity import NO_KEYS
from gateway.identity.recognition import Recognition
from gateway.model import Sighting, Signal
from gateway.profiles import Profiles, profiles_of
from gateway.settings.identity_keys import IdentityKeys
from gateway.sources.ble import BleSource
from gateway.verbs.scan_table import Air, Seen, as_json, for_the_map, table

EDDYSTONE_LOSS_DB = 41.0
"""Between 0 and 1 m (google/eddystone, protocol specification of UID frames)."""

Say = Callable[[str], None]


class Wanted(NamedTuple):
    directory: Path | None
    """Of a configuration: then what is known is told from what is not, and keys are used."""
    adapter: str | None
    seconds: float
    as_json: bool


class Known:
    """Who is who: the enrolled, the beacons of the map, and whoever's key we hold."""

    def __init__(self, profiles: Profiles, configuration: Configuration | None, keys: IdentityKeys) -> None:
        self._profiles = profiles
        self._recognition = Recognition(keys, Counts())
        self._register = Register(Counts())
        self._beacons: dict[str, str] = {}
        if configuration is not None:
            self._register.absorb(configuration.consent_records, complete=True)
            self._beacons = {b.identity: b.id for b in configuration.site.beacons}

    def look(self, sighting: Sighting) -> Seen:
        counts = Counts()
        identities = self._recognition.identities(sighting, self._profiles.heard(sighting, counts))
        names = _claiming(counts, "matched") or _claiming(counts, "needs_key")
        power_dbm = self._power_at_1_m_dbm(sighting)
        for identity in identities:
            known = self._name(identity)
            if known:
                return Seen(identity, names, known, power_dbm)
        return Seen(identities[0] if identities else "", names, "", power_dbm)

    def _power_at_1_m_dbm(self, sighting: Sighting) -> float | None:
        for decoded in self._profiles.decode(sighting.adv, sighting.address):
            power = decoded.values.get("power_1m_dbm")
            if isinstance(power, int | float):
                return float(power)
            power = decoded.values.get("power_0m_dbm")
            if isinstance(power, int | float):
                return float(power) - EDDYSTONE_LOSS_DB
        return None

    def _name(self, identity: str) -> str:
        if identity in self._beacons:
            return f"beacon {self._beacons[identity]}"
        return "enrolled" if self._register.subject_of(identity, time.time()) is not None else ""


def _claiming(counts: Counts, outcome: str) -> tuple[str, ...]:
    """Profiles of which one advertisement had this outcome."""
    rooms = (room for room, said in counts.by_room().items() if outcome in said)
    return tuple(room.removeprefix("profiles.") for room in rooms if room.startswith("profiles."))


async def scan(wanted: Wanted, say: Say, tell: Say) -> None:
    """`say` prints results, `tell` what happens meanwhile. GatewayError: there is no radio that hears."""
    configuration = assembly.read_configuration(wanted.directory) if wanted.directory else None
    profiles = configuration.profiles if configuration else profiles_of(None)
    keys = assembly.identity_keys_of(configuration.settings) if configuration else NO_KEYS
    clock = PipelineClock()
    profiles = profiles.with_bind_keys(keys)
    air = Air(Known(profiles, configuration, keys).look, clock(), wanted.seconds)
    source = await _listen(wanted, air, configuration, clock, tell)
    if not air.rows() and source.link.state != "up":
        raise GatewayError(f"{source.link.name}: {source.link.detail}")
    if wanted.as_json:
        for line in as_json(air):
            say(line.decode())
        return
    for text in table(air, shutil.get_terminal_size((110, 24)).columns):
        say(text)
    floor = configuration.site.zones[0].floor if configuration and configuration.site.zones else "ground"
    lines = list(for_the_map(air.rows(), floor))
    if lines:
        say("")
        say("# For site.yaml: those of these that stay where they are, with their place.")
        for text in lines:
            say(text)


async def _listen(
    wanted: Wanted, air: Air, configuration: Configuration | None, clock: PipelineClock, tell: Say
) -> BleSource:
    """Hear for as long as wanted, or until interrupted; what was heard until then counts."""

    def hear(signal_: Signal) -> None:
        if isinstance(signal_, Sighting):
            air.take(signal_)

    adapter = wanted.adapter
    if adapter is None and configuration is not None and configuration.settings.ble is not None:
        adapter = next((a for a in configuration.settings.ble.adapters if a != "auto"), None)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop.set)
    source = BleSource("", hear, clock, adapter=adapter)
    listening = asyncio.create_task(source.run())
    tell(f"Listening for {wanted.seconds:g} s; Ctrl-C ends it earlier.")
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(wanted.seconds):
            await stop.wait()
    air.lasted_s = max(0.1, clock() - air.began_s)
    listening.cancel()
    await asyncio.wait({listening})
    return source
