"""What the status page costs: `python bench/page.py [--seconds S]`.

CPU: 50 zones, 50 receivers, 200 subjects who may all be shown, each moving on every 20 s; the share of one
core with nobody looking, with one browser and with eight, by the process time of this process, readers in
another. The target is 5 % with one browser. Memory: the real daemon, idle, its broker away; 80 MiB at most.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from gateway import assembly
from gateway.clock import PipelineClock
from gateway.consent import load_keys
from gateway.lanes import Lanes
from gateway.links import Link
from gateway.model import ConsentSignal, Presence
from gateway.outbox import Outbox
from gateway.status.http import Gate, PageServer
from gateway.status.page import Page
from gateway.status.vitals import Lookout, Reloaded

ZONES, SUBJECTS, STAY_S, PORT = 50, 200, 20.0, 18_780
TARGET_CPU, TARGET_MIB = 0.05, 80
MOST_READERS = 8
READER = """
import asyncio, sys
async def read(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /events HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n")
    while await reader.read(65536):
        pass
async def main():
    await asyncio.gather(*(read(int(sys.argv[1])) for _ in range(int(sys.argv[2]))))
asyncio.run(main())
"""


def configured(folder: Path) -> Path:
    """A shop of 50 shelves in five rows, with a receiver over each."""
    places = [(f"z{n:02}", 2 + n % 10 * 5, 2 + n // 10 * 6) for n in range(ZONES)]
    zones = [
        {
            "id": z,
            "kind": "shelf",
            "name": f"Shelf {z}",
            "polygon": [[x, y], [x + 4, y], [x + 4, y + 2], [x, y + 2]],
        }
        for z, x, y in places
    ]
    site = {
        "site": {"id": "bench", "name": "Bench"},
        "floors": [{"id": "g", "bounds": [[0, 0], [54, 32]], "zones": zones}],
        "receivers": [{"id": f"r-{z}", "floor": "g", "at": [x + 2, y + 1]} for z, x, y in places],
    }
    purpose = {"legal_basis": "x", "fields": ["zone"]}
    settings = {
        "gateway": {"id": "gw", "state_dir": "state", "clock": {"trust": "always"}},
        "brokers": {"local": {"host": "127.0.0.1", "port": 9}},
        "recipients": {"platform": {"via": "local", "purposes": {"dpv:X": purpose}}},
        "consent": {"feed": {"file": "consent.yaml"}},
        "page": {"listen": f"127.0.0.1:{PORT}", "shows": {"purpose": "dpv:Y", "legal_basis": "x"}},
    }
    folder.mkdir()
    for name, content in (
        ("site", site),
        ("gateway", settings),
        ("consent", list(map(enrolled, range(SUBJECTS)))),
    ):
        (folder / f"{name}.yaml").write_text(json.dumps(content))
    return folder


def enrolled(n: int) -> dict[str, object]:
    consent = {
        "record_id": f"c-{n}", "version": 1, "status": "ConsentGiven", "purposes": ["dpv:Y"], "zones": "all",
        "recipients": ["operator"], "event_time": "2020-01-01T00:00:00Z",
    }  # fmt: skip
    return {"subject": f"s-{n}", "version": 1, "identities": [f"vehicle:v/{n}"], "consents": [consent]}


async def cost(folder: Path, seconds: float) -> dict[int, float]:
    """Share of a core by number of browsers."""
    configuration = assembly.read_configuration(folder)
    keys = load_keys(None, folder / "state")
    assembled = assembly.assemble(configuration, keys)
    clock = PipelineClock()
    assembled.pipeline.feed([ConsentSignal(clock(), tuple(configuration.consent_records), complete=True)])
    shares = {}
    async with Outbox(folder / "state" / "outbox.sqlite", ["platform"], counts=assembled.counts) as outbox:
        links = [Link("source local"), Link("sink local")]
        watch = Lookout(assembled, outbox, Lanes(assembled.counts), clock, links=links,
                      progress=time.monotonic, batches=lambda: 0, reload=lambda: Reloaded(0.0))  # fmt: skip
        page = Page(watch, Gate(None), assembled_journey)
        server = PageServer(("127.0.0.1", PORT), Gate(None), page.serve, assembled.counts)
        tasks = [asyncio.create_task(work) for work in (server.run(), watch.run(), move(assembled, clock))]
        await asyncio.sleep(STAY_S + 1)
        for readers in (0, 1, MOST_READERS):
            reader = [sys.executable, "-c", READER, str(PORT), str(readers)]
            child = await asyncio.create_subprocess_exec(*reader)
            await asyncio.sleep(2)
            began_s, before_s = time.monotonic(), time.process_time()
            await asyncio.sleep(seconds)
            shares[readers] = (time.process_time() - before_s) / (time.monotonic() - began_s)
            if readers:  # without any it has ended by itself
                child.kill()
            await child.wait()
        assert sum(assembled.pipeline.board.counts(clock()).values()) == SUBJECTS
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return shares


async def assembled_journey(_: str) -> list[object]:
    return []


async def move(assembled: assembly.Assembly, clock: PipelineClock) -> None:
    """Each subject in turn goes to the next shelf."""
    at, board = [n % ZONES for n in range(SUBJECTS)], assembled.pipeline.board
    n = 0
    while True:
        subject, now_s = n % SUBJECTS, clock()
        before, after = at[subject], (at[subject] * 7 + 3) % ZONES
        at[subject] = after
        for zone, change, stayed_s in ((before, "left", STAY_S), (after, "entered", 0.0)):
            board.take(
                Presence(
                    now_s, now_s, f"s-{subject}", f"z{zone:02}", change, now_s - stayed_s, stayed_s, 0.9, {}
                )  # type: ignore[arg-type]
            )
        n += 1
        await asyncio.sleep(STAY_S / SUBJECTS)


def idle_mib(folder: Path, page: str) -> tuple[float, float]:
    """Resident memory of the daemon before and after its page was asked for twenty times."""
    settings = folder / "gateway.yaml"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"page": {"listen": page}}))
    command = [sys.executable, "-m", "gateway", "run", "--config", str(folder)]
    daemon = subprocess.Popen(command, stderr=subprocess.DEVNULL)  # noqa: S603
    try:
        time.sleep(8)
        before = resident_mib(daemon.pid)
        if page != "off":
            for _ in range(20):
                for path in ("", "metrics"):
                    ask = ["curl", "--silent", "--fail", "--output", "/dev/null", f"http://{page}/{path}"]
                    subprocess.run(ask, check=True)  # noqa: S603
        return before, resident_mib(daemon.pid)
    finally:
        daemon.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            daemon.wait(15)


def resident_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmRSS"))) / 1024


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=20.0)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as made:
        folder = configured(Path(made) / "config")
        shares = asyncio.run(cost(folder, seconds))
        print(f"{ZONES} zones, {SUBJECTS} subjects, {2 * SUBJECTS / STAY_S:g} changes a second")
        for readers, share in shares.items():
            print(f"  {readers} browsers  {share:6.1%} of a core")
        off, _ = idle_mib(folder, "off")
        on, asked = idle_mib(folder, f"127.0.0.1:{PORT}")
        print(f"idle: without a page {off:.1f} MiB, with it {on:.1f}, after 20 visits {asked:.1f}")
    return int(shares[1] > TARGET_CPU or asked > TARGET_MIB)


if __name__ == "__main__":
    sys.exit(main())
