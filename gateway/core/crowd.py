"""All devices heard by radio, one row each: what they sound like and where they are believed to be.

Readings come in one at a time or in batches; once a second the beliefs of all that are heard are stepped
together, and what is to be said of it is left to the room (radio.py) in two short lists. Compiled where a
compiler was at hand (crowd.pxd has the types); both forms do the same to the bit.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from gateway.core.agenda import Agenda, Due
from gateway.core.belief import Beliefs
from gateway.core.clones import COPIED_S, FAR_M, STRONG_DBM, apart_m
from gateway.core.health import Health
from gateway.core.listening import Ears, is_strength
from gateway.core.moving import Threshold
from gateway.core.propagation import OUTSIDE, RadioMap
from gateway.core.rows import NONE
from gateway.core.stays import Stays, thousandths
from gateway.core.trust import confidence
from gateway.model import SiteMap
from gateway.reading import Reading

NEVER = float("inf")
STEP: int = Due.STEP.value
SECOND = 0
"""Row of the agenda for the step of all devices, which comes before everything else of its moment; a device
that it takes to another zone is the row after its own."""
LEARN_S = 60.0
"""A device in one zone says so long what it sounds like: one that stands there for hours is no crowd."""
NEW_S = 7
"""So many steps a zone is new to who has moved there: few stays are that short."""
IMPLAUSIBLE_TRUST = 0.5
"""What a confidence is worth while the device is heard where it cannot be."""

Held = tuple[tuple[str, str, str], tuple[int, ...]]
"""Subject, zone and device of a zone that is held, and the numbers of the leaves that it is the sum of."""


class RadioDevice(Struct):
    """One row, as a snapshot has it."""

    subject: str
    device: str
    ears: tuple[list[float], list[float], float, float, float, int]
    """See `Ears.dump`."""
    belief: tuple[list[float], float, float, float]
    """See `Beliefs.dump`."""
    stepping: bool
    """False: silent, no steps until it is heard again."""
    top: str | None
    """The most probable zone at the last step; None: the run of steps begins anew."""
    run_s: float
    """Start of the unbroken run of steps with that zone on top."""
    zone: str
    """The leaf that the device holds."""
    confirm_by_s: float | None = None
    """A resumed stay must be confirmed by then."""
    implausible_s: int = 0
    """For so many steps in a row, up to a bound, it is heard at two receivers that are too far apart."""
    said: tuple[float | None, bool | None] | None = None
    """Battery in percent and whether it moved, of a device that says so."""
    new_s: int = 0
    """For so many more steps the zone that it holds is new."""


class Crowd:
    def __init__(
        self,
        site: SiteMap,
        radio_map: RadioMap,
        health: Health,
        agenda: Agenda,
        *,
        threshold: Threshold,
        reject: Callable[[str], None],
    ) -> None:
        self.zones = radio_map.zones
        self.outside = len(radio_map.zones) - 1
        """Number of the zone outside."""
        self.threshold = threshold
        self._calibrated = radio_map.calibrated
        self.ears, self.beliefs = Ears(len(radio_map.links)), Beliefs(radio_map, site.device_class)
        self.next_step_s = NEVER
        self.reached_s = float("-inf")
        self.confirm_by_s: dict[int, float] = {}
        """Rows whose resumed stay must be confirmed by then."""
        self.said: dict[int, tuple[float | None, bool | None]] = {}
        """By row of a device that says so, its battery in percent and whether it moved."""
        self.movers: list[int] = []
        """Rows that the last step takes to another zone."""
        self.changed: list[int] = []
        """Rows that fell silent or were taken for outside while they hold a zone."""
        self.suspects: list[int] = []
        """Rows that are strong at receivers far apart, or were."""
        self._link = {link: i for i, link in enumerate(radio_map.links)}
        anchors = {a.id: a for a in (*site.receivers, *site.beacons)}
        self._unplaced = frozenset(anchors) - frozenset(self._link)
        self._apart_m = array(
            "f", [apart_m(anchors[a], anchors[b]) for a in radio_map.links for b in radio_map.links]
        )
        self._health, self._reject, self._agenda = health, reject, agenda
        self._ear = array("h", [health.number(link) for link in radio_map.links])
        self._row: dict[str, dict[str, int]] = {}
        self._last_subject: str | None = None
        self._last_device: str | None = None
        self._last_row = 0
        """One advert comes from several receivers: the row need not be looked up for each."""
        self._used = 0
        self._free: list[int] = []
        self._who: list[tuple[str, str] | None] = []
        self._holds: list[tuple[Held, ...]] = []
        self._stepping, self._implausible, self._new_s = (array("b", [0]) for _ in range(3))
        self._top, self._zone = array("h", [0]), array("h", [0])
        self._run_s = array("d", [0.0])

    # --- rows ---

    def row(self, subject: str, device: str) -> int:
        """-1 for one that is not known."""
        devices = self._row.get(subject)
        return -1 if devices is None else devices.get(device, -1)

    def add(self, subject: str, device: str, now_s: float) -> int:
        if self._free:
            row = self._free.pop()
        else:
            row = self._used
            self._used += 1
            self._who.append(None)
            self._holds.append(())
            if row >= self.ears.rows:
                self._grow(2 * self.ears.rows)
        self._row.setdefault(subject, {})[device] = row
        self._who[row], self._holds[row] = (subject, device), ()
        self.ears.clear(row, now_s)
        self.beliefs.clear(row, now_s)
        self._stepping[row], self._implausible[row], self._new_s[row] = 0, 0, 0
        self._top[row], self._zone[row], self._run_s[row] = -1, self.outside, 0.0
        return row

    def _grow(self, rows: int) -> None:
        more = rows - self.ears.rows
        self.ears.grow(rows)
        self.beliefs.grow(rows)
        self._stepping = array("b", self._stepping) + array("b", [0]) * more
        self._implausible = array("b", self._implausible) + array("b", [0]) * more
        self._new_s = array("b", self._new_s) + array("b", [0]) * more
        self._top = array("h", self._top) + array("h", [0]) * more
        self._zone = array("h", self._zone) + array("h", [0]) * more
        self._run_s = array("d", self._run_s) + array("d", [0.0]) * more

    def drop(self, row: int) -> None:
        who = self._who[row]
        self._last_subject = self._last_device = None
        if who is not None:
            devices = self._row[who[0]]
            del devices[who[1]]
            if not devices:
                del self._row[who[0]]
            self._who[row], self._holds[row], self._stepping[row] = None, (), 0
            self.confirm_by_s.pop(row, None)
            self.said.pop(row, None)
            self._free.append(row)

    def rows(self) -> list[int]:
        """In the order of (subject, device)."""
        return [self._row[s][d] for s in sorted(self._row) for d in sorted(self._row[s])]

    def rows_of(self, subject: str) -> list[int]:
        return list(self._row.get(subject, {}).values())

    def who(self, row: int) -> tuple[str, str]:
        """Subject and device."""
        who = self._who[row]
        if who is None:
            raise LookupError(f"no device in row {row}")
        return who

    # --- readings ---

    def hear(self, reading: Reading, now_s: float) -> None:
        """One reading, which counts as received at `now_s`."""
        rssi_dbm, name = reading.rssi_dbm, reading.link
        if not is_strength(rssi_dbm):
            self._reject("bad_rssi")
            return
        number = self._link.get(name)
        if number is None:
            if name in self._unplaced:
                self._health.heard(name, now_s)
            else:
                self._reject("unknown_link")
            return
        link = number
        self._health.hear(self._ear[link], now_s)
        subject, device = reading.subject, reading.device
        if subject is self._last_subject and device is self._last_device:
            row = self._last_row
        else:
            devices = self._row.get(subject)
            found = None if devices is None else devices.get(device)
            row = self.add(subject, device, now_s) if found is None else found
            self._last_subject, self._last_device, self._last_row = subject, device, row
        self.ears.hear(row, link, rssi_dbm, now_s)
        battery_pct, moved = reading.battery_pct, reading.moved
        if battery_pct is not None or moved is not None:
            self.said[row] = battery_pct, moved
        if not self._stepping[row]:
            self._stepping[row] = 1
            if self.next_step_s == NEVER:
                self.await_step(math.floor(now_s) + 1.0)

    def takes(self, reading: Reading, now_s: float) -> bool:
        """Hear a reading, at `reached_s`, unless something is due until then or its time is none."""
        t_s = reading.t_s
        if t_s > now_s:
            if t_s >= self._agenda.soonest_s:
                return False
            self.reached_s = t_s
        elif math.isnan(t_s) or t_s == -NEVER:
            return False
        else:
            self.reached_s = now_s
        self.hear(reading, self.reached_s)
        return True

    def take(self, batch: Sequence[Any], first: int, now_s: float) -> int:
        """Hear the readings from `first` on, up to the first that `takes` refuses or something else; returns
        the place of that. `reached_s` is then the time of the last that was heard."""
        at, end = first, len(batch)
        self.reached_s = now_s
        while at < end:
            reading = batch[at]
            if type(reading) is not Reading or not self.takes(reading, self.reached_s):
                break
            at += 1
        return at

    def await_step(self, at_s: float) -> None:
        self.next_step_s = at_s
        if at_s != NEVER:
            self._agenda.put(STEP, SECOND, at_s)

    # --- a second ---

    def step(self, now_s: float, stays: Stays) -> None:
        """Step every device that is heard; who stays where it is says so to `stays`."""
        movers: list[int] = []
        changed: list[int] = []
        suspects: list[int] = []
        self.movers, self.changed, self.suspects = movers, changed, suspects
        stepped = 0
        for row in range(self._used):
            if not self._stepping[row]:
                continue
            count = self.beliefs.step(row, self.ears, now_s)
            if count == 0:
                self._stepping[row], self._new_s[row] = 0, 0
                changed.append(row)
                continue
            stepped += 1
            if self._implausible[row] or self._is_suspect(count):
                suspects.append(row)
            top = self.beliefs.top
            if top != self._top[row]:
                self._top[row], self._run_s[row] = top, now_s
                if top == self.outside and self._zone[row] != top:
                    changed.append(row)
            is_new = self._new_s[row] > 0
            if is_new:
                self._new_s[row] -= 1
            if top == self.outside:
                continue
            if top == self._zone[row]:
                self._stay(row, stays)
                if now_s - self._run_s[row] < LEARN_S and not self._implausible[row]:
                    self.beliefs.learn(row, count)
            elif self.beliefs.p >= self.threshold.needs(top, is_new, self.beliefs, row, self.ears, now_s):
                movers.append(row)
        self.beliefs.take_up()
        self.await_step(now_s + 1.0 if stepped else NEVER)

    def _stay(self, row: int, stays: Stays) -> None:
        if self.confirm_by_s and row in self.confirm_by_s:
            if self.beliefs.p < self.threshold.asked:
                return
            del self.confirm_by_s[row]
        last_s = self.ears.last_s(row)
        for (subject, zone, device), leaves in self._holds[row]:
            pair = stays.table.known(subject, zone, device)
            if pair != NONE:
                stays.inside(pair, last_s, thousandths(self.sureness(row, leaves)), False, 0.0)

    def sureness(self, row: int, leaves: tuple[int, ...]) -> float:
        """Confidence that the device of the row stepped or looked at last is in one of these zones."""
        sure = confidence(self.beliefs.probability(leaves), calibrated=self._calibrated)
        return sure * IMPLAUSIBLE_TRUST if self._implausible[row] else sure

    def _is_suspect(self, count: int) -> bool:
        """Whether the row stepped last is strong at two receivers that are far from one another."""
        links = self.ears.links
        for k in range(count):
            if self.beliefs._fresh_dbm[k] >= STRONG_DBM:
                at = self.beliefs._fresh[k] * links
                for other in range(k):
                    if (
                        self.beliefs._fresh_dbm[other] >= STRONG_DBM
                        and self._apart_m[at + self.beliefs._fresh[other]] >= FAR_M
                    ):
                        return True
        return False

    # --- what the room knows and says of a row ---

    def top(self, row: int) -> int:
        return self._top[row]

    def run_s(self, row: int) -> float:
        return self._run_s[row]

    def zone(self, row: int) -> int:
        return self._zone[row]

    def is_stepping(self, row: int) -> bool:
        return bool(self._stepping[row])

    def is_implausible(self, row: int) -> bool:
        return bool(self._implausible[row])

    def suspect(self, row: int, implausible: bool) -> bool:
        """What the step found; True once, when it has lasted so long that it is no accident."""
        steps = min(self._implausible[row] + 1, COPIED_S + 1) if implausible else 0
        self._implausible[row] = steps
        return steps == COPIED_S

    def hold(self, row: int, zone: int, held: tuple[Held, ...]) -> None:
        """The device is in that zone from now on."""
        self._zone[row], self._holds[row] = zone, held

    def move(self, row: int) -> None:
        """The zone that it holds is new to it."""
        self._new_s[row] = NEW_S

    def begin_anew(self, row: int) -> None:
        """The run of steps starts with the next; outside is never new."""
        self._top[row], self._new_s[row] = -1, 0

    def resume(self, row: int, now_s: float) -> None:
        """As if the device had been heard at this moment, on no link."""
        self.ears.touch(row, now_s)

    def dump(self, row: int) -> RadioDevice:
        subject, device = self.who(row)
        top = self._top[row]
        return RadioDevice(
            subject,
            device,
            self.ears.dump(row),
            self.beliefs.dump(row),
            bool(self._stepping[row]),
            None if top < 0 else self.zones[top],
            self._run_s[row],
            self.zones[self._zone[row]],
            self.confirm_by_s.get(row),
            self._implausible[row],
            self.said.get(row),
            self._new_s[row],
        )

    def load(self, device: RadioDevice) -> int:
        """Another row, as `dump` told; ValueError for a zone that is not in the map."""
        row = self.add(device.subject, device.device, 0.0)
        self.ears.load(row, device.ears)
        self.beliefs.load(row, device.belief)
        self._stepping[row], self._implausible[row] = device.stepping, device.implausible_s
        self._new_s[row] = device.new_s
        self._top[row] = -1 if device.top is None else self.zones.index(device.top)
        self._zone[row], self._run_s[row] = self.zones.index(device.zone or OUTSIDE), device.run_s
        if device.confirm_by_s is not None:
            self.confirm_by_s[row] = device.confirm_by_s
        if device.said is not None:
            self.said[row] = device.said
        return row

    @property
    def nbytes(self) -> int:
        """State of one device in all arrays, flags and zones (7) and the start of the run (8) among them; its
        names and what it holds come on top."""
        return self.ears.nbytes + self.beliefs.nbytes + 1 + 1 + 1 + 2 + 2 + 8
