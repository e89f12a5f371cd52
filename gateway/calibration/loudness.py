"""How loud each calibrating device is, so that several phones make one model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.calibration.walk import Sample

ZONES_MIN = 3
"""A device that covers fewer zones cannot be told from the zones themselves: its offset is 0."""
ROUNDS = 20
CAUTION = 10.0
"""Weight of offset 0, in readings."""

_Key = tuple[str, int]


def offsets_db(walk: Sequence[Sample]) -> dict[str, float]:
    """Offset of each device against all others, by alternating least squares over the zones they share.

    The device with most samples has 0 when all of them cover three zones or more.
    """
    zones: dict[str, set[str]] = {}
    sums: dict[str, dict[_Key, tuple[float, int]]] = {}
    seconds: dict[str, int] = {}
    for sample in walk:
        zones.setdefault(sample.device, set()).add(sample.zone)
        seconds[sample.device] = seconds.get(sample.device, 0) + 1
        mine = sums.setdefault(sample.device, {})
        for r, rssi_dbm in enumerate(sample.rssi_dbm):
            if rssi_dbm is not None:
                total, count = mine.get((sample.zone, r), (0.0, 0))
                mine[sample.zone, r] = (total + rssi_dbm, count + 1)
    offsets = dict.fromkeys(sums, 0.0)
    free = [device for device in sums if len(zones[device]) >= ZONES_MIN]
    if len(sums) < 2:
        return offsets
    for _ in range(ROUNDS):
        for device in free:
            offsets[device] = _against_others(device, sums, offsets)
    if len(free) == len(sums):
        reference = offsets[min(free, key=lambda device: (-seconds[device], device))]
        offsets = {device: db - reference for device, db in offsets.items()}
    return offsets


def _against_others(
    device: str, sums: Mapping[str, Mapping[_Key, tuple[float, int]]], offsets: Mapping[str, float]
) -> float:
    weighted = weight = 0.0
    for key, (total, count) in sums[device].items():
        others = [(d, m[key]) for d, m in sums.items() if d != device and key in m]
        n = sum(c for _, (_, c) in others)
        if n:
            mean_dbm = sum(t - offsets[d] * c for d, (t, c) in others) / n
            shared = count * n / (count + n)
            weighted += shared * (total / count - mean_dbm)
            weight += shared
    return weighted / (weight + CAUTION)
