"""From what was heard to whom it concerns: enrolled devices go on, everything else ends here.

Of an unknown device only the receiver's last-heard time and a count remain (DESIGN §2).
"""

from __future__ import annotations

from typing import Final, Protocol

from gateway.counts import Counts
from gateway.identity.garbage import Garbage
from gateway.identity.recognition import Recognition, is_broadcast
from gateway.model import Fix, Message, Observation, Reading, Sighting, SiteMap
from gateway.profiles import Assembler, Part
from gateway.profiles.ble import Heard
from gateway.profiles.decoded import BindKeys
from gateway.profiles.telemetry import TelemetryMemory
from gateway.recent import Freshness
from gateway.settings.identity_keys import IdentityKeys

SWAPPED_WITHIN_DEG = 0.1
"""A fix this close to the fences, some 10 km, once latitude and longitude change places, has them swapped."""

NO_KEYS: Final = IdentityKeys()
Item = Sighting | Fix | Part


class Enrolment(Protocol):
    """Who is tracked. The consent register is one; surveys take every device for its own subject."""

    def subject_of(self, identity: str, t_s: float) -> str | None: ...
    def admits(self, subject: str, t_s: float) -> bool: ...


class EveryDevice:
    """`--all-devices`: each device is a subject named by its identity. Never used with a sink."""

    def subject_of(self, identity: str, t_s: float) -> str | None:  # noqa: ARG002 - always the same
        return identity

    def admits(self, subject: str, t_s: float) -> bool:  # noqa: ARG002 - everybody, always
        return True


class Reader(Protocol):
    """What this room needs of the profiles."""

    def read(self, message: Message, counts: Counts) -> list[Item]: ...
    def heard(self, sighting: Sighting, counts: Counts) -> Heard: ...
    def with_bind_keys(self, keys: BindKeys) -> Reader: ...
    def forget(self) -> None: ...


