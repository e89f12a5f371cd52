"""`gateway calibrate` without a recording: a walk through the store, guided in the terminal.

What is heard comes by the brokers and the adapters of the settings, as for `gateway run`, or from a recording
that is being written. Only readings taken while somebody stands where told are kept, in memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from msgspec import Struct

from gateway import assembly, progress, recording
from gateway.calibration import fit, samples, separations
from gateway.clock import PipelineClock
from gateway.consent import Keys
from gateway.consent.keys import KEY_BYTES
from gateway.core.cells import leaves
from gateway.counts import Counts
from gateway.errors import GatewayError
from gateway.hearing import sources_of
from gateway.identity import EveryDevice, Identification
from gateway.lanes import Lanes
from gateway.model import Label, Message, Reading, Sighting, SiteMap
from gateway.settings import load_site

Ask = Callable[[str], Awaitable[str]]
"""Shows a line and waits for Enter; what was typed before it."""
Say = Callable[[str], None]

BATCH = 1_000
LISTEN_S = 5.0
"""So long the loudest device is looked for, where none is named."""
POLL_S = 0.2
OUTSIDE = "outside of all zones (an aisle)"
KEYS = "Enter to begin, s to skip, q to end"
SILENT = "nothing was heard: is the device on, and do its adverts reach a receiver of the map?"


class Walk(Struct):
    """What was heard where somebody stood, in order of time."""

    device: str
    entries: list[Reading | Label]
    last_s: float = 0.0


class Ears:
    """All that is heard while it runs, as readings."""

    def __init__(self, identification: Identification, lanes: Lanes) -> None:
        self._identification, self._lanes = identification, lanes

    async def listen(self, stand_s: float, tell: Callable[[int, Sequence[Reading]], None]) -> list[Reading]:
        """For so many seconds; `tell` gets the seconds that are left, and what was heard so far."""
        loop = asyncio.get_running_loop()
        until_s, heard = loop.time() + stand_s, list[Reading]()
        self._drain()
        while (left_s := until_s - loop.time()) > 0:
            tell(round(left_s), heard)
            await asyncio.sleep(min(left_s, 1.0))
            heard += self._drain()
        return heard

    def _drain(self) -> list[Reading]:
        readings = []
        while arrivals := self._lanes.drain(BATCH):
            for arrival in arrivals:
                if isinstance(arrival.signal, Sighting | Message):
                    found = self._identification.heard(arrival.signal)
                    readings += [o for _, o in found if isinstance(o, Reading)]
                if arrival.acknowledge is not None:
                    arrival.acknowledge()
        return readings


class Wishes(Struct, frozen=True):
    """What the guide is asked for."""

    device: str | None = None
    """Identity of the device that is carried; None: the loudest."""
    stand_s: float = 60.0
    follow: Path | None = None
    """A recording that is being written, instead of the brokers and adapters of the settings."""


class Terminal(Struct, frozen=True):
    ask: Ask
    say: Say


async def walk(directory: Path, wishes: Wishes, terminal: Terminal) -> Walk:
    """GatewayError where nothing is heard at all."""
    lanes, counts = Lanes(Counts()), Counts()
    if wishes.follow is None:
        configuration = assembly.read_configuration(directory, walked=False)
        # Nothing is released here, so no key is needed.
        assembled = assembly.assemble(configuration, Keys(bytes(KEY_BYTES)))
        site, profiles, keys = assembled.site, assembled.profiles, assembled.identity_keys
        running = [
            s.run() for s in sources_of(assembled, lanes, PipelineClock(), role="calibrate", persistent=False)
        ]
    else:
        site = load_site(directory, walked=False)
        profiles, keys = assembly.for_surveys(directory, site, terminal.say)
        running = [_follow(wishes.follow, lanes)]
    ears = Ears(Identification(site, profiles, EveryDevice(), counts, keys), lanes)
    hearing = [asyncio.ensure_future(source) for source in running]
    try:
        device = wishes.device.lower() if wishes.device else await _loudest(ears, terminal)
        return await _through(site, Walk(device, []), ears, wishes.stand_s, terminal)
    finally:
        for task in hearing:
            task.cancel()
        await asyncio.gather(*hearing, return_exceptions=True)


async def _follow(path: Path, lanes: Lanes) -> None:
    """Lines that are written to the end of a recording from now on."""
    with path.open("rb") as file:
        file.seek(0, 2)
        rest = b""
        while True:
            rest += file.read()
            *lines, rest = rest.split(b"\n")
            for line in lines:
                signal = recording.parse(line) if line.strip() else None
                if isinstance(signal, Sighting | Message):
                    lanes.sighting(signal)
            await asyncio.sleep(POLL_S)


async def _loudest(ears: Ears, terminal: Terminal) -> str:
    await terminal.ask("hold the device that you carry close to a receiver, and press Enter")
    heard = await ears.listen(LISTEN_S, lambda *_: None)
    if not heard:
        raise GatewayError(SILENT)
    loudest = max(heard, key=lambda r: (r.rssi_dbm, r.device))
    terminal.say(f"walking with {loudest.device}, heard at {loudest.rssi_dbm:g} dBm by {loudest.link}")
    return loudest.device


async def _through(site: SiteMap, walk: Walk, ears: Ears, stand_s: float, terminal: Terminal) -> Walk:
    links = tuple(a.id for a in (*site.receivers, *site.beacons))
    for zone in [*(zone.id for zone in leaves(site)), None]:
        answer = await terminal.ask(
            f"stand {f'at {zone}' if zone else OUTSIDE}, {stand_s:g} s, moving about; {KEYS}"
        )
        if answer == "q":
            break
        if answer == "s":
            continue
        with progress.Line() as line:
            heard = await ears.listen(
                stand_s, lambda left_s, so_far: line.show(f"  {left_s} s, {_samples(_of(walk, so_far))}")
            )
        mine = _of(walk, heard)
        if mine:
            walk.entries += [Label(mine[0].t_s - 0.001, walk.device, zone), *mine]
            walk.last_s = mine[-1].t_s
        terminal.say(f"{zone or 'outside'}: {_done(mine, zone, walk, site, links)}")
    if not walk.entries:
        raise GatewayError(SILENT)
    return walk


def _of(walk: Walk, heard: Sequence[Reading]) -> list[Reading]:
    return [reading for reading in heard if reading.device == walk.device]


def _samples(mine: Sequence[Reading]) -> str:
    return f"{len(mine)} samples from {len({r.link for r in mine})} receivers"


def _done(
    mine: Sequence[Reading], zone: str | None, walk: Walk, site: SiteMap, links: tuple[str, ...]
) -> str:
    """One line of what this place has brought, against the places so far."""
    if not mine:
        return SILENT
    line = f"done, {_samples(mine)}"
    if zone is None:
        return line
    told = {s.zone: s for s in separations(fit(samples(walk.entries, links), site, links).calibration)}
    if zone not in told:
        return line
    return f"{line}; told apart from {told[zone].neighbour}: {told[zone].accuracy:.0%}"
