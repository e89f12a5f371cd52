"""Bytes that the outbox writes for each delivered event of 600 bytes, by /proc/self/io.

On a Pi the flash wears by what is written, not by what is stored. `write_bytes` counts what was handed to the
block layer, so run it on a real file system: `python bench/outbox.py [--dir DIR]`. secure_delete is on, as
always; each event is stored, handed out and acknowledged.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

from gateway.consent.release import _SEAL, Release
from gateway.counts import Counts
from gateway.outbox import Outbox, Transaction

EVENT_BYTES = 600
ASKED = [(1.0, 0.2, 12_000), (10.0, 0.2, 7_000), (10.0, 0.5, 4_500)]
"""(events a second, group commit in seconds, bytes an event)."""


def written_bytes() -> int:
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("write_bytes")))


def release(n: int) -> Release:
    fields: dict[str, Any] = {
        "recipient": "platform", "id": f"6f0e6b1c-0f0a-8c4e-9d1e-{n:012x}",
        "subject_key": b"%016d" % (n % 50),
        "purpose": "dpv:PersonalisedBenefits", "zone": "cereals", "change": "entered", "t_s": float(n),
        "expires_s": None,
    }  # fmt: skip
    head = b'{"specversion":"1.0","pad":"'
    return Release(_SEAL, **fields, body=head + b"x" * (EVENT_BYTES - len(head) - 2) + b'"}')


async def run(directory: Path, rate: float, commit_s: float, events: int) -> float:
    """Bytes an event, the store's first pages left out."""
    path = directory / f"{rate}-{commit_s}.sqlite"
    async with Outbox(path, ["platform"], commit_delay_s=commit_s, counts=Counts()) as outbox:
        handed = 0

        async def deliver() -> None:
            nonlocal handed
            while handed < events:
                await outbox.wait("platform", handed)
                rows = await outbox.pending("platform", handed, 100)
                if rows:
                    handed = rows[-1].sequence
                    await asyncio.sleep(0.02)  # to the platform and back
                    outbox.acknowledge("platform", outbox.generation, [(1, handed)])

        delivering = asyncio.create_task(deliver())
        began_s, before = time.monotonic(), written_bytes()
        for n in range(events):
            await asyncio.sleep(max(0.0, began_s + n / rate - time.monotonic()))
            outbox.submit(Transaction([release(n)]))
        await delivering
    return (written_bytes() - before) / events


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--dir", type=Path, default=None)
    parser.add_argument("--seconds", type=float, default=60.0)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=wanted.dir) as directory:
        cases = [run(Path(directory), rate, c, max(10, int(rate * wanted.seconds))) for rate, c, _ in ASKED]
        for case, (rate, commit_s, most) in zip(cases, ASKED, strict=True):
            got = await case
            print(f"{rate:4.0f} a second, commit {commit_s} s: {got:7.0f} bytes an event (at most {most})")


if __name__ == "__main__":
    asyncio.run(main())
