"""What stays behind of a subject that was erased or withdrew here: enough to keep an old grant dead.

A bar is kept under the subject's HMAC only. Bars add up (`join`): any order of them ends in one state.
"""

from __future__ import annotations

from msgspec import Struct

KEPT_S = 90 * 86_400.0
"""An erasure is remembered so long, like the retained record of it (DESIGN §6.3)."""


class Bar(Struct, frozen=True):
    erased_version: int = 0
    """Records up to this one were never heard of."""
    version: int = 0
    """Records up to this one may be held and permit nothing."""
    event_time_s: float = float("-inf")
    """Consents given up to this moment permit nothing, in whatever record."""
    until_s: float = float("inf")
    """Unix seconds after which this may be forgotten."""

    def join(self, other: Bar) -> Bar:
        """Both at once."""
        return Bar(
            max(self.erased_version, other.erased_version),
            max(self.version, other.version),
            max(self.event_time_s, other.event_time_s),
            max(self.until_s, other.until_s),
        )


OPEN = Bar(until_s=float("-inf"))
"""Bars nothing."""


EVERYBODY = b""
"""The key of a bar that holds for all: what a damaged disk has forgotten may have concerned anybody."""


class Withdrawal(Struct, frozen=True):
    """A subject of which nothing may leave or stay here any more."""

    subject: str
    key: bytes
    """HMAC of the subject, under which the rest of the program knows it."""
    bar: Bar
    """What must outlive a restart; `OPEN`: nothing, the feed says it again."""
    was_admitted: bool = True
    """Until now something of the subject could be released; else this is no news."""
    is_erasure: bool = False
    """Nothing is enrolled any more either."""
