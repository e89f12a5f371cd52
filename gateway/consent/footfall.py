"""How many, and nobody in particular: footfall and occupancy of zones, as counts with a threshold.

What is counted is a sample: subjects with a usable consent to being counted, and nobody else. Every number
that leaves is rounded down to a multiple of k, and 0 is not told, so the numbers of two publications are
equal or differ by k at least. Windows lie side by side and counted zones have no ground in common (the
settings see to it): of overlapping ones a difference could be taken that says more than either.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

from msgspec import Struct

from gateway.consent.policy import Counting
from gateway.model import OpenStay, Presence

MayCount = Callable[[str, str, str, str, float, float], bool]
"""(subject, purpose, recipient, zone, first moment in the window, end of the window) → whether both moments
are consented to: who consents too late, or no more at the end, is not in it.
"""

LOOK_BACK_S = 86_400.0
"""After a longer silence the windows in it are not published."""


class Publication(Struct, frozen=True):
    """The sample of one zone in one window, already rounded: as it may leave."""

    recipient: str
    purpose: str
    zone: str
    since_s: float
    t_s: float
    """End of the window; it is not part of it."""
    k: int
    footfall: int
    """Different subjects that stayed in the zone during the window; never 0."""
    occupancy: int
    """Subjects in it at its end; 0: fewer than k, and not told."""


def published(n: int, k: int) -> int:
    """What may be said of a true number."""
    return n // k * k


class Footfall:
    """Counts stays, from `entered` to `left`; who only passes a fence is not counted.

    Pure: presences in the order of their emission, and time as an argument. The window in which this begins
    (a start or restart of the gateway) is not published, because nobody knows who came before.
    """

    def __init__(self, countings: Sequence[Counting], may_count: MayCount) -> None:
        self._may_count = may_count
        self._samples = [_ZoneSample(counting, zone) for counting in countings for zone in counting.zones]
        self._by_zone: dict[str, list[_ZoneSample]] = {}
        for sample in self._samples:
            self._by_zone.setdefault(sample.zone, []).append(sample)
        self._due: list[Publication] = []
        self._turns_s = min((sample.end_s for sample in self._samples), default=math.inf)
        """When the next window ends; asked before every signal."""

    def take(self, presence: Presence) -> None:
        """One event of the core, after `take` of everything that was emitted before."""
        self._turn(presence.emitted_s)
        for sample in self._by_zone.get(presence.zone, ()):
            if presence.change == "entered":
                sample.enter(presence.subject, presence.t_s)
            elif presence.change == "left":
                sample.leave(presence.subject, presence.since_s, presence.t_s)

    def resume(self, stays: Iterable[OpenStay], t_s: float) -> None:
        """What was open at the last stop and goes on."""
        self._turn(t_s)
        for stay in stays:
            for sample in self._by_zone.get(stay.zone, ()) if stay.phase == "inside" else ():
                sample.enter(stay.subject, stay.since_s)

    def forget(self, subject: str) -> None:
        """Was never here, also not in the running window."""
        for sample in self._samples:
            sample.forget(subject)

    def due(self, t_s: float) -> list[Publication]:
        """Of the windows that are over by `t_s`, each once. Ask before a consent changes at `t_s`."""
        self._turn(t_s)
        due, self._due = self._due, []
        return due

    def next_deadline(self) -> float | None:
        """When a window ends in which there is somebody; None: not before the next `take`."""
        ends_s = [sample.end_s for sample in self._samples if sample.is_somebody]
        return min(ends_s, default=None)

    def _turn(self, t_s: float) -> None:
        if t_s < self._turns_s:
            return
        ended = [p for sample in self._samples for p in sample.turn(t_s, self._may_count)]
        self._due += sorted(ended, key=lambda publication: publication.t_s)
        self._turns_s = min((sample.end_s for sample in self._samples), default=math.inf)


class _ZoneSample:
    """One zone for one recipient: who is in it, and who was during the running window."""

    def __init__(self, counting: Counting, zone: str) -> None:
        self.zone = zone
        self.end_s = -math.inf
        self._counting = counting
        self._since_s = -math.inf
        self._is_whole = False
        """The running window was seen from its beginning."""
        self._here: dict[str, float] = {}
        """Subject → when it came."""
        self._gone: dict[str, float] = {}
        """Subject that was here in the running window → its first moment in it."""

    @property
    def is_somebody(self) -> bool:
        return bool(self._here or self._gone)

    def enter(self, subject: str, t_s: float) -> None:
        self._here.setdefault(subject, t_s)

    def leave(self, subject: str, came_s: float, t_s: float) -> None:
        """`t_s` before the running window: it was there in one that is published already."""
        came_s = self._here.pop(subject, came_s)
        if t_s >= self._since_s:
            self._gone.setdefault(subject, max(came_s, self._since_s))

    def forget(self, subject: str) -> None:
        self._here.pop(subject, None)
        self._gone.pop(subject, None)

    def turn(self, t_s: float, may_count: MayCount) -> Iterator[Publication]:
        """Close every window that is over by `t_s`."""
        while t_s >= self.end_s:
            if self._is_whole and self.is_somebody and self.end_s > t_s - LOOK_BACK_S:
                publication = self._close(may_count)
                if publication.footfall:
                    yield publication
            self._gone.clear()
            self._next_window(t_s)

    def _next_window(self, t_s: float) -> None:
        window_s = self._counting.window_s
        first = self.end_s == -math.inf
        start_s = self.end_s
        if first or not self._here or start_s < t_s - LOOK_BACK_S:
            start_s = t_s // window_s * window_s
        self._is_whole = not first or start_s == t_s
        self._since_s, self.end_s = start_s, start_s + window_s

    def _close(self, may_count: MayCount) -> Publication:
        counting = self._counting
        here_s = {subject: max(came_s, self._since_s) for subject, came_s in self._here.items()}
        first_s = here_s | self._gone  # who left and came again was here when it was here first
        counted = {
            subject
            for subject, t_s in first_s.items()
            if may_count(subject, counting.purpose, counting.recipient, self.zone, t_s, self.end_s)
        }
        return Publication(
            recipient=counting.recipient,
            purpose=counting.purpose,
            zone=self.zone,
            since_s=self._since_s,
            t_s=self.end_s,
            k=counting.k,
            footfall=published(len(counted), counting.k),
            occupancy=published(len(counted & self._here.keys()), counting.k),
        )
