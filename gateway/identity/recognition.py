"""Who an advertisement may be, the surest first: what profiles read in it, and what keys tell of it."""

from __future__ import annotations

from typing import Final

from gateway.counts import Counts
from gateway.identity.ephemeral import EphemeralIds
from gateway.identity.garbage import BROADCAST
from gateway.identity.resolvable import ResolvableAddresses
from gateway.model import Sighting
from gateway.settings.identity_keys import IdentityKeys

RANK: Final = {"irk": 0, "eid": 1, "ibeacon": 2, "altbeacon": 3, "eddystone": 4, "mac": 5}
"""A kind that only a key's owner can make before those that anybody can send."""
_LAST: Final = len(RANK)


class Recognition:
    """Rotating identities become the names of their keys: an ephemeral id itself identifies nobody."""

    def __init__(self, keys: IdentityKeys, counts: Counts) -> None:
        self._addresses = ResolvableAddresses(keys.irks, counts)
        self._ephemeral = EphemeralIds(keys.eids, counts)

    def identities(self, sighting: Sighting, read: tuple[str, ...]) -> tuple[str, ...]:
        """`read`: identities in the advertisement, of the receiver's decoding, and the public address.

        `eid:<16 hex digits>` among them stands for an ephemeral id and becomes `eid:<key name>`, or nothing.
        """
        found: list[str] = []
        resolved = self._addresses.resolve(sighting.address, sighting.address_type, sighting.t_s)
        if resolved:
            found.append(resolved)
        for identity in read:
            is_ephemeral = identity.startswith("eid:")
            known = self._ephemeral.resolve(identity[4:], sighting.t_s) if is_ephemeral else identity
            if known and known not in found:
                found.append(known)
        if len(found) > 1:
            found.sort(key=_rank)
        return tuple(found)


def is_broadcast(identity: str) -> bool:
    """Whether anybody can send it."""
    return identity.startswith(BROADCAST)


def _rank(identity: str) -> int:
    return RANK.get(identity.partition(":")[0], _LAST)
