"""Which receivers hear: a dead one must not turn its silence into evidence of absence (DESIGN §5.1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

DEAD_AFTER_S = 300.0
DEAD_AFTER_GAPS = 10.0
WITNESS_S = 60.0
"""Another receiver hears if it heard something in this time."""
WITNESSES = 2
GAP_SHARE = 0.05
"""Share of the newest gap in the usual one."""


class Ear(Struct):
    heard_s: float | None = None
    gap_s: float = 0.0
    alive: bool = True
    """False from a last will until the next word of the receiver."""


class Health:
    def __init__(self, receivers: Iterable[str]) -> None:
        self._ears = {receiver: Ear() for receiver in receivers}
        self._began_s: float | None = None
        self._dead: frozenset[str] = frozenset()
        self._judged_s = float("-inf")

    def heard(self, receiver: str, t_s: float) -> None:
        ear = self._ears.get(receiver)
        if ear is None:
            return
        if self._began_s is None:
            self._began_s = t_s
        if ear.heard_s is not None:
            ear.gap_s += GAP_SHARE * (t_s - ear.heard_s - ear.gap_s)
        ear.heard_s = t_s
        ear.alive = True

    def alive(self, receiver: str, alive: bool, t_s: float) -> bool:
        """A last will or a heartbeat; False for a receiver that is not in the map."""
        ear = self._ears.get(receiver)
        if ear is None:
            return False
        if alive:
            self.heard(receiver, t_s)
        ear.alive = alive
        return True

    def dead(self, t_s: float) -> frozenset[str]:
        """Dead by last will at once; by silence after 5 minutes and ten usual gaps while two others hear."""
        if t_s != self._judged_s:
            self._judged_s = t_s
            self._dead = frozenset(r for r, ear in self._ears.items() if self._is_dead(ear, t_s))
        return self._dead

    def _is_dead(self, ear: Ear, t_s: float) -> bool:
        if not ear.alive:
            return True
        since_s = self._began_s if ear.heard_s is None else ear.heard_s
        if since_s is None or t_s - since_s <= max(DEAD_AFTER_S, DEAD_AFTER_GAPS * ear.gap_s):
            return False
        hearing = sum(e.heard_s is not None and t_s - e.heard_s <= WITNESS_S for e in self._ears.values())
        return hearing >= WITNESSES

    def adopt(self, ears: Mapping[str, Ear], began_s: float | None) -> None:
        """Take over what another map or a snapshot knew of the receivers that are in this one."""
        self._began_s = began_s
        self._ears.update((r, ear) for r, ear in ears.items() if r in self._ears)

    def known(self) -> tuple[dict[str, Ear], float | None]:
        return dict(sorted(self._ears.items())), self._began_s
