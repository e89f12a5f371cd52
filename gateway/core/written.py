"""State as it is written in a snapshot: by names, in one order, whatever rows it lies in."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from gateway.core.arrivals import Arrivals
from gateway.core.rows import NONE
from gateway.core.stays import Stays
from gateway.model import Presence

SAMPLE = ("t_s", "lat", "lon", "accuracy_m", "speed_kmh", "says")
UNDECIDED = (
    "since_s inside_odds sure gaps inside_s standing_s slowed crawled turn_deg out_since_s quiet_until_s "
    "closed_s announced_s"
).split()
PAIR = ("last_inside_s", "confidence_pm", "says", "state")
RECORD = ("phase", "since_s", "phase_s", "announced_s", "last_inside_s", "last_t_s")
TRACK = ("newest_s", "received_s")

Numbers = list[float]


class WrittenTrack(Struct):
    subject: str
    device: str
    numbers: Numbers
    samples: list[Numbers]
    """From the oldest."""
    suspect: Numbers | None
    visits: dict[str, Numbers | None]
    """By zone, what is not settled there."""


class WrittenRecord(Struct):
    subject: str
    zone: str
    numbers: Numbers
    approached: tuple[float, str, float] | None
    quiet_until_s: float | None
    pairs: dict[str, Numbers]
    """By device."""


def written_stays(stays: Stays) -> list[WrittenRecord]:
    records, pairs, out = stays.records, stays.pairs, []
    for subject in sorted(stays.table.first):
        record = stays.table.first[subject]
        while record != NONE:
            pair, of_pairs = records.pair[record], {}
            while pair != NONE:
                of_pairs[pairs.device[pair]] = _numbers(pairs, PAIR, pair)
                pair = pairs.other[pair]
            out.append(
                WrittenRecord(
                    subject,
                    records.zone[record],
                    _numbers(records, RECORD, record),
                    stays.approached.get(record),
                    stays.quiet_until_s.get(record),
                    dict(sorted(of_pairs.items())),
                )
            )
            record = records.next[record]
    return sorted(out, key=lambda written: (written.subject, written.zone))


def restore_stays(stays: Stays, written: Iterable[WrittenRecord], untold: Iterable[Presence]) -> None:
    """Into stays that hold nothing."""
    stays.events.extend(untold)
    for one in written:
        record = stays.table.begin(one.subject, one.zone)
        _take(stays.records, RECORD, record, one.numbers)
        if one.approached is not None:
            stays.approached[record] = one.approached
        if one.quiet_until_s is not None:
            stays.quiet_until_s[record] = one.quiet_until_s
        for device, numbers in one.pairs.items():
            _take(stays.pairs, PAIR, stays.table.pair(one.subject, one.zone, device), numbers)
        stays.schedule(record)


def written_tracks(arrivals: Arrivals) -> list[WrittenTrack]:
    vehicles = arrivals.vehicles
    tracks, samples, out = vehicles.tracks, vehicles.tracks.samples, []
    for (subject, device), track in sorted(vehicles.rows.items()):
        history, sample = [], tracks.oldest[track]
        while sample != NONE:
            history.append(_numbers(samples, SAMPLE, sample))
            sample = samples.newer[sample]
        suspect, visits = tracks.suspect[track], {}
        for zone, pair in vehicles.visits(track):
            row = vehicles.pairs.undecided[pair]
            visits[zone] = None if row == NONE else _numbers(vehicles.undecided, UNDECIDED, row)
        out.append(
            WrittenTrack(
                subject,
                device,
                _numbers(tracks, TRACK, track),
                history,
                None if suspect == NONE else _numbers(samples, SAMPLE, suspect),
                visits,
            )
        )
    return out


def restore_arrivals(arrivals: Arrivals, written: Iterable[WrittenTrack]) -> None:
    """Into arrivals that hold nothing, after the stays."""
    vehicles = arrivals.vehicles
    tracks, samples, pairs = vehicles.tracks, vehicles.tracks.samples, vehicles.pairs
    for one in written:
        track = vehicles.begin(one.subject, one.device)
        for numbers in one.samples:
            sample = samples.take()
            _take(samples, SAMPLE, sample, numbers)
            tracks.link(track, sample)
        _take(tracks, TRACK, track, one.numbers)
        if one.suspect is not None:
            tracks.suspect[track] = samples.take()
            _take(samples, SAMPLE, tracks.suspect[track], one.suspect)
        for zone, undecided in one.visits.items():
            pair = vehicles.table.pair(one.subject, zone, one.device)
            state = pairs.state[pair]
            vehicles.link(track, pair)
            pairs.state[pair] = state
            if undecided is not None:
                _take(vehicles.undecided, UNDECIDED, pairs.undecided[pair], undecided)
            vehicles.settle(pair)
        arrivals.schedule(track)


def _numbers(rows: object, columns: Iterable[str], row: int) -> Numbers:
    return [getattr(rows, column)[row] for column in columns]


def _take(rows: object, columns: Iterable[str], row: int, numbers: Iterable[float]) -> None:
    for column, number in zip(columns, numbers, strict=True):
        values = getattr(rows, column)
        values[row] = type(values[row])(number)
