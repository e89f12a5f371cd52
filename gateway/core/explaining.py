"""Why the core says what it says of one subject: a reading of its state, which changes nothing.

Nothing of this is kept or worked out before somebody asks.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from gateway.core.arrivals import Arrivals
from gateway.core.bits import CLAIMS, INFINITE, STATE, UNKNOWN
from gateway.core.judgement import side_probability
from gateway.core.rows import NONE
from gateway.core.stays import Stays
from gateway.core.visits import State

QUIET = 0
"""As in stays.py, whose phases are no Python objects where it is compiled."""


class HeardLink(Struct, frozen=True):
    link: str
    rssi_dbm: float
    """Smoothed."""
    age_s: float
    """Since its last reading."""


class Listened(Struct, frozen=True):
    """One device by radio."""

    device: str
    heard: list[HeardLink]
    """Fresh links, the strongest first."""
    silent: list[str]
    """Links that live and do not hear it: evidence too."""
    dead: list[str]
    """Receivers whose silence says nothing."""
    last_s: float
    interval_s: float
    """Advertising interval, as seen."""
    louder_db: float
    """Than the map expects, on all links alike."""
    beliefs: dict[str, float]
    """Zone → probability, the most probable first; empty name: outside."""
    holds: str
    """The zone that it is said to be in; empty: none."""
    best_since_s: float
    """Start of the unbroken run of steps with one zone as the most probable."""
    needs: float
    """Probability at which it moves to the likeliest of the zones that it does not hold."""
    is_new: bool
    """It has only just moved; more is needed then."""
    calibrated: bool
    leaves_s: float | None
    """When its zone is given up, unless something is heard; None: it holds none."""
    implausible: bool
    """It is strong at receivers that are too far apart."""


class Visit(Struct, frozen=True):
    """One vehicle and one fence."""

    zone: str
    state: str
    """outside, within, entering or inside (visits.py)."""
    depth_m: float
    """Of the last fix; negative outside."""
    surely: float
    """Probability of the side of the border on which the last fix lies."""
    inside_s: float | None
    """Counted of this visit until it was settled; None: it is, or there is none."""
    standing_s: float | None
    turn_deg: float | None
    """The sharpest turn."""
    confirm_s: float
    """Standing so long confirms an arrival."""
    silence_ends_s: float | None
    """When silence alone decides."""


class Driven(Struct, frozen=True):
    """One vehicle by its fixes."""

    device: str
    fix_s: float
    accuracy_m: float
    speed_kmh: float | None
    fixes: int
    """That are remembered."""
    visits: list[Visit]


class OpenRecord(Struct, frozen=True):
    """What is open of the subject in one zone."""

    zone: str
    phase: str
    since_s: float
    entered_s: float | None
    last_inside_s: float
    announced_s: float
    """Highest threshold announced; 0: none."""
    next_threshold_s: float | None
    confidence: float
    devices: list[str]


class Story(Struct, frozen=True):
    t_s: float
    """Of the core."""
    radio: list[Listened]
    driven: list[Driven]
    stays: list[OpenRecord]


def driven(arrivals: Arrivals, subject: str) -> list[Driven]:
    vehicles, found = arrivals.vehicles, []
    tracks, samples = vehicles.tracks, vehicles.tracks.samples
    for (owner, device), track in sorted(vehicles.rows.items()):
        sample = tracks.newest[track]
        if owner != subject or sample == NONE:
            continue
        speed_kmh = tracks.speed_kmh(track, sample)
        found.append(
            Driven(
                device,
                fix_s=samples.t_s[sample],
                accuracy_m=samples.accuracy_m[sample],
                speed_kmh=None if speed_kmh == UNKNOWN else speed_kmh,
                fixes=tracks.count[track],
                visits=[_visit(arrivals, track, pair, zone) for zone, pair in vehicles.visits(track)],
            )
        )
    return found


def _visit(arrivals: Arrivals, track: int, pair: int, zone: str) -> Visit:
    vehicles = arrivals.vehicles
    place, pairs, tracks, undecided = (
        vehicles.place_of(pair),
        vehicles.pairs,
        vehicles.tracks,
        vehicles.undecided,
    )
    samples, sample = tracks.samples, tracks.newest[track]
    depth_m = place.shape.depth_m(samples.lat[sample], samples.lon[sample])
    row, state = pairs.undecided[pair], State(pairs.state[pair] & STATE)
    settled = row == NONE
    ends_s = vehicles.silence_ends_s(track, pair)
    return Visit(
        zone,
        state.name.lower(),
        depth_m,
        side_probability(depth_m, samples.accuracy_m[sample]),
        None if settled else undecided.inside_s[row],
        None if settled else undecided.standing_s[row],
        None if settled else undecided.turn_deg[row],
        place.confirm_s,
        ends_s if ends_s < INFINITE else None,
    )


def open_records(
    stays: Stays, subject: str, thresholds_s: Mapping[str, tuple[float, ...]]
) -> list[OpenRecord]:
    """`thresholds_s`: of each zone, rising."""
    records, pairs, found = stays.records, stays.pairs, []
    record = stays.table.first.get(subject, NONE)
    while record != NONE:
        if records.phase[record] != QUIET:
            devices, pair = [], records.pair[record]
            waiting = [
                s for s in thresholds_s.get(records.zone[record], ()) if s > records.announced_s[record]
            ]
            while pair != NONE:
                if pairs.says[pair] & CLAIMS:
                    devices.append(pairs.device[pair])
                pair = pairs.other[pair]
            stay = stays.open_stay(record)
            found.append(
                OpenRecord(
                    stay.zone,
                    stay.phase,
                    stay.since_s,
                    stay.entered_s,
                    stay.last_inside_s,
                    stay.announced_s,
                    waiting[0] if stay.phase == "inside" and waiting else None,
                    stay.confidence,
                    sorted(devices),
                )
            )
        record = records.next[record]
    return sorted(found, key=lambda one: one.zone)
