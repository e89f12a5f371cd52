"""What a broker wants of a connection: how much at once, how large, and of what kind (MQTT 5.0 §3.2.2.3)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final

from gateway.mqtt_reasons import QOS_NOT_SUPPORTED, RETAIN_NOT_SUPPORTED, meaning

OUTGOING_INFLIGHT: Final = 100
"""Publications under way to the broker, where it does not want fewer."""
LARGEST_HEADER: Final = 5


class Limits:
    """Of one client; each welcome (CONNACK) begins anew, except what was learned from a break just before."""

    def __init__(self) -> None:
        self.turns = asyncio.Semaphore(OUTGOING_INFLIGHT)
        """Held by each publication of QoS 1 until it is acknowledged: the broker's receive maximum."""
        self.lacks = ""
        """What this broker does not do and we cannot do without, in words."""
        self._narrowed = 0
        """Turns that are held back."""
        self._packet_bytes: int | None = None
        self._learned_bytes: int | None = None

    def welcome(self, properties: Any, *, one_by_one: bool = False) -> None:
        """`properties` of the CONNACK, as paho has them: an attribute for each that is there. `one_by_one`:
        one publication is under way at a time, until `widen`.
        """
        turns = min(getattr(properties, "ReceiveMaximum", OUTGOING_INFLIGHT), OUTGOING_INFLIGHT)
        self._narrowed = turns - 1 if one_by_one else 0
        self.turns = asyncio.Semaphore(turns - self._narrowed)
        announced = getattr(properties, "MaximumPacketSize", None)
        sizes = [size for size in (announced, self._learned_bytes) if size is not None]
        self._packet_bytes = min(sizes, default=None)
        self._learned_bytes = None
        self.lacks = ""
        if getattr(properties, "MaximumQoS", 1) < 1:
            self.lacks = meaning(QOS_NOT_SUPPORTED).words
        elif not getattr(properties, "RetainAvailable", 1):
            self.lacks = meaning(RETAIN_NOT_SUPPORTED).words

    def widen(self) -> None:
        for _ in range(self._narrowed):
            self.turns.release()
        self._narrowed = 0

    def learn(self, under_way_bytes: Iterable[int]) -> bool:
        """A break because of a packet too large, by a broker that did not announce how large one may be: the
        largest under way was. Whether there is anything to learn.
        """
        largest = max(under_way_bytes, default=0)
        if largest:
            self._learned_bytes = largest - 1
        return largest > 0

    def too_large(self, packet_bytes: int) -> bool:
        return self._packet_bytes is not None and packet_bytes > self._packet_bytes


def packet_bytes(topic: str, payload: bytes, properties: Any) -> int:
    """Of a PUBLISH with QoS 1, at most: its fixed header is taken for as large as one can be."""
    packed = len(properties.pack()) if properties is not None else 1
    return LARGEST_HEADER + 2 + len(topic.encode()) + 2 + packed + len(payload)
