"""site.yaml: the map of one store, metres indoors and latitude/longitude outdoors."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from gateway import model
from gateway.settings.durations import Duration
from gateway.settings.identities import identity_mistake
from gateway.settings.outlines import Polygons, place_mistake
from gateway.settings.rings import open_ring
from gateway.settings.sections import Name, Number, Positive, Section, Words
from gateway.settings.timezones import Timezone

RECEIVER_HEIGHT_M: Final = 2.4
DWELL_S: Final[dict[str, tuple[float, ...]]] = {
    "shelf": (20.0,),
    "aisle": (),
    "entrance": (),
    "checkout": (60.0,),
    "car_park": (120.0,),
    "drive_through": (60.0,),
    "pump": (60.0,),
    "perimeter": (),
}
"""Thresholds of `dwelled` by kind where the map gives none."""

ARRIVAL: Final[dict[str, model.Arrival]] = {
    "car_park": model.Arrival(),
    "drive_through": model.Arrival(confirm_s=3.5, slow_kmh=10.0, leave_m=12.0),
    "pump": model.Arrival(confirm_s=3.0, slow_kmh=8.0, leave_m=10.0),
    "perimeter": model.Arrival(confirm_s=8.0, slow_kmh=12.0, leave_m=30.0),
}
"""By kind: at a pump or in a lane vehicles are slower, nearer to the next lane and stop more shortly."""


def _rising(dwell_s: tuple[float, ...]) -> tuple[float, ...]:
    for low, high in pairwise(dwell_s):
        if high <= low:
            raise ValueError(f"thresholds must rise, but {high:g}s comes after {low:g}s")
    return dwell_s


def _on_earth(place: tuple[float, float]) -> tuple[float, float]:
    mistake = place_mistake(*place)
    if mistake:
        raise ValueError(mistake)
    return place


def _identity(text: str) -> str:
    mistake = identity_mistake(text)
    if mistake:
        raise ValueError(mistake)
    return text


def _outline_form(outline: Any) -> str:
    if isinstance(outline, str):
        return "file"
    first = outline[0] if isinstance(outline, list) and outline else None
    return "rings" if isinstance(first, list) and first and isinstance(first[0], list) else "ring"


Dwell = Annotated[tuple[Duration, ...], AfterValidator(_rising)]
Corner = tuple[Number, Number]
Spot = Annotated[tuple[Number, ...], Field(min_length=2, max_length=3)]
LatLon = Annotated[tuple[Number, Number], AfterValidator(_on_earth)]
Outline = Annotated[
    Annotated[str, Tag("file")]
    | Annotated[tuple[LatLon, ...], Tag("ring")]
    | Annotated[tuple[tuple[LatLon, ...], ...], Tag("rings")],
    Discriminator(_outline_form),
]


class Site(Section):
    id: Name
    """Part of every topic."""
    name: str = ""
    """For people."""
    timezone: Timezone = "UTC"
    """Of the store, such as `Europe/Berlin`: for the page and for reports."""


SILENCE_S, OUTSIDE_S = 20.0, 0.0
"""How long a stay outlasts them where its zone has no `leave_after`: a phone in a pocket is often silent for
that long, but one that is heard elsewhere is elsewhere, at once."""


class Devices(Section):
    default_class: Literal["phone", "store_tag"] = "phone"
    """`phone`: each is differently loud; `store_tag`: all are alike, as the tag that calibrated."""


class Zone(Section):
    id: Name
    """Unique among zones and fences."""
    kind: Literal["shelf", "aisle", "entrance", "checkout"]
    """Decides the default of `dwell`."""
    name: Words | None = None
    """For people; left out: the id."""
    polygon: tuple[Corner, ...] | None = None
    """Corners in metres. A zone has a polygon, or a point, or only a calibration."""
    at: Spot | None = None
    """A height is allowed and not used."""
    dwell: Dwell | None = None
    """Times after which `dwelled` is told, rising; left out: as its kind has it."""
    leave_after: Duration | None = None
    """How long silence, or being heard outside, is forgiven; left out: 20 s of silence, and being
    heard outside not at all."""
    part_of: Name | None = None
    """Id of the zone that this one is a part of."""

    @model_validator(mode="after")
    def _one_place(self) -> Zone:
        if self.polygon is not None and self.at is not None:
            raise ValueError("a zone has a polygon or a point (at), not both")
        return self


class Floor(Section):
    id: Name
    """Unique among floors."""
    name: Words | None = None
    """For people; left out: the id."""
    bounds: tuple[Corner, Corner] | None = None
    """Two opposite corners."""
    zones: tuple[Zone, ...] = ()
    """Places on this floor."""


class Receiver(Section):
    id: Name
    """As it calls itself in its messages; unique among receivers and beacons."""
    floor: Name
    """Id of its floor."""
    at: Spot | None = None
    """x and y in metres, and its height, 2.4 when left out."""


class Beacon(Section):
    id: Name
    """Unique among receivers and beacons."""
    identity: Annotated[str, AfterValidator(_identity)]
    """What it sends, such as `ibeacon:<uuid>:<major>:<minor>`."""
    floor: Name
    """Id of its floor."""
    at: Spot | None = None
    """x and y in metres, and its height."""
    tx_power_dbm: Annotated[float, Field(strict=True, ge=-127, le=20)] | None = None
    """Level at one metre; left out: as the advertisement says, or the usual one."""


class Circle(Section):
    at: LatLon
    """Latitude and longitude of the middle."""
    radius_m: Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0, le=100_000)]
    """Metres."""


class Approach(Section):
    ring_m: Positive | None = None
    """Told when a vehicle comes nearer than so many metres."""
    eta: Duration | None = None
    """Told when a vehicle will be there within this time, at its speed."""

    @model_validator(mode="after")
    def _one_way(self) -> Approach:
        if (self.ring_m is None) == (self.eta is None):
            raise ValueError("an approach is told by one of ring_m and eta")
        return self


class Arrival(Section):
    """What counts as arriving; what is left out is the default of the fence's kind."""

    confirm: Duration | None = None
    """Standing inside for so long is an arrival."""
    slow_kmh: Annotated[float, Field(strict=True, allow_inf_nan=False, ge=3, le=60)] | None = None
    """Speed of a vehicle about to stop: it has arrived when it then falls silent."""
    leave_m: Positive | None = None
    """A stay ends so far outside, or as far as the fix is inaccurate."""


