"""Recordings: each kind of line, there and back, and what is said of a broken one."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from gateway.errors import RecordingError
from gateway.model import ClockStep, ConsentSignal, DriverSignal, FeedState, Message, ReceiverState, Sighting
from gateway.recording import format_line, parse, read

T = 1766397600.25


@pytest.mark.parametrize(
    ("line", "signal"),
    [
        ('{"t":1766397600.25,"ble":{"receiver":"pi-01","address":"c3:00:00:25:ef:6a","address_type":"random",'
         '"rssi":-67,"adv":"020106"}}',
         Sighting(T, "pi-01", "c3:00:00:25:ef:6a", "random", -67.0, b"\x02\x01\x06")),
        ('{"t":1766397600.25,"ble":{"receiver":"pi-01","address":"C3:00:00:25:EF:6A","rssi":-67.5,"adv":""}}',
         Sighting(T, "pi-01", "c3:00:00:25:ef:6a", "", -67.5, b"")),
        ('{"t":1766397600.25,"mqtt":{"topic":"owntracks/anna/golf","payload":"{}","retain":true}}',
         Message(T, "owntracks/anna/golf", b"{}", True)),
        ('{"t":1766397600.25,"mqtt":{"topic":"x","payload_b64":"/wA="}}', Message(T, "x", b"\xff\x00")),
        ('{"t":1766397600.25,"receiver":{"id":"pi-01","alive":false}}', ReceiverState(T, "pi-01", False)),
        ('{"t":1766397600.25,"consent":{"subject":"a"}}', ConsentSignal(T, ({"subject": "a"},))),
        ('{"t":1766397600.25,"clock":{"step_s":-3}}', ClockStep(T, -3.0)),
        ('{"t":1766397600.25,"label":{"device":"x","zone":null}}', None),
        ('{"t":1766397600.25,"driver":{"vehicle":"Anna/Golf","subject":"a","until":1766400000}}',
         DriverSignal(T, "anna/golf", "a", 1766400000.0)),
        ('{"t":1766397600.25,"driver":{"vehicle":"anna/golf"}}', DriverSignal(T, "anna/golf", None, None)),
        ('{"t":1766397600.25,"feed":{"confirmed":1766397590}}', FeedState(T, 1766397590.0, "")),
        ('{"t":1766397600.25,"feed":{"confirmed":null,"doubt":"unmatched"}}', FeedState(T, None, "unmatched")),
    ],
)  # fmt: skip
def test_lines(line: str, signal: object) -> None:
    parsed = parse(line.encode())
    assert parsed == signal
    if parsed is not None:
        assert parse(format_line(parsed)) == parsed


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "truncated"),
        ('{"clock":{"step_s":1}}', "missing required field `t`"),
        ('{"t":1}', "none of ble, mqtt"),
        ('{"t":1,"ble":{"receiver":"a","address":"b","rssi":-1,"adv":"0g"}}', "not hexadecimal"),
        ('{"t":1,"mqtt":{"topic":"a","payload_b64":"*"}}', "not base64"),
        ('{"t":NaN}', "invalid character"),
        ('{"t":1,"consent":{"a":' + "[" * 10_000, "recursion"),
    ],
)
def test_a_broken_line_is_named(line: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "monday.jsonl"
    path.write_text('{"t":1,"clock":{"step_s":0}}\n\n' + line + "\n")
    with pytest.raises(RecordingError, match=rf"(?i)^monday.jsonl:3: .*{message}"):
        list(read(path))


def test_gzip(tmp_path: Path) -> None:
    path = tmp_path / "monday.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"t":1,"clock":{"step_s":0}}\n' * 3))
    assert len(list(read(path))) == 3
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(RecordingError, match="cannot be read to its end"):
        list(read(path))
    path.write_bytes(b"no gzip at all")
    with pytest.raises(RecordingError, match="cannot be read to its end"):
        list(read(path))


def test_a_line_without_end_takes_no_memory_without_end(tmp_path: Path) -> None:
    path = tmp_path / "monday.jsonl"
    path.write_bytes(b" " * (3 << 20))
    with pytest.raises(RecordingError, match="longer than"):
        list(read(path))
