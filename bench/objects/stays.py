"""The presence state table: one record per subject and zone, holding the claims of the subject's devices.

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

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal, NamedTuple

from msgspec import Struct, field

from bench.objects.agenda import Agenda, Due, Key
from gateway.model import Change, OpenStay, Presence

APPROACH_AGAIN_S = 600.0
RECORD_KEPT_S = 600.0
"""So long a record without claims still knows where its last stay ended and which approach was told."""

Who = tuple[str, str, str]
"""Subject, zone, device."""
Phase = Literal["none", "entering", "inside"]


class Told(NamedTuple):
    """When something happened, when it was decided, and by what."""

    t_s: float
    now_s: float
    evidence: Callable[[], dict[str, Any]]
    """Made only for what is said."""

    def because(self, reason: str) -> Told:
        return self._replace(evidence=partial(self.evidence, reason=reason))


class Claim(Struct):
    """What one device says of one zone."""

    since_s: float
    last_inside_s: float
    """Time of the last evidence inside."""
    confidence: int
    """In thousandths."""
    slow: bool = False
    inside: bool = False
    """False: an open `entering`."""


class Approach(Struct):
    """Told once; `device` re-arms it beyond `again_m`."""

    told_s: float
    device: str
    again_m: float


class Record(Struct):
    subject: str
    zone: str
    phase: Phase = "none"
    since_s: float = 0.0
    entered_s: float = 0.0
    announced_s: float = 0.0
    last_inside_s: float = 0.0
    last_t_s: float = float("-inf")
    """`t` of the last event: no later one of this record lies before it."""
    idle_s: float = 0.0
    quiet_until_s: float = 0.0
    """Until then silence is no proof of staying: thresholds beyond the last evidence inside wait."""
    claims: dict[str, Claim] = field(default_factory=dict)
    approach: Approach | None = None


class Stays:
    """Merges claims into presence; events wait in order of emission until `drain`."""

    def __init__(self, agenda: Agenda) -> None:
        self._agenda = agenda
        self._records: dict[tuple[str, str], Record] = {}
        self._events: list[Presence] = []
        self._thresholds_s: Mapping[str, tuple[float, ...]] = {}
        agenda.rooms[Due.RECORD] = self

    def know(self, thresholds_s: Mapping[str, tuple[float, ...]]) -> None:
        """The dwell thresholds of every zone, rising."""
        self._thresholds_s = thresholds_s

    def drain(self) -> list[Presence]:
        if not self._events:
            return []
        events, self._events = self._events, []
        return events

    # --- what a device says ---

    def entering(self, who: Who, claim: Claim, told: Told) -> None:
        record = self._record(who)
        record.claims[who[2]] = claim
        if record.phase == "none":
            record.phase = "entering"
            record.since_s = max(claim.since_s, record.last_t_s)
            self._say(record, "entering", told)

    def entered(self, who: Who, claim: Claim, told: Told) -> None:
        record = self._record(who)
        claim.inside = True
        record.claims[who[2]] = claim
        if record.phase == "inside":
            record.last_inside_s = max(record.last_inside_s, claim.last_inside_s)
            return
        if record.phase == "none":
            record.since_s = max(claim.since_s, record.last_t_s)
        record.phase = "inside"
        record.announced_s = 0.0
        record.last_inside_s = max(claim.last_inside_s, record.since_s)
        record.entered_s = max(told.t_s, record.since_s, record.last_t_s)
        self._say(record, "entered", told._replace(t_s=record.entered_s))
        self._schedule(record)

    def passed(self, who: Who, claim: Claim, told: Told) -> None:
        """The device's open `entering`, if it has one, is closed by this."""
        record = self._record(who)
        record.claims.pop(who[2], None)
        if record.phase == "none":
            record.since_s = max(claim.since_s, record.last_t_s)
        if record.phase != "inside" and not (record.phase == "entering" and record.claims):
            record.last_inside_s = max(claim.last_inside_s, record.since_s)
            record.phase = "none"
            dwell_s = record.last_inside_s - record.since_s
            self._say(record, "passed", told, claim.confidence, dwell_s)
        self._rest(record, told.now_s)

    def left(
        self, who: Who, told: Told, confidence: int | None = None, *, seen_outside: bool = False
    ) -> None:
        """`seen_outside`: the stay lasted until `t_s`; else it lasted until the last evidence inside."""
        record = self._records.get(who[:2])
        claim = record.claims.pop(who[2], None) if record else None
        if not record or not claim or not claim.inside:
            return
        record.last_inside_s = max(record.last_inside_s, claim.last_inside_s)
        if record.phase == "inside" and not any(c.inside for c in record.claims.values()):
            record.phase = "none"
            until_s = max(told.t_s, record.last_t_s) if seen_outside else record.last_inside_s
            dwell_s = max(until_s - record.since_s, record.announced_s)
            sure = claim.confidence if confidence is None else confidence
            self._say(record, "left", told, sure, dwell_s)
        self._rest(record, told.now_s)

    def inside(
        self, who: Who, t_s: float, confidence: int, slow: bool = False, quiet_until_s: float = 0.0
    ) -> None:
        """Fresh evidence that the device is still where it claims to be."""
        record = self._records.get(who[:2])
        claim = record.claims.get(who[2]) if record else None
        if not record or not claim:
            return
        claim.last_inside_s = max(claim.last_inside_s, t_s)
        claim.confidence, claim.slow = confidence, slow
        if record.phase == "inside":
            record.last_inside_s = max(record.last_inside_s, claim.last_inside_s)
            if record.quiet_until_s != quiet_until_s or quiet_until_s:
                record.quiet_until_s = quiet_until_s
                self._schedule(record)

    def approaching(self, who: Who, again_m: float, told: Told, confidence: int) -> None:
        record = self._record(who)
        last = record.approach
        armed = last is None or told.now_s - last.told_s >= APPROACH_AGAIN_S
        if armed and record.phase == "none" and not record.claims:
            record.approach = Approach(told.now_s, who[2], again_m)
            record.since_s = told.t_s
            self._say(record, "approaching", told, confidence)
        self._rest(record, told.now_s)

    def receded(self, who: Who, distance_m: float) -> None:
        """An approach may be told again once the device is `again_m` away."""
        record = self._records.get(who[:2])
        told = record and record.approach
        if record and told and told.device == who[2] and distance_m > told.again_m:
            record.approach = None

    # --- timers ---

    def due_s(self, key: Key) -> float | None:
        record = self._records.get(key[:2])
        if record is None:
            return None
        if record.phase == "inside":
            threshold_s = self._next_threshold(record)
            if threshold_s is None:
                return None
            t_s = max(record.since_s + threshold_s, record.entered_s)
            return t_s if t_s <= record.last_inside_s else max(t_s, record.quiet_until_s)
        return None if record.claims else record.idle_s + RECORD_KEPT_S

    def serve(self, key: Key, now_s: float) -> None:
        record = self._records[key[:2]]
        threshold_s = self._next_threshold(record)
        if record.phase != "inside" or threshold_s is None:
            del self._records[key[:2]]
            return
        record.announced_s = threshold_s
        t_s = max(record.since_s + threshold_s, record.entered_s)
        silent_s = round(max(0.0, t_s - record.last_inside_s), 1)
        self._say(
            record, "dwelled", Told(t_s, now_s, partial(dict, interval_s=silent_s)), threshold_s=threshold_s
        )
        self._schedule(record)

    # --- inner ---

    def _record(self, who: Who) -> Record:
        record = self._records.get(who[:2])
        if record is None:
            record = self._records[who[:2]] = Record(who[0], who[1])
        return record

    def _next_threshold(self, record: Record) -> float | None:
        for threshold_s in self._thresholds_s.get(record.zone, ()):
            if threshold_s > record.announced_s:
                return threshold_s
        return None

    def _schedule(self, record: Record) -> None:
        key: Key = (record.subject, record.zone, Due.RECORD, "")
        deadline_s = self.due_s(key)
        if deadline_s is not None:
            self._agenda.put(deadline_s, key)

    def _rest(self, record: Record, now_s: float) -> None:
        if record.phase == "none":
            record.idle_s = now_s
            self._schedule(record)

    def _say(
        self,
        record: Record,
        change: Change,
        told: Told,
        confidence: int | None = None,
        dwell_s: float | None = None,
        *,
        threshold_s: float | None = None,
    ) -> None:
        record.last_t_s = t_s = max(told.t_s, record.last_t_s)
        if confidence is None:
            confidence = max(c.confidence for c in record.claims.values())
        if dwell_s is None:
            dwell_s = t_s - record.since_s if record.phase == "inside" else 0.0
        self._events.append(
            Presence(
                t_s=t_s,
                emitted_s=told.now_s,
                subject=record.subject,
                zone=record.zone,
                change=change,
                since_s=record.since_s,
                dwell_s=dwell_s,
                confidence=confidence / 1000.0,
                evidence=told.evidence(),
                threshold_s=threshold_s,
                stay=None if record.phase == "none" else _open_stay(record),
            )
        )


def _open_stay(record: Record) -> OpenStay:
    claims = record.claims.values()
    inside = record.phase == "inside"
    return OpenStay(
        subject=record.subject,
        zone=record.zone,
        phase="inside" if inside else "entering",
        since_s=record.since_s,
        entered_s=record.entered_s if inside else None,
        last_inside_s=max(c.last_inside_s for c in claims),
        announced_s=record.announced_s,
        confidence=max(c.confidence for c in claims) / 1000.0,
        slow=any(c.slow for c in claims),
        devices=tuple(sorted(record.claims)),
    )
