"""The words of this program (DESIGN §3) as types: signals, observations, the site map, presence.

Everything here is plain data. Times are Unix seconds UTC as float (`t_s` is the moment of reception),
places are metres indoors and degrees WGS84 outdoors, signal strength is dBm.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from gateway.reading import Reading as Reading  # noqa: PLC0414 - one of these words

Change = Literal["approaching", "entering", "entered", "passed", "dwelled", "left"]
CHANGES: tuple[Change, ...] = ("approaching", "entering", "entered", "passed", "dwelled", "left")

EVIDENCE_KEYS = frozenset(
    "receiver rssi_dbm links margin accuracy_m speed_kmh depth_m interval_s late time_source "
    "battery_pct moved reason implausible".split()
)
"""The closed set of keys in `Presence.evidence`."""

FIELDS: tuple[str, ...] = (
    "zone", "since", "dwell_s", "threshold_s", "confidence",
    *(f"evidence.{key}" for key in sorted(EVIDENCE_KEYS)),
)  # fmt: skip
"""What a purpose may list of an event; a field that is not listed never leaves."""


PLATFORM = "platform"
"""The recipient of this name is the central platform: it gets back the references that it enrolled."""
OPERATOR = "operator"
"""The recipient that a consent names for the status page of this gateway."""


# --- signals: what a source hands over; each is one line of a recording (DESIGN §6.1) ---


class Sighting(Struct, frozen=True, gc=False):
    """One BLE advertisement heard by one receiver."""

    t_s: float
    receiver: str
    address: str
    """Lower case with colons; memory only, never logged or stored for an unknown device."""
    address_type: str
    """`public`, `random`, or empty when the receiver did not say."""
    rssi_dbm: float
    adv: bytes = b""
    """AD structures as on the air; empty when a remote receiver reports only what it decoded."""
    identity: str = ""
    """The identity as a remote receiver decoded it; empty: it is derived from `adv`."""
    battery_pct: float | None = None
    """As a remote receiver decoded it, like `moved`; None: it does not say."""
    moved: bool | None = None


class Message(Struct, frozen=True, gc=False):
    """One MQTT message, not yet decoded."""

    t_s: float
    topic: str
    payload: bytes
    retain: bool = False


class ReceiverState(Struct, frozen=True, gc=False):
    """A receiver's last will or heartbeat."""

    t_s: float
    receiver: str
    alive: bool


class ConsentSignal(Struct, frozen=True):
    """Records of the consent feed (DESIGN §6.3), not yet validated."""

    t_s: float
    records: tuple[Any, ...]
    complete: bool = False
    """These are all records there are: subjects that are not among them are enrolled no longer."""


class FeedState(Struct, frozen=True, gc=False):
    """How far the consents held can be believed, as the feed's source says it."""

    t_s: float
    confirmed_s: float | None
    """The set held was complete and right at this moment, Unix seconds; None: it is in doubt."""
    doubt: Literal["", "unmatched", "never_confirmed"] = ""
    """Why it is in doubt: it does not match its manifest, or nothing has confirmed it yet."""


class DriverSignal(Struct, frozen=True, gc=False):
    """Who drives a shared car now (DESIGN §6.3, `drivers/…`); not yet believed to be enrolled."""

    t_s: float
    vehicle: str
    """The part behind `vehicle:` of the car's identity, lower case."""
    subject: str | None
    """None: nobody that is known."""
    until_s: float | None = None
    """None: until the next word."""


class ObjectionSignal(Struct, frozen=True, gc=False):
    """Somebody at this machine withdraws all consents of a subject, or has it erased."""

    t_s: float
    subject: str
    erase: bool


class ClockTrust(Struct, frozen=True, gc=False):
    """Whether the kernel still says that its clock is synchronised."""

    t_s: float
    trusted: bool


class ClockStep(Struct, frozen=True, gc=False):
    """The wall clock was corrected by `step_s`; pipeline time itself never jumps back."""

    t_s: float
    step_s: float


class Label(Struct, frozen=True, gc=False):
    """Somebody says that the device stands in `zone` (None: in none) until its next label; no signal."""

    t_s: float
    device: str
    zone: str | None


ConsentWord = ConsentSignal | FeedState | DriverSignal | ObjectionSignal | ClockTrust
"""What changes who may know of whom; never dropped, and heeded as soon as it is there."""
Signal = Sighting | Message | ReceiverState | ConsentWord | ClockStep


# --- observations: what the core works on, subject and device already known ---


class Fix(Struct, gc=False):
    """One vehicle position as a firmware profile decoded it; `subject` is filled in by identification."""

    t_s: float
    """Moment of reception."""
    fix_t_s: float
    """Moment of the position itself; equals `t_s` when `time_source` is `reception`."""
    device: str
    """Identity, `vehicle:<id>`."""
    lat_deg: float
    lon_deg: float
    accuracy_m: float | None = None
    """Radius of the reported accuracy; None when unknown (a reported 0 means unknown)."""
    speed_kmh: float | None = None
    heading_deg: float | None = None
    ignition: bool | None = None
    retained: bool = False
    time_source: Literal["device", "reception"] = "device"
    subject: str = ""


class Hearing(Struct, frozen=True, gc=False):
    """A receiver heard anything at all, of nobody in particular: it lives."""

    t_s: float
    receiver: str


