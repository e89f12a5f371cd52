"""Who may ask for what: the recipients and their purposes, as the settings name them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from gateway.model import Change

PLATFORM = "platform"
"""The recipient of this name is the central platform: it gets back the references that it enrolled."""

FIELDS = frozenset(["zone", "since", "dwell_s", "threshold_s", "confidence", "evidence"])
"""What a purpose may list; a field that is not listed never leaves."""


class Purpose(Struct, frozen=True):
    """One purpose of one recipient and the most that it may receive."""

    term: str
    """`dpv:…`"""
    legal_basis: str
    changes: frozenset[Change]
    fields: frozenset[str]
    zones: frozenset[str] | None = None
    """None: all zones."""
    profiling: bool = False
    """Only for subjects of whom the record says that they are adults."""


class Recipient(Struct, frozen=True):
    name: str
    purposes: tuple[Purpose, ...]
    """In the order of the settings: the first that is permitted gives the one release."""


class Policy(Struct, frozen=True):
    site: str
    gateway: str
    recipients: tuple[Recipient, ...]
    epoch_s: float = 30 * 86_400.0
    """Length of the span in which a partner sees the same pseudonym."""
    zone_facts: Mapping[str, tuple[str, str]] = {}
    """Zone id → (kind, name), for the `zone` field."""

    @property
    def asks(self) -> dict[tuple[str, str], bool]:
        """(purpose, recipient) → whether only adults may be profiled for it."""
        return {(p.term, r.name): p.profiling for r in self.recipients for p in r.purposes}

    @property
    def version(self) -> str:
        """12 hex digits that change whenever a recipient, purpose or field does."""
        plain: Any = [
            [r.name, [[p.term, p.legal_basis, sorted(p.changes), sorted(p.fields),
                       None if p.zones is None else sorted(p.zones), p.profiling] for p in r.purposes]]
            for r in self.recipients
        ]  # fmt: skip
        return hashlib.sha256(msgspec.json.encode([plain, self.epoch_s])).hexdigest()[:12]
