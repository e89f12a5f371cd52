"""What is on the air, gathered from sightings and shown: as a table, as JSON, and as YAML for the map."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

import msgspec
from msgspec import Struct, field

from gateway.model import Sighting

MOST_ROWS: Final = 4096
"""Devices told apart; later ones are only counted."""
BUCKETS: Final = 12
"""Columns of the sparkline, each an equal part of the scan."""
LOUDEST_DBM, FAINTEST_DBM = -40.0, -100.0
BARS: Final = "▁▂▃▄▅▆▇█"
PROFILES_SHOWN: Final = 24
"""Characters."""
NAMELESS_SHOWN: Final = 10
"""Devices without an identity in the table, the loudest first; the rest is a number."""


class Seen(Struct, frozen=True):
    """One sighting as it is shown."""

    identity: str
    """Empty: nothing identifies this device."""
    profiles: tuple[str, ...]
    known: str
    """`enrolled`, `beacon <id>`, or empty."""
    tx_power_dbm: float | None = None
    """At 1 m, where the advertisement says so."""


class Row(Struct):
    """One device, or what looks like one."""

    identity: str
    masked: str
    profiles: set[str] = field(default_factory=set)
    known: str = ""
    tx_power_dbm: float | None = None
    heard: int = 0
    sum_dbm: float = 0.0
    by_bucket: list[list[float]] = field(default_factory=lambda: [[0.0, 0.0] for _ in range(BUCKETS)])
    """Sum of dBm and number, by part of the scan."""

    @property
    def rssi_dbm(self) -> float:
        return self.sum_dbm / self.heard

    def sparkline(self) -> str:
        """A bar for each part of the scan, higher is louder; a blank where nothing was heard."""
        span = LOUDEST_DBM - FAINTEST_DBM
        shares = ((total / n - FAINTEST_DBM) / span if n else None for total, n in self.by_bucket)
        return "".join(" " if s is None else BARS[min(7, max(0, int(s * 8)))] for s in shares)


class Air:
    """The rows of one scan of `seconds`, begun at `began_s`. Addresses live as long as this does."""

    def __init__(self, look: Callable[[Sighting], Seen], began_s: float, seconds: float) -> None:
        self._look = look
        self.began_s, self._seconds = began_s, seconds
        self.lasted_s = seconds
        """Shorter when the scan was interrupted."""
        self._rows: dict[str, Row] = {}
        self._identified: dict[str, str] = {}
        """Identity that an address has shown: its other frames are of the same device."""
        self.not_told_apart = 0

    def take(self, sighting: Sighting) -> None:
        seen = self._look(sighting)
        address = sighting.address
        if seen.identity and address and len(self._identified) < MOST_ROWS:
            self._identified.setdefault(address, seen.identity)
        name = seen.identity or self._identified.get(address, address)
        row = self._rows.get(name)
        if row is None:
            if len(self._rows) >= MOST_ROWS:
                self.not_told_apart += 1
                return
            row = self._rows[name] = Row(seen.identity, masked(address, sighting.address_type))
        row.profiles.update(seen.profiles)
        row.known = row.known or seen.known
        row.tx_power_dbm = seen.tx_power_dbm if row.tx_power_dbm is None else row.tx_power_dbm
        row.heard += 1
        row.sum_dbm += sighting.rssi_dbm
        part = int((sighting.t_s - self.began_s) / self._seconds * BUCKETS)
        bucket = row.by_bucket[min(BUCKETS - 1, max(0, part))]
        bucket[0] += sighting.rssi_dbm
        bucket[1] += 1

    def rows(self) -> list[Row]:
        """Those with an identity first, the loudest first."""
        rows = [r for name, r in self._rows.items() if r.identity or name not in self._identified]
        return sorted(rows, key=lambda r: (not r.identity, -r.rssi_dbm, r.identity, r.masked))


def masked(address: str, address_type: str) -> str:
    """Enough to tell two apart on a screen, not enough to follow one: `c3:…:6a random`."""
    return f"{address[:2]}:…:{address[-2:]} {address_type or 'unknown'}" if address else "no address"


def table(air: Air, width: int) -> Iterator[str]:
    """Lines for a terminal of this width."""
    rows = air.rows()
    named = [row for row in rows if row.identity]
    nameless = [row for row in rows if not row.identity]
    shown = named + nameless[:NAMELESS_SHOWN]
    if not shown:
        yield "Nothing heard."
        return
    profiles = max(7, *(len(_profiles(row)) for row in shown))
    known = max(7, *(len(_known(row)) for row in shown))
    room = max(24, width - (6 + BUCKETS + 1 + 8 + profiles + 2 + known + 2))
    yield f"{'dBm':>4}  {'signal':{BUCKETS}}  {'per s':>5}  {'profile':{profiles}}  {'':{known}}  who"
    for row in shown:
        yield (
            f"{row.rssi_dbm:4.0f}  {row.sparkline()}  {row.heard / air.lasted_s:5.1f}  "
            f"{_profiles(row):{profiles}}  {_known(row):{known}}  {fitted(row.identity or row.masked, room)}"
        )
    if len(nameless) > NAMELESS_SHOWN or air.not_told_apart:
        yield f"and {len(nameless[NAMELESS_SHOWN:]) + air.not_told_apart:,} more without an identity"


def fitted(text: str, room: int) -> str:
    """The text, its middle left out where it is too long: the end tells tags of one UUID apart."""
    return text if len(text) <= room else f"{text[: room // 2 - 1]}…{text[-(room - room // 2) :]}"


def for_the_map(rows: Iterable[Row], floor: str) -> Iterator[str]:
    """Lines of YAML that place unknown transmitters; none where there are none.

    No phones, and no public addresses of which no profile knows what they are: mostly televisions.
    """
    unknown = [row for row in rows if row.identity and not row.known and _may_be_placed(row)]
    if not unknown:
        return
    yield "beacons:"
    names: set[str] = set()
    for row in unknown:
        name = _id(row.identity)
        if name in names:  # another UUID has the same major and minor
            name = f"{name}-{len(names)}"
        names.add(name)
        power = "" if row.tx_power_dbm is None else f", tx_power_dbm: {row.tx_power_dbm:g}"
        yield (
            f'  - {{id: {name}, identity: "{row.identity}", floor: {floor}{power}}}'
            f"  # at: [x, y]   {row.rssi_dbm:.0f} dBm"
        )


def as_json(air: Air) -> Iterator[bytes]:
    """JSON Lines, one a device."""
    for row in air.rows():
        yield msgspec.json.encode({
            "identity": row.identity or None,
            "address": row.masked,
            "profiles": sorted(row.profiles),
            "known": row.known or None,
            "rssi_dbm": round(row.rssi_dbm, 1),
            "rssi_by_part_dbm": [round(total / n, 1) if n else None for total, n in row.by_bucket],
            "heard": row.heard,
            "per_s": round(row.heard / air.lasted_s, 2),
            "tx_power_dbm": row.tx_power_dbm,
        })  # fmt: skip


def _may_be_placed(row: Row) -> bool:
    return not row.identity.startswith("irk:") and (not row.identity.startswith("mac:") or bool(row.profiles))


def _id(identity: str) -> str:
    """Short, and fit for an id of the map: `ibeacon-1-7`, `eddystone-aabbccddeeff`, `mac-001122334455`."""
    kind, _, rest = identity.partition(":")
    parts = [rest.replace(":", "")] if kind == "mac" else rest.split(":")[-2 if "beacon" in kind else -1 :]
    return "-".join([kind, *parts])


def _profiles(row: Row) -> str:
    return fitted(", ".join(sorted(row.profiles)), PROFILES_SHOWN) or "-"


def _known(row: Row) -> str:
    return row.known or ("unknown" if row.identity else "")
