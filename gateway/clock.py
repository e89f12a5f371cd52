"""Pipeline time: wall time read once, then carried by the monotonic clock, so that it never runs backwards.

`--clock START,RATE` replaces the anchor and scales the pace, for simulations and for recordings that are
replayed through a real broker. Transports, pauses and commits stay in real time.
"""

from __future__ import annotations

import ctypes
import time
from datetime import datetime

SLEW = 0.1
"""Share by which pipeline time may run fast or slow while it follows a wall clock that was put right."""
_SLEW_OVER_S = 60.0
_TIME_ERROR = 5
"""adjtimex(2): the clock is not synchronised."""


class PipelineClock:
    """Callable: pipeline time now, Unix seconds."""

    def __init__(self, start_s: float | None = None, rate: float = 1.0) -> None:
        """`start_s` None: now, by the wall clock. `rate`: pipeline seconds a real second, > 0."""
        if not rate > 0:
            raise ValueError(f"the rate of a clock is above 0, not {rate:g}")
        self.rate = rate
        self.is_real = start_s is None and rate == 1.0
        self._start_s = time.time() if start_s is None else start_s
        self._anchor_s = time.monotonic()
        self._pace = rate

    def __call__(self) -> float:
        return self._start_s + (time.monotonic() - self._anchor_s) * self._pace

    def begin(self) -> None:
        """Anew from the wall clock, which is right only now. Before anything was stamped."""
        if self.is_real:
            self._start_s, self._anchor_s = time.time(), time.monotonic()

    def follow(self) -> float:
        """Towards the wall clock where that has moved: by `SLEW` at most, so never backwards, and no dwell is
        wrong by more. To be called every few seconds; returns `drift_s`.
        """
        drift_s = self.drift_s()
        if self.is_real:
            self._start_s, self._anchor_s = self(), time.monotonic()
            self._pace = 1.0 + max(-SLEW, min(SLEW, drift_s / _SLEW_OVER_S))
        return drift_s

    def real_s(self, pipeline_s: float) -> float:
        """A span of pipeline time in real seconds."""
        return pipeline_s / self.rate

    def drift_s(self) -> float:
        """How far the wall clock has moved against this one since the start: > 0 when put forward."""
        return time.time() - self() if self.is_real else 0.0


def parse_clock(text: str) -> PipelineClock:
    """`START,RATE`: RFC 3339, Unix seconds or `now`; a factor. ValueError says what is wrong."""
    start, comma, rate = text.partition(",")
    if not comma:
        raise ValueError("expected START,RATE, for example 2025-12-22T08:00:00Z,20")
    try:
        factor = float(rate)
    except ValueError:
        raise ValueError(f"the rate is a number, not {rate!r}") from None
    return PipelineClock(_moment_s(start), factor)


def _moment_s(text: str) -> float:
    if text == "now":
        return time.time()
    try:
        return float(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is neither RFC 3339 nor Unix seconds") from None
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone; append Z for UTC")
    return moment.timestamp()


class _Timex(ctypes.Structure):
    """struct timex of adjtimex(2), as far as it is needed: `modes` 0 only reads; the rest is room."""

    _fields_ = [("modes", ctypes.c_int), ("rest", ctypes.c_byte * 512)]


def kernel_synchronised() -> bool | None:
    """Whether the kernel says that its clock is synchronised (adjtimex(2)); None where nobody may ask."""
    try:
        state: int = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(_Timex()))
    except (OSError, AttributeError):
        return None
    if state == -1:
        return None
    return state != _TIME_ERROR
