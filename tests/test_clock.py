"""Pipeline time: its anchor, its rate, and what `--clock` accepts."""

from __future__ import annotations

import time

import pytest

from gateway.clock import PipelineClock, parse_clock


@pytest.mark.parametrize(
    ("text", "start_s", "rate"),
    [("2025-12-22T08:00:00Z,20", 1766390400.0, 20.0), ("2025-12-22T09:00:00+01:00,1.5", 1766390400.0, 1.5),
     ("1766390400.5,60", 1766390400.5, 60.0)],
)  # fmt: skip
def test_clock_option(text: str, start_s: float, rate: float) -> None:
    clock = parse_clock(text)
    assert clock() == pytest.approx(start_s, abs=0.5 * rate)
    assert clock.rate == rate
    assert not clock.is_real


def test_now_is_now() -> None:
    assert parse_clock("now,1")() == pytest.approx(time.time(), abs=0.5)
    assert PipelineClock().is_real


@pytest.mark.parametrize(
    ("text", "message"),
    [("2025-12-22T08:00:00Z", "expected START,RATE"), ("x,20", "neither RFC 3339"), ("now,fast", "rate is a number"),
     ("now,0", "above 0"), ("now,-1", "above 0"), ("now,nan", "above 0"), ("2025-12-22T08:00:00,1", "no time zone")],
)  # fmt: skip
def test_what_is_no_clock(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_clock(text)


def test_a_rate_scales_the_pace_and_never_goes_back() -> None:
    clock = PipelineClock(1000.0, 100.0)
    first = clock()
    time.sleep(0.02)
    assert clock() - first >= 2.0
    assert clock.real_s(50.0) == 0.5
