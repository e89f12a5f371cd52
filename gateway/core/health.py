"""Which receivers hear: a dead one must not turn its silence into evidence of absence (DESIGN §5.1).

Compiled where a compiler was at hand (health.pxd has the types): it is told of every reading.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping

from msgspec import Struct

DEAD_AFTER_S = 300.0
DEAD_AFTER_GAPS = 10.0
WITNESS_S = 60.0
"""Another receiver hears if it heard something in this time."""
WITNESSES = 2
GAP_SHARE = 0.05
"""Share of the newest gap in the usual one."""
NEVER_S = float("-inf")


class Ear(Struct):
    """What is known of one receiver."""

    heard_s: float | None = None
    gap_s: float = 0.0
    alive: bool = True
    """False from a last will until the next word of the receiver."""


class Health:
    def __init__(self, receivers: Iterable[str]) -> None:
        self._number = {receiver: i for i, receiver in enumerate(receivers)}
        self._heard_s = array("d", [NEVER_S] * max(len(self._number), 1))
        self._gap_s = array("d", [0.0] * max(len(self._number), 1))
        self._alive = array("b", [1] * max(len(self._number), 1))
        self._began_s = NEVER_S
        self._dead: frozenset[str] = frozenset()
        self._judged_s = NEVER_S

    def number(self, receiver: str) -> int:
        """For `hear`; -1 for one that is not in the map."""
        return self._number.get(receiver, -1)

    def hear(self, number: int, t_s: float) -> None:
        if number < 0:
            return
        if self._began_s == NEVER_S:
            self._began_s = t_s
        if self._heard_s[number] != NEVER_S:
            self._gap_s[number] += GAP_SHARE * (t_s - self._heard_s[number] - self._gap_s[number])
        self._heard_s[number] = t_s
        self._alive[number] = 1

    def heard(self, receiver: str, t_s: float) -> None:
        self.hear(self.number(receiver), t_s)

    def alive(self, receiver: str, alive: bool, t_s: float) -> bool:
        """A last will or a heartbeat; False for a receiver that is not in the map."""
        number = self.number(receiver)
        if number < 0:
            return False
        if alive:
            self.hear(number, t_s)
        self._alive[number] = 1 if alive else 0
        return True

    def dead(self, t_s: float) -> frozenset[str]:
        """Dead by last will at once; by silence after 5 minutes and ten usual gaps while two others hear."""
        if t_s != self._judged_s:
            self._judged_s = t_s
            self._dead = frozenset([r for r, number in self._number.items() if self._is_dead(number, t_s)])
        return self._dead

    def _is_dead(self, number: int, t_s: float) -> bool:
        if not self._alive[number]:
            return True
        since_s = self._began_s if self._heard_s[number] == NEVER_S else self._heard_s[number]
        patience_s = max(DEAD_AFTER_S, DEAD_AFTER_GAPS * self._gap_s[number])
        if since_s == NEVER_S or t_s - since_s <= patience_s:
            return False
        return sum([t_s - self._heard_s[i] <= WITNESS_S for i in range(len(self._number))]) >= WITNESSES

    def adopt(self, ears: Mapping[str, Ear], began_s: float | None) -> None:
        """Take over what another map or a snapshot knew of the receivers that are in this one."""
        self._began_s = NEVER_S if began_s is None else began_s
        for receiver, ear in ears.items():
            number = self.number(receiver)
            if number >= 0:
                self._heard_s[number] = NEVER_S if ear.heard_s is None else ear.heard_s
                self._gap_s[number], self._alive[number] = ear.gap_s, ear.alive

    def known(self) -> tuple[dict[str, Ear], float | None]:
        ears = {r: self._ear(number) for r, number in sorted(self._number.items())}
        return ears, None if self._began_s == NEVER_S else self._began_s

    def _ear(self, number: int) -> Ear:
        heard_s = self._heard_s[number]
        return Ear(None if heard_s == NEVER_S else heard_s, self._gap_s[number], bool(self._alive[number]))
