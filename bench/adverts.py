"""What an unknown advertisement costs: CPU time until bleak hands it over, and until the profiles reject it.

    python bench/adverts.py                some 20 s; needs dbus-daemon
    python bench/adverts.py --quick        some 5 s

The real BleakScanner and dbus-fast hear a bluetoothd without a radio (tests/fake_bluez.py), which runs in a
process of its own, so that only the receiving side is timed. The same advertisements then go to the profiles.
The best of several rounds counts on both sides. Ends with an error if an advertisement was lost, or if
rejecting one costs more than a quarter of delivering it.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import random
import sys
import tempfile
import time
from pathlib import Path

from bleak import BleakScanner

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from fake_bluez import FakeBluez, private_bus

from gateway.counts import Counts
from gateway.model import Sighting
from gateway.profiles import load_profiles
from gateway.sources.ble import ad_structures

DEVICES = 60
BURST = 16
MOST = 0.25
"""Of the time that bleak and dbus-fast take, for rejecting what they delivered."""
CONTINUITY, MICROSOFT, SAMSUNG, BATHROOM_SCALE = 0x004C, 0x0006, 0x0075, 0x0157


def on_the_air(n: int) -> list[tuple[str, int, dict[int, bytes], dict[str, bytes]]]:
    """Address, RSSI, manufacturer and service data of what a shop hears most and nobody has enrolled."""
    rng = random.Random(7)
    found = []
    for i in range(n):
        address = f"4{i % DEVICES % 16:X}:00:00:00:{i % DEVICES:02X}:01"
        match i % 4:
            case 0:
                said = {MICROSOFT: b"\x01\x09\x20\x02" + rng.randbytes(23)}, {}
            case 1:
                said = {SAMSUNG: b"\x42\x04" + rng.randbytes(20)}, {}
            case 2:
                said = {BATHROOM_SCALE: rng.randbytes(12)}, {}
            case _:
                said = {}, {"0000fe2c-0000-1000-8000-00805f9b34fb": rng.randbytes(6)}
        found.append((address, -50 - i % 40, *said))
    return found


async def advertise(n: int) -> None:
    """The other process: a bluetoothd that reports `n` advertisements as soon as somebody scans."""
    async with FakeBluez("hci0") as bluez:
        print("ready", flush=True)
        while not bluez.scanning:  # noqa: ASYNC110 - it has no event for it
            await asyncio.sleep(0.01)
        adverts = on_the_air(n)
        for i in range(0, n, BURST):  # one by one each would wake the receiving process, which costs more
            burst = adverts[i : i + BURST]
            sent = (bluez.advert(a, rssi, manufacturer=m, service=s) for a, rssi, m, s in burst)
            await asyncio.gather(*sent)
            await asyncio.sleep(0.004)
        while bluez.scanning:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)  # the answer to StopDiscovery is on its way


async def delivered(n: int) -> tuple[float, list[Sighting]]:
    """CPU seconds for each advertisement until bleak's callback has it, and what was heard."""
    heard = []
    everything = asyncio.Event()

    def on_report(device: object, data: object) -> None:
        heard.append((device, data))
        if len(heard) == n:
            everything.set()

    program = [sys.executable, __file__, "--advertise", str(n)]
    bluez = await asyncio.create_subprocess_exec(*program, stdout=asyncio.subprocess.PIPE)
    assert bluez.stdout
    await bluez.stdout.readline()
    scanner = BleakScanner(on_report, bluez={"filters": {"DuplicateData": True, "RSSI": -127}})
    started_s = time.process_time()
    await scanner.start()
    async with asyncio.timeout(120):
        await everything.wait()
    cost_s = (time.process_time() - started_s) / n
    await scanner.stop()
    if await bluez.wait() != 0 or len(heard) != n:
        raise SystemExit(f"{len(heard)} of {n} advertisements arrived")
    sightings = []
    for device, data in heard:
        adv, _ = ad_structures(data)
        sightings.append(Sighting(0.0, "pi", device.address.lower(), "random", float(data.rssi), adv))
    return cost_s, sightings


def rejected(sightings: list[Sighting]) -> float:
    """CPU seconds for each advertisement until the profiles know that it is nobody's."""
    profiles, counts = load_profiles(), Counts()
    started_s = time.process_time()
    for sighting in sightings:
        profiles.heard(sighting, counts)
    cost_s = (time.process_time() - started_s) / len(sightings)
    assert counts.of("profiles", "not_mine") == len(sightings)
    return cost_s


async def one_round(n: int) -> tuple[float, list[Sighting]]:
    """On a bus and in an event loop of its own: bleak keeps what it knows for each loop."""
    with tempfile.TemporaryDirectory() as folder:
        async with private_bus(Path(folder) / "bus") as address:
            os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = address
            return await delivered(n)


def measure(n: int, rounds: int) -> float:
    """Prints both costs and their ratio, which it returns."""
    gc.collect()
    costs = [asyncio.run(one_round(n)) for _ in range(rounds)]
    delivery_s = min(cost_s for cost_s, _ in costs)
    rejection_s = min(rejected(sightings) for _, sightings in costs for _ in range(3))
    ratio = rejection_s / delivery_s
    print(f"{n:,} unknown advertisements, the best of {rounds} rounds, µs of CPU each")
    print(f"  bleak and dbus-fast, until the callback      {delivery_s * 1e6:6.1f}")
    print(f"  {len(load_profiles().names)} profiles, until it is rejected          {rejection_s * 1e6:6.1f}")
    print(f"  ratio                                        {ratio:6.2f}   (at most {MOST})")
    return ratio


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--quick", action="store_true")
    arguments.add_argument("--advertise", type=int, help=argparse.SUPPRESS)
    asked = arguments.parse_args()
    if asked.advertise:
        asyncio.run(advertise(asked.advertise))
        return
    ratio = measure(2_000 if asked.quick else 6_000, 2 if asked.quick else 3)
    sys.exit(0 if ratio <= MOST else 1)


if __name__ == "__main__":
    main()
