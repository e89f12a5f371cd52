"""Three days without a link at ten events a second: the disk takes what it may, the rest is named."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest
from releases import acknowledged, release, stored

from gateway.counts import Counts
from gateway.outbox import DEFAULTS, Limits, Outbox, Transaction

pytestmark = pytest.mark.faults

MINUTE_S, DAY_S = 60.0, 86_400.0
BODY = b'{"pad":"' + b"x" * 560 + b'"}'
CHANGES = ("entering", "entered", "dwelled", "left")

SLOW = [pytest.mark.slow, pytest.mark.timeout(3_600)]


@pytest.mark.parametrize(
    ("per_minute", "limits"), [(3, Limits(8 << 20)), pytest.param(600, DEFAULTS, marks=SLOW)]
)
async def test_three_days_offline(tmp_path: Path, per_minute: int, limits: Limits) -> None:
    path, counts, now_s = tmp_path / "outbox.sqlite", Counts(), 1_766_400_000.0
    sent = 0
    async with Outbox(
        path, ["platform"], commit_delay_s=0.005, counts=counts, limits=limits, clock=lambda: now_s
    ) as outbox:
        for _ in range(int(3 * DAY_S / MINUTE_S)):
            made = [release(f"e{sent + k}", change=CHANGES[k % 4], body=BODY) for k in range(per_minute)]
            outbox.submit(Transaction(made))
            sent += per_minute
            now_s += MINUTE_S
            while outbox.uncommitted > 200:  # noqa: ASYNC110 - as the pump does
                await asyncio.sleep(0.001)
        await stored(outbox)
        ids, accounted, reasons = await drain(outbox)
        last = outbox._last["platform"]
    assert path.stat().st_size <= limits.max_bytes
    assert accounted == last
    assert reasons <= {"capped"}
    assert len(ids) == len(set(ids))
    assert len(ids) + counts.of("outbox", "capped") == sent
    kept = sorted(int(id[1:]) for id in ids)
    assert kept[-1] == sent - 1
    fleeting = [k for k in kept if CHANGES[k % per_minute % 4] == "entering"]
    assert len(fleeting) < len(kept) / 16  # all but those that came after room was made last
    print(f"{sent} events, {len(ids)} delivered, {counts.of('outbox', 'capped')} named in tombstones")


async def drain(outbox: Outbox) -> tuple[list[str], int, set[str]]:
    """Ids delivered, how many sequences are accounted for, reasons of tombstones."""
    ids: list[str] = []
    ranges: list[tuple[int, int]] = []
    reasons: set[str] = set()
    after = 0
    while rows := await outbox.pending("platform", after, 1_000):
        after = rows[-1].sequence
        for row in rows:
            ranges.append((row.sequence, row.sequence))
            if row.kind == "event":
                ids.append(row.id)
            else:
                said = msgspec.json.decode(row.body)
                ranges += [(first, last) for first, last in said["ranges"]]
                reasons.add(said["reason"])
        await acknowledged(outbox, "platform", outbox.generation, [(rows[0].sequence, after)])
    ends, reached = sorted(ranges), 0
    for first, last in ends:
        assert first <= reached + 1, f"{reached + 1} is not accounted for"
        reached = max(reached, last)
    return ids, reached, reasons
