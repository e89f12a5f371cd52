"""Who an advertisement may be, the surest first: what profiles read in it, and what keys tell of it."""

from __future__ import annotations

from typing import Final

from gateway.counts import Counts
from gateway.identity.ephemeral import EphemeralIds
from gateway.identity.garbage import BROADCAST
from gateway.identity.resolvable import ResolvableAddresses
from gateway.model import Sighting
from gateway.profiles.ble import Heard
from gateway.settings.identity_keys import IdentityKeys

RANK: Final = {"irk": 0, "eid": 1, "ibeacon": 2, "altbeacon": 3, "eddystone": 4, "tag": 5, "mac": 6}
"""A kind that only a key's owner can make before those that anybody can send."""
_LAST: Final = len(RANK)


class Recognition:
    """Rotating identities become the names of their keys: an ephemeral id itself identifies nobody."""

    def __init__(self, keys: IdentityKeys, counts: Counts) -> None:
        self._addresses = ResolvableAddresses(keys.irks, counts)
        self._ephemeral = EphemeralIds(keys.eids, counts)
        self._names = _names(keys)

    def rekey(self, keys: IdentityKeys) -> None:
        """Other keys from now on; what was learned by those that stay is kept."""
        self._addresses.rekey(keys.irks)
        self._ephemeral.rekey(keys.eids)
        self._names = _names(keys)

    def identities(self, sighting: Sighting, heard: Heard) -> tuple[str, ...]:
        """`heard`: identities as read or as the receiver decoded them, the public address, ephemeral ids.

        An `eid:` among the identities is an ephemeral id that a receiver has decoded, 16 hex digits; an
        `irk:` is the key itself (32) by which a receiver has resolved an address.
        """
        t_s = sighting.t_s
        resolved = self._addresses.resolve(sighting.address, sighting.address_type, t_s)
        found = [resolved] if resolved else []
        for identity in heard.identities:
            kind, _, told = identity.partition(":")
            if kind == "eid":
                found.append(self._ephemeral.resolve(_hex(told), t_s))
            else:
                found.append(self._names.get(told, "") if kind == "irk" else identity)
        for sealed in heard.sealed:
            if sealed.kind == "eid":
                found.append(self._ephemeral.resolve(sealed.data, t_s))
        if len(found) < 2:
            return tuple(found) if found and found[0] else ()
        return tuple(sorted(dict.fromkeys(filter(None, found)), key=_rank))


def _names(keys: IdentityKeys) -> dict[str, str]:
    """Identities by resolving key, 32 hex digits."""
    return {key.hex(): f"irk:{name}" for name, key in keys.irks.items()}


def is_broadcast(identity: str, sender: str) -> bool:
    """Whether anybody can send it: all that no key makes, but for the address that sends."""
    return identity.startswith(BROADCAST) and identity != f"mac:{sender}"


def _hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""


def _rank(identity: str) -> int:
    return RANK.get(identity.partition(":")[0], _LAST)
