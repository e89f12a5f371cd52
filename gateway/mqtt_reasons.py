"""What a broker's reason codes mean: words for an operator, and how soon to try again.

MQTT 5.0 (OASIS), §2.4 and the tables of §3.2.2.2 (CONNACK), §3.4.2.1 (PUBACK) and §3.14.2.1 (DISCONNECT).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

NO_MATCHING_SUBSCRIBERS: Final = 0x10
NOT_AUTHORIZED: Final = 0x87
SESSION_TAKEN_OVER: Final = 0x8E
PACKET_TOO_LARGE: Final = 0x95
QUOTA_EXCEEDED: Final = 0x97
RETAIN_NOT_SUPPORTED: Final = 0x9A
QOS_NOT_SUPPORTED: Final = 0x9B
SAME_IDENTIFIER: Final = "another client uses the same identifier; do two gateways have one site and id?"


class Meaning(Struct, frozen=True):
    words: str
    """For an operator: what is wrong and, where known, what would be right."""
    is_lasting: bool
    """Trying again helps only when somebody has changed something, so it is done slowly."""


NO_WELCOME: Final = "closed before its welcome; does the broker speak this version of MQTT, or want TLS?"
BROKEN: Final = Meaning("the connection broke", is_lasting=False)

_LASTING: Final[Mapping[int, str]] = {
    0x84: "the broker does not speak this version of MQTT; `protocol` chooses 5 or 3.1.1",
    0x85: "the broker does not take this client identifier",
    0x86: "user name or password is wrong",
    NOT_AUTHORIZED: "the broker does not let this client in; user name, password, certificate or its ACL",
    0x8A: "the broker has banned this client",
    0x8C: "the broker wants another way of authentication",
    SESSION_TAKEN_OVER: SAME_IDENTIFIER,
    0x90: "the broker does not take the topic",
    PACKET_TOO_LARGE: "what was sent is too large for the broker",
    RETAIN_NOT_SUPPORTED: "the broker keeps no retained messages, which state and last will need",
    QOS_NOT_SUPPORTED: "the broker does not take QoS 1",
    0x9C: "the broker names another server; redirects are not followed, give its address",
    0x9D: "the broker has moved; redirects are not followed, give its address",
}
_PASSING: Final[Mapping[int, str]] = {
    0x80: "the broker gives no reason",
    0x82: "the broker calls it a protocol error",
    0x88: "the broker is unavailable",
    0x89: "the broker is busy",
    0x8B: "the broker shuts down",
    0x8D: "the broker has not heard from here for too long",
    0x93: "the broker was sent more at once than it wants",
    QUOTA_EXCEEDED: "a quota of the broker is exceeded",
    0x98: "the broker's administrator has closed the connection",
    0x9F: "the broker is connected to too often",
}
_OF_PUBLICATIONS: Final[Mapping[int, str]] = {
    NO_MATCHING_SUBSCRIBERS: "nobody is subscribed there, not even a session that is away",
    NOT_AUTHORIZED: "this client is not allowed to publish there; the broker's ACL says who is",
    0x99: "the broker does not take such a payload",
}


def meaning(code: int) -> Meaning:
    """Of a CONNACK, or of a DISCONNECT that the broker sent."""
    if code in _LASTING:
        return Meaning(_LASTING[code], is_lasting=True)
    return Meaning(_PASSING.get(code, f"reason code 0x{code:02X}"), is_lasting=False)


def of_publication(code: int) -> Meaning | None:
    """Of a PUBACK; None where nothing is wrong."""
    if code in _OF_PUBLICATIONS:
        return Meaning(_OF_PUBLICATIONS[code], is_lasting=code != NO_MATCHING_SUBSCRIBERS)
    return meaning(code) if code >= 0x80 else None
