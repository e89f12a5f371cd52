"""Radio zones on simulated stores: labels as truth, one decision a second, and what a confidence is worth.

Each case is a store of twelve shelves, walked by one phone, and then visited by others while something is
amiss. Everything runs in one process, as `gateway calibrate` and `gateway replay` do it.
"""

from __future__ import annotations

import bisect
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import msgspec
from msgspec import Struct

from gateway.assembly import tracker
from gateway.calibration import fit, samples
from gateway.counts import Counts
from gateway.identity import EveryDevice, Identification
from gateway.model import Anchor, Calibration, Label, Message, Presence, Reading, SiteMap, Zone
from gateway.profiles import Profiles, load_profiles
from gateway.sim import store
from gateway.sim.recorded import Entry
from gateway.sim.recorded import Label as Stood
from gateway.sim.store import Shopper, Trouble

START_S = 1_766_390_400.0
GRACE_S = 3
"""So far around a moment may the truth lie without making a change of zone a false one."""
SHOPPER_EVERY_S = 50.0
PASSERS_BY = f"ibeacon:{store.SHOPPERS_UUID}:2:"
OUTSIDE = "-"
BINS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 1.01)


class Case(Struct, frozen=True):
    seed: int
    calibrated: bool = True
    dropped: tuple[str, ...] = ()
    """Zones that the map does not have, though their shelves stand there and shoppers too."""
    trouble: Trouble = Trouble()


CASES = {
    "calibrated": Case(1),
    "from the map alone": Case(1, calibrated=False),
    "two zones dropped, people outside": Case(2, dropped=("s1", "s6"), trouble=Trouble(outside=4)),
    "drift of 4 dB": Case(3, trouble=Trouble(drift_db=4.0)),
    "a receiver dies, with its will": Case(4, trouble=Trouble(dead=("r1",), will=True)),
}


class Second(Struct, frozen=True):
    device: str
    t_s: float
    truth: str
    """`-`: outside of all zones of the map; empty: on the way, not judged."""
    said: str | None


class Played(Struct):
    seconds: list[Second]
    judged: list[tuple[float, bool]]
    """Confidence of each `entered` and `dwelled`, and whether it was right."""


def shop() -> SiteMap:
    """Four aisles of three shelves, 6 m by 5 m apart, and eight receivers under the ceiling."""
    zones = [
        Zone(name, "shelf", name, "g", at=(6.0 * i, 5.0 * j), dwell_s=(15.0,), outside_after_s=0.0)
        for i in range(4)
        for j, name in enumerate((f"s{3 * i}", f"s{3 * i + 1}", f"s{3 * i + 2}"))
    ]  # fmt: skip
    zones.append(Zone("door", "entrance", "door", "g", at=(9.0, -6.0), outside_after_s=0.0))
    receivers = [
        Anchor(f"r{2 * i + j}", "g", (6.0 * i, 2.5 + 5.0 * j, 2.6)) for i in range(4) for j in range(2)
    ]
    return SiteMap("bench", zones=tuple(zones), receivers=tuple(receivers))


def play(case: Case, *, minutes: float = 7.0) -> Played:
    """Simulate, calibrate, replay and compare."""
    site, profiles = shop(), load_profiles().select(None, "bench")
    mapped = msgspec.structs.replace(site, zones=tuple(z for z in site.zones if z.id not in case.dropped))
    if case.calibrated:
        mapped = msgspec.structs.replace(mapped, calibration=_walked(site, mapped, case, profiles))
    shoppers = [
        Shopper(f"ibeacon:{store.SHOPPERS_UUID}:1:{i + 1}", START_S + SHOPPER_EVERY_S * i)
        for i in range(int(60 * minutes / SHOPPER_EVERY_S))
    ]
    entries = list(
        store.simulate(
            site,
            start_s=START_S,
            duration_s=60 * minutes,
            seed=case.seed,
            shoppers=shoppers,
            foreign=0,
            model=store.FURNISHED,
            trouble=case.trouble,
        )
    )
    events = _events(entries, mapped, profiles)
    truth = _by_device((e.device, e.t_s, _truth(e, case)) for e in entries if isinstance(e, Stood))
    return _compare(events, truth, START_S + 60 * minutes)


def _truth(stood: Stood, case: Case) -> str:
    if stood.zone is None:
        return OUTSIDE if stood.device.startswith(PASSERS_BY) else ""
    return OUTSIDE if stood.zone in case.dropped else stood.zone


def _walked(site: SiteMap, mapped: SiteMap, case: Case, profiles: Profiles) -> Calibration:
    """Somebody in a dropped zone is outside: that is walked too, as the guide asks for."""
    identification = Identification(mapped, profiles, EveryDevice(), Counts())
    heard: list[Reading | Label] = []
    for entry in store.calibration_walk(
        site, start_s=START_S, stand_s=30.0, seed=case.seed, model=store.FURNISHED
    ):
        if isinstance(entry, Stood):
            heard.append(Label(entry.t_s, entry.device, None if entry.zone in case.dropped else entry.zone))
        elif isinstance(entry, Message):
            heard += [o for _, o in identification.heard(entry) if isinstance(o, Reading)]
    links = tuple(r.id for r in site.receivers)
    return fit(samples(heard, links), mapped, links).calibration


