"""From the deciding signal to the broker: how late a live event is, with the default group commit.

    python bench/latency.py                 200 cars in about a minute; needs mosquitto

The real daemon, a real broker. A car drives over the border of the car park; the span begins when the fix
that decides is published and ends when a subscriber has the event. So it holds the way to the daemon, the
pipeline, the group commit, and the way back. Asked for: p99 within 500 ms. `--rate` sets the cars a second,
`--noise` the foreign advertisements a second beside them.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import sys
import tempfile
import time
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from daemons import Place, consent, consuming, drove, heard, sender
from mosquitto import Mosquitto
from receiver_model import Receiver
from strangers import stranger

from gateway.mqtt import Connection, Incoming

ASKED_MS = 500.0


class Timed(Receiver):
    """Notes when the first event of each car was there."""

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)  # type: ignore[arg-type]
        self.seen_s: dict[str, float] = {}

    def _take(self, incoming: Incoming) -> None:
        now_s = time.perf_counter()
        if not incoming.topic.endswith("/ack"):
            self.seen_s.setdefault(msgspec.json.decode(incoming.payload)["subject"], now_s)
        super()._take(incoming)


async def disturb(sending: Connection, a_second: float, rng: random.Random) -> None:
    while a_second:
        await heard(sending, "pi-01", *(stranger(rng) for _ in range(max(1, round(a_second / 20)))))
        await asyncio.sleep(0.05)


async def measure(place: Place, cars: int, rate: float, noise: float) -> list[float]:
    """Milliseconds from the fix that crosses the border to the event at a subscriber, one a car, sorted."""
    place.enrol(*(consent(f"driver-{n}", f"vehicle:fleet/car-{n}") for n in range(cars)))
    rng, crossed_s = random.Random(5), {}
    async with consuming(Timed, place, "platform") as at, sender(place) as s, place.daemon() as daemon:
        await daemon.ready()
        disturbing = asyncio.create_task(disturb(s, noise, rng))
        for n in range(cars):
            await drove(s, f"car-{n}", time.time() - 1, 49.9998, vel=30.0)
        await asyncio.sleep(2)
        began_s = time.monotonic()
        for n in range(cars):
            # Nothing is asked of the moment within the group commit: cars come when they come.
            await asyncio.sleep(max(0.0, began_s + (n + rng.random()) / rate - time.monotonic()))
            crossed_s[f"driver-{n}"] = time.perf_counter()
            await drove(s, f"car-{n}", time.time(), 50.0002, vel=20.0)
        async with asyncio.timeout(20):
            while len(at.seen_s) < cars:  # noqa: ASYNC110 - any of them may be the last
                await asyncio.sleep(0.05)
        disturbing.cancel()
        await daemon.stop()
    return sorted((at.seen_s[subject] - t_s) * 1000 for subject, t_s in crossed_s.items())


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cars", type=int, default=200)
    parser.add_argument("--rate", type=float, default=5.0)
    parser.add_argument("--noise", type=float, default=500.0)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, Mosquitto(Path(name) / "broker") as broker:
        took_ms = await measure(Place(Path(name), broker), wanted.cars, wanted.rate, wanted.noise)
    load = os.getloadavg()[0]
    p50, p99 = (took_ms[min(len(took_ms) - 1, int(len(took_ms) * share))] for share in (0.5, 0.99))
    print(
        f"{len(took_ms)} events, {wanted.rate:g} a second, beside {wanted.noise:g} foreign adverts a second"
    )
    said = f"p50 {p50:.0f} ms, p99 {p99:.0f} ms (at most {ASKED_MS:.0f}), highest {took_ms[-1]:.0f} ms"
    print(f"{said}; load {load:.1f}")
    return int(p99 > ASKED_MS)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        raise SystemExit(asyncio.run(main()))
