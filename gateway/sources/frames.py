"""What of an advertisement may be told to another gateway: what could identify a device, and nothing else.

Apple's Continuity, exposure notifications, trackers and whatever no profile takes for an identity stay here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Final, Literal

from msgspec.structs import replace

from gateway.model import Sighting
from gateway.profiles.ble import is_resolvable
from gateway.recent import Recent

AddressKind = Literal["public", "resolvable"]
MOST_BYTES: Final = 1650
"""Longest chain of an extended advertisement (Core Vol 6 Part B §2.3.4.9)."""


def structures(adv: bytes) -> Iterator[bytes]:
    """The AD structures one by one, each with its length; it ends where they are cut short."""
    at = 0
    while at < len(adv) and adv[at] and at + 1 + adv[at] <= len(adv):
        yield adv[at : at + 1 + adv[at]]
        at += 1 + adv[at]


class IdentityFrames:
    """Reduces sightings; `identifies` says whether an AD structure alone carries an identity.

    `addresses`: kinds of address that identify by themselves, a resolvable private one to who has its key.
    """

    def __init__(self, identifies: Callable[[bytes], bool], addresses: Collection[AddressKind]) -> None:
        self._identifies = identifies
        self._addresses = frozenset(addresses)
        self._known: Recent[bytes, bytes] = Recent()
        """What is left of an advertisement: a device repeats the same bytes many times a second."""

    def reduced(self, sighting: Sighting) -> Sighting | None:
        """The sighting with those AD structures that identify; None where nothing does."""
        adv = self._known.get(sighting.adv)
        if adv is None:
            adv = b"".join(s for s in structures(sighting.adv[:MOST_BYTES]) if self._identifies(s))
            if len(sighting.adv) <= MOST_BYTES:
                self._known.put(sighting.adv, adv, sighting.t_s)
        if not adv and _address_kind(sighting) not in self._addresses:
            return None
        return sighting if adv == sighting.adv else replace(sighting, adv=adv)


def _address_kind(sighting: Sighting) -> AddressKind | None:
    if sighting.address_type == "public":
        return "public"
    return "resolvable" if is_resolvable(sighting.address) else None
