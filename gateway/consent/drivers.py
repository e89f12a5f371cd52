"""Whose identity is it: enrolment, and for a car that several share, who drives (DESIGN §6.3)."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from msgspec import Struct

from gateway.counts import Counts
from gateway.model import DriverSignal

VEHICLE = "vehicle:"
MAX_DRIVEN = 10_000
"""Cars of which a driver is known; of more the oldest word is forgotten, and the car identifies nobody."""


class _Drive(Struct, frozen=True):
    subject: str | None
    until_s: float | None


class Ownership:
    """Identity → the one subject that it stands for. Counted in room `identity`: ambiguous,
    driven_by_another, deny_listed.
    """

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._owners: dict[str, set[str]] = {}
        self._drives: dict[str, _Drive] = {}
        self._denied: frozenset[str] = frozenset()

    def add(self, subject: str, identities: Iterable[str]) -> None:
        for identity in identities:
            self._owners.setdefault(identity.lower(), set()).add(subject)

    def remove(self, subject: str, identities: Iterable[str]) -> None:
        for identity in identities:
            if owners := self._owners.get(identity.lower()):
                owners.discard(subject)
                if not owners:
                    del self._owners[identity.lower()]

    def deny(self, identities: Collection[str]) -> set[str]:
        """These identify nobody, whoever claims them; returns who claims one that is newly among them."""
        before, self._denied = self._denied, frozenset(identity.lower() for identity in identities)
        return {s for identity in self._denied - before for s in self._owners.get(identity, ())}

    def drives(self, signal: DriverSignal) -> set[str]:
        """Takes a driver over; returns the subjects that the car stood for and does not any more."""
        identity = VEHICLE + signal.vehicle
        before, _ = self._of(identity, signal.t_s)
        self._drives.pop(signal.vehicle, None)
        self._drives[signal.vehicle] = _Drive(signal.subject, signal.until_s)
        if len(self._drives) > MAX_DRIVEN:
            del self._drives[next(iter(self._drives))]
            self._counts.count("identity", "driver_forgotten")
        after, _ = self._of(identity, signal.t_s)
        return set() if before is None or before == after else {before}

    def subject_of(self, identity: str, t_s: float) -> str | None:
        """The subject, or None where nobody, or more than one, or another driver is concerned."""
        if identity not in self._owners:
            return None
        subject, doubt = self._of(identity, t_s)
        if subject is None:
            self._counts.count("identity", doubt)
        return subject

    def _of(self, identity: str, t_s: float) -> tuple[str | None, str]:
        """The subject, or None and the word under which that is counted."""
        owners = self._owners.get(identity, set())
        if identity in self._denied:
            return None, "deny_listed"
        drive = self._drives.get(identity.removeprefix(VEHICLE)) if identity.startswith(VEHICLE) else None
        if drive is None or (drive.until_s is not None and not t_s < drive.until_s):
            return (next(iter(owners)), "") if len(owners) == 1 else (None, "ambiguous")
        return (drive.subject, "") if drive.subject in owners else (None, "driven_by_another")
