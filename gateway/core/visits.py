"""The state machine of one device at one fence, as a table (DESIGN §3.1)."""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class State(IntEnum):
    OUTSIDE = 0
    WITHIN = 1
    """Inside, but how it came there is not known or was told: waits for the evidence of an arrival."""
    ENTERING = 2
    INSIDE = 3


OUTSIDE, WITHIN, ENTERING, INSIDE = (state.value for state in State)


class Clue(IntEnum):
    IN = 0
    """A fix or line inside, deeper than noise."""
    FOUND = 1
    """A fix inside, as first knowledge."""
    CUT = 2
    """Both fixes outside, the line cuts."""
    OUT = 3
    """A fix clearly outside."""
    ARRIVED = 4
    """Slow, deep and long enough; or silent or ignition off, last inside and slow."""
    GONE_IN = 5
    """Silent or ignition off, last inside but fast."""
    GONE_OUT = 6
    """Silent or ignition off, last outside."""
    LOST = 7
    """12 h without evidence inside."""


class Word(IntEnum):
    """What the device then says of the zone."""

    NOTHING = 0
    ENTERING = 1
    ENTERED = 2
    PASSED = 3
    LEFT = 4


NEXT: Final[dict[tuple[State, Clue], tuple[State, Word]]] = {
    (State.OUTSIDE, Clue.IN): (State.ENTERING, Word.ENTERING),
    (State.OUTSIDE, Clue.FOUND): (State.WITHIN, Word.NOTHING),
    (State.OUTSIDE, Clue.CUT): (State.OUTSIDE, Word.PASSED),
    (State.WITHIN, Clue.ARRIVED): (State.INSIDE, Word.ENTERED),
    (State.WITHIN, Clue.OUT): (State.OUTSIDE, Word.NOTHING),
    (State.ENTERING, Clue.ARRIVED): (State.INSIDE, Word.ENTERED),
    (State.ENTERING, Clue.OUT): (State.OUTSIDE, Word.PASSED),
    (State.ENTERING, Clue.GONE_IN): (State.WITHIN, Word.PASSED),
    (State.ENTERING, Clue.GONE_OUT): (State.OUTSIDE, Word.PASSED),
    (State.INSIDE, Clue.OUT): (State.OUTSIDE, Word.LEFT),
    (State.INSIDE, Clue.LOST): (State.OUTSIDE, Word.LEFT),
}
"""What follows and what is said; a clue that is not here changes nothing."""
