"""What is on the air of people whom nobody enrolled."""

from __future__ import annotations

import random
from typing import Any

KINDS = (
    "02011a0aff4c001005{:010x}",  # a phone
    "0201061aff4c000215{:032x}00010002c5",  # a foreign iBeacon
    "0201040303aafe1516aafe00e7{:020x}{:012x}0000",  # a foreign Eddystone
    "02010a11079ecadc240ee5a9e093f3a3b5{:014x}",  # something else
)


def an_address(rng: random.Random) -> str:
    return ":".join(f"{b:02x}" for b in rng.randbytes(6))


def stranger(rng: random.Random, address: str | None = None, kind: str = KINDS[0]) -> dict[str, Any]:
    """One advertisement as a receiver reports it; of an address never heard before, when left out."""
    return {
        "address": address or an_address(rng),
        "address_type": "random",
        "rssi": rng.randint(-95, -50),
        "adv": kind.format(*(rng.getrandbits(38) for _ in range(2))),
    }
