"""Log lines as a journal, a terminal and a program read them; progress for a terminal and nobody else."""

from __future__ import annotations

import io
import json
import logging
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from gateway import logs, progress
from gateway.cli import main
from gateway.model import ClockStep


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def record(level: int, message: str = "page: up (here)", trace: bool = False) -> logging.LogRecord:
    try:
        raise ValueError("no")
    except ValueError:
        info = sys.exc_info() if trace else None
    made = logging.LogRecord("gateway.links", level, "file", 1, message, None, info)
    made.created = 1766397600.25
    return made


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[tuple[io.TextIOWrapper, dict[str, str]]]:
    """A stream, and the variable that systemd passes for it."""
    with (tmp_path / "journal").open("w") as stream:
        told = os.fstat(stream.fileno())
        yield stream, {"JOURNAL_STREAM": f"{told.st_dev}:{told.st_ino}"}


@pytest.mark.parametrize(
    ("level", "line"),
    [
        (logging.DEBUG, "<7>page: up (here)"),
        (logging.INFO, "<6>page: up (here)"),
        (logging.WARNING, "<4>page: up (here)"),
        (logging.ERROR, "<3>page: up (here)"),
        (logging.CRITICAL, "<2>page: up (here)"),
    ],
)
def test_the_journal_gets_priorities(
    journal: tuple[io.TextIOWrapper, dict[str, str]], level: int, line: str
) -> None:
    assert logs.formatter("text", *journal).format(record(level)) == line


def test_every_line_of_a_message_has_its_priority(journal: tuple[io.TextIOWrapper, dict[str, str]]) -> None:
    text = logs.formatter("text", *journal).format(record(logging.ERROR, "two\nlines"))
    assert text == "<3>two\n<3>lines"


@pytest.mark.parametrize("passed", ["", "1:2", "nonsense"])
def test_a_stream_that_is_not_the_journal_has_times(tmp_path: Path, passed: str) -> None:
    """A child inherits the variable and may write into a file."""
    with (tmp_path / "log").open("w") as stream:
        text = logs.formatter("text", stream, {"JOURNAL_STREAM": passed}).format(record(logging.INFO))
    assert text.endswith(" INFO page: up (here)")
    assert text.startswith("2025-12-22")


@pytest.mark.parametrize(
    ("environ", "stream", "coloured"),
    [
        ({}, Terminal(), True),
        ({}, io.StringIO(), False),
        ({"NO_COLOR": "1"}, Terminal(), False),
        ({"NO_COLOR": ""}, Terminal(), True),
        ({"TERM": "dumb"}, Terminal(), False),
    ],
)
def test_colours_are_for_terminals_that_want_them(
    environ: dict[str, str], stream: io.StringIO, coloured: bool
) -> None:
    text = logs.formatter("text", stream, environ).format(record(logging.WARNING))
    assert ("\x1b[33m" in text) == coloured
    assert "\x1b" not in logs.formatter("text", stream, environ).format(record(logging.INFO))


def test_json_is_one_object_a_line() -> None:
    line = logs.formatter("json", Terminal(), {}).format(
        record(logging.ERROR, 'a "quoted"\nword', trace=True)
    )
    assert "\n" not in line
    said = json.loads(line)
    assert said.pop("trace").startswith("Traceback")
    assert said == {
        "time": "2025-12-22T10:00:00.250Z", "level": "error", "room": "gateway.links",
        "message": 'a "quoted"\nword',
    }  # fmt: skip


def test_the_daemon_says_its_first_words_as_json(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text("site: {id: s}\n")
    (tmp_path / "gateway.yaml").write_text(
        "gateway: {id: g, state_dir: state, clock: {trust: always}}\npage: {listen: 'off'}\n"
        "brokers: {b: {host: 127.0.0.1, port: 9}}\nconsent: {feed: {file: consent.yaml}}\n"
        "recipients: {platform: {via: b, purposes: {dpv:X: {legal_basis: l, fields: [zone]}}}}\n"
    )
    (tmp_path / "consent.yaml").write_text("[]\n")
    command = [sys.executable, "-m", "gateway", "run", "--config", str(tmp_path), "--log", "json"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as daemon:
        assert daemon.stderr is not None
        first = json.loads(daemon.stderr.readline())
        daemon.terminate()
        rest = [json.loads(line) for line in daemon.stderr]
    assert (first["level"], first["message"]) == ("info", "outbox: up")
    assert rest[-1]["message"].startswith("stopped")


def entries(n: int) -> Iterator[ClockStep]:
    return (ClockStep(1766397600.0 + i, 0.0) for i in range(n))


def test_progress_is_shown_on_a_terminal_and_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "EVERY_S", 0.0)
    terminal = Terminal()
    assert len(list(progress.shown(entries(600), "replay", stream=terminal))) == 600
    said = terminal.getvalue().split("\r\x1b[2K")
    assert said == [
        "",
        "replay: 256 lines, 2025-12-22 10:04:15Z",
        "replay: 512 lines, 2025-12-22 10:08:31Z",
        "",
    ]


def test_progress_is_nothing_elsewhere() -> None:
    file = io.StringIO()
    given = entries(600)
    assert progress.shown(given, "replay", stream=file) is given
    assert file.getvalue() == ""


def test_a_replay_into_a_file_shows_progress_on_a_real_terminal(tmp_path: Path) -> None:
    config = Path(__file__).parent.parent / "config" / "demo"
    made = CliRunner().invoke(
        main, ["simulate", "demo", "--config", str(config), "--out", str(tmp_path / "r.jsonl")]
    )
    assert made.exit_code == 0
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "gateway", "replay", str(tmp_path / "r.jsonl"), "--config", str(config),
               "--out", str(tmp_path / "out.jsonl")]  # fmt: skip
    with subprocess.Popen(
        command, stdout=theirs, stderr=theirs, env={**os.environ, "COLUMNS": "200"}
    ) as child:
        assert child.wait(50) == 0
    os.close(theirs)
    said = os.read(ours, 1 << 20).decode()
    os.close(ours)
    assert "\r\x1b[2K" in said


def _leaves(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for name in sorted(command.commands):
            yield from _leaves(command.commands[name], f"{path} {name}")
    else:
        yield path, command


@pytest.mark.parametrize(
    ("path", "verb"),
    list(_leaves(main, "gateway")),
    ids=lambda value: str(value) if isinstance(value, str) else "",
)
def test_every_verb_has_an_example_of_itself(path: str, verb: click.Command) -> None:
    help_text = " ".join((verb.help or "").split())
    assert f"Example: {path}" in help_text, help_text
