"""Radio zones: where each device is believed to be, and what it claims by that (DESIGN §3.1, §5.1)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct

from gateway.core.agenda import Agenda, Due, Key
from gateway.core.belief import BeliefFilter, Offset, confidence
from gateway.core.health import Health
from gateway.core.listening import FADE_S, NEVER_S, Heard, Listening, hear, heard, is_strength, silence
from gateway.core.propagation import OUTSIDE, radio_map
from gateway.core.rows import NONE
from gateway.core.stays import Stays, Told, thousandths
from gateway.core.windows import LATER_S
from gateway.model import OpenStay, Reading, SiteMap, Zone

THETA, THETA_MAP = 0.7, 0.55
"""A device moves to the most probable zone when it is at least so probable.

Without calibration the belief is spread over more spots: it decides earlier."""


class RadioDevice(Struct):
    subject: str
    device: str
    ears: Listening
    belief: list[float]
    """By spot of the radio map."""
    stepped_s: float
    offset: Offset
    heard_s: float = NEVER_S
    next_step_s: float | None = None
    """None: silent, no steps until it is heard again."""
    top: str | None = None
    """The most probable zone at the last step; None: the run of steps begins anew."""
    run_s: float = 0.0
    """Start of the unbroken run of steps with that zone on top."""
    zone: str = OUTSIDE
    """The leaf that the device holds."""
    confirm_by_s: float | None = None
    """A resumed stay must be confirmed by then."""


class Radio:
    def __init__(self, site: SiteMap, agenda: Agenda, stays: Stays, reject: Callable[[str], None]) -> None:
        self._agenda, self._stays, self._reject = agenda, stays, reject
        self._devices: dict[tuple[str, str], RadioDevice] = {}
        self._rows: dict[tuple[str, str], int] = {}
        self._by_row: list[tuple[str, str]] = []
        """By row of the agenda, the device; rows are never given back."""
        for kind in (Due.STEP, Due.RADIO_LEAVE, Due.RADIO_FADE):
            agenda.rooms[kind] = self
        self._take(site)

    def _take(self, site: SiteMap) -> None:
        self._map = radio_map(site)
        self._filter = BeliefFilter(self._map, site.device_class)
        self._theta = THETA if self._map.calibrated else THETA_MAP
        self._link = {link: i for i, link in enumerate(self._map.links)}
        self._anchors = {a.id for a in (*site.receivers, *site.beacons)}
        self.health = Health(a.id for a in site.receivers)
        self._zones = {zone.id: zone for zone in site.zones}
        self._chain = {zone.id: _with_parents(zone, self._zones) for zone in site.zones}

    # --- signals ---

    def observe(self, reading: Reading, now_s: float) -> None:
        if not is_strength(reading.rssi_dbm):
            self._reject("bad_rssi")
            return
        link = self._link.get(reading.link)
        if link is None:
            if reading.link in self._anchors:
                self.health.heard(reading.link, now_s)
            else:
                self._reject("unknown_link")
            return
        self.health.heard(reading.link, now_s)
        device = self._devices.get((reading.subject, reading.device))
        if device is None:
            device = self._new(reading.subject, reading.device, now_s)
        hear(device.ears, link, reading.rssi_dbm, now_s)
        device.heard_s = now_s
        if device.next_step_s is None:
            self._step_at(device, math.floor(now_s) + 1.0)

    def _new(self, subject: str, device: str, now_s: float) -> RadioDevice:
        ears = silence(len(self._map.links))
        fresh = RadioDevice(subject, device, ears, self._filter.unknowing(), now_s, Offset())
        self._devices[subject, device] = fresh
        return fresh

    # --- what is due ---

    def _step_at(self, device: RadioDevice, t_s: float) -> None:
        device.next_step_s = t_s
        self._put(Due.STEP, device, t_s)

    def _put(self, kind: Due, device: RadioDevice, t_s: float) -> None:
        name = device.subject, device.device
        row = self._rows.setdefault(name, len(self._by_row))
        if row == len(self._by_row):
            self._by_row.append(name)
        self._agenda.put(kind, row, t_s)

    def due_s(self, kind: int, row: int) -> float:
        device = self._devices.get(self._by_row[row])
        if device is None:
            return LATER_S
        match kind:
            case Due.STEP:
                return LATER_S if device.next_step_s is None else device.next_step_s
            case Due.RADIO_LEAVE:
                return LATER_S if device.zone == OUTSIDE else self._leave_s(device)
            case _:
                silent = device.zone == OUTSIDE and device.next_step_s is None
                return device.heard_s + FADE_S if silent else LATER_S

    def key(self, kind: int, row: int) -> Key:
        subject, device = self._by_row[row]
        zone = self._devices[subject, device].zone if kind == Due.RADIO_LEAVE else ""
        return subject, zone, kind, device

    def serve(self, kind: int, row: int, now_s: float) -> None:
        device = self._devices[self._by_row[row]]
        match kind:
            case Due.STEP:
                self._step(device, now_s)
            case Due.RADIO_LEAVE:
                self._leave(device, now_s)
            case _:
                del self._devices[self._by_row[row]]

    def _leave_s(self, device: RadioDevice) -> float:
        """Silence counts from the last reading, being outside from the start of that run of steps."""
        zone = self._zones[device.zone]
        leave_s = device.heard_s + zone.leave_after_s
        if device.top == OUTSIDE:
            leave_s = min(leave_s, device.run_s + zone.leave_after_s)
        return leave_s if device.confirm_by_s is None else min(leave_s, device.confirm_by_s)

    def _schedule(self, device: RadioDevice) -> None:
        if device.next_step_s is not None:
            self._step_at(device, device.next_step_s)
        if device.zone != OUTSIDE:
            self._put(Due.RADIO_LEAVE, device, self._leave_s(device))
        elif device.next_step_s is None:
            self._put(Due.RADIO_FADE, device, device.heard_s + FADE_S)

    # --- belief ---

    def _step(self, device: RadioDevice, now_s: float) -> None:
        masked = frozenset(self._link[r] for r in self.health.dead(now_s) if r in self._link)
        links = heard(device.ears, now_s, masked)
        if not links:
            device.next_step_s = None
            self._schedule(device)
            return
        device.belief = self._filter.step(
            device.belief, device.offset, links, now_s - device.stepped_s, masked
        )
        device.stepped_s = now_s
        self._step_at(device, now_s + 1.0)
        self._decide(device, links, now_s)

    def _decide(self, device: RadioDevice, links: Heard, now_s: float) -> None:
        odds = self._filter.by_zone(device.belief)
        p = max(odds)
        zone = self._map.zones[odds.index(p)]
        if zone != device.top:
            device.top, device.run_s = zone, now_s
        if zone == OUTSIDE:
            self._schedule(device)
            return
        if zone != device.zone:
            if p >= self._theta:
                self._move(device, zone, now_s, self._evidence(odds, links, p))
            return
        if p >= self._theta:
            device.confirm_by_s = None
        if device.confirm_by_s is None:
            for held in self._chain[zone]:
                self._stay_inside(device, held)

    def _stay_inside(self, device: RadioDevice, zone: str) -> None:
        pair = self._stays.table.known(device.subject, zone, device.device)
        if pair != NONE:
            sure_pm = thousandths(self._confidence(device, zone))
            self._stays.inside(pair, device.heard_s, sure_pm, False, 0.0)

    def _leave_stay(self, device: RadioDevice, zone: str, now_s: float, evidence: dict[str, Any]) -> None:
        pair = self._stays.table.known(device.subject, zone, device.device)
        if pair != NONE:
            sure_pm = self._stays.pairs.confidence_pm[pair]
            self._stays.left(pair, sure_pm, Told(now_s, now_s, evidence))
            self._stays.drop(pair)

    def _confidence(self, device: RadioDevice, zone: str) -> float:
        """A parent is as probable as its parts together."""
        odds = zip(self._filter.by_zone(device.belief), self._map.zones, strict=True)
        return confidence(min(sum(p for p, z in odds if zone in self._chain.get(z, ())), 1.0))

    def _evidence(self, odds: list[float], links: Heard, p: float) -> dict[str, Any]:
        link, rssi_dbm = max(links, key=lambda h: h[1])
        others = sorted(odds)[-2:-1]
        return {
            "receiver": self._map.links[link],
            "rssi_dbm": round(rssi_dbm, 1),
            "links": len(links),
            "margin": round(p - sum(others), 3),
        }

    # --- claims ---

    def _move(self, device: RadioDevice, zone: str, now_s: float, evidence: dict[str, Any]) -> None:
        old, new = self._chain.get(device.zone, ()), self._chain[zone]
        for held in sorted(set(old) - set(new)):
            self._leave_stay(device, held, now_s, {**evidence, "reason": "move"})
        device.zone, device.confirm_by_s = zone, None
        for held in sorted(set(new) - set(old)):
            pair = self._stays.table.pair(device.subject, held, device.device)
            sure_pm = thousandths(self._confidence(device, held))
            self._stays.inside(pair, device.heard_s, sure_pm, False, 0.0)
            self._stays.entered(pair, device.run_s, sure_pm, Told(now_s, now_s, evidence))
        for held in set(new) & set(old):
            self._stay_inside(device, held)
        self._schedule(device)

    def _leave(self, device: RadioDevice, now_s: float) -> None:
        unconfirmed = device.confirm_by_s is not None and now_s >= device.confirm_by_s
        reason = "restart" if unconfirmed else "outside" if device.top == OUTSIDE else "silence"
        self._release(device, now_s, reason)

    def _release(self, device: RadioDevice, now_s: float, reason: str) -> None:
        for held in sorted(self._chain[device.zone]):
            self._leave_stay(device, held, now_s, {"reason": reason})
        device.zone, device.top, device.confirm_by_s = OUTSIDE, None, None
        self._schedule(device)

    # --- restart, withdrawal, another map ---

    def resume(self, rows: Iterable[OpenStay], now_s: float) -> None:
        """Every stay must be confirmed within `leave_after`; a device holds the leaf it entered last."""
        parents = {zone.part_of for zone in self._zones.values()}
        leaves_first = sorted(
            rows, key=lambda s: (s.zone in parents, -(s.entered_s or 0.0), s.subject, s.zone)
        )
        for row in leaves_first:
            mine = tuple(d for d in row.devices if self._resumes(row, d, now_s, row.zone in parents))
            confirm_by_s = [self._devices[row.subject, d].confirm_by_s or now_s for d in mine]
            self._stays.resume(row, mine, math.nextafter(max(confirm_by_s, default=now_s), math.inf))
            if not mine:
                self._stays.end(row.subject, row.zone, Told(now_s, now_s, {"reason": "restart"}))

    def _resumes(self, row: OpenStay, device_id: str, now_s: float, is_parent: bool) -> bool:
        device = self._devices.get((row.subject, device_id))
        if is_parent:
            return device is not None and row.zone in self._chain.get(device.zone, ())
        if device is not None and device.zone != OUTSIDE:
            return False
        device = device or self._new(row.subject, device_id, now_s)
        device.zone, device.heard_s = row.zone, now_s
        device.confirm_by_s = now_s + self._zones[row.zone].leave_after_s
        self._schedule(device)
        return True

    def forget(self, subject: str) -> None:
        for key in [k for k in self._devices if k[0] == subject]:
            del self._devices[key]

    def replace(self, site: SiteMap, now_s: float) -> None:
        """A zone counts as changed when it or a parent of it is; beliefs in all others go on."""
        old_map, old_zones, old_chain, old_health = self._map, self._zones, self._chain, self.health
        old_filter = self._filter
        new_zones = {zone.id: zone for zone in site.zones}
        for _, device in sorted(self._devices.items()):
            held = old_chain.get(device.zone, ())
            if any(new_zones.get(z) != old_zones[z] for z in held):
                self._release(device, now_s, "restart")
        self._take(site)
        self.health.adopt(*old_health.known())
        link = {name: i for i, name in enumerate(old_map.links)}
        old = [link.get(name, -1) for name in self._map.links]
        for device in self._devices.values():
            odds = dict(zip(old_map.zones, old_filter.by_zone(device.belief), strict=True))
            kept = [odds.get(z, 0.0) for z in self._map.zones]
            total = sum(kept)
            device.belief = (
                self._filter.spread([p / total for p in kept]) if total else self._filter.unknowing()
            )
            ears = device.ears
            ears.rssi_dbm = [ears.rssi_dbm[i] if i >= 0 else 0.0 for i in old]
            ears.link_heard_s = [ears.link_heard_s[i] if i >= 0 else NEVER_S for i in old]
            device.top, ears.strongest = None, -1

    def devices(self) -> list[RadioDevice]:
        return [self._devices[key] for key in sorted(self._devices)]

    def restore(self, devices: Iterable[RadioDevice]) -> None:
        self._devices = {(d.subject, d.device): d for d in devices}
        for device in self._devices.values():
            self._schedule(device)


def _with_parents(zone: Zone, zones: dict[str, Zone]) -> tuple[str, ...]:
    """The zone and all that it is part of; a circle of parents is walked once."""
    chain = [zone.id]
    while zone.part_of in zones and zone.part_of not in chain:
        zone = zones[zone.part_of]
        chain.append(zone.id)
    return tuple(chain)
