"""What a changed configuration would have said of a recorded day: added, removed, moved."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.difference import Told, differences

ROOT = Path(__file__).parent.parent


def told(text: str) -> list[Told]:
    """One event a line: time, subject, change, zone and perhaps a threshold."""
    rows = [line.split() for line in text.splitlines() if line.strip()]
    return [
        Told(float(t), "", subject, zone, change, float(more[0]) if more else 0.0)
        for t, subject, change, zone, *more in rows
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("", "", []),
        ("1 anna entered dairy", "1 anna entered dairy", []),
        ("1 anna entered dairy", "", ["removed 1 anna entered dairy"]),
        ("", "1 anna entered dairy", ["added 1 anna entered dairy"]),
        ("1 anna entered dairy", "9 anna entered dairy", ["moved 9 anna entered dairy was 1"]),
        ("1 anna entered dairy", "200 anna entered dairy",
         ["removed 1 anna entered dairy", "added 200 anna entered dairy"]),
        ("1 anna entered dairy", "1 anna entered eggs",
         ["removed 1 anna entered dairy", "added 1 anna entered eggs"]),
        ("1 anna entered dairy", "1 ben entered dairy",
         ["removed 1 anna entered dairy", "added 1 ben entered dairy"]),
        # the nearest are one event, whatever came first
        ("10 anna left dairy \n 50 anna left dairy", "49 anna left dairy",
         ["removed 10 anna left dairy", "moved 49 anna left dairy was 50"]),
        ("10 anna left dairy", "11 anna left dairy \n 10 anna left dairy", ["added 11 anna left dairy"]),
        # each threshold is an event of its own
        ("20 anna dwelled dairy 20", "15 anna dwelled dairy 15",
         ["added 15 anna dwelled dairy 15", "removed 20 anna dwelled dairy 20"]),
        # a rounding of the line is no move
        ("1.0000 anna left dairy", "1.0004 anna left dairy", []),
    ],
)  # fmt: skip
def test_what_differs(old: str, new: str, expected: list[str]) -> None:
    def shown(old: list[Told], new: list[Told]) -> list[str]:
        return [
            f"{d.what} {d.event.t_s:g} {d.event.subject} {d.event.change} {d.event.zone}"
            + (f" {d.event.threshold_s:g}" if d.event.threshold_s else "")
            + ("" if d.was_s is None else f" was {d.was_s:g}")
            for d in differences(old, new)
        ]

    assert sorted(shown(told(old), told(new))) == sorted(expected)
    assert shown(told(old)[::-1], told(new)[::-1]) == shown(told(old), told(new))


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("day")
    for name in ("old", "new"):
        shutil.copytree(ROOT / "config" / "demo", folder / name)
    site = folder / "new" / "site.yaml"
    text = site.read_text()
    assert "[8, 15], [4, 15]], dwell: [20s, 1min]" in text
    site.write_text(
        text.replace("[8, 15], [4, 15]], dwell: [20s, 1min]", "[8, 15], [4, 15]], dwell: [15s, 1min]", 1)
    )
    recording = folder / "day.jsonl.gz"
    made = CliRunner().invoke(
        main, ["simulate", "demo", "--config", str(folder / "old"), "--out", str(recording)]
    )
    assert made.exit_code == 0
    return folder


def replay(day: Path, new: str, old: str, *options: str) -> Result:
    arguments = ["replay", str(day / "day.jsonl.gz"), "--config", str(day / new), "--against", str(day / old)]
    result = CliRunner().invoke(main, [*arguments, *options])
    assert result.exit_code == 0, result.output
    return result


def test_a_lower_threshold_before_it_goes_live(day: Path) -> None:
    """A shelf tells of 15 s in place of 20: as a table in the shop's time, and as JSON; for each recipient too."""
    result = replay(day, "new", "old", "--stage", "presence")
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["time", "who", "what", "where"]
    rows = {(fields[0], " ".join(fields[4:7]), fields[7]) for fields in map(str.split, lines[1:])}
    assert rows == {("added", "dwelled 15 s", "cereals"), ("removed", "dwelled 20 s", "cereals")}
    assert re.match(r"added +12-22 09:0\d:\d\d  card-100", lines[1])
    found = [
        json.loads(line)
        for line in replay(day, "new", "old", "--stage", "presence", "--json").stdout.splitlines()
    ]
    assert {(f["difference"], f["threshold_s"]) for f in found} == {("added", 15.0), ("removed", 20.0)}
    assert "0 moved" in result.stderr
    released = [json.loads(line) for line in replay(day, "new", "old", "--json").stdout.splitlines()]
    assert {(f["difference"], f["recipient"]) for f in released} == {
        ("added", "platform"),
        ("removed", "platform"),
    }


def test_nothing_differs_from_itself(day: Path) -> None:
    result = replay(day, "old", "old")
    assert (
        result.stdout,
        re.search(r"^0 added, 0 removed, 0 moved, [1-9]\d+ the same", result.stderr) is not None,
    ) == ("", True)


def test_maps_alone_can_be_compared(day: Path) -> None:
    result = replay(day, "new", "old", "--all-devices")
    assert "dwelled 15 s" in result.stdout


@pytest.mark.parametrize(
    "options",
    [
        ["--json"],
        ["--against", "nowhere"],
        ["--against", ".", "--speed", "2"],
        ["--against", ".", "--publish", "a:1"],
    ],
)
def test_what_makes_no_sense(day: Path, options: list[str]) -> None:
    result = CliRunner().invoke(
        main, ["replay", str(day / "day.jsonl.gz"), "--config", str(day / "old"), *options]
    )
    assert result.exit_code == 2
