"""A release: a presence that one recipient may receive, reduced to what it may see.

Sinks accept nothing else, and only this room makes one: the constructor wants the room's seal.
"""

from __future__ import annotations

from typing import Final

from gateway.errors import SealError

_SEAL: Final = object()


class Release:
    """One event for one recipient, as permitted at the moment `filter` decided."""

    __slots__ = ("body", "change", "expires_s", "id", "purpose", "recipient", "subject_key", "t_s", "zone")

    def __init__(
        self,
        seal: object,
        *,
        recipient: str,
        id: str,
        subject_key: bytes,
        purpose: str,
        zone: str,
        change: str,
        t_s: float,
        expires_s: float | None,
        body: bytes,
    ) -> None:
        """SealError unless `seal` is the consent room's own."""
        if seal is not _SEAL:
            raise SealError("a Release is made by gateway.consent only")
        self.recipient = recipient
        self.id = id
        """UUIDv8, the same for the same event after a crash, a redelivery or a replay."""
        self.subject_key = subject_key
        """HMAC of the subject: what a withdrawal purges by."""
        self.purpose = purpose
        self.zone = zone
        self.change = change
        self.t_s = t_s
        """When it happened, Unix seconds."""
        self.expires_s = expires_s
        """Consent or usefulness ends here; None: no limit known."""
        self.body = body
        """CloudEvent as a JSON object, without sequence, generation, recordedtime and historical."""
