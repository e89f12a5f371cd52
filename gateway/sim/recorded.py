"""What simulations yield, put in order of time and written as a recording (DESIGN §6.1)."""

from __future__ import annotations

import gzip
import heapq
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from gateway.model import Signal
from gateway.recording import format_line


class Label(Struct, frozen=True):
    """The truth: the device stands in that zone from `t_s` until its next label; None: in none."""

    t_s: float
    device: str
    zone: str | None


Entry = Signal | Label
"""A line of a recording."""


def by_time(*streams: Iterable[Entry]) -> Iterator[Entry]:
    """Streams that are each in order of time as one; at the same moment the earlier stream goes first."""
    return heapq.merge(*streams, key=lambda entry: entry.t_s)


def signals(entries: Iterable[Entry]) -> Iterator[Signal]:
    """The same without the truth."""
    return (entry for entry in entries if not isinstance(entry, Label))


def line(entry: Entry) -> bytes:
    """One line of a recording, with its line end."""
    if isinstance(entry, Label):
        label = {"device": entry.device, "zone": entry.zone}
        return msgspec.json.encode({"t": round(entry.t_s, 3), "label": label}) + b"\n"
    return format_line(entry)


def write(entries: Iterable[Entry], path: Path) -> int:
    """A recording, gzip where the name ends in .gz; returns the number of lines. OSError when it cannot."""
    number = 0
    with gzip.open(path, "wb") if path.suffix == ".gz" else path.open("wb") as file:
        for number, entry in enumerate(entries, 1):  # noqa: B007 - the count is the result
            file.write(line(entry))
    return number