Observation = Reading | Fix | Hearing


# --- the site map ---

Point = tuple[float, float]
"""(x, y) in metres on a floor, or (latitude, longitude) in degrees outdoors."""
Ring = tuple[Point, ...]
"""Corner points, at least three, not closed: the last is not the first again."""


class Zone(Struct, frozen=True):
    """A place found by radio. A parent (one that others are `part_of`) has no place of its own."""

    id: str
    kind: str
    name: str
    floor: str
    polygon: Ring | None = None
    at: Point | None = None
    dwell_s: tuple[float, ...] = ()
    """Thresholds of `dwelled`, rising."""
    leave_after_s: float = 20.0
    part_of: str | None = None
    outside_after_s: float | None = None
    """A device that is heard to be outside leaves after so long; None: as in silence."""


class Anchor(Struct, frozen=True):
    """The fixed end of a radio link: a receiver, or a beacon (then with the identity that it sends)."""

    id: str
    floor: str
    at: tuple[float, float, float] | None = None
    identity: str = ""
    tx_power_dbm: float | None = None


class LinkModel(Struct, frozen=True):
    """One radio link as it is seen from one spot."""

    mu_dbm: float
    sd_db: float
    p_hear: float
    """Probability that the link is heard at all within `fresh` (DESIGN §5.1)."""


class Spot(Struct, frozen=True):
    """A part of a zone that sounds alike; empty `zone`: a place outside all of them."""

    zone: str
    links: tuple[LinkModel, ...]
    """In the order of `Calibration.links`."""
    predicted: bool = False
    """Nobody stood there: told from the map and from what the walk found elsewhere."""


class Calibration(Struct, frozen=True):
    """What a walk has learned; while there is one, zones that were not walked are not believed."""

    links: tuple[str, ...]
    spots: tuple[Spot, ...]
    outside_evidence: float = 0.0
    """Per step in favour of places outside that were predicted and not walked."""
    interval_s: float = 0.0
    """Advertising interval of the device that walked, as seen; 0: not known."""
    map_digest: str = ""
    """`map_digest` of the map that was walked (gateway.settings.calibration)."""


class Circle(Struct, frozen=True):
    lat_deg: float
    lon_deg: float
    radius_m: float


class Arrival(Struct, frozen=True):
    """What counts as arriving at a fence and as leaving it; the settings have defaults for each kind."""

    confirm_s: float = 4.0
    """Standing inside for so long confirms; at `slow_kmh` three times as long and some more evidence."""
    slow_kmh: float = 12.0
    """Speed of a vehicle that is about to stop here: it has arrived when it then falls silent."""
    leave_m: float = 20.0
    """A stay ends so far outside, or as far as the fix's accuracy if that is further."""


class Fence(Struct, frozen=True):
    """A place found by position: polygons (each an outer ring and its holes), or a circle."""

    id: str
    kind: str
    name: str
    polygons: tuple[tuple[Ring, ...], ...] = ()
    circle: Circle | None = None
    dwell_s: tuple[float, ...] = ()
    approach_ring_m: float | None = None
    approach_eta_s: float | None = None
    arrival: Arrival = Arrival()


class ReceiverHealth(Struct, frozen=True):
    """A receiver of the map as the core judges it (DESIGN §5.1)."""

    id: str
    heard_s: float | None
    """When it heard anything last; None: not yet."""
    is_dead: bool


class Floor(Struct, frozen=True):
    id: str
    name: str
    bounds: tuple[Point, Point] | None = None
    """Two opposite corners, metres; None: as far as its zones and anchors reach."""


class SiteMap(Struct, frozen=True):
    site: str
    name: str = ""
    timezone: str = "UTC"
    device_class: Literal["phone", "store_tag"] = "phone"
    zones: tuple[Zone, ...] = ()
    receivers: tuple[Anchor, ...] = ()
    beacons: tuple[Anchor, ...] = ()
    fences: tuple[Fence, ...] = ()
    calibration: Calibration | None = None
    floors: tuple[Floor, ...] = ()


# --- presence ---


class OpenStay(Struct, frozen=True):
    """What must outlive a restart of a stay or of an open `entering` (DESIGN §3.1)."""

    subject: str
    zone: str
    phase: Literal["entering", "inside"]
    since_s: float
    entered_s: float | None
    """None while `entering`."""
    last_inside_s: float
    """Time of the last evidence inside, as known when this was written."""
    announced_s: float
    """Highest dwell threshold announced, 0 when none."""
    confidence: float
    slow: bool
    """The last fix inside was slow: an open `entering` then ends as `entered`."""
    devices: tuple[str, ...]
    """Devices that hold the stay, sorted."""


class StayClosed(Struct, frozen=True):
    """The stay of this subject in this zone is over: its `OpenStay` is to be forgotten."""

    subject: str
    zone: str


class Presence(Struct, frozen=True):
    """One event of the core."""

    t_s: float
    """When it happened."""
    emitted_s: float
    """Pipeline time at which it was decided."""
    subject: str
    zone: str
    change: Change
    since_s: float
    dwell_s: float
    confidence: float
    evidence: dict[str, Any]
    threshold_s: float | None = None
    """Only with `dwelled`."""
    stay: OpenStay | None = None
    """The stay as it stands after this change; None when it is closed or there is none."""
