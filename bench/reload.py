"""From `gateway reload` to effect: `python bench/reload.py`. The target is 1 s.

The real daemon, its broker away, on maps of 12 to 600 zones with a receiver for every eighth of them.
A zone is changed and the gateway asked to reload, five times; printed are the median of the time until it
answers, which is after the swap, and of the CPU that the daemon spent.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from gateway import control
from gateway.control import RefusalError, Request

SIZES, TIMES, TARGET_S, ROW = (12, 50, 200, 600), 5, 1.0, 25
PURPOSE = {"legal_basis": "x", "fields": ["zone"]}
SETTINGS = {
    "gateway": {"id": "gw", "state_dir": "state", "clock": {"trust": "always"}},
    "brokers": {"local": {"host": "127.0.0.1", "port": 9}},
    "recipients": {"platform": {"via": "local", "purposes": {"dpv:X": PURPOSE}}},
    "consent": {"feed": {"file": "consent.yaml"}},
    "page": {"listen": "off"},
}  # fmt: skip


def site(zones: int, changed: int) -> str:
    """A map of so many shelves in rows; the last one forgives `changed` seconds of silence."""
    shelves = []
    for n in range(zones):
        x, y = n % ROW * 4, n // ROW * 3
        shelves.append(
            {"id": f"z{n}", "kind": "shelf", "polygon": [[x, y], [x + 3, y], [x + 3, y + 1], [x, y + 1]]}
        )
    shelves[-1]["leave_after"] = f"{changed}s"
    receivers = [
        {"id": f"r{n}", "floor": "g", "at": [n * 8 % ROW * 4 + 1, n * 8 // ROW * 3]}
        for n in range(zones // 8)
    ]
    floor = {"id": "g", "zones": shelves}
    return json.dumps({"site": {"id": "bench"}, "floors": [floor], "receivers": receivers})


@contextlib.contextmanager
def running(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "gateway", "run", "--config", str(folder)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as daemon:  # noqa: S603 - our own program
        try:
            while not answers(folder / "state"):
                time.sleep(0.05)
            yield daemon
        finally:
            daemon.terminate()


def answers(state_dir: Path) -> bool:
    """False: it does not run yet, or has not come to its socket."""
    with contextlib.suppress(RefusalError):
        return control.is_running(state_dir) and control.ask(state_dir, Request("reload")) is not None
    return False


def cpu_s(process: int) -> float:
    """User and system time, from fields 14 and 15 of proc(5)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measured(zones: int) -> tuple[float, float]:
    """Seconds to effect and of CPU, medians."""
    took_s, spent_s = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "gateway.yaml").write_text(json.dumps(SETTINGS))
        (folder / "consent.yaml").write_text("[]")
        (folder / "site.yaml").write_text(site(zones, 60))
        with running(folder) as daemon:
            for n in range(TIMES):
                (folder / "site.yaml").write_text(site(zones, n + 1))
                before_s, spent = time.monotonic(), cpu_s(daemon.pid)
                answer = control.ask(folder / "state", Request("reload"))
                took_s.append(time.monotonic() - before_s)
                spent_s.append(cpu_s(daemon.pid) - spent)
                assert any("map taken over" in line for line in answer["taken"]), answer
    return statistics.median(took_s), statistics.median(spent_s)


def main() -> None:
    for zones in SIZES:
        took_s, spent_s = measured(zones)
        print(f"{zones:4} zones: {took_s:.2f} s to effect (target {TARGET_S:g}), {spent_s:.2f} s of CPU")


if __name__ == "__main__":
    main()
