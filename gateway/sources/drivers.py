"""Who drives a shared car: retained `drivers/v1/<site>/<vehicle>`, `{"subject", "until"}` (DESIGN §6.3)."""

from __future__ import annotations

from typing import Final

from gateway.consent.manifest import moment_s
from gateway.consent.payloads import Opened, open_signed
from gateway.consent.records import is_reference
from gateway.consent.signature import Signers
from gateway.counts import Counts
from gateway.model import DriverSignal
from gateway.settings.identities import identity_mistake

MAX_VEHICLES: Final = 20_000
MAX_VEHICLE_CHARS: Final = 128
ROOM: Final = "drivers"


class Drivers:
    """What was said on each vehicle's topic. Pure: messages in, signals out.

    What cannot be understood says that nobody drives. Counted in room `drivers`: `said`, `nobody`,
    `forgotten`, `not_a_vehicle`, `too_many`, and the faults of consent records.
    """

    def __init__(self, site: str, counts: Counts, signers: Signers | None = None) -> None:
        self.address = f"drivers/v1/{site}/"
        self._counts = counts
        self._signers = signers
        self._known: set[str] = set()
        self._unheard: set[str] = set()
        """Known from an earlier subscription, and not said again in this one."""

    def renew(self) -> None:
        """A subscription begins: all that there is will come again."""
        self._unheard |= self._known

    def take(self, name: str, payload: bytes, t_s: float) -> DriverSignal | None:
        """A message on `<address><name>`; an empty payload: nobody drives."""
        vehicle = name.lower()
        if len(vehicle) > MAX_VEHICLE_CHARS or identity_mistake(f"vehicle:{vehicle}"):
            self._count("not_a_vehicle")
            return None
        self._unheard.discard(vehicle)
        if not payload:
            self._known.discard(vehicle)
            return self._nobody(vehicle, t_s)
        if vehicle not in self._known and len(self._known) >= MAX_VEHICLES:
            self._count("too_many")
            return self._nobody(vehicle, t_s)
        self._known.add(vehicle)
        return self._said(vehicle, open_signed(payload, self.address, name, self._signers), t_s)

    def settle(self, t_s: float) -> list[DriverSignal]:
        """The subscription has told all that it will: what was not among it was removed meanwhile."""
        forgotten = sorted(self._unheard)
        self._known -= self._unheard
        self._unheard.clear()
        for _ in forgotten:
            self._count("forgotten")
        return [DriverSignal(t_s, vehicle, None) for vehicle in forgotten]

    def _said(self, vehicle: str, opened: Opened, t_s: float) -> DriverSignal:
        if opened.fault:
            self._count(opened.fault)
            return DriverSignal(t_s, vehicle, None)
        said = opened.value if isinstance(opened.value, dict) else {}
        subject, until = said.get("subject"), said.get("until")
        until_s = moment_s(until)
        if not is_reference(subject):
            self._count("malformed")
            return DriverSignal(t_s, vehicle, None)
        if until is not None and until_s is None:
            self._count("malformed")
            return DriverSignal(t_s, vehicle, None)
        self._count("said")
        return DriverSignal(t_s, vehicle, subject, until_s)

    def _nobody(self, vehicle: str, t_s: float) -> DriverSignal:
        self._count("nobody")
        return DriverSignal(t_s, vehicle, None)

    def _count(self, outcome: str) -> None:
        self._counts.count(ROOM, outcome)
