"""The generic raw form (DESIGN §6.4): what a receiver that decodes nothing says, of the air and of itself."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from gateway.model import Sighting

_BASE = "receivers/v1"
HEARTBEAT_S = 15.0
"""How often a receiver says that it is alive."""


class _Element(Struct, frozen=True):
    address: str
    address_type: str
    rssi: float
    adv: str


class _State(Struct, frozen=True):
    """What a receiver says of itself, retained; not alive: its last will, or its radio is down."""

    alive: bool
    every_s: float = HEARTBEAT_S


def topic(site: str, receiver: str) -> str:
    return f"{_BASE}/{site}/{receiver}"


def state_topic(site: str, receiver: str) -> str:
    return f"{_BASE}/{site}/{receiver}/state"


def encode(sightings: Iterable[Sighting]) -> bytes:
    return msgspec.json.encode(
        [_Element(s.address, s.address_type, s.rssi_dbm, s.adv.hex()) for s in sightings]
    )


def encode_state(*, alive: bool, every_s: float = HEARTBEAT_S) -> bytes:
    """How the profile `generic-raw` reads it again: its `state`."""
    return msgspec.json.encode(_State(alive, every_s))
