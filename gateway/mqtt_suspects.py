"""Finds the publication on which a broker closes the connection without a word.

MQTT 3.1.1 has no way to say that a packet is too large: the broker hangs up, and what is sent again is
answered in the same way for ever. Nothing is given up on a guess: the same publication has to be under way in
four breaks in a row, alone in the last two, soon after it was sent each time, and larger than all that was
acknowledged meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

PROMPT_S: Final = 10.0
"""A broker that does not like a packet says so at once; a line that dies takes longer."""
ONE_BY_ONE_AFTER: Final = 2
"""Breaks."""
ALONE: Final = 2
"""Breaks with nothing else under way, after which there is no doubt."""


class UnderWay(Struct, frozen=True):
    """A publication that waits for its acknowledgement."""

    what: int
    """The same for the same topic and payload."""
    packet_bytes: int
    sent_s: float
    """By a monotonic clock."""


class Suspects:
    def __init__(self) -> None:
        self._sizes: dict[int, int] = {}
        """Of what was under way in each break of this series."""
        self._breaks = self._alone = 0

    @property
    def go_one_by_one(self) -> bool:
        """Whether one publication at a time may be under way, to tell which it is."""
        return self._breaks >= ONE_BY_ONE_AFTER

    def broken(self, under_way: Sequence[UnderWay], now_s: float) -> int | None:
        """After a break without a reason: the size of what caused it, in bytes, once that is certain."""
        prompt = {w.what: w.packet_bytes for w in under_way if now_s - w.sent_s <= PROMPT_S}
        again = {what: size for what, size in prompt.items() if what in self._sizes}
        if not again:
            self._sizes, self._breaks, self._alone = prompt, int(bool(prompt)), 0
            return None
        self._alone += int(self.go_one_by_one and len(under_way) == 1)
        self._sizes = again
        self._breaks += 1
        if self._alone < ALONE:
            return None
        (size,) = again.values()
        self.clear()
        return size

    def acknowledged(self, packet_bytes: int) -> bool:
        """This and whatever is not larger is not too large; whether nothing is suspected any more."""
        self._sizes = {what: size for what, size in self._sizes.items() if size > packet_bytes}
        if not self._sizes:
            self.clear()
        return not self._sizes

    def clear(self) -> None:
        self._sizes, self._breaks, self._alone = {}, 0, 0
