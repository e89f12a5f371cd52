"""The audit log from one start to the next, and within its bounds."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from audit_logs import DAY, MAC, T, edit, entries, kinds, only_segment, problems, segments, written

from gateway.audit import AuditLog, verify
from gateway.consent.tally import CarriedOut, Started
from gateway.errors import StoreError


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Ten lines in one segment."""
    return written(tmp_path / "audit", entries(10))


# --- the next start ---


def test_a_line_torn_by_a_power_cut_is_cut_off_and_told(log: Path) -> None:
    with only_segment(log).open("ab") as file:
        file.write(b'{"line":11,"kind":"pur')
    assert len(problems(log)) == 1
    written(log, entries(1, T + 50))
    assert problems(log) == []
    assert kinds(log)[10:] == ["healed", "purged"]
    assert json.loads(only_segment(log).read_bytes().splitlines()[10])["bytes"] == 22


def test_pages_of_zeros_at_the_end_are_cut_off_too(log: Path) -> None:
    with only_segment(log).open("ab") as file:
        file.write(bytes(5_000))
    written(log, entries(1, T + 50))
    assert problems(log) == []


def test_lines_that_were_on_disk_before_the_head_are_kept(log: Path) -> None:
    head = (log / "head.json").read_bytes()
    written(log, entries(2, T + 50))
    (log / "head.json").write_bytes(head)  # the power went before the new one was there
    assert problems(log) == []
    written(log, entries(1, T + 60))
    assert problems(log) == []
    assert verify(log, MAC).lines == 13


@pytest.mark.parametrize(
    ("done", "found"),
    [
        (edit(lambda lines: lines[:7]), "the head vouches for line 10, the log ends at 7"),
        (edit(lambda lines: [*lines[:3], lines[3].replace(b'"n":4', b'"n":5'), *lines[4:]]),
         "the head vouches for line 10, the log ends at 3"),
        (lambda directory: only_segment(directory).unlink(), "the head vouches for line 10, the log ends at 0"),
        (lambda directory: (directory / "head.json").unlink(), "the head is missing"),
        (lambda directory: (directory / "head.json").write_bytes(b"{}"), "the head was changed"),
    ],
    ids=["tail cut", "changed", "file removed", "head removed", "head changed"],
)  # fmt: skip
def test_anything_worse_is_told_and_the_gap_stays_visible(
    log: Path, done: Callable[[Path], None], found: str, caplog: pytest.LogCaptureFixture
) -> None:
    done(log)
    before = problems(log)
    written(log, entries(2, T + 50))
    assert kinds(log)[-3:] == ["damaged", "purged", "purged"]
    assert found in caplog.text
    if "head" not in before[0] or "vouches" in before[0]:
        assert problems(log) != []
    written(log, entries(2, T + 60))  # once is enough
    assert kinds(log)[-4:] == ["purged"] * 4


def test_a_first_start_that_was_cut_off_is_no_damage(tmp_path: Path) -> None:
    directory = written(tmp_path / "audit")
    (directory / "audit-000000000001.jsonl").touch(0o600)
    written(directory, entries(2))
    assert problems(directory) == []
    assert kinds(directory) == ["purged", "purged"]


