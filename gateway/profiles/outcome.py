"""What can become of one payload: a closed set, counted per profile."""

from __future__ import annotations

from enum import Enum


class Outcome(Enum):
    MATCHED = "matched"
    NOT_MINE = "not_mine"
    """The place fits (company, service, topic), what is there is something else. Not an error."""
    TOO_SHORT = "too_short"
    BAD_CHECKSUM = "bad_checksum"
    OUT_OF_RANGE = "out_of_range"
    NEEDS_KEY = "needs_key"
    RETAINED = "retained"
    """A sighting kept by the broker: nobody heard it now."""
    OVERSIZED = "oversized"
    NOT_UTF8 = "not_utf8"
    MALFORMED = "malformed"
    """Broken JSON, a member of the wrong type, or one that must be there and is not."""
    TOO_DEEP = "too_deep"
    NOT_FINITE = "not_finite"
    """NaN, Infinity, or a number beyond what a float holds."""


class RejectedError(Exception):
    """Inside this room only: the payload ends here, with this outcome."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
