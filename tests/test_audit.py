"""The audit log on disk: whatever is done to it afterwards is found, and told with file and line."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.audit import AuditLog, about, verify
from gateway.consent import Keys
from gateway.consent.tally import CarriedOut, Entry, Purged, Started
from gateway.errors import StoreError

MAC = Keys(bytes(range(32))).audit_mac
DAY = 86_400.0
T = 1_766_404_800.0


def entries(n: int, t_s: float = T) -> list[Entry]:
    return [Purged(t=t_s + i, reason="expired", n=i + 1) for i in range(n)]


def written(directory: Path, *batches: list[Entry], **limits: float) -> Path:
    """A log of one run, each batch in an append of its own."""
    with AuditLog(directory, MAC, clock=lambda: T, **limits) as log:  # type: ignore[arg-type]
        for batch in batches:
            log.append(batch)
    return directory


def segments(directory: Path) -> list[Path]:
    return sorted(directory.glob("audit-*.jsonl"))


def only_segment(directory: Path) -> Path:
    (path,) = segments(directory)
    return path


def kinds(directory: Path) -> list[str]:
    return [
        json.loads(line)["kind"] for path in segments(directory) for line in path.read_bytes().splitlines()
    ]


def problems(directory: Path) -> list[str]:
    return [str(problem) for problem in verify(directory, MAC).problems]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Ten lines in one segment."""
    return written(tmp_path / "audit", entries(10))


# --- what is right ---


def test_a_log_that_nobody_touched_is_whole(log: Path) -> None:
    proof = verify(log, MAC)
    assert proof.problems == []
    assert (proof.lines, proof.first, proof.since_s, proof.until_s) == (10, 1, T, T + 9)


def test_a_line_as_it_lies_on_disk(log: Path) -> None:
    first, second = only_segment(log).read_bytes().splitlines(keepends=True)[:2]
    assert re.fullmatch(
        rb'\{"line":2,"kind":"purged","reason":"expired","n":2,"t":1766404801\.0,"before":"[0-9a-f]{64}","mac":"[0-9a-f]{64}"\}\n',
        second,
    )
    assert json.loads(first)["before"] == "0" * 64


def test_only_its_owner_can_read_it(log: Path) -> None:
    assert log.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in log.iterdir()} == {0o600}


def test_runs_follow_one_another_in_one_chain(log: Path) -> None:
    written(log, entries(5, T + 100), entries(5, T + 200))
    assert problems(log) == []
    assert verify(log, MAC).lines == 20
    assert len(segments(log)) == 1


def test_nothing_to_say_writes_nothing(log: Path) -> None:
    before = only_segment(log).read_bytes()
    written(log, [], [])
    assert only_segment(log).read_bytes() == before


# --- what was done to it ---


def edit(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[Path], None]:
    def do(directory: Path) -> None:
        path = only_segment(directory)
        path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))

    return do


def without_key(lines: list[bytes]) -> list[bytes]:
    """Line 4 says something else, and the chain is made good as far as it can be without the key."""
    lines[3] = lines[3].replace(b'"n":4', b'"n":5')
    for i in range(4, len(lines)):
        before = hashlib.sha256(lines[i - 1]).hexdigest().encode()
        lines[i] = re.sub(rb'"before":"[0-9a-f]{64}"', b'"before":"%b"' % before, lines[i])
    return lines


SEGMENT = "audit-000000000001.jsonl"
CHANGED = "this line was changed: its seal does not fit"


@pytest.mark.parametrize(
    ("done", "found"),
    [
        (
            edit(lambda lines: [*lines[:3], lines[3].replace(b'"n":4', b'"n":5'), *lines[4:]]),
            [f"{SEGMENT}:4:1: {CHANGED}"],
        ),
        (
            edit(lambda lines: lines[:3] + lines[4:]),
            [f"{SEGMENT}:4:1: lines 4 to 4 are missing before this one"],
        ),
        (
            edit(lambda lines: [*lines[:3], lines[4], lines[3], *lines[5:]]),
            [
                f"{SEGMENT}:4:1: lines 4 to 4 are missing before this one",
                f"{SEGMENT}:5:1: line 4 stands where line 6 belongs",
                f"{SEGMENT}:6:1: lines 5 to 5 are missing before this one",
            ],
        ),
        (
            edit(lambda lines: [*lines[:4], *lines[3:]]),
            [f"{SEGMENT}:5:1: line 4 stands where line 5 belongs"],
        ),
        (
            edit(lambda lines: lines[2:]),
            [f"{SEGMENT}:1:1: lines 1 to 2 are missing before this one, and no rotation says that it removed them"],
        ),
        (
            edit(lambda lines: lines[:7]),
            ["head.json:1:1: vouches for line 10 and the log ends at 7: its end is missing"],
        ),
        (
            edit(lambda _: []),
            ["head.json:1:1: vouches for line 10 and the log ends at 0: its end is missing"],
        ),
        (
            edit(lambda lines: [*lines[:9], lines[9][:-20]]),
            [f"{SEGMENT}:10:1: this line has no end: cut off by a power cut, or just being written"],
        ),
        (
            edit(lambda lines: [*lines, b'{"line":11}\n']),
            [f"{SEGMENT}:11:1: this line is no line of an audit log"],
        ),
        (
            edit(without_key),
            [f"{SEGMENT}:{line}:1: {CHANGED}" for line in range(4, 11)],
        ),
        (
            lambda directory: (directory / "head.json").unlink(),
            ["head.json:0:1: is missing: how far the log went is not proven"],
        ),
        (
            lambda directory: only_segment(directory).unlink(),
            ["head.json:1:1: vouches for line 10 and the log ends at 0: its end is missing"],
        ),
    ],
    ids=["changed", "removed", "swapped", "doubled", "beginning cut", "tail cut", "emptied", "torn", "added",
         "forged without the key", "head removed", "file removed"],
)  # fmt: skip
def test_what_was_done_is_found(log: Path, done: Callable[[Path], None], found: list[str]) -> None:
    done(log)
    assert problems(log) == found


