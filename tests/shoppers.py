"""Shoppers with consents of their own, a month of their visits, and two partners who hear of them."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

from consents import DAY, NOON_S, entry, record
from msgspec import Struct

from gateway.consent import ConsentScreen, Keys, Policy, Purpose, Recipient, Register
from gateway.consent.rounding import Rounding
from gateway.counts import Counts
from gateway.model import CHANGES, Presence

HOUR = 3_600.0
PURPOSE = "dpv:PersonalisedBenefits"
MIDNIGHT_S = NOON_S - 12 * HOUR
FIELDS = frozenset(["zone", "since", "dwell_s", "threshold_s", "confidence"])


class Visit(Struct, frozen=True, order=True):
    """From the car park to the checkout and back."""

    t_in_s: float
    t_till_s: float
    t_out_s: float
    subject: str


def visits(subjects: int, days: int, a_month: float = 4.0, seed: int = 1) -> list[Visit]:
    """Each subject comes `a_month` times in 30 days on average, between 8 and 20 o'clock, for 15 to 70 minutes."""
    chance = random.Random(seed)
    made = []
    for number in range(subjects):
        for day in range(days):
            if chance.random() >= a_month / 30:
                continue
            t_in_s = MIDNIGHT_S + day * DAY + chance.uniform(8 * HOUR, 20 * HOUR)
            stay_s = chance.uniform(15 * 60, 70 * 60)
            made.append(
                Visit(t_in_s, t_in_s + 0.85 * stay_s, t_in_s + stay_s, f"card-{number}"),
            )
    return sorted(made)


def presences(visits: list[Visit], seed: int = 2) -> list[Presence]:
    chance = random.Random(seed)
    made = []
    for visit in visits:
        for t_s, zone, change, since_s in (
            (visit.t_in_s, "car-park", "entered", visit.t_in_s - 20),
            (visit.t_till_s, "checkout", "entered", visit.t_till_s - 3),
            (visit.t_out_s, "car-park", "left", visit.t_in_s - 20),
        ):
            made.append(
                Presence(t_s, t_s + chance.uniform(0, 2), visit.subject, zone, change, since_s, t_s - since_s,  # type: ignore[arg-type]
                         chance.uniform(0.5, 1.0), {"rssi_dbm": chance.uniform(-80, -50)})
            )  # fmt: skip
    return sorted(made, key=lambda presence: presence.t_s)


def recipient(name: str, zones: frozenset[str] | None = None, step_s: float | None = None) -> Recipient:
    rounding = None if step_s is None else Rounding(step_s, step_s)
    purpose = Purpose(PURPOSE, "eu-gdpr:A6-1-a", frozenset(CHANGES), FIELDS, zones, rounding=rounding)
    return Recipient(name, (purpose,))


def consents(subjects: int, share: float = 0.7, seed: int = 3) -> list[dict[str, Any]]:
    """Everybody consents to the platform, and `share` of them to each of the two partners; for up to a year."""
    chance = random.Random(seed)
    records = []
    for number in range(subjects):
        partners = [name for name in ("parking", "insurer") if chance.random() < share]
        until_s = MIDNIGHT_S + 3 * DAY + chance.uniform(0, 365 * DAY)
        records.append(
            record(
                f"card-{number}",
                entry(
                    record_id=f"consent-{number}",
                    recipients=["platform", *partners],
                    valid_until=datetime.fromtimestamp(until_s, UTC).isoformat(),
                ),
                identities=[f"irk:phone-{number}"],
            )
        )
    return records


def screen(
    recipients: list[Recipient], records: list[dict[str, Any]], epoch_s: float = 30 * DAY
) -> tuple[ConsentScreen, Register]:
    counts = Counts()
    register = Register(counts)
    policy = Policy("s", "g", tuple(recipients), epoch_s)
    made = ConsentScreen(policy, register, Keys(bytes(range(32))), counts)
    made.know(register.absorb(records))
    return made, register