class Identification:
    """Counted in room `identity`: of a sighting or fix with identities one of `enrolled`, `without_consent`,
    `unknown`; `garbage_address` and `garbage_family` for identities that were not believed (see `Garbage`).
    """

    def __init__(
        self,
        site: SiteMap,
        profiles: Reader,
        enrolment: Enrolment,
        counts: Counts,
        keys: IdentityKeys = NO_KEYS,
    ) -> None:
        self._profiles = profiles.with_bind_keys(keys)
        self._recognition = Recognition(keys, counts)
        self._garbage = Garbage()
        self._telemetry = TelemetryMemory()
        self._enrolment = enrolment
        self._counts = counts
        self._assembler = Assembler(counts)
        self._freshness = Freshness()
        self.know(site)

    def know(self, site: SiteMap) -> None:
        """The map from now on."""
        self._box = _fences_box(site)
        self._receivers = frozenset(r.id for r in site.receivers)
        self._beacons = {b.identity: b.id for b in site.beacons}

    def heard(self, signal: Sighting | Message) -> list[tuple[Item, Observation | None]]:
        """What a signal contains, each with the observation it makes, or None when it makes none.

        None for what concerns nobody, and for the part of a fix that completes none: its `subject` says
        whether it concerns somebody.
        """
        self.fade(signal.t_s)
        if isinstance(signal, Sighting):
            return [(signal, self._reading(signal))]
        return [(item, self._observation(item)) for item in self._profiles.read(signal, self._counts)]

    def fade(self, t_s: float) -> None:
        """Of who is nobody's business nothing that names it is kept, see `STRANGER_S`."""
        if self._freshness.is_over(t_s):
            self._profiles.forget()

    def rekey(self, keys: IdentityKeys) -> None:
        """Other identity keys from now on."""
        self._recognition.rekey(keys)
        self._profiles = self._profiles.with_bind_keys(keys)

    def forget(self, subject: str) -> None:
        """Nothing of this subject is kept here, not even half a position."""
        self._assembler.forget(subject)
        self._telemetry.forget(subject)

    def is_receiver(self, name: str) -> bool:
        return name in self._receivers

    def _observation(self, item: Item) -> Observation | None:
        if isinstance(item, Sighting):
            return self._reading(item)
        subject = self._admitted(item.device, item.t_s)
        if subject is None:
            return None
        item.subject = subject
        fix = self._assembler.take(item) if isinstance(item, Part) else item
        if fix is not None and self._is_swapped(fix):
            self._counts.count("identity", "swapped")
            return None
        return fix

    def _is_swapped(self, fix: Fix) -> bool:
        """The vehicle is nowhere near, and with latitude and longitude exchanged it is right here."""
        if self._box is None:
            return False
        (south, north), (west, east) = self._box
        if south <= fix.lat_deg <= north and west <= fix.lon_deg <= east:
            return False
        return south <= fix.lon_deg <= north and west <= fix.lat_deg <= east

    def _reading(self, sighting: Sighting) -> Reading | None:
        """The surest identity that is enrolled, on its link."""
        outcome = ""
        heard = self._profiles.heard(sighting, self._counts)
        for device, link, subject in self._claims(sighting, heard):
            if subject is None:
                outcome = outcome or "unknown"
            elif self._enrolment.admits(subject, sighting.t_s):
                self._counts.count("identity", "enrolled")
                return self._read(sighting, heard, subject, device, link)
            else:
                outcome = "without_consent"
        if outcome:
            self._counts.count("identity", outcome)
        self._note(sighting, heard)  # perhaps of a device that says who it is in another frame
        if sighting.receiver not in self._receivers:
            self._counts.count("identity", "unknown_receiver")
        return None

    def _read(self, sighting: Sighting, heard: Heard, subject: str, device: str, link: str) -> Reading:
        """With how the device is, as it said now or lately in another frame from this address."""
        t_s, address = sighting.t_s, sighting.address
        if device == sighting.receiver:  # the address is that of the beacon which it reports
            return Reading(t_s, subject, device, link, sighting.rssi_dbm)
        self._telemetry.belongs(address, subject)
        self._note(sighting, heard)
        known = self._telemetry.of(address, t_s)
        return Reading(t_s, subject, device, link, sighting.rssi_dbm, known.battery_pct, known.moved)

    def _note(self, sighting: Sighting, heard: Heard) -> None:
        if heard.telemetry is not None and not self._telemetry.note(
            sighting.address, heard.telemetry, sighting.t_s
        ):
            self._counts.count("identity", "replayed")

    def _claims(self, sighting: Sighting, heard: Heard) -> list[tuple[str, str, str | None]]:
        """Device, link and subject by each identity that is believed, the surest first.

        The link is the fixed end: the receiver, or the placed beacon that an enrolled phone reports.
        """
        identities, t_s = self._recognition.identities(sighting, heard), sighting.t_s
        if not identities:
            return []
        if sighting.receiver not in self._receivers:
            device = sighting.receiver
            links = [self._beacons[identity] for identity in identities if identity in self._beacons]
            return [(device, link, self._enrolment.subject_of(device, t_s)) for link in links]
        claims = [
            (identity, sighting.receiver, self._enrolment.subject_of(identity, t_s))
            for identity in identities
        ]
        broadcast = [
            (identity, subject is not None or identity in self._beacons)
            for identity, _, subject in claims
            if is_broadcast(identity, sighting.address)
        ]
        if broadcast and (wrong := self._garbage.disbelieved(sighting.address, broadcast, sighting.t_s)):
            self._counts.count("identity", next(iter(wrong.values())))
            return [claim for claim in claims if claim[0] not in wrong]
        return claims

    def _admitted(self, device: str, t_s: float) -> str | None:
        subject = self._enrolment.subject_of(device, t_s)
        if subject is None:
            self._counts.count("identity", "unknown")
            return None
        if not self._enrolment.admits(subject, t_s):
            self._counts.count("identity", "without_consent")
            return None
        self._counts.count("identity", "enrolled")
        return subject


def _fences_box(site: SiteMap) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """Latitudes and longitudes of the fences and their surroundings; None where they span half the world."""
    points = [p for fence in site.fences for polygon in fence.polygons for ring in polygon for p in ring]
    points += [(f.circle.lat_deg, f.circle.lon_deg) for f in site.fences if f.circle is not None]
    if not points:
        return None
    latitudes, longitudes = zip(*points, strict=True)
    if max(longitudes) - min(longitudes) > 180:
        return None
    pad = SWAPPED_WITHIN_DEG
    return (min(latitudes) - pad, max(latitudes) + pad), (min(longitudes) - pad, max(longitudes) + pad)
