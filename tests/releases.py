"""Releases for tests of what lies behind the consent room; only here is its seal borrowed."""

from __future__ import annotations

import asyncio

from gateway.consent.release import _SEAL, Release
from gateway.model import OpenStay
from gateway.outbox import Outbox, Transaction

ANNA, BEN = b"key-of-anna", b"key-of-ben"


def release(
    id: str,
    recipient: str = "platform",
    *,
    subject_key: bytes = ANNA,
    zone: str = "cereals",
    purpose: str = "dpv:PersonalisedBenefits",
    change: str = "entered",
    t_s: float = 1_766_397_600.0,
    expires_s: float | None = None,
    body: bytes = b'{"specversion":"1.0"}',
) -> Release:
    return Release(
        _SEAL,
        recipient=recipient,
        id=id,
        subject_key=subject_key,
        purpose=purpose,
        zone=zone,
        change=change,
        t_s=t_s,
        expires_s=expires_s,
        body=body,
    )


def events(*ids: str, recipient: str = "platform") -> Transaction:
    return Transaction([release(id, recipient) for id in ids])


def stay(subject: str, zone: str = "cereals", since_s: float = 0.0) -> OpenStay:
    return OpenStay(subject, zone, "inside", since_s, since_s, since_s, 0.0, 0.9, False, ("irk:anna-phone",))


async def stored(outbox: Outbox, *transactions: Transaction) -> None:
    """Submits them and waits for the disk."""
    done = asyncio.Event()
    for transaction in transactions:
        outbox.submit(transaction)
    outbox.submit(Transaction(), done.set)
    await done.wait()


async def queued(outbox: Outbox, recipient: str = "platform") -> list[tuple[int, str]]:
    return [(row.sequence, row.id) for row in await outbox.pending(recipient, 0, 1_000_000)]


async def acknowledged(outbox: Outbox, recipient: str, generation: str, ranges: list[tuple[int, int]]) -> int:
    """How many rows went, once they are gone."""
    gone: list[int] = []
    outbox.acknowledge(recipient, generation, ranges, gone.append)
    await outbox.settle()
    return sum(gone)
