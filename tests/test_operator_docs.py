"""docs/operator.md is typed off: its files are written, its commands run, and what they print is what it says."""

from __future__ import annotations

import datetime
import json
import re
import subprocess
import sys
import zoneinfo
from collections.abc import Iterator
from pathlib import Path

import pytest

DOCUMENT = (Path(__file__).parent.parent / "docs" / "operator.md").read_text()
GATEWAY = f"{sys.executable} -m gateway"
QUICK = ("mkdir ", "sed ", "cp ", "gateway schema ", "gateway check ")
"""What needs no broker and no recording; the rest is held by tests of its own."""


def files() -> dict[str, str]:
    """Name → content of each YAML file that is shown."""
    return dict(re.findall(r"\*\*(shop/\w+\.yaml)\*\*[^`]*```yaml\n(.*?)```", DOCUMENT, re.DOTALL))


def commands() -> Iterator[tuple[str, str]]:
    """Each command and what is printed below it."""
    for block in re.findall(r"```console\n(.*?)```", DOCUMENT, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, printed = part.partition("\n")
            yield command, printed


def test_every_step_prints_what_the_document_says(tmp_path: Path) -> None:
    assert set(files()) == {"shop/site.yaml", "shop/gateway.yaml", "shop/consent.yaml"}
    ran = []
    for command, printed in commands():
        if not command.startswith(QUICK):
            continue
        done = subprocess.run(
            ["bash", "-c", re.sub(r"^gateway ", f"{GATEWAY} ", command)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stderr + done.stdout == printed, command
        ran.append(command.split()[0])
        if command.startswith("mkdir"):
            for name, content in files().items():
                (tmp_path / name).write_text(content)
    assert ran.count("gateway") >= 4
    assert ran.count("sed") >= 4


def test_every_command_is_a_verb() -> None:
    for command, _ in commands():
        if command.startswith("gateway "):
            verb = command.split()[1]
            done = subprocess.run([*GATEWAY.split(), verb, "--help"], capture_output=True, check=False)
            assert done.returncode == 0, verb


def recorded(path: Path, start_s: float) -> None:
    """What the daemon records while tag.sh plays the document's tag."""
    (heard,) = re.findall(r"^\$ bash tag.sh \d+ (.*)$", DOCUMENT, re.MULTILINE)
    (adv,) = re.findall(r'"adv": "(\w+)"', DOCUMENT)
    links = dict(pair.split("=") for pair in heard.split())
    with path.open("w") as out:
        for n in range(150):
            for receiver, rssi_dbm in links.items():
                packet = {"receiver": receiver, "address": "c3:00:00:25:ef:6a", "address_type": "random",
                          "rssi": float(rssi_dbm), "adv": adv}  # fmt: skip
                out.write(json.dumps({"t": round(start_s + 0.42 * n, 3), "ble": packet}) + "\n")


def told(story: str) -> tuple[str, list[int]]:
    """A story without its times, and its percentages."""
    timeless = re.sub(r"\d\d:\d\d:\d\d|[\d.]+ (?=s ago)|(?<=\()\d+(?= s\), told)", "_", story)
    return re.sub(r"\d+%", "_%", timeless), [int(n) for n in re.findall(r"(\d+)%", timeless)]


def test_the_explanation_reads_as_in_the_document(tmp_path: Path) -> None:
    """Percentages within three of those, since a tag of the test has no packets of its own."""
    (tmp_path / "shop").mkdir()
    for name, content in files().items():
        right = content.replace("leav_after", "leave_after").replace("grund", "ground")
        (tmp_path / name).write_text(right.replace('Benefit"', 'Benefits"'))
    start = datetime.datetime(2026, 11, 27, 18, 29, 48, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"))
    recorded(tmp_path / "last-day.jsonl", start.timestamp())
    ((command, printed),) = [(c, p) for c, p in commands() if "--explain" in c]
    words = command.replace("last-day.jsonl.gz", "last-day.jsonl").replace("--config new", "--config shop")
    done = subprocess.run(
        [*GATEWAY.split(), *words.split()[1:]], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (said, said_percent), (wanted, wanted_percent) = told(done.stdout.strip()), told(printed.strip())
    assert said == wanted
    assert said_percent == pytest.approx(wanted_percent, abs=3)
