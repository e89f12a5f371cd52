"""`gateway replay … --against DIR`: what a change of the configuration would do to a recorded day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, tzinfo
from typing import Any

import msgspec

from gateway.difference import Difference, Told

Say = Callable[[str], None]
TITLES = ("", "time", "for", "who", "what", "where", "before")


def told_of(line: bytes) -> Told:
    """Of a presence line, or of a release as a CloudEvent."""
    said: dict[str, Any] = msgspec.json.decode(line)
    if "specversion" not in said:
        return Told(
            t_s=said["t"],
            recipient="",
            subject=said["subject"],
            zone=said["zone"],
            change=said["change"],
            threshold_s=said.get("threshold_s") or 0.0,
        )
    data = said.get("data", {})
    return Told(
        t_s=datetime.fromisoformat(said["time"]).timestamp(),
        recipient=said["recipient"],
        subject=said.get("subject", ""),
        zone=data.get("zone", {}).get("id", ""),
        change=said["type"].split(".")[1],
        threshold_s=data.get("threshold_s") or 0.0,
    )


def as_json(found: Iterable[Difference]) -> Iterable[str]:
    """One line for each difference."""
    for difference in found:
        line = {"difference": difference.what, **msgspec.structs.asdict(difference.event)}
        line["t"] = line.pop("t_s")
        if not line["threshold_s"]:
            del line["threshold_s"]
        if not line["recipient"]:
            del line["recipient"]
        if difference.was_s is not None:
            line["was"] = difference.was_s
        yield msgspec.json.encode(line).decode()


def as_table(found: list[Difference], zone: tzinfo) -> Iterable[str]:
    """Columns as wide as they need to be; one without anything is left out."""
    rows = [_row(difference, zone) for difference in found]
    used = [c for c in range(len(TITLES)) if any(row[c] for row in rows)]
    table = [[TITLES[c] for c in used], *([row[c] for c in used] for row in rows)]
    widths = [max(len(row[c]) for row in table) for c in range(len(used))]
    if rows:
        yield from (
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in table
        )


def _row(difference: Difference, zone: tzinfo) -> tuple[str, ...]:
    event, was_s = difference.event, difference.was_s
    what = f"{event.change} {event.threshold_s:g} s" if event.threshold_s else event.change
    before = "" if was_s is None else f"{_clock(was_s, zone)} ({event.t_s - was_s:+.1f} s)"
    when = _clock(event.t_s, zone)
    return difference.what, when, event.recipient, event.subject, what, event.zone, before


def _clock(t_s: float, zone: tzinfo) -> str:
    return f"{datetime.fromtimestamp(t_s, zone):%m-%d %H:%M:%S}"


def summary(found: Iterable[Difference], old: int, new: int) -> str:
    counted = Counter(difference.what for difference in found)
    same = new - counted["added"] - counted["moved"]
    return (
        f"{counted['added']} added, {counted['removed']} removed, {counted['moved']} moved, {same} the same "
        f"({old} events before, {new} now)"
    )
