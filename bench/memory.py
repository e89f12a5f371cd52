"""Memory of a daemon that has nothing to do: the worked example of config/store, with brokers that are there.

    python bench/memory.py [--seconds 180] [--page]          needs mosquitto

RSS counts every page that is in memory, PSS a page that several processes share by its share only. Asked for:
RSS of at most 64 MiB without the status page, 80 with it (`--page`). Which files have most of it is said too.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from daemons import Place
from mosquitto import Mosquitto, free_port

EXAMPLE = Path(__file__).parent.parent / "config" / "store"


def worked_example(place: Place, *, page: bool) -> None:
    """config/store as it is, but for where things are."""
    shutil.rmtree(place.config)
    shutil.copytree(EXAMPLE, place.config)
    settings = place.config / "gateway.yaml"
    text = (
        settings.read_text()
        .replace("/var/lib/gateway", str(place.state))
        .replace("trust: kernel", "trust: always")
    )
    text = re.sub(r"\n  keys: credential:.*", "", text)
    listen = f"127.0.0.1:{free_port()}" if page else "off"
    text += f"\npage: {{listen: '{listen}'}}\n"
    text = re.sub(
        r"  central:\n(    .*\n)+", f"  central: {{host: 127.0.0.1, port: {place.broker.port}}}\n", text
    )
    settings.write_text(text.replace("port: 1883", f"port: {place.broker.port}"))


def rollup_mib(pid: int) -> dict[str, float]:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {name.rstrip(":"): int(kb) / 1024 for name, kb, *_ in (line.split() for line in lines)}


def by_file_mib(pid: int) -> Counter[str]:
    name, sizes = "", Counter[str]()
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        words = line.split()
        if re.match(r"[0-9a-f]+-[0-9a-f]+$", words[0]):
            name = Path(words[5]).name if len(words) > 5 else "(Python's own)"
        elif words[0] == "Rss:":
            sizes[name] += int(words[1])
    return sizes


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--page", action="store_true")
    wanted = parser.parse_args()
    asked_mib = 80.0 if wanted.page else 64.0
    with tempfile.TemporaryDirectory() as name, Mosquitto(Path(name) / "broker") as broker:
        place = Place(Path(name), broker)
        worked_example(place, page=wanted.page)
        async with place.daemon() as daemon:
            await daemon.says("source store: up")
            await daemon.says("sink central: up")
            if wanted.page:
                await daemon.says("page: up")
            await asyncio.sleep(wanted.seconds)
            memory, files = rollup_mib(daemon.process.pid), by_file_mib(daemon.process.pid)
            await daemon.stop()
    rss_mib, pss_mib = memory["Rss"], memory["Pss"]
    page = "with the page" if wanted.page else "without the page"
    print(f"config/store, {page}, after {wanted.seconds:g} s:")
    print(f"  RSS {rss_mib:.1f} MiB (at most {asked_mib:g}), PSS {pss_mib:.1f} MiB")
    for file, kb in files.most_common(8):
        print(f"  {kb / 1024:5.1f} MiB  {file}")
    return int(rss_mib > asked_mib)


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
