"""Short words for the core's tests: a site on a metre grid, fixes and readings in, lines of events out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from gateway.core import Core
from gateway.model import Anchor, Circle, Fence, Fix, Observation, Presence, Reading, SiteMap, Zone

T0 = 1_766_390_400.0
LAT0, LON0 = 50.9, 6.9
DEGREE_M = 111_195.08


def degrees(x: float, y: float) -> tuple[float, float]:
    """(latitude, longitude) of a place x metres east and y metres north of the origin."""
    return LAT0 + y / DEGREE_M, LON0 + x / DEGREE_M / math.cos(math.radians(LAT0))


def square(
    name: str = "park",
    x: float = 0,
    y: float = 0,
    side: float = 100,
    *,
    dwell: Sequence[float] = (),
    ring: float | None = None,
    eta: float | None = None,
) -> Fence:
    corners = [(x, y), (x + side, y), (x + side, y + side), (x, y + side)]
    return Fence(
        name,
        "car_park",
        name,
        polygons=((tuple(degrees(*c) for c in corners),),),
        dwell_s=tuple(map(float, dwell)),
        approach_ring_m=ring,
        approach_eta_s=eta,
    )


def disc(name: str, x: float, y: float, radius: float) -> Fence:
    return Fence(name, "pump", name, circle=Circle(*degrees(x, y), radius))


def fixes(text: str, device: str = "car", subject: str = "anna") -> list[Fix]:
    """One fix a line: `t x y` and then, where known, `30kmh`, `8m`, `off`/`on`, `retained`, `received=T`."""
    out = []
    for line in text.strip().splitlines():
        t, x, y, *more = line.split()
        lat, lon = degrees(float(x), float(y))
        fix = Fix(T0 + float(t), T0 + float(t), f"vehicle:{device}", lat, lon, 8.0, subject=subject)
        for word in more:
            if word.endswith("kmh"):
                fix.speed_kmh = float(word[:-3])
            elif word in ("on", "off"):
                fix.ignition = word == "on"
            elif word == "retained":
                fix.retained = True
            elif word.startswith("received="):
                fix.t_s = T0 + float(word[9:])
            else:
                fix.accuracy_m = float(word.removesuffix("m"))
        out.append(fix)
    return out


def shop(dwell: Sequence[float] = (), leave_after: float = 20) -> SiteMap:
    """Four shelves in a row, 8 m apart, a receiver above each; `milk` and `eggs` make the `dairy` aisle."""
    names = ("milk", "eggs", "bread", "wine")
    zones = [
        Zone(
            name,
            "shelf",
            name,
            "ground",
            at=(8.0 * i, 0.0),
            dwell_s=tuple(map(float, dwell)),
            leave_after_s=float(leave_after),
            part_of="dairy" if i < 2 else None,
        )
        for i, name in enumerate(names)
    ]
    zones.append(Zone("dairy", "aisle", "dairy", "ground", dwell_s=(30.0,)))
    receivers = [Anchor(f"pi-{name}", "ground", (8.0 * i, 0.0, 2.4)) for i, name in enumerate(names)]
    return SiteMap("shop", zones=tuple(zones), receivers=tuple(receivers))


def standing(
    at: str, start: float, end: float, *, device: str = "tag", subject: str = "anna", deaf: str = ""
) -> list[Reading]:
    """Adverts every half second from below one receiver, heard by all but `deaf`, each 10 dB weaker a shelf."""
    names = ("milk", "eggs", "bread", "wine")
    readings = []
    for i in range(int((end - start) * 2)):
        t_s = T0 + start + 0.25 + i / 2
        for j, name in enumerate(names):
            if name != deaf:
                rssi_dbm = -60.0 - 12 * abs(names.index(at) - j)
                readings.append(Reading(t_s, subject, device, f"pi-{name}", rssi_dbm))
    return readings


def changed(reading: Reading, **changes: Any) -> Reading:
    """Another one, with these properties."""
    names = ("t_s", "subject", "device", "link", "rssi_dbm", "battery_pct", "moved")
    return Reading(**({name: getattr(reading, name) for name in names} | changes))


def told(events: Iterable[Presence], *, reasons: bool = False) -> list[str]:
    """`t change zone`, and `told=T` where it was decided at another time; times count from T0."""
    lines = []
    for e in events:
        line = f"{round(e.t_s - T0, 3):g} {e.change} {e.zone}"
        if e.emitted_s != e.t_s:
            line += f" told={round(e.emitted_s - T0, 3):g}"
        if reasons and "reason" in e.evidence:
            line += f" ({e.evidence['reason']})"
        lines.append(line)
    return lines


def play(site: SiteMap, observations: Iterable[Observation], until: float | None = None) -> list[Presence]:
    core = Core(site)
    events = core.observe(list(observations))
    return events + (core.advance(T0 + until) if until is not None else [])


def yard(*fences: Fence) -> SiteMap:
    return SiteMap("yard", fences=fences)


FOLLOWS = {
    None: {"approaching", "entering", "entered", "passed"},
    "entering": {"entered", "passed"},
    "entered": {"dwelled", "left"},
    "dwelled": {"dwelled", "left"},
}
FOLLOWS |= dict.fromkeys(("approaching", "left", "passed"), FOLLOWS[None])


def assert_order(events: Iterable[Presence]) -> None:
    """DESIGN §3.1: [entering →] entered → dwelled* → left, [entering →] passed; times never run back."""
    last: dict[tuple[str, str], Presence] = {}
    for e in events:
        before = last.get((e.subject, e.zone))
        assert e.change in FOLLOWS[before.change if before else None], (before, e)
        assert before is None or (before.t_s <= e.t_s and before.emitted_s <= e.emitted_s), (before, e)
        assert e.since_s <= e.t_s <= e.emitted_s
        assert 0 <= e.confidence <= 1
        assert e.dwell_s >= 0
        last[e.subject, e.zone] = e
