"""Who may ask for what: the recipients and their purposes, as the settings name them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from gateway.consent.rounding import AS_MEASURED, WHOLE_MINUTES, Rounding
from gateway.model import OPERATOR, PLATFORM, Change


class Purpose(Struct, frozen=True):
    """One purpose of one recipient and the most that it may receive."""

    term: str
    """`dpv:…`"""
    legal_basis: str
    changes: frozenset[Change]
    fields: frozenset[str]
    """Of `gateway.model.FIELDS`; nothing else leaves."""
    zones: frozenset[str] | None = None
    """None: all zones."""
    profiling: bool = False
    """Only for subjects of whom the record says that they are adults."""
    rounding: Rounding | None = None
    """None: as measured for the platform, whole minutes for every other recipient."""


class Recipient(Struct, frozen=True):
    name: str
    purposes: tuple[Purpose, ...]
    """In the order of the settings: the first that is permitted gives the one release."""

    @property
    def is_platform(self) -> bool:
        return self.name == PLATFORM

    @property
    def confidence_digits(self) -> int:
        """Three digits would be a fingerprint of the event that two partners could compare."""
        return 3 if self.is_platform else 1

    def rounding_of(self, purpose: Purpose) -> Rounding:
        return purpose.rounding or (AS_MEASURED if self.is_platform else WHOLE_MINUTES)

    @property
    def recorded_step_s(self) -> float:
        """Of transport times, which belong to no one purpose: for partners the coarsest of their steps."""
        if self.is_platform:
            return 0.0
        return max((self.rounding_of(purpose).time_s for purpose in self.purposes), default=0.0)


class Counting(Struct, frozen=True):
    """Zones of which a recipient may learn how many consenting subjects there were, and not who."""

    recipient: str
    purpose: str
    """`dpv:…`; the consent to being counted names it."""
    legal_basis: str
    zones: tuple[str, ...]
    window_s: float = 900.0
    """Windows are aligned to multiples of it since 1970."""
    k: int = 10
    """Numbers are rounded down to multiples of it."""


class Showing(Struct, frozen=True):
    """What the operator's own status page may show: presences of subjects who consent to this."""

    purpose: str
    legal_basis: str


class Policy(Struct, frozen=True):
    site: str
    gateway: str
    recipients: tuple[Recipient, ...]
    epoch_s: float = 30 * 86_400.0
    """Length of the span in which a partner sees the same pseudonym."""
    zone_facts: Mapping[str, tuple[str, str]] = {}
    """Zone id → (kind, name), for the `zone` field."""
    counted: tuple[Counting, ...] = ()
    shown: Showing | None = None
    """None: the status page shows nobody."""

    @property
    def asks(self) -> dict[tuple[str, str], bool]:
        """(purpose, recipient) → whether only adults may be profiled for it; being counted is none."""
        counted = {(c.purpose, c.recipient): False for c in self.counted}
        if self.shown is not None:
            counted[self.shown.purpose, OPERATOR] = False
        return counted | {(p.term, r.name): p.profiling for r in self.recipients for p in r.purposes}

    @property
    def version(self) -> str:
        """12 hex digits that change whenever a recipient, purpose, field, rounding or counting does."""
        plain: Any = [[r.name, [_plain(r, p) for p in r.purposes]] for r in self.recipients]
        told: list[Any] = [plain, self.epoch_s, self.counted, *([self.shown] if self.shown else [])]
        return hashlib.sha256(msgspec.json.encode(told)).hexdigest()[:12]


def _plain(recipient: Recipient, purpose: Purpose) -> list[Any]:
    """A purpose in a form whose JSON is the same for the same purpose."""
    rounding = recipient.rounding_of(purpose)
    zones = None if purpose.zones is None else sorted(purpose.zones)
    return [
        purpose.term, purpose.legal_basis, sorted(purpose.changes), sorted(purpose.fields), zones,
        float(rounding.time_s), float(rounding.dwell_s), purpose.profiling,
    ]  # fmt: skip
