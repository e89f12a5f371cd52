"""What waits for whom, and whether somebody carries it: the outbox and the ways out, seen together."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from gateway.consent.screen import rfc3339
from gateway.outbox import Outbox
from gateway.outlets import Way


class Queue(Struct):
    """Of one recipient."""

    recipient: str
    waiting: int
    """Events and tombstones that are not acknowledged yet."""
    tombstones: int
    """Of those."""
    sent: int
    """Of those, what the recipient was sent and has not acknowledged."""
    body_bytes: int
    oldest_s: float | None
    """How long the oldest has waited; None: nothing does."""
    first: int | None
    """Lowest sequence that waits."""
    last: int | None
    last_sequence: int
    """Highest that was ever given in this generation."""
    link: str
    """up, down, or `none` where nobody carries: no gateway runs, or the settings do not name it any more."""
    detail: str
    """Where to, or why not."""


class Queues(Struct):
    at: str
    generation: str
    uncommitted: int
    """Transactions that wait for the disk."""
    damaged_stores: int
    queues: list[Queue]


async def queues_of(outbox: Outbox, ways: Mapping[str, Way], now_s: float) -> Queues:
    """`now_s`: real Unix time. StoreError when the store cannot be read now."""
    found = []
    for queued in await outbox.queued():
        way = ways.get(queued.recipient)
        oldest_s = None if queued.oldest_stored_s is None else max(0.0, now_s - queued.oldest_stored_s)
        link, detail = ("none", "") if way is None else way.state()
        found.append(
            Queue(
                recipient=queued.recipient,
                waiting=queued.waiting,
                tombstones=queued.tombstones,
                sent=0 if way is None else min(way.unacknowledged, queued.waiting),
                body_bytes=queued.body_bytes,
                oldest_s=oldest_s,
                first=queued.first,
                last=queued.last,
                last_sequence=queued.last_sequence,
                link=link,
                detail=detail,
            )
        )
    return Queues(rfc3339(now_s), outbox.generation, outbox.uncommitted, outbox.quarantined, found)
