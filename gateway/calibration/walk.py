"""A walk as the filter would have heard it: one sample a second, of devices that say where they stand."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from gateway.core.listening import Ears, is_strength
from gateway.core.propagation import OUTSIDE
from gateway.model import Label, Reading


class Sample(Struct, frozen=True):
    device: str
    zone: str
    """`OUTSIDE` where the label says: in none."""
    rssi_dbm: tuple[float | None, ...]
    """Smoothed, by link; None: not heard."""
    interval_s: float = 0.0
    """Advertising interval as seen until then."""


class _Walker(Struct):
    ears: Ears
    step_s: float | None = None
    heard_s: float = 0.0


def samples(entries: Iterable[Reading | Label], links: Sequence[str]) -> list[Sample]:
    """Labels hold until the next of the same device; what is heard before the first says nothing.

    Readings of links that are not in `links`, and sentinels, are left out.
    """
    index = {link: i for i, link in enumerate(links)}
    walkers: dict[str, _Walker] = {}
    labels: dict[str, str] = {}
    out: list[Sample] = []
    for entry in entries:
        walker = walkers.setdefault(entry.device, _Walker(Ears(len(links))))
        _step(entry.device, walker, entry.t_s, labels, out)
        if isinstance(entry, Label):
            labels[entry.device] = OUTSIDE if entry.zone is None else entry.zone
        elif entry.link in index and is_strength(entry.rssi_dbm):
            walker.ears.hear(0, index[entry.link], entry.rssi_dbm, entry.t_s)
            walker.heard_s = entry.t_s
            if walker.step_s is None:
                walker.step_s = math.floor(entry.t_s) + 1.0
    for device, walker in walkers.items():
        _step(device, walker, walker.heard_s + 1.0, labels, out)
    return out


def _step(device: str, walker: _Walker, until_s: float, labels: Mapping[str, str], out: list[Sample]) -> None:
    while walker.step_s is not None and walker.step_s <= until_s:
        fresh = dict(walker.ears.heard(0, walker.step_s))
        if not fresh:
            walker.step_s = None
            return
        if device in labels:
            row = tuple(fresh.get(r) for r in range(walker.ears.links))
            out.append(Sample(device, labels[device], row, walker.ears.interval_s(0)))
        walker.step_s += 1.0
