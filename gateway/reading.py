"""One radio link heard once: by far the most frequent object, so it is compiled where a compiler was at hand.

Compiled (reading.pxd has the types) its numbers lie in it unboxed and the core reads them without a lookup.
"""

from __future__ import annotations

from typing import Final


class Reading:
    """A known device and one fixed end (receiver or beacon) of the map. It does not change once it is made.

    `t_s` is the moment of reception, `link` the id of the receiver or beacon in the map; `battery_pct` and
    `moved` are of the device, as last heard, and None when unknown.
    """

    __slots__ = ("battery_pct", "device", "link", "moved", "rssi_dbm", "subject", "t_s")

    def __init__(  # noqa: PLR0917 - as the other observations
        self,
        t_s: float,
        subject: str,
        device: str,
        link: str,
        rssi_dbm: float,
        battery_pct: float | None = None,
        moved: bool | None = None,
    ) -> None:
        self.t_s: Final = t_s
        self.subject: Final = subject
        self.device: Final = device
        self.link: Final = link
        self.rssi_dbm: Final = rssi_dbm
        self.battery_pct: Final = battery_pct
        self.moved: Final = moved

    def _all(self) -> tuple[object, ...]:
        said = (self.battery_pct, self.moved)
        return (self.t_s, self.subject, self.device, self.link, self.rssi_dbm, *said)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reading) and self._all() == other._all()

    def __hash__(self) -> int:
        return hash(self._all())

    def __repr__(self) -> str:
        return f"Reading{self._all()}"
