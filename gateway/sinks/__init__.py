"""Where releases go. A sink transports; what may go, when and how often is the courier's business."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from gateway.consent import Release


class Tombstone(Struct, frozen=True):
    """Says which sequences were removed on purpose; belongs to nobody."""

    id: str
    t_s: float
    body: bytes
    """`{"ranges": [[first, last], …], "reason": …}`"""


class Delivery(Struct, frozen=True):
    """A release with the attributes of this one transport."""

    content: Release | Tombstone
    sequence: int
    generation: str
    recorded_s: float
    """When it was stored, real Unix seconds."""
    historical: bool
    """From a backlog: no longer live."""
    expires_in_s: int | None = None
    """Worthless after that many seconds; None: no limit."""


class Sink(Protocol):
    async def ready(self) -> int:
        """Waits for a connection; its number, which changes when what was under way may be lost."""

    async def send(self, delivery: Delivery) -> None:
        """Returns when the transport has confirmed. NotConnectedError or RefusedError when it did not."""

    def drop(self) -> None:
        """Breaks the connection, and with it whatever is still under way."""
