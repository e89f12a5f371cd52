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
    NULL_ISLAND = "null_island"
    """Latitude and longitude both 0: what a receiver without a fix says."""
    FUTURE = "future"
    """The device's time is more than a day ahead of the reception."""
    NEEDS_KEY = "needs_key"
    IMPOSTOR = "impostor"
    """It names another sender than its topic does."""
    RETAINED = "retained"
    """A sighting kept by the broker: nobody heard it now."""
    OVERSIZED = "oversized"
    NOT_UTF8 = "not_utf8"
    MALFORMED = "malformed"
    """Broken JSON, a member of the wrong type, or one that must be there and is not."""
    TOO_DEEP = "too_deep"
    NOT_FINITE = "not_finite"
    """NaN, Infinity, or a number beyond what a float holds."""
    UNPAIRED = "unpaired"
    """A latitude or longitude whose other half did not come in time."""
    SUPERSEDED = "superseded"
    """Part of a position that came as a whole as well."""
    EVICTED = "evicted"
    """More vehicles send parts than there is room for: what was kept of the one silent for longest went."""


class RejectedError(Exception):
    """Inside this room only: the payload ends here, with this outcome."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
