"""Eddystone-EID: an id that changes every 2^k seconds, known again by who has the beacon's identity key.

google/eddystone, eddystone-eid/eid-computation.md: the id is a function of the key and of a 32-bit counter of
seconds, which may be wrong by 150 ppm, stands still while the battery is changed, and is then taken up from a
value saved at most a day before. All ids that a beacon may show now are computed ahead, so hearing one is one
look-up. What is heard says where the counter really is, and the ids ahead follow it.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Mapping
from typing import Final

from gateway.counts import Counts
from gateway.identity.aes import BLOCK_BYTES, encryption
from gateway.settings.identity_keys import EphemeralKey

ID_BYTES: Final = 8
DRIFT: Final = 150e-6
"""The most that the specification allows a beacon's clock to be fast or slow."""
READING_S: Final = 60.0
"""Whoever read the counter when the beacon was registered may have written down the time that much off."""
POWER_LOSS_S: Final = 86_400.0
"""The counter is saved once a day: so far is a beacon behind after its battery was changed."""
SILENT_S: Final = 600.0
"""Only a beacon that was silent so long may have lost power: before that, an id of the past is a replay."""
MOST_IDS: Final = 65_536
"""Computed ahead for all keys together, some 12 MB; each key has its share, the nearest ids first."""


def ephemeral_ids(key: bytes, exponent: int, quanta: range) -> list[bytes]:
    """The ids of consecutive quanta (one is 2^exponent seconds of the beacon's counter), 8 bytes each."""
    found: list[bytes] = []
    first = quanta.start
    per_temporary_key = 1 << (16 - exponent)
    while first < quanta.stop:
        stop = min(quanta.stop, (first // per_temporary_key + 1) * per_temporary_key)
        counter = (first << exponent) & 0xFFFF_FFFF
        temporary_key = encryption(key)(bytes(11) + b"\xff\0\0" + (counter >> 16).to_bytes(2, "big"))
        head = bytes(11) + bytes((exponent,))
        counters = (((q << exponent) & 0xFFFF_FFFF).to_bytes(4, "big") for q in range(first, stop))
        blocks = encryption(temporary_key)(b"".join(head + counter for counter in counters))
        found += (blocks[i : i + ID_BYTES] for i in range(0, len(blocks), BLOCK_BYTES))
        first = stop
    return found


class _Beacon:
    """One key, where its counter is believed to be, and the ids computed ahead for it."""

    def __init__(self, name: str, key: EphemeralKey) -> None:
        self.identity = f"eid:{name}"
        self.key = key
        self.quantum_s = 1 << key.exponent
        self.ahead_s = key.beacon_time_s - key.at_s
        """Counter less Unix time."""
        self.sure_s = key.at_s
        """When `ahead_s` was last confirmed: since then it may have drifted."""
        self.heard_s: float | None = None
        self.due_s = -math.inf
        """When `quanta` has to move on."""
        self.quanta = range(0)
        self.ids: deque[bytes] = deque()
        """Of `quanta`, in their order."""

    def counter_s(self, t_s: float) -> float:
        return t_s + self.ahead_s

    def doubt_s(self, t_s: float) -> float:
        return READING_S + DRIFT * max(0.0, t_s - self.sure_s)

    def window(self, t_s: float, most: int) -> range:
        """Quanta whose id may be on the air, at most `most`: those nearest to where the counter should be."""
        counter_s, doubt_s = self.counter_s(t_s), self.doubt_s(t_s)
        here = math.floor(counter_s / self.quantum_s)
        last = min(math.floor((counter_s + doubt_s) / self.quantum_s), here + most // 2)
        # A beacon changes its id at some moment within the quantum: the one before may be on the air.
        first = math.floor((counter_s - doubt_s - POWER_LOSS_S) / self.quantum_s) - 1
        return range(max(first, last - most + 1), last + 1)

    def next_change_s(self, t_s: float) -> float:
        """When `window` moves on, Unix seconds, after `t_s`."""
        past_s = self.counter_s(t_s) % self.quantum_s
        return t_s + max(self.quantum_s - past_s, 0.001)

    def believes(self, quantum: int, t_s: float) -> bool:
        """Whether an id of this quantum is this beacon's, now; what is learned of its clock stays."""
        earliest_s, latest_s = quantum * self.quantum_s, (quantum + 2) * self.quantum_s
        counter_s = self.counter_s(t_s)
        behind_s = counter_s - latest_s
        silent_s = math.inf if self.heard_s is None else t_s - self.heard_s
        if behind_s > self.doubt_s(t_s) and silent_s <= max(SILENT_S, 2.0 * self.quantum_s):
            return False
        self.ahead_s += max(0.0, earliest_s - counter_s) - max(0.0, behind_s)
        self.sure_s = self.heard_s = t_s
        return True


class EphemeralIds:
    """Ephemeral ids to `eid:<key name>`; time is pipeline time, Unix seconds.

    Counted in room `identity`: `eid_resolved`; `eid_foreign` (nobody's, or too far from where the beacon's
    clock should be); `eid_replayed` (of the past, while the beacon shows newer ones).
    """

    def __init__(self, keys: Mapping[str, EphemeralKey], counts: Counts) -> None:
        self._counts = counts
        self._beacons: list[_Beacon] = []
        self._most = MOST_IDS
        self._by_id: dict[bytes, tuple[int, int]] = {}
        """Beacon and quantum of every id computed ahead."""
        self._due: list[tuple[float, int]] = []
        """Heap of `due_s` by beacon; an entry that is no longer the beacon's own is stale."""
        self.rekey(keys)

    def rekey(self, keys: Mapping[str, EphemeralKey]) -> None:
        """Other keys from now on; where the clock of a beacon is that stays is still known."""
        before = {beacon.identity: beacon for beacon in self._beacons}
        self._beacons = [_Beacon(name, key) for name, key in sorted(keys.items())]
        for beacon in self._beacons:
            known = before.get(beacon.identity)
            if known is not None and known.key == beacon.key:
                beacon.ahead_s, beacon.sure_s, beacon.heard_s = known.ahead_s, known.sure_s, known.heard_s
        self._most = max(4, MOST_IDS // max(1, len(self._beacons)))
        self._by_id.clear()
        self._due = [(-math.inf, n) for n in range(len(self._beacons))]

    def resolve(self, ephemeral_id: bytes, t_s: float) -> str:
        """The identity behind an id of 8 bytes; empty when there is none."""
        self._move_on(t_s)
        found = self._by_id.get(ephemeral_id)
        if found is None:
            self._counts.count("identity", "eid_foreign")
            return ""
        number, quantum = found
        beacon = self._beacons[number]
        before_s = beacon.ahead_s
        if not beacon.believes(quantum, t_s):
            self._counts.count("identity", "eid_replayed")
            return ""
        if beacon.ahead_s != before_s:
            self._compute(number, t_s)
        self._counts.count("identity", "eid_resolved")
        return beacon.identity

    def _move_on(self, t_s: float) -> None:
        while self._due and self._due[0][0] <= t_s:
            due_s, number = heapq.heappop(self._due)
            if due_s == self._beacons[number].due_s:
                self._compute(number, t_s)

    def _compute(self, number: int, t_s: float) -> None:
        """Bring the ids of a beacon to the window of now: those that are there already stay."""
        beacon = self._beacons[number]
        beacon.due_s = beacon.next_change_s(t_s)
        heapq.heappush(self._due, (beacon.due_s, number))
        wanted, held = beacon.window(t_s, self._most), beacon.quanta
        if wanted.start < held.start or wanted.start >= held.stop:
            self._forget(beacon, len(held))
            held = range(wanted.start, wanted.start)
        self._forget(beacon, min(wanted.start - held.start, len(held)))
        while len(beacon.ids) > len(wanted):
            self._by_id.pop(beacon.ids.pop(), None)
        more = range(wanted.start + len(beacon.ids), wanted.stop)
        for quantum, ephemeral_id in zip(
            more, ephemeral_ids(beacon.key.key, beacon.key.exponent, more), strict=True
        ):
            beacon.ids.append(ephemeral_id)
            self._by_id[ephemeral_id] = (number, quantum)
        beacon.quanta = wanted

    def _forget(self, beacon: _Beacon, oldest: int) -> None:
        for _ in range(oldest):
            self._by_id.pop(beacon.ids.popleft(), None)
