"""Resolvable private addresses: who knows a phone's identity resolving key knows it behind every address.

Core Specification Vol 6 Part B §1.3.2.2 (the address), Vol 3 Part H §2.2.2 (the hash). A phone changes its
address every quarter of an hour, the old and the new one may be heard at once, and both resolve: nothing here
says that a key has one address. The hash has 24 bits: one foreign address in 16.8 million resolves by chance
for each key, with 1,000 keys and a new address a second one in 4.7 hours.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final, TypeVar

from gateway.counts import Counts
from gateway.identity.aes import Encrypt, encryption
from gateway.identity.trace import trace
from gateway.profiles.ble import is_resolvable

NEW_PER_SECOND: Final = 20
"""Addresses tried with all keys in one second of pipeline time; those known already cost nothing."""
FIRST_HEARD_PER_SECOND: Final = 10
"""Of these for addresses never heard before: a flood of them leaves the rest to those that come again."""
REMEMBERED: Final = 16_384
"""Addresses of each kind: resolved, foreign, waiting for their turn."""
RESOLVED_S: Final = 3600.0
"""The longest that a phone may keep an address (HCI LE Set Resolvable Private Address Timeout, 0x0E10 s)."""
FOREIGN_S: Final = 900.0
_PADDING: Final = bytes(13)

K = TypeVar("K")
V = TypeVar("V")


def ah(encrypt: Encrypt, prand: bytes) -> bytes:
    """The 24-bit hash of a 24-bit random part (Core Vol 3 Part H §2.2.2); `encrypt`: with the IRK."""
    return encrypt(_PADDING + prand)[13:]


class ResolvableAddresses:
    """Addresses to `irk:<key name>`; time is pipeline time, Unix seconds.

    Counted in room `identity`: `rpa_resolved` and `rpa_foreign` (tried with all keys), `rpa_deferred` (not
    tried: this second had its share; the next advertisement of that address is).
    """

    def __init__(self, irks: Mapping[str, bytes], counts: Counts) -> None:
        self._counts = counts
        self._irks: Mapping[str, bytes] = {}
        self._keys: list[tuple[str, Encrypt]] = []
        self._resolved: OrderedDict[str, tuple[str, float]] = OrderedDict()
        """Identity of an address, and when it was found."""
        self._foreign: OrderedDict[int, float] = OrderedDict()
        self._waiting: OrderedDict[int, float] = OrderedDict()
        """Traces, and when they were tried or put off: whose address it is does not matter."""
        self._second = -math.inf
        self._tried = self._tried_first_heard = 0
        self.rekey(irks)

    def rekey(self, irks: Mapping[str, bytes]) -> None:
        """Other keys from now on: what a lost key resolved is forgotten, what was nobody's is tried again."""
        gone = {f"irk:{name}" for name, key in self._irks.items() if irks.get(name) != key}
        for address in [a for a, (identity, _) in self._resolved.items() if identity in gone]:
            del self._resolved[address]
        if any(self._irks.get(name) != key for name, key in irks.items()):
            self._foreign.clear()
        self._irks = dict(irks)
        self._keys = [(f"irk:{name}", encryption(key)) for name, key in sorted(irks.items())]

    def resolve(self, address: str, address_type: str, t_s: float) -> str:
        """The identity behind an address; empty when there is none, or none yet."""
        if not self._keys or address_type == "public" or not is_resolvable(address):
            return ""
        known = self._resolved.get(address)
        if known is not None and t_s - known[1] <= RESOLVED_S:
            return known[0]
        heard = trace(address)
        foreign_s = self._foreign.get(heard)
        if foreign_s is not None and t_s - foreign_s <= FOREIGN_S:
            return ""
        rpa = _address_bytes(address)
        if rpa is None:
            return ""
        if not self._may_try(heard, t_s):
            self._counts.count("identity", "rpa_deferred")
            return ""
        return self._try(address, heard, rpa, t_s)

    def _may_try(self, heard: int, t_s: float) -> bool:
        second = math.floor(t_s)
        if second > self._second:
            self._second, self._tried, self._tried_first_heard = second, 0, 0
            self._fade(t_s)
        first_heard = heard not in self._waiting
        if self._tried >= NEW_PER_SECOND or (
            first_heard and self._tried_first_heard >= FIRST_HEARD_PER_SECOND
        ):
            _remember(self._waiting, heard, t_s)
            return False
        self._tried += 1
        self._tried_first_heard += first_heard
        return True

    def _fade(self, t_s: float) -> None:
        """What is too old to count is forgotten; the oldest stand first."""
        while self._resolved and next(iter(self._resolved.values()))[1] < t_s - RESOLVED_S:
            self._resolved.popitem(last=False)
        for traces in (self._foreign, self._waiting):
            while traces and next(iter(traces.values())) < t_s - FOREIGN_S:
                traces.popitem(last=False)

    def _try(self, address: str, heard: int, rpa: bytes, t_s: float) -> str:
        self._waiting.pop(heard, None)
        for identity, encrypt in self._keys:
            if ah(encrypt, rpa[:3]) == rpa[3:]:
                self._counts.count("identity", "rpa_resolved")
                _remember(self._resolved, address, (identity, t_s))
                return identity
        self._counts.count("identity", "rpa_foreign")
        _remember(self._foreign, heard, t_s)
        return ""


def _remember(cache: OrderedDict[K, V], key: K, value: V) -> None:
    cache.pop(key, None)
    cache[key] = value
    if len(cache) > REMEMBERED:
        cache.popitem(last=False)


def _address_bytes(address: str) -> bytes | None:
    try:
        found = bytes.fromhex(address.replace(":", ""))
    except ValueError:
        return None
    return found if len(found) == 6 else None