class Fence(Section):
    id: Name
    """Unique among zones and fences."""
    kind: Literal["car_park", "drive_through", "pump", "perimeter"]
    """Decides what counts as arriving, and the default of `dwell`."""
    name: Words | None = None
    """For people; left out: the id."""
    polygon: Outline | None = None
    """Corners as latitude and longitude, rings with holes, or the name of a GeoJSON file beside the map."""
    circle: Circle | None = None
    """In place of a polygon."""
    dwell: Dwell | None = None
    """Times after which `dwelled` is told, rising; left out: as its kind has it."""
    approach: Approach | None = None
    """Left out: `approaching` is not told."""
    arrival: Arrival = Arrival()
    """Left out: as its kind has it."""

    @model_validator(mode="after")
    def _one_shape(self) -> Fence:
        if (self.polygon is None) == (self.circle is None):
            raise ValueError("a fence has exactly one of polygon and circle")
        return self


class SiteFile(Section):
    site: Site
    """Which store this is."""
    devices: Devices = Devices()
    """What is said of all devices."""
    floors: tuple[Floor, ...] = ()
    """Ground in metres, with the zones that are found by radio."""
    receivers: tuple[Receiver, ...] = ()
    """What listens: Pis and other makers' gateways."""
    beacons: tuple[Beacon, ...] = ()
    """Fixed transmitters that phones or trolleys hear."""
    fences: tuple[Fence, ...] = ()
    """Places outdoors that are found by position."""


def site_map(file: SiteFile, outlines: dict[str, Polygons]) -> model.SiteMap:
    """The map in the program's words; `outlines` holds the polygons of each fence by its id."""
    return model.SiteMap(
        site=file.site.id,
        name=file.site.name,
        timezone=file.site.timezone,
        device_class=file.devices.default_class,
        zones=tuple(_zone(zone, floor.id) for floor in file.floors for zone in floor.zones),
        receivers=tuple(model.Anchor(id=r.id, floor=r.floor, at=_height(r.at)) for r in file.receivers),
        beacons=tuple(
            model.Anchor(b.id, b.floor, _height(b.at), b.identity, b.tx_power_dbm) for b in file.beacons
        ),
        fences=tuple(_fence(fence, outlines.get(fence.id, ())) for fence in file.fences),
        floors=tuple(model.Floor(floor.id, floor.name or floor.id, floor.bounds) for floor in file.floors),
    )


def _zone(zone: Zone, floor: str) -> model.Zone:
    return model.Zone(
        id=zone.id,
        kind=zone.kind,
        name=zone.name or zone.id,
        floor=floor,
        polygon=open_ring(zone.polygon) if zone.polygon else None,
        at=(zone.at[0], zone.at[1]) if zone.at else None,
        dwell_s=DWELL_S[zone.kind] if zone.dwell is None else zone.dwell,
        leave_after_s=SILENCE_S if zone.leave_after is None else zone.leave_after,
        part_of=zone.part_of,
        outside_after_s=OUTSIDE_S if zone.leave_after is None else None,
    )


def _fence(fence: Fence, polygons: Polygons) -> model.Fence:
    circle = fence.circle
    return model.Fence(
        id=fence.id,
        kind=fence.kind,
        name=fence.name or fence.id,
        polygons=polygons,
        circle=model.Circle(*circle.at, circle.radius_m) if circle else None,
        dwell_s=DWELL_S[fence.kind] if fence.dwell is None else fence.dwell,
        approach_ring_m=fence.approach.ring_m if fence.approach else None,
        approach_eta_s=fence.approach.eta if fence.approach else None,
        arrival=_arrival(fence.arrival, ARRIVAL[fence.kind]),
    )


def _arrival(given: Arrival, default: model.Arrival) -> model.Arrival:
    return model.Arrival(
        confirm_s=default.confirm_s if given.confirm is None else given.confirm,
        slow_kmh=default.slow_kmh if given.slow_kmh is None else given.slow_kmh,
        leave_m=default.leave_m if given.leave_m is None else given.leave_m,
    )


def _height(at: tuple[float, ...] | None) -> tuple[float, float, float] | None:
    return None if at is None else (at[0], at[1], at[2] if len(at) == 3 else RECEIVER_HEIGHT_M)