def _events(entries: Iterable[Entry], site: SiteMap, profiles: Profiles) -> list[Presence]:
    tracking = tracker(site, profiles, EveryDevice(), Counts())
    events: list[Presence] = []
    for entry in entries:
        if not isinstance(entry, Stood):
            events += tracking.take(entry)
    return events


Changes = dict[str, list[tuple[float, str | None]]]


def _by_device(changes: Iterable[tuple[str, float, str | None]]) -> Changes:
    out: Changes = {}
    for device, t_s, zone in changes:
        out.setdefault(device, []).append((t_s, zone))
    return out


def _at(changes: Sequence[tuple[float, str | None]], t_s: float) -> str | None:
    place = bisect.bisect_right(changes, t_s, key=lambda change: change[0])
    return changes[place - 1][1] if place else None


def _compare(events: Sequence[Presence], truth: Changes, end_s: float) -> Played:
    told = sorted(
        (e for e in events if e.change in ("entered", "left")),
        key=lambda e: (e.emitted_s, e.change != "left"),
    )
    said = _by_device((e.subject, e.emitted_s, e.zone if e.change == "entered" else None) for e in told)
    seconds = [
        Second(device, t_s, _at(stood, t_s) or "", _at(said.get(device, []), t_s))
        for device, stood in truth.items()
        for t_s in _seconds(stood, end_s)
    ]
    judged = [
        (e.confidence, e.zone in near)
        for e in events
        if e.change in ("entered", "dwelled")
        and "" not in (near := _near(truth.get(e.subject, []), e.emitted_s))
    ]
    return Played(seconds, judged)


def _near(stood: Sequence[tuple[float, str | None]], t_s: float) -> set[str]:
    return {_at(stood, t_s + d) or "" for d in range(-GRACE_S, GRACE_S + 1)}


def _seconds(stood: Sequence[tuple[float, str | None]], end_s: float) -> Iterator[float]:
    """From the first label to half a minute after the last."""
    last_s = min(end_s, stood[-1][0] + 30.0) if len(stood) > 1 else end_s
    t_s = float(int(stood[0][0]) + 1)
    while t_s <= last_s:
        yield t_s
        t_s += 1.0


def score(played: Played) -> dict[str, float]:
    """`apart_pct`: how far mean confidence and share of right claims are from one another."""
    inside = [s for s in played.seconds if s.truth not in ("", OUTSIDE)]
    outside = [s for s in played.seconds if s.truth == OUTSIDE]
    right = sum(s.said == s.truth for s in inside)
    sure = sum(c for c, _ in played.judged) / max(1, len(played.judged))
    true = sum(ok for _, ok in played.judged) / max(1, len(played.judged))
    figures = {
        "accuracy_pct": round(100 * right / max(1, len(inside)), 1),
        "false_per_h": round(3600 * _false_changes(played.seconds) / max(1, len(played.seconds)), 1),
        "apart_pct": round(100 * abs(sure - true), 1),
    }
    if outside:
        ghosts = sum(s.said is not None for s in outside)
        figures["false_presence_pct"] = round(100 * ghosts / len(outside), 1)
    return figures


def _false_changes(seconds: Sequence[Second]) -> int:
    """Changes into a zone that is not the true one within the grace."""
    truth = {(s.device, s.t_s): s.truth for s in seconds}
    count = 0
    before: Second | None = None
    for second in seconds:
        follows = before is not None and before.device == second.device
        if follows and before is not None and second.said is not None and second.said != before.said:
            near = {truth.get((second.device, second.t_s + d), "") for d in range(-GRACE_S, GRACE_S + 1)}
            count += "" not in near and second.said not in near
        before = second
    return count


def reliability(judged: Sequence[tuple[float, bool]]) -> list[str]:
    """Of the events that say so much, how many are right: a table in Markdown."""
    lines = ["| events that say | count | mean | right |", "|---|---|---|---|"]
    for low, high in itertools.pairwise(BINS):
        inside = [(c, ok) for c, ok in judged if low <= c < high]
        if inside:
            mean, right = (sum(column) / len(inside) for column in zip(*inside, strict=True))
            lines.append(f"| {low:.1f} to {min(high, 1):.1f} | {len(inside)} | {mean:.2f} | {right:.2f} |")
    return lines


def confusion(seconds: Sequence[Second]) -> Counter[tuple[str, str]]:
    """Seconds by (true, said) zone; `-` is outside."""
    return Counter((s.truth, s.said or OUTSIDE) for s in seconds if s.truth)


def played(name: str, *, times: int = 1) -> Played:
    """One case; `times` more minutes, with another seed."""
    case = CASES[name]
    seed = case.seed if times == 1 else case.seed + 100
    return play(msgspec.structs.replace(case, seed=seed), minutes=7.0 * times)
