"""The core on drives, and what it got right: shares in percent, delays in seconds from the true crossing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from statistics import median, quantiles

from bench.accuracy.drives import Drive
from gateway.core import Core
from gateway.model import Presence, SiteMap

TAIL_S = 300.0
EARLY_S = 5.0
"""An event so long before the true crossing is still the crossing's."""
FOLLOWS = {
    "": {"approaching", "entering", "entered", "passed"},
    "entering": {"entered", "passed"},
    "entered": {"dwelled", "left"},
    "dwelled": {"dwelled", "left"},
}


def events_of(drive: Drive) -> list[Presence]:
    core = Core(SiteMap("accuracy", fences=(drive.fence,)))
    events = core.observe(drive.fixes)
    return events + core.advance(drive.fixes[-1].t_s + TAIL_S)


def score(drives: Iterable[Drive]) -> dict[str, float]:
    """All figures by name; see the module for their units."""
    seen: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        seen.setdefault(name, []).append(value)

    for drive in drives:
        events = events_of(drive)
        note("order_faults", _faults(events))
        said = {e.change: e.emitted_s for e in reversed(events)}
        if drive.t_in_s is None:
            note("beside_entered_pct", 100.0 * ("entered" in said))
            note("beside_seen_pct", 100.0 * bool(said))
        elif drive.kind in ("visit", "queue"):
            _visit(drive, events, note)
        else:
            note("through_entered_pct", 100.0 * ("entered" in said))
            note("through_seen_pct", 100.0 * bool(said))
    return {name: round(_sum_up(name, values), 2) for name, values in sorted(seen.items())}


def _visit(drive: Drive, events: list[Presence], note: Callable[[str, float], None]) -> None:
    assert drive.t_in_s is not None
    entered = [e.emitted_s for e in events if e.change == "entered" and e.emitted_s >= drive.t_in_s - EARLY_S]
    stray = [e for e in events if e.change == "entered" and e.emitted_s < drive.t_in_s - EARLY_S]
    note("visits_found_pct", 100.0 * bool(entered))
    note("stray_entered_pct", 100.0 * bool(stray))
    note("entered_again_pct", 100.0 * (len(entered) > 1))
    if entered:
        note("entered_p50_s", abs(entered[0] - drive.t_in_s))
        note("entered_p90_s", abs(entered[0] - drive.t_in_s))
        left = [e.emitted_s for e in events if e.change == "left" and e.emitted_s > entered[0]]
        early = bool(left) and drive.t_out_s is not None and left[0] < drive.t_out_s - EARLY_S
        note("left_early_pct", 100.0 * early)
        if sum(fix.t_s > (drive.t_out_s or math.inf) + EARLY_S for fix in drive.fixes) >= 2:
            note("left_missing_pct", 100.0 * (not left))
    first = [e.emitted_s for e in events if e.change in ("entering", "entered")]
    if first:
        note("entering_p50_s", abs(first[0] - drive.t_in_s))


def _sum_up(name: str, values: list[float]) -> float:
    if name == "order_faults":
        return sum(values)
    if name.endswith("_p50_s"):
        return median(values)
    return quantiles(values, n=10)[-1] if name.endswith("_p90_s") else sum(values) / len(values)


def _faults(events: list[Presence]) -> int:
    """Changes that may not follow the one before; an `entering` that is never closed is one as well."""
    before, faults = "", 0
    for event in events:
        faults += event.change not in FOLLOWS[before]
        before = "" if event.change in ("left", "passed", "approaching") else event.change
    return faults + (before == "entering")
