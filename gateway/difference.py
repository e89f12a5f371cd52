"""What two runs of one recording say differently: events that come, go, or move in time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

MOVED_S = 120.0
"""Events of one kind further apart are two, and not one that moved."""
SAME_S = 0.0005


class Told(Struct, frozen=True, order=True):
    """One event of one run; `recipient` is empty before consent was asked."""

    t_s: float
    recipient: str
    subject: str
    zone: str
    change: str
    threshold_s: float = 0.0
    """0 but for `dwelled`."""


class Difference(Struct, frozen=True):
    what: Literal["added", "removed", "moved"]
    event: Told
    """As the new run tells it; of a removed one as the old did."""
    was_s: float | None = None
    """When the old run had it, where it moved."""


def differences(old: Iterable[Told], new: Iterable[Told]) -> list[Difference]:
    """In the order of time; what both tell alike is left out."""
    before, after = _by_kind(old), _by_kind(new)
    found: list[Difference] = []
    for kind in before.keys() | after.keys():
        found += _of_one_kind(before[kind], after[kind])
    return sorted(found, key=lambda d: (d.event, d.what))


def _by_kind(told: Iterable[Told]) -> defaultdict[tuple[str, str, str, str, float], list[Told]]:
    kinds: defaultdict[tuple[str, str, str, str, float], list[Told]] = defaultdict(list)
    for one in sorted(told):
        kinds[one.recipient, one.subject, one.zone, one.change, one.threshold_s].append(one)
    return kinds


def _of_one_kind(old: list[Told], new: list[Told]) -> Iterable[Difference]:
    """Pairs are made of the nearest in time first; each event is in one pair at most."""
    gaps = sorted(
        (abs(a.t_s - b.t_s), i, j)
        for i, a in enumerate(old)
        for j, b in enumerate(new)
        if abs(a.t_s - b.t_s) <= MOVED_S
    )
    partner_of_old: dict[int, int] = {}
    partner_of_new: dict[int, int] = {}
    for _, i, j in gaps:
        if i not in partner_of_old and j not in partner_of_new:
            partner_of_old[i], partner_of_new[j] = j, i
    for j, event in enumerate(new):
        if j not in partner_of_new:
            yield Difference("added", event)
        elif abs(event.t_s - old[partner_of_new[j]].t_s) > SAME_S:
            yield Difference("moved", event, old[partner_of_new[j]].t_s)
    for i, event in enumerate(old):
        if i not in partner_of_old:
            yield Difference("removed", event)
