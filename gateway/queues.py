"""What waits for whom, and whether somebody carries it: the outbox and the ways out, seen together."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from gateway.consent.screen import rfc3339
from gateway.outbox import Outbox, Queued
from gateway.outlets import Way


class Queue(Queued, frozen=True, kw_only=True):
    """Of one recipient."""

    sent: int
    """Of what waits, what the recipient was sent and has not acknowledged."""
    oldest_s: float | None
    """How long the oldest has waited; None: nothing does."""
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
                **msgspec.structs.asdict(queued),
                sent=0 if way is None else min(way.courier.outstanding, queued.waiting),
                oldest_s=oldest_s,
                link=link,
                detail=detail,
            )
        )
    return Queues(rfc3339(now_s), outbox.generation, outbox.uncommitted, outbox.quarantined, found)
