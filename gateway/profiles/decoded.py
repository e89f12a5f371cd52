"""What a radio profile makes of one payload."""

from __future__ import annotations

from typing import Literal, Protocol

from msgspec import Struct

from gateway.profiles.layouts import Value
from gateway.profiles.outcome import Outcome

Values = dict[str, Value | list[Value]]
"""Fields by name; one that came several times is a list, in the order of the payload."""


class Sealed(Struct, frozen=True, gc=False):
    """Bytes that only the holder of a key understands."""

    kind: Literal["eid", "irk", "aes-ccm", "other"]
    data: bytes
    """The ephemeral id (8 bytes), the address (6 bytes, as written), or the cipher text."""


class Decoded(Struct, frozen=True):
    """One profile's word on one payload."""

    room: str
    """`profiles.<name>`: where the outcome is counted."""
    outcome: Outcome
    values: Values = {}
    """Empty unless matched, or sealed with some bytes in the clear."""
    identity: str = ""
    sealed: Sealed | None = None


class BindKeys(Protocol):
    """Who knows the keys of encrypted telemetry. Keys never leave it but to open a frame."""

    def bind_key(self, address: str) -> bytes | None:
        """16 bytes for a device's address (lower case, colons); None when there is none."""
        ...


class _NoKeys:
    def bind_key(self, address: str) -> bytes | None:  # noqa: ARG002 - nobody's
        return None


NO_KEYS = _NoKeys()