def test_a_start_that_was_cut_off_before_its_first_line_is_no_damage(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    written(tmp_path / "audit")  # the head is there, and vouches for nothing yet
    log = written(tmp_path / "audit", entries(1))
    assert (kinds(log), problems(log), caplog.text) == (["purged"], [], "")


def test_what_somebody_does_to_the_open_file_is_told(log: Path) -> None:
    with AuditLog(log, MAC, clock=lambda: T) as running:
        running.append(entries(1, T + 50))
        edit(lambda lines: lines[:5])(log)
        running.append(entries(1, T + 60))
    assert kinds(log)[-2:] == ["damaged", "purged"]
    assert problems(log) == ["audit-000000000012.jsonl:1:1: lines 6 to 11 are missing before this one"]


# --- bounds ---


def test_the_size_is_bounded_and_the_rest_is_proven_from_a_time_on(tmp_path: Path) -> None:
    limit = 80_000
    log = tmp_path / "audit"
    with AuditLog(log, MAC, max_bytes=limit) as running:
        for i in range(100):
            running.append(entries(10, T + 100 * i))
            assert sum(path.stat().st_size for path in segments(log)) <= limit
    proof = verify(log, MAC)
    assert proof.problems == []
    assert proof.first > 500
    assert proof.since_s is not None
    assert proof.since_s > T + 4_000
    assert "rotated" in kinds(log)
    segments(log)[0].unlink()
    assert "no rotation says that it removed them" in problems(log)[0]


def test_no_line_is_older_than_it_may_be(tmp_path: Path) -> None:
    log = tmp_path / "audit"
    with AuditLog(log, MAC, keep_s=80 * DAY) as running:
        for day in range(300):
            running.append([CarriedOut(t=T + day * DAY, act="erased", subject=f"{day:032x}")])
            since_s = verify(log, MAC).since_s or 0.0
            assert since_s >= T + (day - 80) * DAY
    assert problems(log) == []
    assert since_s <= T + (300 - 65) * DAY  # and not much younger either


def test_a_batch_larger_than_a_segment_goes_into_several(tmp_path: Path) -> None:
    log = written(tmp_path / "audit", entries(100), max_bytes=8 * 5_000)
    assert len(segments(log)) > 3
    assert problems(log) == []


def test_a_line_that_is_too_long_is_given_up_and_counted(tmp_path: Path) -> None:
    log = written(tmp_path / "audit", [Started(t=T, version="0.2.0", policy="x" * 20_000), *entries(1)])
    assert problems(log) == []
    assert kinds(log) == ["lost", "purged"]


def test_lines_wait_while_the_disk_refuses(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fsync
    with AuditLog(log, MAC) as running:
        monkeypatch.setattr(os, "fsync", refuse)
        for i in range(3):
            with pytest.raises(StoreError, match=r"No space left on device; [1-3] lines wait in memory"):
                running.append(entries(1, T + 50 + i))
        assert verify(log, MAC).lines == 10  # nothing half written
        monkeypatch.setattr(os, "fsync", real)
        running.append([])
    assert problems(log) == []
    assert verify(log, MAC).lines == 13


def test_of_what_waits_too_long_the_oldest_goes_and_is_counted(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync
    with AuditLog(log, MAC, clock=lambda: T) as running:
        monkeypatch.setattr(os, "fsync", refuse)
        for i in range(3):
            with pytest.raises(StoreError):
                running.append(entries(5_000, T + 5_000 * i))
        monkeypatch.setattr(os, "fsync", real)
        running.append(entries(1, T + 20_000))
    assert problems(log) == []
    lines = [json.loads(raw) for path in segments(log) for raw in path.read_bytes().splitlines()][10:]
    assert lines[0]["kind"] == "lost"
    assert lines[0]["lines"] + len(lines) - 1 == 15_001


def refuse(_: int) -> None:
    raise OSError(28, "No space left on device")


def test_a_directory_that_cannot_be_used_says_so(tmp_path: Path) -> None:
    (tmp_path / "audit").touch()
    with pytest.raises(StoreError, match="the audit log cannot be opened"):
        written(tmp_path / "audit")


@pytest.mark.parametrize("garbage", [b"\x00" * 100_000, b"[" * 100_000 + b"\n", b"\n" * 5_000, b"\xff\xfe\n"])
def test_garbage_for_a_log_is_named_and_bounded(log: Path, garbage: bytes) -> None:
    only_segment(log).write_bytes(garbage)
    assert 1 <= len(problems(log)) <= 100
    (log / "head.json").write_bytes(garbage)
    assert 1 <= len(problems(log)) <= 100
    written(log, entries(1))
