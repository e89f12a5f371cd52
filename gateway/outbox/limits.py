"""How much may wait, for how long, and what goes first when it is too much."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from msgspec import Struct

Priority = Literal["low", "normal", "high"]
PRIORITIES: tuple[Priority, ...] = ("low", "normal", "high")
"""In the order in which they go."""


class Class(Struct, frozen=True):
    """Events that are alike in what they are worth; what is left out (None) matches everything."""

    priority: Priority = "normal"
    keep_s: float | None = None
    """None: as long as everything else."""
    changes: Collection[str] | None = None
    purposes: Collection[str] | None = None

    def holds(self, change: str, purpose: str) -> bool:
        return (self.changes is None or change in self.changes) and (
            self.purposes is None or purpose in self.purposes
        )


FLEETING = Class("low", changes=("approaching", "entering"))
"""First words, which nobody misses once the last word is there."""


class Limits(Struct, frozen=True):
    max_bytes: int = 256 << 20
    """Of the database; its log comes on top."""
    keep_s: float = 30 * 86_400.0
    classes: tuple[Class, ...] = (FLEETING,)
    """The first that holds decides; what none holds is `normal`."""

    def priority(self, change: str, purpose: str) -> int:
        """Index into `PRIORITIES`."""
        return PRIORITIES.index(self._class_of(change, purpose).priority)

    def kept_s(self, change: str, purpose: str) -> float:
        """How long such an event may wait."""
        keep_s = self._class_of(change, purpose).keep_s
        return self.keep_s if keep_s is None else min(keep_s, self.keep_s)

    def _class_of(self, change: str, purpose: str) -> Class:
        return next((each for each in self.classes if each.holds(change, purpose)), _PLAIN)


_PLAIN = Class()
DEFAULTS = Limits()
