"""From what was heard to whom it concerns: enrolled devices go on, everything else ends here.

Of an unknown device only the receiver's last-heard time and a count remain (DESIGN §2).
"""

from __future__ import annotations

from typing import Protocol

from gateway.counts import Counts
from gateway.model import Fix, Message, Observation, Reading, Sighting, SiteMap


class Enrolment(Protocol):
    """Who is tracked. The consent register is one; surveys take every device for its own subject."""

    def subject_of(self, identity: str) -> str | None: ...
    def admits(self, subject: str, t_s: float) -> bool: ...


class EveryDevice:
    """`--all-devices`: each device is a subject named by its identity. Never used with a sink."""

    def subject_of(self, identity: str) -> str | None:
        return identity

    def admits(self, subject: str, t_s: float) -> bool:  # noqa: ARG002 - everybody, always
        return True


class Reader(Protocol):
    """What this room needs of the profiles."""

    def read(self, message: Message, counts: Counts) -> list[Sighting | Fix]: ...
    def identities(self, sighting: Sighting, counts: Counts) -> tuple[str, ...]: ...


class Identification:
    def __init__(self, site: SiteMap, profiles: Reader, enrolment: Enrolment, counts: Counts) -> None:
        self._profiles = profiles
        self._enrolment = enrolment
        self._counts = counts
        self._receivers = frozenset(r.id for r in site.receivers)
        self._beacons = {b.identity: b.id for b in site.beacons}

    def heard(self, signal: Sighting | Message) -> list[tuple[Sighting | Fix, Observation | None]]:
        """What a signal contains, each with the observation it makes, or None when it concerns nobody."""
        if isinstance(signal, Sighting):
            return [(signal, self._reading(signal))]
        return [
            (item, self._fix(item) if isinstance(item, Fix) else self._reading(item))
            for item in self._profiles.read(signal, self._counts)
        ]

    def is_receiver(self, name: str) -> bool:
        return name in self._receivers

    def _fix(self, fix: Fix) -> Fix | None:
        subject = self._admitted(fix.device, fix.t_s)
        if subject is None:
            return None
        fix.subject = subject
        return fix

    def _reading(self, sighting: Sighting) -> Reading | None:
        """The link is the fixed end: the receiver, or the placed beacon that an enrolled phone reports."""
        placed = sighting.receiver in self._receivers
        for identity in self._profiles.identities(sighting, self._counts):
            if placed:
                device, link = identity, sighting.receiver
            elif identity in self._beacons:
                device, link = sighting.receiver, self._beacons[identity]
            else:
                continue
            subject = self._admitted(device, sighting.t_s)
            if subject is not None:
                return Reading(sighting.t_s, subject, device, link, sighting.rssi_dbm)
        if not placed:
            self._counts.count("identity", "unknown_receiver")
        return None

    def _admitted(self, device: str, t_s: float) -> str | None:
        subject = self._enrolment.subject_of(device)
        if subject is None:
            self._counts.count("identity", "unknown")
            return None
        if not self._enrolment.admits(subject, t_s):
            self._counts.count("identity", "without_consent")
            return None
        self._counts.count("identity", "enrolled")
        return subject
