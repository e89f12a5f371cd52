"""An explanation as an operator reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, tzinfo
from typing import Any

from gateway.core.explaining import Driven, Listened, OpenRecord, Visit
from gateway.explanation import Decision, Explanation

BELIEVED = 0.01
"""Less probable zones are not told."""
LINKS = 6
NOTABLE_DB = 1.0

Clock = Callable[[float], str]


def story(explanation: Explanation, zone: tzinfo) -> Iterator[str]:
    """Lines; `zone`: that of the shop's clocks."""

    def clock(t_s: float) -> str:
        return f"{datetime.fromtimestamp(t_s, zone):%H:%M:%S}"

    now_s, event, core = explanation.t_s, explanation.event, explanation.core
    day = f"{datetime.fromtimestamp(now_s, zone):%Y-%m-%d}"
    if event is not None:
        yield f"{day} {clock(event['t'])} ({zone}): {explanation.subject} {_what(event)}"
    else:
        yield f"{explanation.subject} at {clock(now_s)} on {day} ({zone})"
        for earlier in explanation.said:
            yield f"  said at {clock(earlier['t'])}: {_what(earlier)}"
    if explanation.recorded_to_s is not None:
        yield f"  the recording ends at {clock(explanation.recorded_to_s)}: so if nothing more was heard"
    if not core.radio and not core.driven:
        yield f"  {_unheard(explanation)}"
    for device in core.radio:
        yield f"  {device.device}"
        for line in _by_radio(device, clock):
            yield f"    {line}"
    for vehicle in core.driven:
        yield f"  {vehicle.device}"
        for line in _by_fixes(vehicle, clock):
            yield f"    {line}"
    for stay in core.stays:
        yield f"  open: {_open(stay, now_s, clock)}"
    for line in _who_may_know(explanation):
        yield f"  {line}"


def _unheard(explanation: Explanation) -> str:
    if not explanation.identities:
        return "nobody is enrolled by this name, or no device of theirs"
    devices = ", ".join(explanation.identities)
    foreign = f"{explanation.unknown:,} signals came of devices that nobody enrolled"
    return f"nothing is remembered of {devices}: not heard, or no consent permits it; {foreign}"


def _what(event: dict[str, Any]) -> str:
    threshold = f" ({event['threshold_s']:g} s)" if event.get("threshold_s") else ""
    reason = event["evidence"].get("reason")
    sure = f"confidence {event['confidence']:.0%}"
    return f"{event['change']} {event['zone']}{threshold}, {sure}" + (f", by {reason}" if reason else "")


def _by_radio(device: Listened, clock: Clock) -> Iterator[str]:
    heard = [f"{h.link} {h.rssi_dbm:.0f} dBm ({h.age_s:.1f} s ago)" for h in device.heard[:LINKS]]
    yield f"heard by: {', '.join(heard) or f'nobody now, last at {clock(device.last_s)}'}"
    if device.silent:
        more = len(device.silent) - LINKS
        yield f"not heard by: {', '.join(device.silent[:LINKS])}" + (f" and {more} more" if more > 0 else "")
    if device.dead:
        yield f"dead, so that their silence says nothing: {', '.join(device.dead)}"
    believed = [f"{zone or 'outside'} {p:.0%}" for zone, p in device.beliefs.items() if p >= BELIEVED]
    when = "" if device.heard else " when it was last heard"
    yield f"believed{when}, by {'a walk' if device.calibrated else 'the map alone'}: {', '.join(believed)}"
    new = ", as it has only just moved" if device.is_new else ""
    likeliest = next(iter(device.beliefs), "") or "outside"
    moves = f"another zone would have to be believed to {device.needs:.0%}{new}"
    yield f"{likeliest} is the likeliest since {clock(device.best_since_s)}; {moves}"
    if device.holds and device.leaves_s is not None:
        yield f"said to be in {device.holds}; given up at {clock(device.leaves_s)} unless it is heard there"
    else:
        yield "said to be in no zone"
    if abs(device.louder_db) >= NOTABLE_DB:
        how = "louder" if device.louder_db > 0 else "quieter"
        yield f"{abs(device.louder_db):.0f} dB {how} than the map expects, on all links alike"
    if device.implausible:
        yield "strong at two receivers that are too far apart: is it copied?"


def _by_fixes(vehicle: Driven, clock: Clock) -> Iterator[str]:
    speed = "speed unknown" if vehicle.speed_kmh is None else f"{vehicle.speed_kmh:.0f} km/h"
    where = f"last fix at {clock(vehicle.fix_s)}, within {vehicle.accuracy_m:.0f} m"
    yield f"{where}, {speed}; {vehicle.fixes} remembered"
    for visit in vehicle.visits:
        yield _visit(visit, clock)


def _visit(visit: Visit, clock: Clock) -> str:
    side = "inside" if visit.depth_m >= 0 else "outside"
    parts = [
        f"{visit.zone}: {visit.state}",
        f"the fix lies {abs(visit.depth_m):.0f} m {side} ({visit.surely:.0%} sure)",
    ]
    if visit.state in ("entering", "within") and visit.standing_s is not None and visit.inside_s is not None:
        stood = f"stood {visit.standing_s:.0f} of {visit.inside_s:.0f} s inside"
        parts.append(f"{stood}; {visit.confirm_s:g} s standing confirm an arrival")
    if visit.silence_ends_s is not None:
        parts.append(f"silence decides at {clock(visit.silence_ends_s)}")
    return "; ".join(parts)


def _open(stay: OpenRecord, now_s: float, clock: Clock) -> str:
    line = f"{stay.zone}, {stay.phase} since {clock(stay.since_s)} ({now_s - stay.since_s:.0f} s)"
    if stay.announced_s:
        line += f", told of {stay.announced_s:g} s"
    if stay.next_threshold_s is not None:
        line += f", next at {stay.next_threshold_s:g} s"
    return f"{line}; confidence {stay.confidence:.0%}, last evidence inside at {clock(stay.last_inside_s)}"


def _who_may_know(explanation: Explanation) -> Iterator[str]:
    if explanation.doubt is not None:
        yield f"nothing may leave now, whoever is concerned: {explanation.doubt}"
    event = explanation.event
    for decision in explanation.decisions:
        who = f"{decision.recipient} for {decision.purpose}:"
        if decision.denied:
            yield f"{who} no ({', '.join(decision.denied)})"
        elif event is not None and event["zone"] not in decision.permitted_zones:
            yield f"{who} not for {event['zone']}"
        elif event is not None and event["change"] not in decision.changes:
            yield f"{who} not told of `{event['change']}`"
        else:
            where = "" if event else f" {_share(decision)}"
            yield f"{who} yes{where}, by consent {', '.join(decision.consents)}"
    if explanation.told is not None:
        would = "by this map and these settings told" if explanation.is_replayed else "told"
        yield f"{would}: {', '.join(explanation.told) or 'nobody'}"


def _share(decision: Decision) -> str:
    permitted, asked = len(decision.permitted_zones), decision.asked_zones
    return "everywhere" if permitted == asked else f"in {permitted} of {asked} zones and fences"
