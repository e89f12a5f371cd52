"""A recording of the last hours: what is older goes, and the oldest where it grows too long."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from daemons import FLOOR, advertisement

from gateway import recording, settings
from gateway.clock import PipelineClock
from gateway.counts import Counts
from gateway.errors import RecordingError
from gateway.identity import EveryDevice, Identification
from gateway.model import Sighting
from gateway.profiles import load_profiles
from gateway.recorder import Recorder
from gateway.verbs.record import Limits, _Window

PROFILES = load_profiles().select([], "test")


def identification(tmp_path: Path) -> Identification:
    (tmp_path / "site.yaml").write_text(FLOOR)
    return Identification(settings.load_site(tmp_path), PROFILES, EveryDevice(), Counts())


def sighting(t_s: float) -> Sighting:
    return Sighting(t_s, "pi-01", "c3:00:00:25:ef:6a", "random", -60, bytes.fromhex(advertisement(1)))


def times(path: Path) -> list[float]:
    return [signal.t_s for signal in recording.read(path)]


@pytest.mark.parametrize("name", ["day.jsonl", "day.jsonl.gz"])
def test_what_is_older_than_the_window_goes(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with Recorder(path, identification(tmp_path), max_bytes=1 << 20) as recorder:
        for t_s in range(1000, 1010):
            recorder.take(sighting(t_s))
        before = recorder.bytes
        recorder.trim(1006.0)
        assert times(path) == [1006, 1007, 1008, 1009]
        assert recorder.bytes == before * 4 // 10
        recorder.take(sighting(1010))
    assert times(path) == [1006, 1007, 1008, 1009, 1010]
    assert path.stat().st_mode & 0o777 == 0o600


def test_of_a_recording_that_is_nearly_full_the_newer_half_stays(tmp_path: Path) -> None:
    path = tmp_path / "day.jsonl"
    line = len(recording.format_line(sighting(1000.0)))
    with Recorder(path, identification(tmp_path), max_bytes=10 * line) as recorder:
        for t_s in range(1000, 1010):
            recorder.take(sighting(float(t_s)))
        assert recorder.is_full
        recorder.trim(0.0)
        assert not recorder.is_full
        assert times(path) == [1005, 1006, 1007, 1008, 1009]
        recorder.take(sighting(1010.0))
    assert times(path)[-1] == 1010


async def test_a_window_looks_when_a_piece_of_it_is_over(tmp_path: Path) -> None:
    """24 h: nothing goes before the 25th hour, then an hour at a time."""
    now_s = 0.0

    class Clock(PipelineClock):
        def __call__(self) -> float:
            return now_s

    path = tmp_path / "day.jsonl"
    window = _Window(Limits(1 << 20, 24 * 3600.0, rolling=True), Clock())
    with Recorder(path, identification(tmp_path), max_bytes=1 << 20) as recorder:
        seen = {}
        for hour in range(28):
            now_s = hour * 3600.0
            recorder.take(sighting(now_s))
            recorder.flush()
            await window.keep(recorder)
            seen[hour] = [int(t_s // 3600) for t_s in times(path)]
    assert seen[24][0] == 0
    assert [seen[hour][0] for hour in (25, 26, 27)] == [1, 2, 3]
    assert json.loads(path.read_text().splitlines()[-1])["t"] == 27 * 3600


@pytest.mark.parametrize("name", ["day.jsonl", "day.jsonl.gz"])
def test_after_a_restart_it_goes_on_with_what_is_there(tmp_path: Path, name: str) -> None:
    path, own = tmp_path / name, identification(tmp_path)
    with Recorder(path, own, max_bytes=1 << 20, continues=True) as recorder:
        for t_s in range(1000, 1010):
            recorder.take(sighting(t_s))
    with path.open("ab") as file:
        file.write(b"\x1f\x8b torn by a power cut")
    with Recorder(path, own, max_bytes=1 << 20, continues=True) as recorder:
        recorder.trim(1005.0)
        recorder.take(sighting(1010))
        with (
            pytest.raises(RecordingError, match="is being written by another"),
            Recorder(path, own, max_bytes=1 << 20, continues=True),
        ):
            pass
    assert times(path) == [1005, 1006, 1007, 1008, 1009, 1010]
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("content", "mode"), [(b"a letter\n", 0o600), (b'{"t":1000.0,"fix":{}}\n', 0o644), (b"PK\x03\x04", 0o600)]
)
def test_what_is_no_recording_of_ours_is_not_gone_on_with(tmp_path: Path, content: bytes, mode: int) -> None:
    path = tmp_path / "day.jsonl"
    path.write_bytes(content)
    path.chmod(mode)
    with (
        pytest.raises(RecordingError, match="is never written over"),
        Recorder(path, identification(tmp_path), max_bytes=1 << 20, continues=True),
    ):
        pass
    assert path.read_bytes() == content
