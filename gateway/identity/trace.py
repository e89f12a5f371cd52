"""What is remembered of devices that nobody enrolled, in place of their addresses and identities."""

from __future__ import annotations

from typing import Final

_BITS: Final = 0xFFFF_FFFF


def trace(name: str) -> int:
    """32 bits by which a name is known again, and no more: 65,536 of the 2**48 addresses share each.

    SipHash with the key that Python draws when the process starts (PEP 456) and nothing writes down. That two
    names at hand are taken for one has a chance of one in four billion.
    """
    return hash(name) & _BITS
