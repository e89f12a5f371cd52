"""The highest version of each consent that any record of a subject has shown: an older one is dead."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

FACTS = 8
"""Kept of one consent; a feed that contradicts itself more often is not believed (`tie`)."""
FORMER = 32
"""Consents that the newest record does not name any more and that are remembered; of more the newest."""


class _Fact(Struct, frozen=True):
    record_version: int
    """Highest record that says so."""
    version: int
    content: bytes


class Versions:
    """Of one subject. The order in which it learns makes no difference."""

    def __init__(self) -> None:
        self._facts: dict[str, tuple[_Fact, ...]] = {}

    def learn(self, record_version: int, entries: Iterable[tuple[str, int, bytes]]) -> bool:
        """Takes (record id, version, content) of each consent in one record; whether anything is new."""
        is_new = False
        for record_id, version, content in entries:
            before = self._facts.get(record_id, ())
            after = _with(before, _Fact(record_version, version, content))
            is_new |= after != before
            self._facts[record_id] = after
        self._forget_former()
        return is_new

    def _forget_former(self) -> None:
        """Whoever is given a new id with each consent must not be remembered by more and more of them."""
        if len(self._facts) <= FORMER:
            return
        said_by = {
            name: max((f.record_version for f in facts), default=0) for name, facts in self._facts.items()
        }
        newest = max(said_by.values())
        former = sorted((version, name) for name, version in said_by.items() if version < newest)
        for _, name in former[: max(0, len(former) - FORMER)]:
            del self._facts[name]

    def forget(self, through: int) -> None:
        """What only records up to this version have said was never said."""
        for record_id, facts in self._facts.items():
            self._facts[record_id] = tuple(f for f in facts if f.record_version > through)

    def verdict(self, record_id: str, version: int) -> Literal["current", "superseded", "tie"]:
        """`superseded` by a higher version, or in a `tie` with another of the same."""
        facts = self._facts.get(record_id, ())
        highest = max((f.version for f in facts), default=0)
        if version < highest:
            return "superseded"
        return "current" if len(facts) < FACTS and sum(f.version == highest for f in facts) == 1 else "tie"


def _with(facts: tuple[_Fact, ...], new: _Fact) -> tuple[_Fact, ...]:
    """Sorted, and without those that a higher version in a record at least as new makes pointless."""
    if any(f.version == new.version and f.content == new.content for f in facts):
        if any(f.content == new.content and f.record_version >= new.record_version for f in facts):
            return facts
        facts = tuple(f for f in facts if (f.version, f.content) != (new.version, new.content))
    found = [*facts, new] if len(facts) < FACTS else [*facts]
    kept = (
        f
        for f in found
        if not any(o.version > f.version and o.record_version >= f.record_version for o in found)
    )
    return tuple(sorted(kept, key=lambda f: (f.version, f.content)))