def test_no_log_at_all_is_a_problem(tmp_path: Path) -> None:
    assert problems(tmp_path / "audit") == [f"{tmp_path}/audit:0:1: there is no audit log"]


def test_a_log_of_another_key_is_no_log_of_this_gateway(log: Path) -> None:
    proof = verify(log, Keys(bytes(32)).audit_mac)
    assert len(proof.problems) == 11  # every line, and the head


@given(data=st.data())
@settings(max_examples=300, deadline=None, database=None)
def test_any_flipped_bit_of_any_file_is_found(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    directory = tmp_path_factory.getbasetemp() / "flipped"
    if not directory.exists():
        written(directory, entries(8), entries(8, T + 100), max_bytes=8 * 2_000)
        assert len(segments(directory)) > 1
    path = data.draw(st.sampled_from(sorted(directory.iterdir())))
    raw = path.read_bytes()
    at = data.draw(st.integers(0, len(raw) - 1))
    flipped = data.draw(st.integers(1, 255))
    try:
        path.write_bytes(raw[:at] + bytes([raw[at] ^ flipped]) + raw[at + 1 :])
        assert verify(directory, MAC).problems
    finally:
        path.write_bytes(raw)


@pytest.mark.slow
def test_every_flipped_byte_is_found(log: Path) -> None:
    for path in sorted(log.iterdir()):
        raw = path.read_bytes()
        for at in range(len(raw)):
            for flipped in (0x01, 0x20, 0x80, 0xFF):
                path.write_bytes(raw[:at] + bytes([raw[at] ^ flipped]) + raw[at + 1 :])
                assert verify(log, MAC).problems, (path.name, at, flipped)
        path.write_bytes(raw)


# --- what cannot be found, and what helps ---


def test_an_earlier_day_put_back_as_a_whole_is_found_by_a_noted_head_only(log: Path, tmp_path: Path) -> None:
    earlier = tmp_path / "earlier"
    shutil.copytree(log, earlier)
    with AuditLog(log, MAC) as later:
        later.append(entries(3, T + 100))
        noted = later.head
    assert verify(log, MAC, witnessed=noted.digest).problems == []
    assert problems(earlier) == []
    assert [str(p) for p in verify(earlier, MAC, witnessed=noted.digest).problems] == [
        f"{earlier}:0:1: the line with the digest {noted.digest} is not there: "
        "the log was rewritten, or it was rotated away"
    ]


def test_who_has_the_key_can_rewrite_but_not_past_a_noted_head(log: Path, tmp_path: Path) -> None:
    noted = verify(log, MAC).head
    assert noted is not None
    forged = written(tmp_path / "forged", entries(9, T + 1), entries(5, T + 20))
    assert problems(forged) == []
    assert len(verify(forged, MAC, witnessed=noted.digest).problems) == 1


def test_without_the_key_the_chain_alone_is_looked_at(log: Path) -> None:
    assert verify(log, None).problems == []
    edit(lambda lines: lines[:3] + lines[4:])(log)
    assert len(verify(log, None).problems) == 1


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


# --- one subject ---


def test_what_the_log_has_about_one_subject(tmp_path: Path) -> None:
    anna, ben = bytes(16), bytes([7] * 16)
    acts: list[Entry] = [
        CarriedOut(t=T, act="granted", subject=anna.hex()),
        CarriedOut(t=T + 1, act="withdrawn", subject=ben.hex()),
        CarriedOut(t=T + 2, act="erased", subject=anna.hex(), removed={"queued": 3}),
    ]
    log = written(tmp_path / "audit", acts)
    assert [(line["line"], line["act"]) for line in about(log, anna)] == [(1, "granted"), (3, "erased")]
