"""Radio zones: what devices claim by where they are believed to be (DESIGN §3.1, §5.1)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from gateway.core.agenda import Agenda, Due, Key
from gateway.core.clones import is_cloned
from gateway.core.crowd import SECOND, Crowd, Held, RadioDevice
from gateway.core.explaining import HeardLink, Listened
from gateway.core.health import Health
from gateway.core.learned import Lesson
from gateway.core.listening import FADE_S, NEVER_S, Heard
from gateway.core.moving import Threshold, own_links
from gateway.core.propagation import OUTSIDE, radio_map
from gateway.core.rows import NONE
from gateway.core.stays import Stays, Told, thousandths
from gateway.core.windows import LATER_S
from gateway.model import OpenStay, SiteMap, Zone

THETA, THETA_MAP = 0.8, 0.94
"""A device moves to the most probable zone when it is at least so probable.

A guessed model errs for longer than a second: without calibration more is asked for, and between 0.9 and 0.95
every hundredth costs 0.3 % of accuracy for 2 to 5 % of the false changes. A zone that has a receiver of its
own needs what that says (`Threshold`)."""
NEW_THETA, NEW_THETA_MAP = 0.99, 0.94
"""The same for a device that has only just moved. A guessed model is as sure when it errs: asking more of it
costs right changes and hardly fewer false ones."""

KINDS = (Due.STEP, Due.RADIO_LEAVE, Due.RADIO_FADE)


class Radio:
    def __init__(self, site: SiteMap, agenda: Agenda, stays: Stays, reject: Callable[[str], None]) -> None:
        self._agenda, self._stays, self._reject = agenda, stays, reject
        self._moves_s: dict[int, float] = {}
        """Devices that a step has taken to another zone, until that is told at this very time."""
        for kind in KINDS:
            agenda.rooms[kind] = self
        self._take(site)

    def _take(self, site: SiteMap) -> None:
        self._map = radio_map(site)
        self.health = Health([a.id for a in site.receivers])
        threshold = (
            Threshold(THETA, NEW_THETA)
            if self._map.calibrated
            else Threshold(THETA_MAP, NEW_THETA_MAP, own_links(self._map))
        )
        self.crowd = Crowd(
            site, self._map, self.health, self._agenda, threshold=threshold, reject=self._reject
        )
        self._masked: frozenset[str] = frozenset()
        self._anchors = [
            {a.id: a for a in (*site.receivers, *site.beacons)}[link] for link in self._map.links
        ]
        self._know_zones(site)

    def _know_zones(self, site: SiteMap) -> None:
        self._site = site
        self._zones = {zone.id: zone for zone in site.zones}
        self._chain = {zone.id: _with_parents(zone, self._zones) for zone in site.zones}
        leaves: dict[str, list[int]] = {zone: [] for zone in self._zones}
        for number, leaf in enumerate(self._map.zones):
            for zone in self._chain.get(leaf, ()):
                leaves[zone].append(number)
        self._leaves = {zone: tuple(numbers) for zone, numbers in leaves.items()}

    # --- what is due ---

    def due_s(self, kind: int, row: int) -> float:
        if kind == Due.STEP:
            return self.crowd.next_step_s if row == SECOND else self._moves_s.get(row - 1, LATER_S)
        if kind == Due.RADIO_LEAVE:
            return LATER_S if self._held(row) == OUTSIDE else self._leave_s(row)
        silent = self._held(row) == OUTSIDE and not self.crowd.is_stepping(row)
        return self.crowd.ears.last_s(row) + FADE_S if silent else LATER_S

    def key(self, kind: int, row: int) -> Key:
        if kind == Due.STEP and row == SECOND:
            return "", "", kind, ""
        subject, device = self.crowd.who(row - 1 if kind == Due.STEP else row)
        return subject, self._held(row) if kind == Due.RADIO_LEAVE else "", kind, device

    def serve(self, kind: int, row: int, now_s: float) -> None:
        if kind == Due.STEP and row == SECOND:
            self._step(now_s)
        elif kind == Due.STEP:
            del self._moves_s[row - 1]
            self._move(row - 1, now_s)
        elif kind == Due.RADIO_LEAVE:
            self._leave(row, now_s)
        else:
            self._drop(row)

    def _drop(self, row: int) -> None:
        for kind in KINDS:
            self._agenda.drop(kind, row + 1 if kind == Due.STEP else row)
        self._moves_s.pop(row, None)
        self.crowd.drop(row)

    def _held(self, row: int) -> str:
        return self._map.zones[self.crowd.zone(row)]

    def _is_out(self, row: int) -> bool:
        return self.crowd.top(row) == self.crowd.outside

    def _leave_s(self, row: int) -> float:
        """Silence counts from the last reading, being outside from the start of that run of steps."""
        zone = self._zones[self._held(row)]
        leave_s = self.crowd.ears.last_s(row) + zone.leave_after_s
        if self._is_out(row):
            after_s = zone.leave_after_s if zone.outside_after_s is None else zone.outside_after_s
            leave_s = min(leave_s, self.crowd.run_s(row) + after_s)
        return min(leave_s, self.crowd.confirm_by_s.get(row, leave_s))

    def _schedule(self, row: int) -> None:
        if self._held(row) != OUTSIDE:
            self._agenda.put(Due.RADIO_LEAVE, row, self._leave_s(row))
        elif not self.crowd.is_stepping(row):
            self._agenda.put(Due.RADIO_FADE, row, self.crowd.ears.last_s(row) + FADE_S)

    # --- a second ---

    def _step(self, now_s: float) -> None:
        """Who moves is told in the order of subjects, together with whatever else is due now."""
        dead = self.health.dead(now_s)
        if dead != self._masked:
            self._masked = dead
            self.crowd.beliefs.mask([i for i, link in enumerate(self._map.links) if link in dead])
        self.crowd.step(now_s, self._stays)
        for row in self.crowd.suspects:
            self._suspect(row, now_s)
        for row in self.crowd.changed:
            self._schedule(row)
        for row in self.crowd.movers:
            self._moves_s[row] = now_s
            self._agenda.put(Due.STEP, row + 1, now_s)

    def _suspect(self, row: int, now_s: float) -> None:
        ears = self.crowd.ears
        loud = [(self._anchors[i], dbm, ears.heard_s(row, i)) for i, dbm in self._heard(row, now_s)]
        if self.crowd.suspect(row, is_cloned(loud)):
            self._reject("cloned")

    def _heard(self, row: int, now_s: float) -> Heard:
        return [h for h in self.crowd.ears.heard(row, now_s) if self._map.links[h[0]] not in self._masked]

    def _evidence(self, row: int, now_s: float) -> dict[str, Any]:
        links = self._heard(row, now_s)
        link, rssi_dbm = max(links, key=lambda h: h[1])
        beliefs = self.crowd.beliefs
        evidence: dict[str, Any] = {
            "receiver": self._map.links[link],
            "rssi_dbm": round(rssi_dbm, 1),
            "links": len(links),
            "margin": round(beliefs.p - beliefs.next_p, 3),
        }
        battery_pct, moved = self.crowd.said.get(row, (None, None))
        if battery_pct is not None:
            evidence["battery_pct"] = battery_pct
        if moved is not None:
            evidence["moved"] = moved
        return evidence | ({"implausible": True} if self.crowd.is_implausible(row) else {})

    def explain(self, row: int, now_s: float) -> Listened:
        """Why the device of this row is where it is said to be; nothing changes by it."""
        crowd, ears, links = self.crowd, self.crowd.ears, self._map.links
        device, dead = crowd.dump(row), self.health.dead(now_s)
        heard = sorted(ears.heard(row, now_s), key=lambda h: -h[1])
        fresh = {i for i, _ in heard}
        by_zone, held = crowd.beliefs.by_zone(row), self._held(row)
        odds = zip(crowd.zones, by_zone, strict=True)
        others = [z for z, zone in enumerate(crowd.zones) if zone not in (held, OUTSIDE)]
        other = max(others, key=by_zone.__getitem__, default=crowd.outside)
        return Listened(
            device.device,
            heard=[HeardLink(links[i], dbm, now_s - ears.heard_s(row, i)) for i, dbm in heard],
            silent=[link for i, link in enumerate(links) if i not in fresh and link not in dead],
            dead=sorted(dead & set(links)),
            last_s=ears.last_s(row),
            interval_s=ears.interval_s(row),
            louder_db=crowd.beliefs.offset(row)[0],
            beliefs=dict(sorted(odds, key=lambda pair: -pair[1])),
            holds=held,
            best_since_s=device.run_s,
            needs=crowd.threshold.needs(other, device.new_s > 0, crowd.beliefs, row, ears, now_s),
            is_new=device.new_s > 0,
            calibrated=self._map.calibrated,
            leaves_s=None if held == OUTSIDE else self._leave_s(row),
            implausible=crowd.is_implausible(row),
        )

    # --- claims ---

    def _move(self, row: int, now_s: float) -> None:
        crowd = self.crowd
        crowd.beliefs.look(row)
        subject, device = crowd.who(row)
        number = crowd.beliefs.top
        evidence = self._evidence(row, now_s)
        old, new = self._chain.get(self._held(row), ()), self._chain[self._map.zones[number]]
        for zone in sorted(set(old) - set(new)):
            self._left(row, zone, Told(now_s, now_s, {**evidence, "reason": "move"}))
        crowd.confirm_by_s.pop(row, None)
        self._hold(row, number)
        crowd.move(row)
        last_s = crowd.ears.last_s(row)
        for zone in sorted(new):
            pair = self._stays.table.pair(subject, zone, device)
            sure_pm = thousandths(crowd.sureness(row, self._leaves[zone]))
            self._stays.inside(pair, last_s, sure_pm, False, 0.0)
            if zone not in old:
                self._stays.entered(pair, crowd.run_s(row), sure_pm, Told(now_s, now_s, evidence))
        self._schedule(row)

    def _left(self, row: int, zone: str, told: Told) -> None:
        subject, device = self.crowd.who(row)
        pair = self._stays.table.known(subject, zone, device)
        if pair != NONE:
            self._stays.left(pair, self._stays.pairs.confidence_pm[pair], told)
            self._stays.drop(pair)

    def _hold(self, row: int, number: int) -> None:
        subject, device = self.crowd.who(row)
        chain = self._chain.get(self._map.zones[number], ())
        held: list[Held] = [((subject, zone, device), self._leaves[zone]) for zone in chain]
        self.crowd.hold(row, number, tuple(held))

    def _leave(self, row: int, now_s: float) -> None:
        confirm_by_s = self.crowd.confirm_by_s.get(row)
        unconfirmed = confirm_by_s is not None and now_s >= confirm_by_s
        self._release(row, now_s, "restart" if unconfirmed else "outside" if self._is_out(row) else "silence")

    def _release(self, row: int, now_s: float, reason: str) -> None:
        for zone in sorted(self._chain[self._held(row)]):
            self._left(row, zone, Told(now_s, now_s, {"reason": reason}))
        self.crowd.confirm_by_s.pop(row, None)
        self._hold(row, self.crowd.outside)
        self.crowd.begin_anew(row)
        self._schedule(row)

    # --- restart, withdrawal, another map ---

    def resume(self, rows: Iterable[OpenStay], now_s: float) -> None:
        """Every stay must be confirmed within `leave_after`; a device holds the leaf it entered last."""
        parents = {zone.part_of for zone in self._zones.values()}
        leaves_first = sorted(
            rows, key=lambda s: (s.zone in parents, -(s.entered_s or 0.0), s.subject, s.zone)
        )
        for stay in leaves_first:
            mine = tuple(d for d in stay.devices if self._resumes(stay, d, now_s, stay.zone in parents))
            known = [self.crowd.row(stay.subject, d) for d in mine]
            confirm_by_s = [self.crowd.confirm_by_s.get(row, now_s) for row in known]
            self._stays.resume(stay, mine, math.nextafter(max(confirm_by_s, default=now_s), math.inf))
            if not mine:
                self._stays.end(stay.subject, stay.zone, Told(now_s, now_s, {"reason": "restart"}))

    def _resumes(self, stay: OpenStay, device: str, now_s: float, is_parent: bool) -> bool:
        row = self.crowd.row(stay.subject, device)
        if is_parent:
            return row >= 0 and stay.zone in self._chain.get(self._held(row), ())
        if stay.zone not in self._map.zones or (row >= 0 and self._held(row) != OUTSIDE):
            return False
        if row < 0:
            row = self.crowd.add(stay.subject, device, now_s)
        self.crowd.resume(row, now_s)
        self._hold(row, self._map.zones.index(stay.zone))
        self.crowd.confirm_by_s[row] = now_s + self._zones[stay.zone].leave_after_s
        self._schedule(row)
        return True

    def forget(self, subject: str) -> None:
        for row in self.crowd.rows_of(subject):
            self._drop(row)

    def replace(self, site: SiteMap, now_s: float) -> None:
        """A zone counts as changed when it or a parent of it is; beliefs in all others go on."""
        new_zones, believed = {zone.id: zone for zone in site.zones}, radio_map(site).zones
        for row in self.crowd.rows():
            held = self._chain.get(self._held(row), ())
            changed = any(new_zones.get(zone) != self._zones[zone] for zone in held)
            if changed or self._held(row) not in believed:
                self._release(row, now_s, "restart")
        if self._is_heard_alike(site):
            self._know_zones(site)
            return
        old, old_map, old_health = self.crowd, self._map, self.health
        old_anchors, equal = self._anchors, {z for z, zone in new_zones.items() if zone == self._zones.get(z)}
        for row in old.rows():
            for kind in KINDS:
                self._agenda.drop(kind, row + 1 if kind == Due.STEP else row)
        self._take(site)
        self.health.adopt(*old_health.known())
        links = {name: i for i, name in enumerate(old_map.links)}
        came_from = [links.get(name, -1) for name in self._map.links]
        stayed = [
            r if r >= 0 and old_anchors[r] == a else -1 for r, a in zip(came_from, self._anchors, strict=True)
        ]
        lessons = old.beliefs.heard_so_far()
        self.crowd.beliefs.know({zone: _by_link(lessons[zone], stayed) for zone in equal & lessons.keys()})
        for row in old.rows():
            self._carry_over(old, row, came_from)

    def _is_heard_alike(self, site: SiteMap) -> bool:
        """Only names, thresholds or fences differ: every belief goes on as it is, spot by spot."""
        old = self._site
        heard = (site.receivers, site.beacons, site.device_class)
        return heard == (old.receivers, old.beacons, old.device_class) and radio_map(site) == self._map

    def _carry_over(self, old: Crowd, row: int, came_from: Sequence[int]) -> None:
        """One device into the new map: what it sounds like by link, what is believed of it by zone."""
        device, odds = old.dump(row), dict(zip(old.zones, old.beliefs.by_zone(row), strict=True))
        rssi_dbm, heard_s, *rest, _ = device.ears
        device.ears = (
            [rssi_dbm[i] if i >= 0 else 0.0 for i in came_from],
            [heard_s[i] if i >= 0 else NEVER_S for i in came_from],
            rest[0], rest[1], rest[2], -1,
        )  # fmt: skip
        kept = [odds.get(zone, 0.0) for zone in self._map.zones]
        total = sum(kept)
        device.top = None
        device.belief = (self.crowd.beliefs.unknowing(), *device.belief[1:])
        new = self.crowd.load(device)
        if total > 0.0:
            self.crowd.beliefs.spread(new, [p / total for p in kept])
        self._hold(new, self.crowd.zone(new))
        if device.stepping:
            self.crowd.await_step(old.next_step_s)
        self._schedule(new)

    def devices(self) -> list[RadioDevice]:
        crowd = self.crowd
        return [crowd.dump(row) for row in crowd.rows()]

    def restore(self, devices: Iterable[RadioDevice], now_s: float) -> None:
        for device in devices:
            row = self.crowd.load(device)
            self._hold(row, self.crowd.zone(row))
            if device.stepping:
                self.crowd.await_step(math.floor(now_s) + 1.0)
            self._schedule(row)


def _by_link(lessons: Mapping[int, Lesson], came_from: Sequence[int]) -> dict[int, Lesson]:
    """By their links' numbers in a new map, which were `came_from` (-1: no such link) in the old."""
    return {link: lessons[old] for link, old in enumerate(came_from) if old in lessons}


def _with_parents(zone: Zone, zones: dict[str, Zone]) -> tuple[str, ...]:
    """The zone and all that it is part of; a circle of parents is walked once."""
    chain = [zone.id]
    while zone.part_of in zones and zone.part_of not in chain:
        zone = zones[zone.part_of]
        chain.append(zone.id)
    return tuple(chain)
