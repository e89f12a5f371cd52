"""Recordings as a withdrawal reaches them: appended to and rewritten by two processes at once, torn, vanished."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway import recordings
from gateway.counts import Counts
from gateway.errors import RecordingError
from gateway.outbox import Outbox
from gateway.sweep import Sweep

APPENDING = """
import sys
from pathlib import Path
from gateway import recordings
path, who, n = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
for i in range(n):
    recordings.append(path, b'{"keep": "%s", "n": %d}\\n{"drop": %d}\\n' % (who.encode(), i, i))
"""


def kept(line: bytes) -> list[bytes]:
    return [line] if b"keep" in line else []


def content(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


@pytest.mark.parametrize("name", ["r.jsonl", "r.jsonl.gz"])
def test_two_processes_append_while_it_is_rewritten(tmp_path: Path, name: str) -> None:
    """No line of those that stay is lost or doubled, and their order holds."""
    path = tmp_path / name
    path.touch()
    writers = [subprocess.Popen([sys.executable, "-c", APPENDING, path, who, "300"]) for who in "ab"]
    rewritten = 0
    while any(writer.poll() is None for writer in writers):
        rewritten += recordings.rewrite(path, kept)
    assert [writer.returncode for writer in writers] == [0, 0]
    recordings.rewrite(path, kept)
    lines = content(path).splitlines()
    for who in (b"a", b"b"):
        assert [line for line in lines if b'"keep": "%s"' % who in line] == [
            b'{"keep": "%s", "n": %d}' % (who, i) for i in range(300)
        ]
    assert len(lines) == 600
    assert rewritten > 0
    assert [p.name for p in tmp_path.iterdir()] == [name]


def packed(*parts: bytes) -> bytes:
    return b"".join(gzip.compress(part, mtime=0) for part in parts)


LINES = b'{"keep": 1}\n{"drop": 2}\n', b'{"keep": 3}\n{"drop": 4}\n'


@pytest.mark.parametrize(
    ("name", "torn", "left"),
    [
        ("r.jsonl", b"".join(LINES) + b'{"kee', b'{"keep": 1}\n{"keep": 3}\n'),
        ("r.jsonl", b"".join(LINES) + b"\0" * 500, b'{"keep": 1}\n{"keep": 3}\n'),
        ("r.jsonl.gz", packed(*LINES)[:-9], b'{"keep": 1}\n{"keep": 3}\n'),
        ("r.jsonl.gz", packed(*LINES) + b"\0" * 500, b'{"keep": 1}\n{"keep": 3}\n'),
        ("r.jsonl.gz", packed(*LINES) + b"\x1f\x8b", b'{"keep": 1}\n{"keep": 3}\n'),
        ("r.jsonl.gz", packed(*LINES) + b"nonsense", b'{"keep": 1}\n{"keep": 3}\n'),
        ("r.jsonl.gz", packed(LINES[0]) + packed(LINES[1])[:10] + b"\xff" * 60, b'{"keep": 1}\n'),
        ("r.jsonl.gz", b"", b""),
    ],
)
def test_a_tail_torn_by_a_power_cut_goes(tmp_path: Path, name: str, torn: bytes, left: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(torn)
    removed = recordings.rewrite(path, kept)
    assert content(path) == left or (not torn and not removed)
    assert recordings.rewrite(path, kept) == 0


def test_a_bad_file_leaves_the_sweep_running(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl.gz"
    data = bytearray(packed(b"".join(b'{"keep": %d}\n' % i for i in range(5_000))))
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    recordings.rewrite(path, kept)
    assert content(path).startswith(b'{"keep": 0}\n') or content(path) == b""


def test_a_torn_tail_goes_where_nothing_else_does(tmp_path: Path) -> None:
    """Part of it could be unpacked by somebody who tries."""
    path = tmp_path / "r.jsonl.gz"
    path.write_bytes(packed(b'{"keep": 1}\n', b'{"drop": "%s"}\n' % (b"0123456789" * 100))[:-12])
    assert recordings.rewrite(path, kept) == 1
    assert content(path) == b'{"keep": 1}\n'


@pytest.mark.parametrize(
    "work", [lambda p: recordings.append(p, b"x\n"), lambda p: recordings.rewrite(p, kept)]
)
def test_one_that_vanished(tmp_path: Path, work: object) -> None:
    with pytest.raises(RecordingError, match="No such file"):
        work(tmp_path / "gone.jsonl")  # type: ignore[operator]


def test_nothing_to_remove_leaves_the_file_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(b'{"keep": 1}\n')
    path.chmod(0o600)
    before = path.stat()
    assert recordings.rewrite(path, kept) == 0
    assert path.stat() == before
    path.write_bytes(b'{"drop": 1}\n')
    assert recordings.rewrite(path, kept) == 1
    assert path.stat().st_mode & 0o777 == 0o600


def test_the_list(tmp_path: Path) -> None:
    """Each once, by its absolute path, those that are gone not; a damaged list is said, never taken for empty."""
    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    assert recordings.enlisted(tmp_path / "state") == []
    for path in (one, two, one):
        path.touch()
        recordings.enlist(tmp_path / "state", path)
    assert recordings.enlisted(tmp_path / "state") == [one, two]
    one.unlink()
    assert recordings.enlisted(tmp_path / "state") == [two]
    assert (tmp_path / "state" / recordings.LIST_FILE).stat().st_mode & 0o777 == 0o600
    (tmp_path / "state" / recordings.LIST_FILE).write_bytes(b'["')
    with pytest.raises(RecordingError, match="damaged"):
        recordings.enlisted(tmp_path / "state")


# --- the sweep ---


async def test_the_sweep_looks_again_at_a_recording_that_grows(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(b"".join(LINES))
    recordings.enlist(tmp_path, path)
    seen: list[bytes] = []

    def part(line: bytes) -> list[bytes]:
        seen.append(line)
        return kept(line)

    async with Outbox(tmp_path / "o.sqlite", ["platform"], counts=Counts()) as outbox:
        sweep = Sweep(outbox, tmp_path, lambda: lambda: part)
        lines = []
        for more in (b"", b"", b'{"drop": 5}\n', b""):
            if more:
                recordings.append(path, more)
            swept = await sweep.once()
            assert swept is not None
            lines.append(swept.lines)
        assert lines == [2, 0, 1, 0]
        await sweep.once()
        assert content(path) == b'{"keep": 1}\n{"keep": 3}\n'
        looked = len(seen)
        await sweep.once()
        assert len(seen) == looked, "a recording that did not change is not read again"


async def test_what_is_appended_right_behind_the_rewriting_is_not_overlooked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(b"".join(LINES))
    recordings.enlist(tmp_path, path)
    rewrite = recordings.rewrite

    def rewritten(which: Path, part: recordings.Part) -> int:
        removed = rewrite(which, part)
        if removed:
            recordings.append(which, b'{"drop": 9}\n')
        return removed

    monkeypatch.setattr(recordings, "rewrite", rewritten)
    async with Outbox(tmp_path / "o.sqlite", ["platform"], counts=Counts()) as outbox:
        sweep = Sweep(outbox, tmp_path, lambda: lambda: kept)
        await sweep.once()
        monkeypatch.undo()
        await sweep.once()
    assert content(path) == b'{"keep": 1}\n{"keep": 3}\n'


async def test_a_recording_that_cannot_be_rewritten_is_said_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(b"".join(LINES))
    recordings.enlist(tmp_path, path)

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    async with Outbox(tmp_path / "o.sqlite", ["platform"], counts=Counts()) as outbox:
        sweep = Sweep(outbox, tmp_path, lambda: lambda: kept)
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", refuse)
            swept = await sweep.once()
        assert swept is not None
        assert swept.problems == [f"{path}: No space left on device"]
        assert content(path) == b"".join(LINES)
        swept = await sweep.once()
        assert swept is not None
        assert (swept.lines, swept.problems) == (2, [])
    assert sorted(name for name in os.listdir(tmp_path) if "jsonl" in name) == ["r.jsonl"]  # noqa: PTH208
