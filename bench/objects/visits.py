"""The state machine of one device at one fence, as a table (DESIGN §3.1)."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from msgspec import Struct, field

from bench.objects.judgement import Stopping
from bench.objects.tracks import Track

NEVER_S = float("-inf")


class State(StrEnum):
    OUTSIDE = "outside"
    WITHIN = "within"
    """Inside, but how it came there is not known or was told: waits for the evidence of an arrival."""
    ENTERING = "entering"
    INSIDE = "inside"


class Clue(StrEnum):
    IN = "a fix or line inside, deeper than noise"
    FOUND = "a fix inside, as first knowledge"
    CUT = "both fixes outside, the line cuts"
    OUT = "a fix clearly outside"
    ARRIVED = "slow, deep and long enough; or silent or ignition off, last inside and slow"
    GONE_IN = "silent or ignition off, last inside but fast"
    GONE_OUT = "silent or ignition off, last outside"
    LOST = "12 h without evidence inside"


NEXT: Final[dict[tuple[State, Clue], tuple[State, str]]] = {
    (State.OUTSIDE, Clue.IN): (State.ENTERING, "entering"),
    (State.OUTSIDE, Clue.FOUND): (State.WITHIN, ""),
    (State.OUTSIDE, Clue.CUT): (State.OUTSIDE, "passed"),
    (State.WITHIN, Clue.ARRIVED): (State.INSIDE, "entered"),
    (State.WITHIN, Clue.OUT): (State.OUTSIDE, ""),
    (State.ENTERING, Clue.ARRIVED): (State.INSIDE, "entered"),
    (State.ENTERING, Clue.OUT): (State.OUTSIDE, "passed"),
    (State.ENTERING, Clue.GONE_IN): (State.WITHIN, "passed"),
    (State.ENTERING, Clue.GONE_OUT): (State.OUTSIDE, "passed"),
    (State.INSIDE, Clue.OUT): (State.OUTSIDE, "left"),
    (State.INSIDE, Clue.LOST): (State.OUTSIDE, "left"),
}
"""What follows and what is said; a clue that is not here changes nothing."""


class Visit(Struct):
    """One device at one fence."""

    state: State = State.OUTSIDE
    since_s: float = 0.0
    last_inside_s: float = 0.0
    inside: bool = False
    """By the last fix."""
    inside_odds: float = 0.0
    """Logarithm of the odds that the last fix inside is inside."""
    slow: bool = False
    """The last fix inside was slow."""
    stopping: Stopping = field(default_factory=Stopping)
    """Since the fixes lie inside."""
    out_since_s: float | None = None
    """Start of the unbroken run of fixes beyond the margin."""
    confidence: float = 0.0
    quiet_until_s: float = 0.0
    closed_s: float = NEVER_S
    """When the last stay or crossing ended."""
    announced_s: float = NEVER_S
    """When the last approach was announced."""

    def begin(self, t_s: float) -> None:
        """The first of a run of fixes inside."""
        self.since_s, self.inside, self.stopping = t_s, False, Stopping()


class Course(Struct):
    """A track and its visits, by fence."""

    track: Track
    visits: dict[str, Visit] = field(default_factory=dict)
