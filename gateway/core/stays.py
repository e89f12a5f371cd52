"""The presence state table: a record for each subject and zone, and a pair for each device with a part in it.

| phase    | a device says | and then                 | the subject's event | phase    |
|----------|---------------|--------------------------|---------------------|----------|
| none     | entering      |                          | entering            | entering |
| none     | entered       |                          | entered             | inside   |
| none     | passed        |                          | passed              | none     |
| none     | approaching   | not told within 10 min   | approaching         | none     |
| entering | entered       |                          | entered             | inside   |
| entering | passed        | no other claim is open   | passed              | none     |
| inside   | left          | no other device is inside| left                | none     |
| inside   | (timer)       | next threshold reached   | dwelled             | inside   |

Whatever is not in the table changes claims and gives no event. All times are Unix seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from gateway.core.agenda import Agenda, Due, Key
from gateway.core.bits import CLAIMS, HOLDS, INFINITE, SLOW
from gateway.core.rows import NONE
from gateway.core.table import Table
from gateway.core.windows import APPROACH_AGAIN_S, RECORD_KEPT_S
from gateway.model import Change, OpenStay, Presence

QUIET, ENTERING, INSIDE = 0, 1, 2
"""Phases of a record: none, an open `entering`, a stay."""
RECORD: int = Due.RECORD.value


class Told(NamedTuple):
    """When something happened, when it was decided, and by what."""

    t_s: float
    now_s: float
    evidence: dict[str, Any]


class Stays:
    """Merges what devices claim into presence; events wait in order of emission until `drain`."""

    def __init__(self, agenda: Agenda) -> None:
        self._agenda = agenda
        self.table = Table()
        self.pairs, self.records = self.table.pairs, self.table.records
        self.events: list[Presence] = []
        self._thresholds_s: dict[str, tuple[float, ...]] = {}
        self.approached: dict[int, tuple[float, str, float]] = {}
        """By record: when an approach was told, of which device, and how far out it may be told again."""
        self.quiet_until_s: dict[int, float] = {}
        """By record: until then silence proves no staying, and thresholds beyond the last evidence wait."""
        agenda.rooms[RECORD] = self

    def know(self, thresholds_s: Mapping[str, tuple[float, ...]]) -> None:
        """The dwell thresholds of every zone, rising."""
        self._thresholds_s = dict(thresholds_s)

    def untold(self) -> list[Presence]:
        return list(self.events)

    def drain(self) -> list[Presence]:
        if not self.events:
            return []
        events, self.events = self.events, []
        return events

    def drop(self, pair: int) -> None:
        """The device has no part in the zone any more, without an event."""
        record = self.table.unlink(pair)
        if self.records.phase[record] == QUIET and self.records.pair[record] == NONE:
            self.schedule(record)

    def _end(self, record: int) -> None:
        self.approached.pop(record, None)
        self.quiet_until_s.pop(record, None)
        self._agenda.drop(RECORD, record)
        self.table.end(record)

    # --- what a device says ---

    def entering(self, pair: int, since_s: float, confidence_pm: int, told: Told) -> None:
        pairs, records = self.pairs, self.records
        record = pairs.record[pair]
        pairs.says[pair] |= CLAIMS
        pairs.confidence_pm[pair] = confidence_pm
        if records.phase[record] == QUIET:
            records.phase[record] = ENTERING
            records.since_s[record] = max(since_s, records.last_t_s[record])
            self._say(record, "entering", told, confidence_pm, 0.0)

    def entered(self, pair: int, since_s: float, confidence_pm: int, told: Told) -> None:
        pairs, records = self.pairs, self.records
        record = pairs.record[pair]
        pairs.says[pair] |= CLAIMS + HOLDS
        pairs.confidence_pm[pair] = confidence_pm
        last_inside_s = pairs.last_inside_s[pair]
        if records.phase[record] == INSIDE:
            records.last_inside_s[record] = max(records.last_inside_s[record], last_inside_s)
            return
        if records.phase[record] == QUIET:
            records.since_s[record] = max(since_s, records.last_t_s[record])
        since_s = records.since_s[record]
        records.phase[record] = INSIDE
        records.announced_s[record] = 0.0
        records.last_inside_s[record] = max(last_inside_s, since_s)
        records.phase_s[record] = t_s = max(told.t_s, since_s, records.last_t_s[record])
        told = told._replace(t_s=t_s)
        self._say(record, "entered", told, self._surest_pm(record), t_s - since_s)
        self.schedule(record)

    def passed(self, pair: int, since_s: float, confidence_pm: int, told: Told) -> None:
        """The device's open `entering`, if it has one, is closed by this."""
        pairs, records = self.pairs, self.records
        record = pairs.record[pair]
        pairs.says[pair] &= SLOW
        if records.phase[record] == QUIET:
            records.since_s[record] = max(since_s, records.last_t_s[record])
        if records.phase[record] == QUIET or (
            records.phase[record] == ENTERING and not self._any(record, CLAIMS)
        ):
            last_inside_s = max(pairs.last_inside_s[pair], records.since_s[record])
            records.last_inside_s[record] = last_inside_s
            records.phase[record] = QUIET
            dwell_s = last_inside_s - records.since_s[record]
            self._say(record, "passed", told, confidence_pm, dwell_s)
        self._rest(record, told.now_s)

    def left(self, pair: int, confidence_pm: int, told: Told, seen_outside: bool = False) -> None:
        """`seen_outside`: the stay lasted until `t_s`; else it lasted until the last evidence inside."""
        pairs, records = self.pairs, self.records
        record = pairs.record[pair]
        held = pairs.says[pair] & HOLDS
        pairs.says[pair] &= SLOW
        if not held:
            return
        last_inside_s = max(records.last_inside_s[record], pairs.last_inside_s[pair])
        records.last_inside_s[record] = last_inside_s
        if records.phase[record] == INSIDE and not self._any(record, HOLDS):
            records.phase[record] = QUIET
            until_s = max(told.t_s, records.last_t_s[record]) if seen_outside else last_inside_s
            dwell_s = max(until_s - records.since_s[record], records.announced_s[record])
            self._say(record, "left", told, confidence_pm, dwell_s)
        self._rest(record, told.now_s)

    def inside(self, pair: int, t_s: float, confidence_pm: int, slow: bool, quiet_until_s: float) -> None:
        """Fresh evidence that the device is still where it claims to be."""
        pairs, records = self.pairs, self.records
        record = pairs.record[pair]
        pairs.last_inside_s[pair] = t_s = max(pairs.last_inside_s[pair], t_s)
        pairs.says[pair] = (pairs.says[pair] & (CLAIMS + HOLDS)) | (SLOW if slow else 0)
        if not pairs.says[pair] & CLAIMS:
            return
        pairs.confidence_pm[pair] = confidence_pm
        if records.phase[record] == INSIDE:
            records.last_inside_s[record] = max(records.last_inside_s[record], t_s)
            if quiet_until_s > 0.0 or self.quiet_until_s:
                self._quieten(record, quiet_until_s)

    def approaching(self, pair: int, again_m: float, confidence_pm: int, told: Told) -> None:
        records, record = self.records, self.pairs.record[pair]
        last = self.approached.get(record)
        armed = last is None or told.now_s - last[0] >= APPROACH_AGAIN_S
        if armed and records.phase[record] == QUIET and not self._any(record, CLAIMS):
            self.approached[record] = told.now_s, self.pairs.device[pair], again_m
            records.since_s[record] = told.t_s
            self._say(record, "approaching", told, confidence_pm, 0.0)
        self._rest(record, told.now_s)

    def receded(self, pair: int, distance_m: float) -> None:
        """An approach may be told again once the device is `again_m` away."""
        told = self.approached.get(self.pairs.record[pair])
        if told is not None and told[1] == self.pairs.device[pair] and distance_m > told[2]:
            del self.approached[self.pairs.record[pair]]

    # --- restart, withdrawal ---

    def resume(self, stay: OpenStay, devices: tuple[str, ...], quiet_until_s: float) -> list[int]:
        """Take the stay up as it was written, claimed by `devices`; their pairs."""
        taken = [self.table.pair(stay.subject, stay.zone, device) for device in devices]
        record = self.table.record(stay.subject, stay.zone)
        if record == NONE:
            record = self.table.begin(stay.subject, stay.zone)
        pairs, records = self.pairs, self.records
        inside = stay.phase == "inside"
        records.phase[record] = INSIDE if inside else ENTERING
        records.since_s[record], records.announced_s[record] = stay.since_s, stay.announced_s
        entered_s = stay.since_s if stay.entered_s is None else stay.entered_s
        records.phase_s[record], records.last_inside_s[record] = entered_s, stay.last_inside_s
        announced_at_s = stay.since_s + stay.announced_s if stay.announced_s else 0.0
        records.last_t_s[record] = max(entered_s, announced_at_s)
        for pair in taken:
            pairs.last_inside_s[pair] = stay.last_inside_s
            pairs.confidence_pm[pair] = thousandths(stay.confidence)
            pairs.says[pair] = CLAIMS + (HOLDS if inside else 0) + (SLOW if stay.slow else 0)
        self._quieten(record, quiet_until_s)
        self.schedule(record)
        return taken

    def end(self, subject: str, zone: str, told: Told) -> None:
        """Close whatever is open, as `left` or `passed`, no matter who claims it."""
        record = self.table.record(subject, zone)
        if record == NONE:
            return
        pairs, records = self.pairs, self.records
        phase, sure_pm = records.phase[record], self._surest_pm(record)
        records.phase[record] = QUIET
        pair = records.pair[record]
        while pair != NONE:
            pairs.says[pair] &= SLOW
            pair = pairs.other[pair]
        dwell_s = max(records.last_inside_s[record] - records.since_s[record], 0.0)
        if phase == INSIDE:
            dwell_s = max(dwell_s, records.announced_s[record])
            self._say(record, "left", told, sure_pm, dwell_s)
        elif phase == ENTERING:
            self._say(record, "passed", told, sure_pm, dwell_s)
        self._rest(record, told.now_s)

    def forget(self, subject: str) -> None:
        record = self.table.first.get(subject, NONE)
        while record != NONE:
            after = self.records.next[record]
            while self.records.pair[record] != NONE:
                self.drop(self.records.pair[record])
            self._end(record)
            record = after
        self.events = [e for e in self.events if e.subject != subject]

    # --- timers ---

    def due_s(self, kind: int, row: int) -> float:  # noqa: ARG002 - this room has one kind
        records = self.records
        if records.zone[row] == "":
            return INFINITE
        if records.phase[row] == INSIDE:
            threshold_s = self._next_threshold_s(row)
            if threshold_s == 0.0:
                return INFINITE
            t_s = max(records.since_s[row] + threshold_s, records.phase_s[row])
            if t_s <= records.last_inside_s[row] or not self.quiet_until_s:
                return t_s
            return max(t_s, self.quiet_until_s.get(row, 0.0))
        return INFINITE if records.pair[row] != NONE else records.phase_s[row] + RECORD_KEPT_S

    def key(self, kind: int, row: int) -> Key:
        return self.records.subject[row], self.records.zone[row], kind, ""

    def serve(self, kind: int, row: int, now_s: float) -> None:  # noqa: ARG002
        records = self.records
        if records.phase[row] != INSIDE:
            self._end(row)
            return
        threshold_s = self._next_threshold_s(row)
        records.announced_s[row] = threshold_s
        t_s = max(records.since_s[row] + threshold_s, records.phase_s[row])
        silent_s = round(max(0.0, t_s - records.last_inside_s[row]), 1)
        told = Told(t_s, now_s, {"interval_s": silent_s})
        self._say(row, "dwelled", told, self._surest_pm(row), t_s - records.since_s[row])
        self.schedule(row)

    # --- inner ---

    def _any(self, record: int, says: int) -> bool:
        """Some device of the record says so."""
        pair = self.records.pair[record]
        while pair != NONE:
            if self.pairs.says[pair] & says:
                return True
            pair = self.pairs.other[pair]
        return False

    def _surest_pm(self, record: int) -> int:
        """The confidence of the surest claim."""
        pair, sure_pm = self.records.pair[record], 0
        while pair != NONE:
            if self.pairs.says[pair] & CLAIMS:
                sure_pm = max(sure_pm, self.pairs.confidence_pm[pair])
            pair = self.pairs.other[pair]
        return sure_pm

    def _next_threshold_s(self, record: int) -> float:
        """0: none."""
        for threshold_s in self._thresholds_s.get(self.records.zone[record], ()):
            if threshold_s > self.records.announced_s[record]:
                return threshold_s
        return 0.0

    def _quieten(self, record: int, quiet_until_s: float) -> None:
        before_s = self.quiet_until_s.pop(record, 0.0)
        if quiet_until_s > 0.0:
            self.quiet_until_s[record] = quiet_until_s
        if before_s != quiet_until_s:
            self.schedule(record)

    def schedule(self, record: int) -> None:
        deadline_s = self.due_s(RECORD, record)
        if deadline_s != INFINITE:
            self._agenda.put(RECORD, record, deadline_s)

    def _rest(self, record: int, now_s: float) -> None:
        if self.records.phase[record] == QUIET:
            self.records.phase_s[record] = now_s
            self.quiet_until_s.pop(record, None)
            self.schedule(record)

    def _say(self, record: int, change: Change, told: Told, confidence_pm: int, dwell_s: float) -> None:
        records = self.records
        records.last_t_s[record] = t_s = max(told.t_s, records.last_t_s[record])
        self.events.append(
            Presence(
                t_s=t_s,
                emitted_s=told.now_s,
                subject=records.subject[record],
                zone=records.zone[record],
                change=change,
                since_s=records.since_s[record],
                dwell_s=dwell_s,
                confidence=confidence_pm / 1000.0,
                evidence=told.evidence,
                threshold_s=records.announced_s[record] if change == "dwelled" else None,
                stay=None if records.phase[record] == QUIET else self.open_stay(record),
            )
        )

    def open_stay(self, record: int) -> OpenStay:
        """What is to outlive a restart; for a record that is not quiet."""
        pairs, records = self.pairs, self.records
        inside, devices, slow, last_inside_s = records.phase[record] == INSIDE, [], False, -INFINITE
        pair = records.pair[record]
        while pair != NONE:
            if pairs.says[pair] & CLAIMS:
                devices.append(pairs.device[pair])
                slow = slow or pairs.says[pair] & SLOW != 0
                last_inside_s = max(last_inside_s, pairs.last_inside_s[pair])
            pair = pairs.other[pair]
        return OpenStay(
            subject=records.subject[record],
            zone=records.zone[record],
            phase="inside" if inside else "entering",
            since_s=records.since_s[record],
            entered_s=records.phase_s[record] if inside else None,
            last_inside_s=last_inside_s,
            announced_s=records.announced_s[record],
            confidence=self._surest_pm(record) / 1000.0,
            slow=slow,
            devices=tuple(sorted(devices)),
        )


def thousandths(probability: float) -> int:
    return int(probability * 1000.0 + 0.5)
