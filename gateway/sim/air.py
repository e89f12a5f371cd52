"""What receivers get of phones on 2.4 GHz between shelves: path loss, shadowing, fading, bodies, losses."""

from __future__ import annotations

import itertools
import math
import uuid
from collections.abc import Iterator, Sequence
from random import Random

from msgspec import Struct

from gateway.model import Anchor
from gateway.sim.shadows import Shadows


class Air(Struct, frozen=True):
    """How radio behaves in a store."""

    power_at_1m_dbm: float = -59.0
    """Measured power of a typical iBeacon (Apple, Getting Started with iBeacon, 2014)."""
    power_sd_db: float = 3.0
    """Between one phone and another; assumed."""
    exponent: float = 2.6
    """Log-distance model; ITU-R P.1238: N from 22 (commercial) to 30 (office) around 2 GHz."""
    shadowing_sd_db: float = 3.5
    """Of what moves: people, trolleys, the owner's hand."""
    standing_sd_db: float = 0.0
    """Of what stands, a matter of the place; together 10 dB in ITU-R P.1238, table 4, of which a store's open
    ceiling leaves half."""
    shadowing_m: float = 2.0
    """Distance after which a link's shadowing has forgotten 63 % (form: Gudmundson, El. Letters 27, 1991)."""
    rician_k: float = 4.0
    """Steady to scattered power, as for a mostly clear path; drawn anew for each advertisement."""
    body_db: float = 8.0
    """The owner between phone and receiver, at 2.4 GHz (Januszkiewicz, Sensors 18(10):3412, 2018)."""
    loss: float = 0.1
    """Advertisements lost to collisions; assumed."""
    sensitivity_dbm: float = -95.0
    """Nordic nRF52832 product specification: -96 dBm at 1 Mbit/s."""
    jitter_s: float = 0.010
    """Each advertisement is up to that late (Core Specification Vol 6 Part B 4.4.2.2)."""
    carried_m: float = 1.1
    """Height of a phone; assumed."""


class Step(Struct, frozen=True):
    """A straight move to (x, y) on the floor, reached at `t_s`; `zone` is where it took place."""

    t_s: float
    x_m: float
    y_m: float
    zone: str | None = None


class Phone(Struct, frozen=True):
    address: str
    adv: bytes
    interval_s: float
    walk: Sequence[Step]
    """From the first to the last step it advertises."""
    wall_db: float = 0.0
    """Between it and all receivers."""


class Heard(Struct, frozen=True, order=True):
    """One advertisement at one receiver (by its number)."""

    t_s: float
    receiver: int
    rssi_dbm: int
    address: str
    adv: bytes


class Site(Struct, frozen=True):
    """The fixed ends, and what is particular about this store."""

    receivers: Sequence[Anchor]
    drift_db: Sequence[float] = ()
    """How much louder each of them is than it was; empty: not at all."""
    shadows: Shadows | None = None


def heard(rng: Random, phone: Phone, site: Site, air: Air) -> Iterator[Heard]:
    """All that placed receivers hear of a phone, in order of time."""
    receivers, shadows = site.receivers, site.shadows
    drift_db = site.drift_db or [0.0] * len(receivers)
    power_dbm = air.power_at_1m_dbm + rng.gauss(0.0, air.power_sd_db)
    shadow_db = [rng.gauss(0.0, air.shadowing_sd_db) for _ in receivers]
    t_s, past = phone.walk[0].t_s, phone.walk[0]
    for before, step in itertools.pairwise(phone.walk):
        facing = math.atan2(step.y_m - before.y_m, step.x_m - before.x_m)
        while t_s < step.t_s:
            here = _between(before, step, t_s)
            keep = math.exp(-math.hypot(here.x_m - past.x_m, here.y_m - past.y_m) / air.shadowing_m)
            fresh_db = math.sqrt(1.0 - keep * keep) * air.shadowing_sd_db
            for i, receiver in enumerate(receivers):
                shadow_db[i] = keep * shadow_db[i] + rng.gauss(0.0, fresh_db)
                lost_db = path_loss_db(receiver, here, facing, air) + phone.wall_db - drift_db[i]
                fixed_db = 0.0 if shadows is None else shadows.db(i, here.x_m, here.y_m)
                mean_dbm = power_dbm - lost_db + shadow_db[i] + fixed_db
                rssi_dbm = round(mean_dbm + _fading_db(rng, air.rician_k))
                if rssi_dbm >= air.sensitivity_dbm and rng.random() >= air.loss:
                    yield Heard(t_s, i, rssi_dbm, phone.address, phone.adv)
            past = here
            t_s += phone.interval_s + rng.uniform(0.0, air.jitter_s)


def _between(a: Step, b: Step, t_s: float) -> Step:
    part = (t_s - a.t_s) / (b.t_s - a.t_s)
    return Step(t_s, a.x_m + part * (b.x_m - a.x_m), a.y_m + part * (b.y_m - a.y_m))


def path_loss_db(receiver: Anchor, here: Step, facing: float, air: Air) -> float:
    """Beyond one metre: log-distance in three dimensions, and the body when the owner faces away.

    `facing` in radians, as atan2 gives it.
    """
    rx_m, ry_m, rz_m = receiver.at or (0.0, 0.0, 0.0)
    dx_m, dy_m = rx_m - here.x_m, ry_m - here.y_m
    distance_m = max(1.0, math.sqrt(dx_m**2 + dy_m**2 + (rz_m - air.carried_m) ** 2))
    behind = 0.5 * (1.0 - math.cos(math.atan2(dy_m, dx_m) - facing))
    return 10.0 * air.exponent * math.log10(distance_m) + air.body_db * behind


def _fading_db(rng: Random, k: float) -> float:
    """Power of a Rician channel, mean 1: a steady path and a complex Gaussian of scattered ones."""
    sd = math.sqrt(0.5 / (k + 1.0))
    steady = math.sqrt(k / (k + 1.0))
    return 10.0 * math.log10((steady + rng.gauss(0.0, sd)) ** 2 + rng.gauss(0.0, sd) ** 2 + 1e-12)


# --- what phones send ---


def ibeacon(identity: str, power_dbm: int = -59) -> bytes:
    """AD structures of `ibeacon:<uuid>:<major>:<minor>` (Apple, Proximity Beacon Specification)."""
    _, proximity, major, minor = identity.split(":")
    body = uuid.UUID(proximity).bytes + int(major).to_bytes(2, "big") + int(minor).to_bytes(2, "big")
    return bytes.fromhex("0201061aff4c000215") + body + power_dbm.to_bytes(1, signed=True)


def unknown(rng: Random, kind: int) -> bytes:
    """What strangers' devices send: other iBeacons, Apple's Nearby Info, makers that no profile knows.

    Any `kind` will do; three that follow one another are one of each.
    """
    match kind % 3:
        case 0:
            return ibeacon(f"ibeacon:{uuid.UUID(bytes=rng.randbytes(16))}:{rng.randrange(1 << 16)}:7")
        case 1:
            return bytes.fromhex("02011a020a0c0bff4c001006") + rng.randbytes(6)
        case _:
            body = rng.randbytes(rng.randint(2, 20))
            return bytes([2, 1, 6, len(body) + 1, 0xFF]) + body


STATIC, RESOLVABLE = 0xC0, 0x40
"""Top bits of a random address (Core Specification Vol 6 Part B 1.3.2)."""


def random_address(rng: Random, top: int) -> str:
    octets = rng.randbytes(6)
    return bytes([octets[0] & 0x3F | top, *octets[1:]]).hex(":")
