"""The audit log on disk: whatever is done to it afterwards is found, and told with file and line."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from audit_logs import MAC, T, edit, entries, only_segment, problems, segments, written
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.audit import AuditLog, about, verify
from gateway.consent import Keys
from gateway.consent.tally import CarriedOut, Entry


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
