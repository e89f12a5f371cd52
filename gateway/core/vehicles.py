"""The vehicles, and which fences each has to do with: a track, and a chain of pairs of the presence table."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

from gateway.core.bits import INFINITE, STATE
from gateway.core.fences import Fences, Place
from gateway.core.judgement import Undecided
from gateway.core.rows import NONE
from gateway.core.stays import Stays
from gateway.core.tracks import Tracks
from gateway.core.visits import ENTERING, INSIDE, OUTSIDE
from gateway.core.windows import APPROACH_AGAIN_S, LATE_S, LOST_S, SILENCE_S, TAIL_S
from gateway.model import Fence


class Vehicles:
    def __init__(self, stays: Stays, fences: Iterable[Fence]) -> None:
        self._stays, self.table, self.pairs = stays, stays.table, stays.pairs
        self.tracks, self.undecided = Tracks(), Undecided()
        self.rows: dict[tuple[str, str], int] = {}
        """The track of a subject's device."""
        self.names: list[tuple[str, str]] = []
        """By track, the subject and the device; both empty for a row that is given back."""
        self.know(fences)

    def know(self, fences: Iterable[Fence]) -> None:
        self.known = tuple(fences)
        self.fences = Fences(self.known)
        self._place = {place.id: place for place in self.fences.places}
        self.visited = array("i", bytes(4 * len(self._place) + 4))
        """What `seek` adds to the fences' `found`: the vehicle's pair there, or NONE."""

    def seek(self, track: int, lat1: float, lon1: float, lat2: float, lon2: float) -> int:
        """How many fences can matter to the vehicle on this line: those on it, and those it has to do with.

        Their numbers are the first of the fences' `found`, in rising order; its pairs those of `visited`.
        """
        count = self.fences.seek(lat1, lon1, lat2, lon2)
        found, visited = self.fences.found, self.visited
        for k in range(count):
            visited[k] = NONE
        pair = self.tracks.pair[track]
        while pair != NONE:
            place = self.place_of(pair)
            number, k = place.number, count
            while k > 0 and found[k - 1] > number:
                k -= 1
            if k > 0 and found[k - 1] == number:
                visited[k - 1] = pair
            else:
                for i in range(count, k, -1):
                    found[i], visited[i] = found[i - 1], visited[i - 1]
                found[k], visited[k] = number, pair
                count += 1
            pair = self.pairs.beside[pair]
        return count

    def begin(self, subject: str, device: str) -> int:
        track = self.tracks.begin()
        if track == len(self.names):
            self.names.append(("", ""))
        self.names[track] = (subject, device)
        self.rows[subject, device] = track
        return track

    def end(self, track: int) -> None:
        """The vehicle is forgotten, without an event."""
        while self.tracks.pair[track] != NONE:
            self.leave(track, self.tracks.pair[track])
        del self.rows[self.names[track]]
        self.names[track] = ("", "")
        self.tracks.end(track)

    def place_of(self, pair: int) -> Place:
        return self._place[self._stays.records.zone[self.pairs.record[pair]]]

    def visit(self, track: int, place: Place) -> int:
        """A pair of this vehicle and fence."""
        subject, device = self.names[track]
        pair = self.table.pair(subject, place.id, device)
        self.link(track, pair)
        return pair

    def link(self, track: int, pair: int) -> None:
        pairs = self.pairs
        pairs.beside[pair], self.tracks.pair[track] = self.tracks.pair[track], pair
        pairs.state[pair], pairs.undecided[pair] = OUTSIDE, self.undecided.begin()

    def leave(self, track: int, pair: int) -> None:
        """The vehicle has nothing to do with the fence any more."""
        pairs, before = self.pairs, self.tracks.pair[track]
        if before == pair:
            self.tracks.pair[track] = pairs.beside[pair]
        else:
            while pairs.beside[before] != pair:
                before = pairs.beside[before]
            pairs.beside[before] = pairs.beside[pair]
        if pairs.undecided[pair] != NONE:
            self.undecided.give(pairs.undecided[pair])
        self._stays.drop(pair)

    def undecided_row(self, pair: int) -> int:
        """What is not settled of the pair; begun when all was."""
        if self.pairs.undecided[pair] == NONE:
            self.pairs.undecided[pair] = self.undecided.begin()
        row: int = self.pairs.undecided[pair]
        return row

    def silence_ends_s(self, track: int, pair: int) -> float:
        """When want of fixes decides about this fence; INFINITE: it never does."""
        pairs, row = self.pairs, self.pairs.undecided[pair]
        state = pairs.state[pair] & STATE
        if state == ENTERING:
            return self.tracks.received_s[track] + SILENCE_S
        if state != INSIDE:
            return INFINITE
        quiet_until_s = 0.0 if row == NONE else self.undecided.quiet_until_s[row]
        return max(pairs.last_inside_s[pair] + LOST_S, quiet_until_s)

    def settle(self, pair: int) -> None:
        """A stay of which nothing is in doubt needs no more than its pair."""
        pairs, row = self.pairs, self.pairs.undecided[pair]
        if row == NONE or pairs.state[pair] & STATE != INSIDE:
            return
        if self.undecided.out_since_s[row] == INFINITE and self.undecided.quiet_until_s[row] == 0.0:
            self.undecided.give(row)
            pairs.undecided[pair] = NONE

    def is_over(self, pair: int, t_s: float) -> bool:
        """The vehicle is outside, and nothing is left to remember of the fence: no tail is expected."""
        row = self.pairs.undecided[pair]
        kept_s = max(
            self.undecided.closed_s[row] + TAIL_S + LATE_S,
            self.undecided.announced_s[row] + APPROACH_AGAIN_S,
        )
        return t_s > kept_s

    def visits(self, track: int) -> list[tuple[str, int]]:
        """Zone and pair, by zone."""
        visits, pair = [], self.tracks.pair[track]
        while pair != NONE:
            visits.append((self.place_of(pair).id, pair))
            pair = self.pairs.beside[pair]
        return sorted(visits)
