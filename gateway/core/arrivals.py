"""Arriving, being there, driving past: one state machine per device and fence (DESIGN §3.1, §5.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gateway.core.agenda import Agenda, Due, Key
from gateway.core.bits import AT, INFINITE, SLOW, STATE, UNKNOWN
from gateway.core.fences import Place
from gateway.core.judgement import announces, is_inside, rolls, side_odds, side_probability
from gateway.core.moments import Moment
from gateway.core.rows import NONE
from gateway.core.stays import Stays, Told, thousandths
from gateway.core.tracks import REASONS
from gateway.core.vehicles import Vehicles
from gateway.core.visits import ENTERING, INSIDE, NEXT, OUTSIDE, WITHIN, Clue, State, Word
from gateway.core.windows import LOST_S, SILENCE_S, SURE_ACCURACY_M, TAIL_S, TRACK_KEPT_S
from gateway.model import Fence, Fix, OpenStay

NOTICED_S = 12.0
"""So long inside is worth a word, however shallow."""
APPROACH_AGAIN = 1.5
"""Beyond so many times the ring an approach may be announced again."""
ENTERING_TRUST, SILENCE_TRUST, LOST_TRUST = 0.5, 0.8, 0.5
"""What the probability of the side is worth for a provisional word and for one that silence decides, and the
confidence of one that is given up."""
VEHICLE: int = Due.VEHICLE.value

IN, FOUND, CUT, OUT, ARRIVED, GONE_IN, GONE_OUT, LOST = (clue.value for clue in Clue)
TABLE = [NEXT.get((state, clue), (state, -1)) for state in State for clue in Clue]
"""By eight times the state and the clue; -1: changes nothing."""
_, SAY_ENTERING, SAY_ENTERED, SAY_PASSED, SAY_LEFT = (word.value for word in Word)


class Arrivals:
    def __init__(
        self, fences: Iterable[Fence], agenda: Agenda, stays: Stays, reject: Callable[[str], None]
    ) -> None:
        self._agenda, self._stays, self._reject = agenda, stays, reject
        self.vehicles = Vehicles(stays, fences)
        self._pairs, self._tracks = stays.pairs, self.vehicles.tracks
        self._undecided = self.vehicles.undecided
        self._moment = Moment(self._tracks)
        self._due_pair = NONE
        agenda.rooms[VEHICLE] = self

    # --- fixes ---

    def observe(self, fix: Fix, now_s: float) -> None:
        subject, device = fix.subject, fix.device
        row = self.vehicles.rows.get((subject, device))
        track: int = self.vehicles.begin(subject, device) if row is None else row
        tracks = self._tracks
        sample = tracks.admit(track, fix, now_s)
        if sample < 0:
            self._reject(REASONS[-sample - 1])
            if tracks.count[track] == 0 and tracks.suspect[track] == NONE:
                self._end(track)
            return
        newest_s, t_s = tracks.newest_s[track], tracks.samples.t_s[sample]
        known, before = tracks.received_s[track] > -INFINITE, tracks.before(track, t_s)
        tracks.add(track, sample, now_s)
        if not known:
            self.schedule(track)
        if t_s < newest_s:
            self._late(track, sample, before, now_s)
        else:
            self._newest(track, sample, before, newest_s, now_s)

    def _newest(self, track: int, sample: int, before: int, newest_s: float, now_s: float) -> None:
        moment, samples = self._moment, self._tracks.samples
        moment.come(track, sample, before, newest_s, now_s)
        if moment.line:
            self._meet(samples.lat[before], samples.lon[before])
        else:
            self._meet(moment.lat, moment.lon)

    def _late(self, track: int, sample: int, before: int, now_s: float) -> None:
        """An older fix adds what is missing and takes nothing back."""
        self._moment.come_late(track, sample, before, now_s)
        self._meet(self._moment.lat, self._moment.lon)

    def _meet(self, lat: float, lon: float) -> None:
        """The fix meets each fence that can matter to its vehicle on the line from there."""
        moment, vehicles = self._moment, self.vehicles
        count = vehicles.seek(moment.track, lat, lon, moment.lat, moment.lon)
        if count == 0:
            return
        moment.measure()
        for k in range(count):
            place, pair = vehicles.fences.places[vehicles.fences.found[k]], vehicles.visited[k]
            depth_m = place.shape.depth_m(moment.lat, moment.lon)
            inside = is_inside(depth_m, moment.accuracy_m)
            if inside and moment.late:
                self._late_inside(place, pair, depth_m)
            elif inside:
                self._inside(place, pair, depth_m)
            elif not moment.late:
                self._outside(place, pair, depth_m)

    def _inside(self, place: Place, pair: int, depth_m: float) -> None:
        moment, pairs, undecided = self._moment, self._pairs, self._undecided
        sure = side_probability(depth_m, moment.accuracy_m)
        if pair == NONE:
            pair = self.vehicles.visit(moment.track, place)
        slow, quiet_until_s = self._is_slow(place), moment.now_s + SILENCE_S if moment.stale else 0.0
        state, was_at = pairs.state[pair] & STATE, pairs.state[pair] & AT
        if state == INSIDE:
            if quiet_until_s > 0.0 or pairs.undecided[pair] != NONE:
                row = self.vehicles.undecided_row(pair)
                undecided.out_since_s[row], undecided.quiet_until_s[row] = INFINITE, quiet_until_s
                self.vehicles.settle(pair)
        else:
            row = pairs.undecided[pair]
            if (state == OUTSIDE and not was_at) or (state == WITHIN and moment.first):
                undecided.anew(row)
                undecided.since_s[row], was_at = moment.t_s, 0
            self._gather(place, row, state, was_at != 0)
            undecided.sure[row], undecided.out_since_s[row] = sure, INFINITE
            undecided.quiet_until_s[row] = quiet_until_s
            undecided.inside_odds[row] = side_odds(depth_m, moment.accuracy_m, place)
        pairs.state[pair] |= AT
        pairs.last_inside_s[pair] = moment.t_s
        pairs.says[pair] = (pairs.says[pair] & ~SLOW) | (SLOW if slow else 0)
        if state == OUTSIDE:
            if moment.first:
                self._apply(pair, FOUND, depth_m, sure)
            elif self._is_noticed(place, pair, depth_m):
                self._apply(pair, IN, depth_m, sure)
        self._decide(place, pair, depth_m, sure)
        self._stays.inside(pair, moment.t_s, thousandths(sure), slow, quiet_until_s)

    def _gather(self, place: Place, row: int, state: int, was_at: bool) -> None:
        """What this fix adds to the evidence of stopping."""
        moment, undecided = self._moment, self._undecided
        if moment.accuracy_m > SURE_ACCURACY_M:
            return
        if rolls(moment.speed_kmh, place):
            undecided.turn_deg[row] = max(undecided.turn_deg[row], moment.turn())
        if was_at and moment.before != NONE and not (state == WITHIN and moment.stale):
            undecided.count(row, moment.gap_s, moment.speed_kmh, place)

    def _is_slow(self, place: Place) -> bool:
        """Where no speed is reported, a vehicle whose ignition is off stands."""
        moment = self._moment
        if moment.off and self._tracks.samples.speed_kmh[moment.sample] == UNKNOWN:
            return True
        return moment.speed_kmh != UNKNOWN and moment.speed_kmh <= place.slow_kmh

    def _is_noticed(self, place: Place, pair: int, depth_m: float) -> bool:
        """A fix inside is worth a word: it is deep, or there is more than its place."""
        if self._moment.off or self._undecided.inside_s[self._pairs.undecided[pair]] >= NOTICED_S:
            return True
        return self._moment.is_deep(place, depth_m)

    def _decide(self, place: Place, pair: int, depth_m: float, sure: float) -> None:
        moment, pairs = self._moment, self._pairs
        state = pairs.state[pair] & STATE
        if state == ENTERING or (state == WITHIN and not moment.stale):
            arrived = self._undecided.is_arrival(pairs.undecided[pair], moment.speed_kmh, place)
            if arrived or (moment.off and pairs.says[pair] & SLOW):
                self._apply(pair, ARRIVED, depth_m, sure)
            elif moment.off:
                self._apply(pair, GONE_IN, depth_m, sure)

    def _outside(self, place: Place, pair: int, depth_m: float) -> None:
        moment, pairs, undecided = self._moment, self._pairs, self._undecided
        sure = side_probability(depth_m, moment.accuracy_m)
        state = OUTSIDE if pair == NONE else pairs.state[pair] & STATE
        if state != OUTSIDE:
            row = self.vehicles.undecided_row(pair)
            undecided.sure[row] = sure
            pairs.state[pair] &= STATE
            if undecided.holds_out(row, moment.t_s, depth_m, moment.accuracy_m, place):
                self._apply(pair, OUT, depth_m, sure)
            elif moment.off:
                self._apply(pair, GONE_OUT, depth_m, sure)
            self.vehicles.settle(pair)
            return
        closed_s = -INFINITE if pair == NONE else undecided.closed_s[pairs.undecided[pair]]
        was_at = pair != NONE and pairs.state[pair] & AT != 0
        if was_at:
            pairs.state[pair] &= STATE
        if moment.t_s - closed_s > TAIL_S and moment.cuts(place):
            if pair == NONE:
                pair = self.vehicles.visit(moment.track, place)
            if not was_at:
                undecided.since_s[pairs.undecided[pair]] = moment.t_s
            pairs.last_inside_s[pair] = moment.t_s
            self._apply(pair, CUT, depth_m, sure)
        elif place.reach_m > 0.0:
            pair = self._approach(place, pair, -depth_m, sure)
        if pair != NONE and self.vehicles.is_over(pair, self._moment.t_s):
            self.vehicles.leave(moment.track, pair)

    def _approach(self, place: Place, pair: int, distance_m: float, sure: float) -> int:
        """The pair, which is begun when an approach is announced."""
        moment, samples = self._moment, self._tracks.samples
        if pair != NONE:
            self._stays.receded(pair, distance_m)
        if moment.before == NONE or moment.first or moment.stale:
            return pair
        was_m = -place.shape.depth_m(samples.lat[moment.before], samples.lon[moment.before])
        if announces(place, was_m, distance_m, moment.gap_s):
            if pair == NONE:
                pair = self.vehicles.visit(moment.track, place)
            self._undecided.announced_s[self._pairs.undecided[pair]] = moment.t_s
            again_m = APPROACH_AGAIN * max(place.ring_m, distance_m)
            evidence = moment.evidence(-distance_m)
            told = Told(moment.t_s, moment.now_s, evidence)
            self._stays.approaching(pair, again_m, thousandths(sure), told)
        return pair

    def _late_inside(self, place: Place, pair: int, depth_m: float) -> None:
        moment, pairs, undecided = self._moment, self._pairs, self._undecided
        sure = side_probability(depth_m, moment.accuracy_m)
        if pair == NONE or pairs.state[pair] & STATE == OUTSIDE:
            closed_s = -INFINITE if pair == NONE else undecided.closed_s[pairs.undecided[pair]]
            if moment.before != NONE and moment.gap_s >= 0.0 and closed_s < moment.t_s - moment.gap_s:
                if pair == NONE:
                    pair = self.vehicles.visit(moment.track, place)
                undecided.since_s[pairs.undecided[pair]] = pairs.last_inside_s[pair] = moment.t_s
                self._apply(pair, CUT, depth_m, sure)
            return
        slow = pairs.says[pair] & SLOW != 0
        row = pairs.undecided[pair]
        if moment.off and self._is_slow(place):
            slow = True
            pairs.says[pair] |= SLOW
            if pairs.state[pair] & STATE != INSIDE:
                undecided.inside_odds[row] = side_odds(depth_m, moment.accuracy_m, place)
                self._decide(place, pair, depth_m, sure)
        row = pairs.undecided[pair]
        quiet_until_s = 0.0 if row == NONE else undecided.quiet_until_s[row]
        self._stays.inside(pair, moment.t_s, thousandths(sure), slow, quiet_until_s)

    # --- the machine ---

    def _apply(self, pair: int, clue: int, depth_m: float, sure: float) -> None:
        """The fix that is looked at gives this clue."""
        moment, state = self._moment, self._pairs.state[pair] & STATE
        word = TABLE[8 * state + clue][1]
        if word < 0:
            return
        evidence = moment.evidence(depth_m) if word > 0 else {}
        if clue in (ARRIVED, GONE_IN, GONE_OUT):
            if state == WITHIN:
                evidence["reason"] = "already_inside"
            elif moment.off:
                evidence["reason"] = "ignition_off"
        self._tell(moment.track, pair, clue, sure, Told(moment.t_s, moment.now_s, evidence))

    def _tell(self, track: int, pair: int, clue: int, sure: float, told: Told) -> None:
        """Go on in the table, and say what it has the device say."""
        pairs, undecided, stays = self._pairs, self._undecided, self._stays
        state, word = TABLE[8 * (pairs.state[pair] & STATE) + clue]
        row = self.vehicles.undecided_row(pair)
        since_s = undecided.since_s[row]
        pairs.state[pair] = state | (pairs.state[pair] & AT)
        if state == OUTSIDE:
            pairs.state[pair] = OUTSIDE
            undecided.closed_s[row], undecided.out_since_s[row] = told.t_s, INFINITE
        if word == SAY_ENTERING:
            if not self._moment.stale:
                stays.entering(pair, since_s, thousandths(sure * ENTERING_TRUST), told)
        elif word == SAY_ENTERED:
            stays.entered(pair, since_s, thousandths(sure), told)
        elif word == SAY_PASSED:
            stays.passed(pair, since_s, thousandths(sure), told)
        elif word == SAY_LEFT:
            stays.left(pair, thousandths(sure), told, seen_outside=clue == OUT)
        if word > 0:
            self.schedule(track)
        self.vehicles.settle(pair)

    # --- timers ---

    def due_s(self, kind: int, row: int) -> float:  # noqa: ARG002 - this room has one kind
        """The first that is due of this track; `_due_pair` is then its pair, NONE when the track fades."""
        if self.vehicles.names[row][0] == "":
            return INFINITE
        pairs, received_s = self._pairs, self._tracks.received_s[row]
        first_s, self._due_pair = received_s + TRACK_KEPT_S, NONE
        pair = self._tracks.pair[row]
        while pair != NONE:
            due_s = self.vehicles.silence_ends_s(row, pair)
            if due_s < first_s or (due_s == first_s and self._is_before(pair)):
                first_s, self._due_pair = due_s, pair
            pair = pairs.beside[pair]
        return first_s

    def _is_before(self, pair: int) -> bool:
        """Of two pairs that are due at once, that of the lesser zone comes first."""
        if self._due_pair == NONE:
            return False
        return self.vehicles.place_of(pair).number < self.vehicles.place_of(self._due_pair).number

    def key(self, kind: int, row: int) -> Key:
        self.due_s(kind, row)
        zone = "" if self._due_pair == NONE else self.vehicles.place_of(self._due_pair).id
        subject, device = self.vehicles.names[row]
        return subject, zone, kind, device

    def serve(self, kind: int, row: int, now_s: float) -> None:
        self.due_s(kind, row)
        pair, pairs = self._due_pair, self._pairs
        if pair == NONE:
            self._end(row)
            return
        silent_s = round(now_s - self._tracks.received_s[row], 1)
        if pairs.state[pair] & STATE == ENTERING:
            clue = GONE_OUT
            if pairs.state[pair] & AT:
                clue = ARRIVED if pairs.says[pair] & SLOW else GONE_IN
            sure = self._undecided.sure[pairs.undecided[pair]] * SILENCE_TRUST
            self._undecided.sure[pairs.undecided[pair]] = sure
            evidence = {"reason": "silence", "interval_s": silent_s}
            told = Told(self._tracks.newest_s[row] + SILENCE_S, now_s, evidence)
            self._tell(row, pair, clue, sure, told)
        else:
            evidence = {"reason": "lost", "interval_s": silent_s}
            told = Told(pairs.last_inside_s[pair] + LOST_S, now_s, evidence)
            self._tell(row, pair, LOST, LOST_TRUST, told)
        self.schedule(row)

    def _end(self, track: int) -> None:
        self._agenda.drop(VEHICLE, track)
        self.vehicles.end(track)

    def schedule(self, track: int) -> None:
        self._agenda.put(VEHICLE, track, self.due_s(VEHICLE, track))

    # --- restart, withdrawal, another map ---

    def resume(self, row: OpenStay, now_s: float) -> None:
        """Silence is counted anew from `now_s`: what was sent meanwhile may still come."""
        tracks, pairs, undecided = self._tracks, self._pairs, self._undecided
        quiet_until_s = now_s + SILENCE_S
        for pair in self._stays.resume(row, row.devices, quiet_until_s):
            device = pairs.device[pair]
            known = self.vehicles.rows.get((row.subject, device))
            track = self.vehicles.begin(row.subject, device) if known is None else known
            tracks.newest_s[track] = max(tracks.newest_s[track], row.last_inside_s)
            tracks.received_s[track] = now_s
            self.vehicles.link(track, pair)
            pairs.state[pair] = (INSIDE if row.phase == "inside" else ENTERING) | AT
            waits = pairs.undecided[pair]
            undecided.since_s[waits], undecided.sure[waits] = row.since_s, row.confidence
            undecided.quiet_until_s[waits] = quiet_until_s
            self.schedule(track)

    def leave(self, subject: str, device: str, now_s: float) -> None:
        """The device stands for somebody else from now on: what it holds of the subject ends."""
        track = self.vehicles.rows.get((subject, device))
        if track is None:
            return
        told, clues = Told(now_s, now_s, {"reason": "driver"}), {ENTERING: GONE_OUT, INSIDE: LOST}
        for _, pair in self.vehicles.visits(track):
            if (state := self._pairs.state[pair] & STATE) in clues:
                self._tell(track, pair, clues[state], LOST_TRUST, told)
        self._end(track)

    def forget(self, subject: str) -> None:
        for track in [row for key, row in self.vehicles.rows.items() if key[0] == subject]:
            self._end(track)

    def replace(self, fences: Iterable[Fence], now_s: float) -> None:
        """A device whose last fix lies in a new or changed fence is in it as if first heard there."""
        fences = tuple(fences)
        if fences == self.vehicles.known:
            return
        old = {place.id: place.fence for place in self.vehicles.fences.places}
        going = [
            (key, track, self.vehicles.visits(track)) for key, track in sorted(self.vehicles.rows.items())
        ]
        self.vehicles.know(fences)
        same = {place.id for place in self.vehicles.fences.places if old.get(place.id) == place.fence}
        for (subject, _), track, visits in going:
            for zone, pair in visits:
                if zone not in same:
                    self._stays.end(subject, zone, Told(now_s, now_s, {"reason": "restart"}))
                    self.vehicles.leave(track, pair)
            self._find(track, same)
            self.schedule(track)

    def _find(self, track: int, but: set[str]) -> None:
        """The last fix is first knowledge of the fences that hold it, `but` for these."""
        last, samples = self._tracks.newest[track], self._tracks.samples
        if last == NONE:
            return
        lat, lon, accuracy_m = samples.lat[last], samples.lon[last], samples.accuracy_m[last]
        for place in self.vehicles.fences.along((lat, lon), (lat, lon)):
            if place.id not in but and is_inside(place.shape.depth_m(lat, lon), accuracy_m):
                pair = self.vehicles.visit(track, place)
                self._pairs.state[pair] = WITHIN | AT
                self._pairs.last_inside_s[pair] = samples.t_s[last]
                self._undecided.since_s[self._pairs.undecided[pair]] = samples.t_s[last]
