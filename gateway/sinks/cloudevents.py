"""CloudEvents 1.0.2, structured JSON (https://github.com/cloudevents/spec), as DESIGN §6.2 wants them."""

from __future__ import annotations

import msgspec

from gateway.consent import Release
from gateway.consent.screen import rfc3339
from gateway.sinks import Delivery, Tombstone

CONTENT_TYPE = "application/cloudevents+json"
SEQUENCE_DIGITS = 20
REMOVED = "removed"
"""What stands for a change in a tombstone."""


def change_of(delivery: Delivery) -> str:
    return delivery.content.change if isinstance(delivery.content, Release) else REMOVED


def encode(delivery: Delivery, source: str, recipient: str) -> bytes:
    """The event with its delivery attributes appended; the release's own JSON is not parsed again."""
    content = delivery.content
    body = content.body if isinstance(content, Release) else _tombstone(content, source, recipient)
    attributes = msgspec.json.encode(
        {
            "sequence": f"{delivery.sequence:0{SEQUENCE_DIGITS}d}",
            "generation": delivery.generation,
            "recordedtime": rfc3339(delivery.recorded_s),
            "historical": delivery.historical,
        }
    )
    return body[:-1] + b"," + attributes[1:]


def _tombstone(content: Tombstone, source: str, recipient: str) -> bytes:
    return msgspec.json.encode(
        {
            "specversion": "1.0",
            "id": content.id,
            "source": source,
            "type": f"presence.{REMOVED}.v1",
            "time": rfc3339(content.t_s),
            "datacontenttype": "application/json",
            "dataschema": f"urn:presence:{REMOVED}:v1",
            "recipient": recipient,
            "data": msgspec.Raw(content.body),
        }
    )
