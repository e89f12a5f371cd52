"""Arriving, being there, driving past: one state machine per device and fence (DESIGN §3.1, §5.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from bench.objects.agenda import Agenda, Due, Key
from bench.objects.fences import Fences, Place
from bench.objects.judgement import (
    APPROACH_AGAIN,
    ENTERING_TRUST,
    OUT_HOLDS_S,
    SILENCE_TRUST,
    STANDING,
    SURE_ACCURACY_M,
    announces,
    is_beyond_margin,
    is_clearly_outside,
    is_inside,
    is_line,
    side_odds,
    side_probability,
)
from bench.objects.moments import Moment
from bench.objects.stays import APPROACH_AGAIN_S, Claim, Stays, Told, Who
from bench.objects.tracks import FIRST_S, LATE_S, Sample, Track
from bench.objects.visits import NEVER_S, NEXT, Clue, Course, State, Visit
from gateway.core.stays import thousandths
from gateway.model import Fence, Fix

SILENCE_S = 120.0
LOST_S = 12 * 3600.0
TRACK_KEPT_S = 24 * 3600.0
NOTICED_S = 12.0
"""So long inside is worth a word, however shallow."""
TAIL_S = 30.0
"""So long after a stay or crossing, a line that cuts the fence is still its tail."""


class Arrivals:
    def __init__(
        self, fences: Iterable[Fence], agenda: Agenda, stays: Stays, reject: Callable[[str], None]
    ) -> None:
        self._agenda, self._stays, self._reject = agenda, stays, reject
        self._fences = Fences(fences)
        self._courses: dict[tuple[str, str], Course] = {}
        for kind in (Due.SILENCE, Due.LOST, Due.TRACK_FADE):
            agenda.rooms[kind] = self

    # --- fixes ---

    def observe(self, fix: Fix, now_s: float) -> None:
        course = self._courses.get((fix.subject, fix.device)) or Course(Track(fix.subject, fix.device))
        track = course.track
        sample = track.admit(fix, now_s)
        if isinstance(sample, str):
            self._reject(sample)
            return
        if track.received_s == NEVER_S:
            self._courses[fix.subject, fix.device] = course
            self._agenda.put(now_s + TRACK_KEPT_S, (fix.subject, "", Due.TRACK_FADE, fix.device))
        newest_s, before = track.newest_s, track.before(sample.t_s)
        track.add(sample, now_s)
        if sample.t_s < newest_s:
            self._late(course, sample, before, now_s)
        else:
            self._newest(course, sample, before, newest_s, now_s)

    def _newest(
        self, course: Course, sample: Sample, before: Sample | None, newest_s: float, now_s: float
    ) -> None:
        first = sample.t_s - newest_s > FIRST_S
        line = not first and before is not None and is_line(before, sample)
        if before is not None and line:
            places = self._fences.along(before.place, sample.place)
        else:
            places = self._fences.at(sample.lat, sample.lon)
        if not places and not course.visits:
            return
        moment = Moment(course.track, sample, before, first, line, course.track.speed_kmh(sample), now_s)
        for fence in sorted({*course.visits, *(p.id for p in places)}):
            visit = course.visits.get(fence) or Visit()
            self._weigh(course, visit, self._fences[fence], moment)
            if _is_over(visit, sample.t_s):
                course.visits.pop(fence, None)
            else:
                course.visits[fence] = visit

    def _weigh(self, course: Course, visit: Visit, place: Place, moment: Moment) -> None:
        sample = moment.sample
        depth_m = place.shape.depth_m(sample.lat, sample.lon)
        visit.confidence = side_probability(depth_m, sample.accuracy_m)
        who = (course.track.subject, place.id, course.track.device)
        if is_inside(depth_m, sample.accuracy_m):
            self._inside(who, visit, place, moment, depth_m)
            return
        was_inside, visit.inside = visit.inside, False
        told = Told(sample.t_s, moment.now_s, partial(moment.evidence, depth_m))
        if visit.state is State.OUTSIDE:
            if sample.t_s - visit.closed_s > TAIL_S and moment.cuts(place):
                visit.since_s = visit.since_s if was_inside else sample.t_s
                visit.last_inside_s = sample.t_s
                self._apply(who, visit, Clue.CUT, told)
            else:
                self._approach(who, visit, place, moment, -depth_m)
        elif self._is_out(visit, place, depth_m, sample):
            self._apply(who, visit, Clue.OUT, told)
        elif sample.ignition is False:
            self._apply(who, visit, Clue.GONE_OUT, told.because("ignition_off"))

    def _is_out(self, visit: Visit, place: Place, depth_m: float, sample: Sample) -> bool:
        arrival = place.fence.arrival
        if is_clearly_outside(depth_m, sample.accuracy_m, arrival):
            return True
        if not is_beyond_margin(depth_m, sample.accuracy_m, arrival):
            visit.out_since_s = None
        elif visit.out_since_s is None:
            visit.out_since_s = sample.t_s
        return visit.out_since_s is not None and sample.t_s - visit.out_since_s >= OUT_HOLDS_S

    def _inside(self, who: Who, visit: Visit, place: Place, moment: Moment, depth_m: float) -> None:
        sample = moment.sample
        told = Told(sample.t_s, moment.now_s, partial(moment.evidence, depth_m))
        visit.out_since_s = None
        outside = visit.state is State.OUTSIDE
        if (outside and not visit.inside) or (visit.state is State.WITHIN and moment.first):
            visit.begin(sample.t_s)
        self._gather(visit, place, moment)
        visit.inside, visit.last_inside_s = True, sample.t_s
        visit.inside_odds = side_odds(depth_m, sample.accuracy_m, place.shape)
        visit.slow = _is_slow(sample, moment.speed_kmh, place)
        visit.quiet_until_s = moment.now_s + SILENCE_S if sample.stale else 0.0
        if outside and moment.first:
            self._apply(who, visit, Clue.FOUND, told)
        elif outside and _is_noticed(visit, place, moment, depth_m):
            self._apply(who, visit, Clue.IN, told, stale=sample.stale)
        if visit.state in (State.ENTERING, State.WITHIN):
            self._decide(who, visit, place, moment, told)
        self._stays.inside(who, sample.t_s, thousandths(visit.confidence), visit.slow, visit.quiet_until_s)

    def _gather(self, visit: Visit, place: Place, moment: Moment) -> None:
        sample, speed_kmh, stopping = moment.sample, moment.speed_kmh, visit.stopping
        if sample.accuracy_m > SURE_ACCURACY_M or visit.state is State.INSIDE:
            return
        arrival = place.fence.arrival
        if speed_kmh is None or speed_kmh >= STANDING * arrival.slow_kmh:
            stopping.turn_deg = max(stopping.turn_deg, moment.track.turn_deg())
        if visit.inside and moment.before is not None and not (visit.state is State.WITHIN and sample.stale):
            gap_s = sample.t_s - moment.before.t_s
            stopping.count(gap_s, speed_kmh, arrival, place.shape.across_m)

    def _decide(self, who: Who, visit: Visit, place: Place, moment: Moment, told: Told) -> None:
        sample = moment.sample
        if visit.state is State.WITHIN and sample.stale:
            return
        if sample.ignition is False:
            told = told.because("ignition_off")
        if visit.state is State.WITHIN:
            told = told.because("already_inside")
        arrived = visit.stopping.is_arrival(moment.speed_kmh, visit.inside_odds, place.fence.arrival)
        if arrived or (sample.ignition is False and visit.slow):
            self._apply(who, visit, Clue.ARRIVED, told)
        elif sample.ignition is False:
            self._apply(who, visit, Clue.GONE_IN, told)

    def _approach(self, who: Who, visit: Visit, place: Place, moment: Moment, distance_m: float) -> None:
        sample, before = moment.sample, moment.before
        if place.reach_m == 0.0:
            return
        self._stays.receded(who, distance_m)
        if before is None or moment.first or sample.stale:
            return
        was_m = -place.shape.depth_m(before.lat, before.lon)
        if announces(place.fence, was_m, distance_m, sample.t_s - before.t_s):
            visit.announced_s = sample.t_s
            told = Told(sample.t_s, moment.now_s, partial(moment.evidence, -distance_m))
            again_m = APPROACH_AGAIN * max(place.fence.approach_ring_m or 0.0, distance_m)
            self._stays.approaching(who, again_m, told, thousandths(visit.confidence))

    def _late(self, course: Course, sample: Sample, before: Sample | None, now_s: float) -> None:
        """An older fix adds what is missing and takes nothing back."""
        speed_kmh = course.track.speed_kmh(sample)
        moment = Moment(course.track, sample, before, False, False, speed_kmh, now_s)
        for place in self._fences.at(sample.lat, sample.lon):
            depth_m = place.shape.depth_m(sample.lat, sample.lon)
            if not is_inside(depth_m, sample.accuracy_m):
                continue
            who = (course.track.subject, place.id, course.track.device)
            told = Told(sample.t_s, now_s, partial(moment.evidence, depth_m, late=True))
            visit = course.visits.setdefault(place.id, Visit())
            sure_then, visit.confidence = visit.confidence, side_probability(depth_m, sample.accuracy_m)
            self._late_inside(who, visit, place, moment, told)
            visit.confidence = sure_then

    def _late_inside(self, who: Who, visit: Visit, place: Place, moment: Moment, told: Told) -> None:
        sample, before, sure = moment.sample, moment.before, thousandths(visit.confidence)
        depth_m = place.shape.depth_m(sample.lat, sample.lon)
        if visit.state is State.OUTSIDE:
            if before is not None and before.t_s <= sample.t_s and visit.closed_s < before.t_s:
                visit.since_s = visit.last_inside_s = sample.t_s
                self._apply(who, visit, Clue.CUT, told)
            return
        if sample.ignition is False and _is_slow(sample, moment.speed_kmh, place):
            visit.slow, visit.inside_odds = True, side_odds(depth_m, sample.accuracy_m, place.shape)
            self._decide(who, visit, place, moment, told)
        visit.last_inside_s = max(visit.last_inside_s, sample.t_s)
        self._stays.inside(who, sample.t_s, sure, visit.slow, visit.quiet_until_s)

    # --- the machine ---

    def _apply(self, who: Who, visit: Visit, clue: Clue, told: Told, *, stale: bool = False) -> None:
        step = NEXT.get((visit.state, clue))
        if step is None:
            return
        visit.state, word = step
        if visit.state is State.OUTSIDE:
            visit.closed_s, visit.inside, visit.out_since_s = told.t_s, False, None
        sure = thousandths(visit.confidence)
        claim = Claim(visit.since_s, visit.last_inside_s, sure, visit.slow)
        match word:
            case "entering":
                self._agenda.put(told.now_s + SILENCE_S, (who[0], who[1], Due.SILENCE, who[2]))
                if not stale:
                    claim.confidence = thousandths(visit.confidence * ENTERING_TRUST)
                    self._stays.entering(who, claim, told)
            case "entered":
                self._agenda.put(visit.last_inside_s + LOST_S, (who[0], who[1], Due.LOST, who[2]))
                self._stays.entered(who, claim, told)
            case "passed":
                self._stays.passed(who, claim, told)
            case "left":
                self._stays.left(who, told, sure, seen_outside=clue is Clue.OUT)

    # --- timers ---

    def due_s(self, key: Key) -> float | None:
        course = self._courses.get((key[0], key[3]))
        if course is None:
            return None
        if key[2] is Due.TRACK_FADE:
            return course.track.received_s + TRACK_KEPT_S
        visit = course.visits.get(key[1])
        if visit is None:
            return None
        if key[2] is Due.SILENCE:
            return course.track.received_s + SILENCE_S if visit.state is State.ENTERING else None
        if visit.state is not State.INSIDE:
            return None
        return max(visit.last_inside_s + LOST_S, visit.quiet_until_s)

    def serve(self, key: Key, now_s: float) -> None:
        course = self._courses[key[0], key[3]]
        if key[2] is Due.TRACK_FADE:
            del self._courses[key[0], key[3]]
            return
        visit, who = course.visits[key[1]], (key[0], key[1], key[3])
        silent_s = now_s - course.track.received_s
        if key[2] is Due.SILENCE:
            clue = Clue.GONE_IN if visit.inside else Clue.GONE_OUT
            clue = Clue.ARRIVED if visit.inside and visit.slow else clue
            evidence = partial(dict, reason="silence", interval_s=round(silent_s, 1))
            visit.confidence *= SILENCE_TRUST
            self._apply(who, visit, clue, Told(course.track.newest_s + SILENCE_S, now_s, evidence))
        else:
            visit.confidence = 0.5
            evidence = partial(dict, reason="lost", interval_s=round(silent_s, 1))
            self._apply(who, visit, Clue.LOST, Told(visit.last_inside_s + LOST_S, now_s, evidence))


def _is_over(visit: Visit, t_s: float) -> bool:
    """Nothing is left to remember."""
    kept_s = max(visit.closed_s + TAIL_S + LATE_S, visit.announced_s + APPROACH_AGAIN_S)
    return visit.state is State.OUTSIDE and not visit.inside and t_s > kept_s


def _is_slow(sample: Sample, speed_kmh: float | None, place: Place) -> bool:
    """Where no speed is reported, a vehicle whose ignition is off stands."""
    if sample.ignition is False and sample.speed_kmh is None:
        return True
    return speed_kmh is not None and speed_kmh <= place.fence.arrival.slow_kmh


def _is_noticed(visit: Visit, place: Place, moment: Moment, depth_m: float) -> bool:
    """A fix inside is worth a word: it is deep, or there is more than its place."""
    there = moment.sample.ignition is False or visit.stopping.inside_s >= NOTICED_S
    return there or moment.is_deep(place, depth_m)
