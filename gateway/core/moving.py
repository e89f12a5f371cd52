"""How probable another zone must be for a device to move there.

Compiled where a compiler was at hand (moving.pxd has the types); both forms give the same bits.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence

from gateway.core.belief import Beliefs
from gateway.core.listening import Ears, decay
from gateway.core.propagation import OUTSIDE, RadioMap

NO_LINK = -1
AT_LEVEL, PER_DB = 3.4, 0.35
"""Log-odds that a zone needs while its own link is as strong as the strongest of the others, and how much
less for each dB by which it leads (more, by which it is behind)."""
LEAST, MOST = 0.8, 6.0
"""Bounds of that: probabilities of .69 and .9975."""


def own_links(radio_map: RadioMap) -> list[int]:
    """By zone, the number of the link that is to be the strongest in all its spots and in no other zone.

    That is the receiver which stands at this zone and at no other; `NO_LINK` where there is none, as of zones
    that share a receiver, and of outside.
    """
    strongest: dict[str, set[int]] = {zone: set() for zone in radio_map.zones}
    for spot in radio_map.spots:
        if spot.zone != OUTSIDE:
            strongest[spot.zone].add(max(range(len(spot.links)), key=lambda k: spot.links[k].mu_dbm))
    zones = Counter(link for links in strongest.values() for link in links)
    return [
        next(iter(links)) if len(links) == 1 and all(zones[k] == 1 for k in links) else NO_LINK
        for links in strongest.values()
    ]


class Threshold:
    """A probability `asked`, and `asked_soon` of a device that has only just moved.

    Of a zone with a link of its `own` (by number of the zone) the lead of that over all others says instead
    how much is asked. A guessed model errs for longer than a second, and a posterior that repeats its error
    is a poor witness; which receiver is the strongest is another.
    """

    def __init__(self, asked: float, asked_soon: float, own: Sequence[int] = ()) -> None:
        self._own = array("i", [*own, NO_LINK])
        self.asked, self._asked_soon = asked, asked_soon
        self._at_level, self._per_db, self._least, self._most = AT_LEVEL, PER_DB, LEAST, MOST

    def needs(  # noqa: PLR0917 - numbers one by one: compiled code passes them in registers
        self, zone: int, is_new: bool, beliefs: Beliefs, row: int, ears: Ears, now_s: float
    ) -> float:
        """So probable the zone must be for the device of this row to move there; `is_new`: it has just moved.

        A masked receiver is nobody's own.
        """
        own = self._own[zone] if zone < len(self._own) else NO_LINK
        if own < 0 or beliefs.is_masked(own):
            return self._asked_soon if is_new else self.asked
        return self.led(beliefs.lead_db(own, row, ears, now_s))

    def led(self, lead_db: float) -> float:
        """Of a zone whose own link leads all others by so much; negative: another is stronger."""
        odds = max(self._least, min(self._at_level - self._per_db * lead_db, self._most))
        return 1.0 / (1.0 + decay(-odds))
