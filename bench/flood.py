"""Five thousand advertisements a second from a hundred thousand addresses, over MQTT through the real daemon.

    python bench/flood.py [--seconds 120] [--rate 5000]         needs mosquitto

Prints what was taken, what it cost, whether memory stood still, and what of a stranger was found on disk.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from daemons import Place
from flood import ADDRESSES, flooded
from mosquitto import Mosquitto


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--rate", type=float, default=5_000.0)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, Mosquitto(Path(name) / "broker") as broker:
        came = await flooded(Place(Path(name), broker), wanted.seconds, wanted.rate)
    print(f"{came.sent:,} advertisements of {ADDRESSES:,} addresses in {came.seconds:.0f} s")
    print(
        f"  taken {came.taken:,}: {came.taken / came.seconds:,.0f} a second; shed and counted {came.shed:,}"
    )
    print(f"  CPU of the daemon {came.cpu_s:.0f} s, {came.cpu_s / came.taken * 1e6:.0f} µs each")
    quarter = len(came.rss_mib) // 4
    early, late = max(came.rss_mib[:quarter]), max(came.rss_mib[-quarter:])
    print(f"  memory, once all were heard: {early:.1f} MiB in the first quarter, {late:.1f} in the last")
    entered, left = came.changes.count("entered"), came.changes.count("left")
    print(f"  the enrolled tag: {entered} times entered, {left} times left")
    print(f"  of strangers on disk: {came.found or 'nothing'}")
    lost = came.sent - came.taken - came.shed
    print(f"  lost and not counted: {lost}")
    return int(bool(came.found or lost) or late > early + 4)


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
