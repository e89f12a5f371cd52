"""What a gateway sends, as types: the events with every attribute that they can have, and its state."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from gateway.consent.records import MAX_REFERENCE
from gateway.outbox import Reason

NAME = "[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_UUID = "^[0-9a-f]{{8}}-[0-9a-f]{{4}}-{version}[0-9a-f]{{3}}-[89ab][0-9a-f]{{3}}-[0-9a-f]{{12}}$"

Moment = Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{3}Z$")]
"""RFC 3339, UTC, milliseconds."""
EventId = Annotated[str, Meta(pattern=_UUID.format(version=8))]
"""UUIDv8 (RFC 9562 §5.8)."""
TombstoneId = Annotated[str, Meta(pattern=_UUID.format(version=4))]
Name = Annotated[str, Meta(pattern=f"^{NAME}$")]
Source = Annotated[str, Meta(pattern=f"^/sites/{NAME}/gateways/{NAME}$")]
Sequence = Annotated[str, Meta(pattern=r"^[0-9]{20}$")]
"""Decimal, so that it also sorts as text."""
Text = Annotated[str, Meta(min_length=1, max_length=MAX_REFERENCE)]
Seconds = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Positive = Annotated[int, Meta(ge=1)]
Range = Annotated[list[Positive], Meta(min_length=2, max_length=2)]
"""First and last, both included."""


class _Part(Struct, forbid_unknown_fields=True):
    pass


class Place(_Part):
    id: Name
    kind: str
    name: str


class Evidence(_Part):
    """Why the gateway says so; each key is there where the settings list it and it is known."""

    receiver: str | UnsetType = UNSET
    rssi_dbm: float | UnsetType = UNSET
    links: Positive | UnsetType = UNSET
    margin: Share | UnsetType = UNSET
    accuracy_m: Seconds | UnsetType = UNSET
    speed_kmh: Seconds | UnsetType = UNSET
    depth_m: float | UnsetType = UNSET
    interval_s: Seconds | UnsetType = UNSET
    late: bool | UnsetType = UNSET
    time_source: Literal["reception"] | UnsetType = UNSET
    battery_pct: float | UnsetType = UNSET
    moved: bool | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    implausible: bool | UnsetType = UNSET


class Facts(_Part):
    """The fields that the settings list for this recipient and purpose, and no others."""

    zone: Place | UnsetType = UNSET
    since: Moment | UnsetType = UNSET
    dwell_s: Seconds | UnsetType = UNSET
    confidence: Share | UnsetType = UNSET
    evidence: Evidence | UnsetType = UNSET


class DwelledFacts(Facts):
    threshold_s: Seconds | UnsetType = UNSET


class Sample(_Part):
    """Multiples of `k`; a number below it is left out."""

    footfall: Positive
    occupancy: Positive | UnsetType = UNSET


class CountedFacts(_Part):
    zone: Place
    since: Moment
    sample: Sample
    k: Annotated[int, Meta(ge=3)]


class Removal(_Part):
    ranges: Annotated[list[Range], Meta(min_length=1)]
    """Sequences of this generation; for one that was already received it means: delete it."""
    reason: Reason


class _Envelope(_Part, kw_only=True):
    """The attributes of CloudEvents 1.0 and of delivery that every event has."""

    specversion: Literal["1.0"]
    source: Source
    type: str
    time: Moment
    datacontenttype: Literal["application/json"]
    dataschema: str
    recipient: Name
    sequence: Sequence
    generation: Text
    recordedtime: Moment
    historical: bool


class PresenceEvent(_Envelope, kw_only=True):
    id: EventId
    subject: Text
    purpose: Text
    consentid: Text
    policyversion: Text
    expirytime: Moment | UnsetType = UNSET
    data: Facts


class DwelledEvent(PresenceEvent, kw_only=True):
    data: DwelledFacts


class CountedEvent(_Envelope, kw_only=True):
    id: EventId
    purpose: Text
    policyversion: Text
    data: CountedFacts


class RemovedEvent(_Envelope, kw_only=True):
    """A tombstone: it has a sequence of its own and is acknowledged like an event."""

    id: TombstoneId
    data: Removal


class ClockFacts(_Part):
    time_s: float
    wall_s: float
    rate: float


class Health(_Part):
    """Names of the configuration; said anew when it changes."""

    ready: bool
    consent: str
    """`confirmed`, or why nothing personal may leave."""
    links_down: list[str]
    receivers_dead: list[Name]
    reload_failed: bool


class Alive(_Part):
    """Birth and health, retained."""

    alive: Literal[True]
    version: str
    generation: Text
    damaged_stores: Annotated[int, Meta(ge=0)]
    """Put aside, and not deleted yet: each began a new generation."""
    clock: ClockFacts
    health: Health | UnsetType = UNSET


class Gone(_Part):
    """Said at a clean stop, and by the last will."""

    alive: Literal[False]
