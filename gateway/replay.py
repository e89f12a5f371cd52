"""A recording through the real pipeline: signals in, presence or releases out, as fast as it goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from gateway.consent import Release
from gateway.model import Presence, Signal
from gateway.pipeline import Outcome, Pipeline, Tracker

Emit = Callable[[bytes], None]
"""Takes one line, without its line end."""


def presence_line(presence: Presence) -> bytes:
    """A presence as JSON (DESIGN §6.1): times in Unix seconds, to the millisecond."""
    line: dict[str, Any] = {
        "t": round(presence.t_s, 3),
        "emitted": round(presence.emitted_s, 3),
        "subject": presence.subject,
        "zone": presence.zone,
        "change": presence.change,
        "since": round(presence.since_s, 3),
        "dwell_s": round(presence.dwell_s, 3),
        "confidence": round(presence.confidence, 3),
        "evidence": presence.evidence,
    }
    if presence.threshold_s is not None:
        line["threshold_s"] = presence.threshold_s
    return msgspec.json.encode(line)


def survey(signals: Iterable[Signal], tracker: Tracker, *, tail_s: float, emit: Emit) -> None:
    """Presence of every device, before and without consent; `tail_s`: how long timers run on at the end."""

    def out(presences: list[Presence]) -> None:
        for presence in presences:
            emit(presence_line(presence))

    last_s = None
    for signal in signals:
        last_s = signal.t_s if last_s is None else max(last_s, signal.t_s)
        out(tracker.take(signal))
    if last_s is not None:
        out(tracker.advance(last_s + tail_s))


def releases(signals: Iterable[Signal], pipeline: Pipeline, *, tail_s: float, emit: Emit) -> None:
    """What would have been stored for the recipients, as CloudEvents without delivery attributes."""

    def out(outcome: Outcome) -> None:
        for release in outcome.releases:
            emit(release.body)

    last_s = None
    for signal in signals:
        last_s = signal.t_s if last_s is None else max(last_s, signal.t_s)
        out(pipeline.feed([signal]))
    if last_s is not None:
        out(pipeline.advance(last_s + tail_s))


def explained(
    signals: Iterable[Signal],
    pipeline: Pipeline,
    subject: str,
    *,
    at_s: float | None,
    tail_s: float,
    tell: Callable[[Presence | None, Sequence[Release]], None],
) -> None:
    """Calls `tell` at the moment of each event of the subject, with it and what was released then, and the
    pipeline as it is at that moment. With `at_s`: up to then, and there once more without an event."""
    seen: list[Presence] = []

    def watch(presence: Presence) -> None:
        if presence.subject == subject:
            seen.append(presence)

    def out(outcome: Outcome) -> None:
        for presence in seen:
            tell(presence, outcome.releases)
        seen.clear()

    def run_to(t_s: float) -> None:
        """Each moment that something is due at alone."""
        before_s = None
        while (due_s := pipeline.next_deadline()) is not None and due_s <= t_s and due_s != before_s:
            out(pipeline.advance(due_s))
            before_s = due_s
        out(pipeline.advance(t_s))

    pipeline.watch = watch
    last_s = None
    for signal in signals:
        if at_s is not None and signal.t_s > at_s:
            break
        last_s = signal.t_s if last_s is None else max(last_s, signal.t_s)
        run_to(last_s)
        out(pipeline.feed([signal]))
    if last_s is not None:
        run_to(last_s + tail_s if at_s is None else max(at_s, last_s))
    if at_s is not None:
        tell(None, ())


def paced(signals: Iterable[Signal], speed: float) -> Iterator[Signal]:
    """The same signals, not before their time at `speed` times real time."""
    began_s, first_s = time.monotonic(), None
    for signal in signals:
        first_s = signal.t_s if first_s is None else first_s
        time.sleep(max(0.0, began_s + (signal.t_s - first_s) / speed - time.monotonic()))
        yield signal
