"""What a gateway takes from a platform, as types; records are those of gateway.consent.records."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from gateway.consent.manifest import MAX_COUNT
from gateway.consent.records import MAX_REFERENCE, RFC_3339

Moment = Annotated[str, Meta(pattern=RFC_3339)]
"""RFC 3339 with its zone."""
Count = Annotated[int, Meta(ge=0, le=MAX_COUNT)]


class Manifest(Struct):
    """Retained beside the records, at least every 15 minutes."""

    time: Moment
    count: Count
    """Of all retained records, erasures included."""
    digest: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    """SHA-256 over the sorted lines `<record key> <SHA-256 of the payload>\\n`."""
    generation: Count
    """Rises when the set is rebuilt."""


class Driver(Struct):
    """Who drives a car that several claim; retained. An empty payload: nobody that is known."""

    subject: Annotated[str, Meta(min_length=1, max_length=MAX_REFERENCE)]
    until: Moment | UnsetType | None = UNSET
    """Absent or null: until the next word."""


class Signed(Struct):
    """The envelope around a record, a manifest or a driver where signatures are asked for."""

    record: str
    """The JSON as text, as it was signed."""
    signature: str
    """Base64."""
    key: str | UnsetType = UNSET
    """The record key, in the HTTP feed only."""
