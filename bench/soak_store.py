"""The store of the soak: who is enrolled from day to day, and what is on the air and on the road at a moment.

Whatever an open world brings anew each day is in it: guests who enrol in the morning, and of whom a third is
gone the next day without a word, a third withdraws and a third is erased; phones that change their address
every quarter of an hour; strangers' phones and beacons, vehicles and receivers that nobody knows; a consent
given anew under another id; a map with another zone.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from daemons import SITE, TAG, Place, consent, raw
from mosquitto import free_port
from soak_report import DAY_S, START_S
from strangers import KINDS, stranger

from gateway.identity.aes import encryption
from gateway.identity.resolvable import ah

HOUR_S = 3_600.0
SHOPPERS, CARS, PHONES, GUESTS_A_DAY, AT_ONCE = 200, 40, 20, 30, 6
VISIT_S, CAR_EVERY_S, FIX_EVERY_S, ROTATES_S = 600.0, 600.0, 5.0, 900.0
STRANGERS_A_TICK = 3
FIRST_GUEST, LAST_TAG = 1_000, 0xFFFF
TOKEN = "the-token-of-the-soak"  # noqa: S105

SHOWN, COUNTED = "dpv:ServiceOptimisation", "dpv:ServiceUsageAnalytics"
MORE_SETTINGS = f"""\
identity_keys: keys.yaml
page: {{listen: '127.0.0.1:PORT', token: token, shows: {{purpose: '{SHOWN}', legal_basis: l}}}}
counts: [{{recipient: platform, purpose: '{COUNTED}', legal_basis: l, zones: [cereals], k: 3}}]
"""


def irk(n: int) -> bytes:
    return n.to_bytes(16, "big")


def guest(day: int, n: int) -> int:
    """Number of the tag of a guest; after years they are given out again."""
    return FIRST_GUEST + (day * GUESTS_A_DAY + n) % (LAST_TAG - FIRST_GUEST)


class Enrolled:
    """Consents as the platform has them on a day."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.port = free_port()
        with (place.config / "gateway.yaml").open("a") as settings:
            settings.write(MORE_SETTINGS.replace("PORT", str(self.port)))
        for name, text in {"token": TOKEN, "keys.yaml": self._keys()}.items():
            (place.config / name).write_text(text + "\n")
            (place.config / name).chmod(0o600)

    @staticmethod
    def _keys() -> str:
        return json.dumps({"irk": {f"phone-{n}": irk(n).hex() for n in range(1, PHONES + 1)}})

    def on(self, day: int) -> None:
        """Written to the files; each day one more of the regular ones has withdrawn."""
        people = [consent(f"shopper-{n}", *self._identities(n)) for n in range(1, SHOPPERS + 1)]
        people += [consent(f"driver-{n}", f"vehicle:fleet/car-{n}") for n in range(CARS)]
        for n, person in enumerate(people):
            self._given(person, 1 + day // 7, "ConsentWithdrawn" if n < day % SHOPPERS else "ConsentGiven")
        for n in range(GUESTS_A_DAY):
            today, before = guest(day, n), guest(day - 1, n)
            people.append(self._given(consent(f"guest-{today}", TAG.format(n=today)), 1, "ConsentGiven"))
            if n % 3 == 1:
                known = consent(f"guest-{before}", TAG.format(n=before))
                people.append(self._given(known, 2, "ConsentWithdrawn"))
            elif n % 3 == 2:
                people.append({"subject": f"guest-{before}", "version": 2, "erased": True})
        self._place.enrol(*people)
        self._map(day)

    @staticmethod
    def _identities(n: int) -> list[str]:
        return [TAG.format(n=n), *([f"irk:phone-{n}"] if n <= PHONES else [])]

    @staticmethod
    def _given(person: dict[str, Any], version: int, status: str) -> dict[str, Any]:
        """Of this version, with a consent that has an id of its own."""
        entry = person["consents"][0] | {"version": version, "status": status}
        entry["record_id"] += f"/{version}"
        more = [(SHOWN, "operator"), (COUNTED, "platform")]
        others = [
            entry | {"record_id": f"{entry['record_id']}-{to}-{n}", "purposes": [purpose], "recipients": [to]}
            for n, (purpose, to) in enumerate(more)
        ]
        return person | {"version": version, "consents": [entry, *others]}

    def _map(self, day: int) -> None:
        extra = f"      - {{id: offer-{day}, kind: shelf, at: [15, 5], dwell: [2s], leave_after: 3s}}\n"
        site = SITE.replace("receivers:\n", extra + "receivers:\n").replace(
            "leave_after: 3s", "leave_after: 20s"
        )
        (self._place.config / "site.yaml").write_text(site)

    @property
    def keys(self) -> Path:
        return self._place.config / "keys.yaml"


class Store:
    """What is on the air and on the road at a moment of the simulation."""

    def __init__(self, rng: random.Random, opens: float, closes: float) -> None:
        """Opening hours of each day."""
        self._rng, self._opens, self._closes = rng, opens, closes
        self._phones = {n: encryption(irk(n)) for n in range(1, PHONES + 1)}

    def is_open(self, t_s: float) -> bool:
        return self._opens <= (t_s % DAY_S) / HOUR_S < self._closes

    def heard(self, t_s: float) -> dict[str, list[dict[str, Any]]]:
        """Reports by receiver; now and then of a receiver that the map does not have."""
        rng = self._rng
        reports: dict[str, list[dict[str, Any]]] = {"pi-01": [], "pi-02": []}
        for elements in reports.values():
            elements.extend(stranger(rng, kind=rng.choice(KINDS)) for _ in range(STRANGERS_A_TICK))
        if rng.random() < 0.01:
            reports[f"pi-{rng.getrandbits(32):08x}"] = [stranger(rng)]
        if self.is_open(t_s):
            for slot in range(AT_ONCE):
                self._visitor(slot, t_s, reports)
        return reports

    def _visitor(self, slot: int, t_s: float, reports: dict[str, list[dict[str, Any]]]) -> None:
        into_s = t_s + slot * VISIT_S / AT_ONCE
        since_s, visit = into_s % VISIT_S, int(into_s // VISIT_S)
        picked = hash((slot, visit)) % (SHOPPERS + 2 * GUESTS_A_DAY)
        day = int((t_s - START_S) // DAY_S)
        n = 1 + picked if picked < SHOPPERS else guest(day, picked % GUESTS_A_DAY)
        near, far = ("pi-01", "pi-02") if since_s < VISIT_S * 0.4 else ("pi-02", "pi-01")
        if since_s < VISIT_S * 0.8:
            for receiver, dbm in ((near, -48), (far, -80)):
                said = raw(n, self._rng.gauss(dbm, 3), f"c3:00:00:00:{n // 256:02x}:{n % 256:02x}")
                if n in self._phones:
                    said |= {"address": self._private(n, t_s), "adv": "02010a0aff4c001005" + "00" * 5}
                reports[receiver].append(said)

    def _private(self, n: int, t_s: float) -> str:
        """The resolvable private address of a phone at this time (Core Vol 6 Part B §1.3.2.2)."""
        prand = (0x400000 | hash((n, t_s // ROTATES_S)) & 0x3FFFFF).to_bytes(3, "big")
        return (prand + ah(self._phones[n], prand)).hex(":")

    def driven(self, t_s: float, tick_s: float) -> Iterator[tuple[str, float, float]]:
        """(car, latitude, km/h); of a car that nobody knows too."""
        since_s = t_s % CAR_EVERY_S
        if self.is_open(t_s) and since_s < 300 and t_s % FIX_EVERY_S < tick_s:
            if since_s < tick_s:
                yield f"unknown-{self._rng.getrandbits(32):08x}", 50.0007, 0.0
            car = f"car-{int(t_s // CAR_EVERY_S) % CARS}"
            if since_s < 40:
                yield car, 49.9988 + since_s * 0.000045, 20.0
            elif since_s < 250:
                yield car, 50.0007, 0.0
            else:
                yield car, 50.0007 - (since_s - 250) * 0.00005, 25.0
