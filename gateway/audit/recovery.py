"""What an earlier run has left of the audit log, and where the next line belongs."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from gateway.audit.chain import (
    BEGINNING,
    Damaged,
    Healed,
    Line,
    Link,
    Mac,
    Told,
    digest_of,
    first_of,
    raw_lines,
    read_head,
    segments,
    unsealed,
    unsealed_head,
)


class LeftBehind(Struct):
    last: Link
    """The next line follows this one."""
    segment: Path | None = None
    """To be written on; None: a new one begins."""
    good_bytes: int = 0
    """Of the segment; what lies behind is to be cut off."""
    begun_s: float = 0.0
    told: list[Told] = []
    """What the log has to say about itself."""
    is_new: bool = False


def left_behind(directory: Path, mac: Mac, now_s: float) -> LeftBehind:
    """Judges the head and the newest segment; older ones are for `verify`. OSError when it cannot be read."""
    paths, raw_head = segments(directory), read_head(directory)
    head = unsealed_head(raw_head, mac) if raw_head is not None else None
    if not paths and raw_head is None:
        return LeftBehind(Link(0, BEGINNING), is_new=True)
    if not paths and head is not None and not head.n:
        return LeftBehind(head)  # cut off before the first line
    tail = _tail(paths[-1], mac, head) if paths else None
    if head is not None and tail is not None and tail.last.n >= head.n:
        torn = paths[-1].stat().st_size - tail.good_bytes
        told: list[Told] = [Healed(t=now_s, bytes=torn)] if torn else []
        return LeftBehind(tail.last, paths[-1], tail.good_bytes, tail.begun_s, told)
    if head is not None:
        at = tail.last.n if tail else 0
        found = f"the head vouches for line {head.n}, the log ends at {at}"
        return LeftBehind(head, told=[Damaged(t=now_s, found=found)])
    found = "the head is missing" if raw_head is None else "the head was changed"
    last = Link(_beyond(paths), BEGINNING)
    if tail is not None and tail.good_bytes and tail.good_bytes == paths[-1].stat().st_size:
        last = tail.last
    return LeftBehind(last, told=[Damaged(t=now_s, found=found)])


def first_t_of(path: Path, mac: Mac) -> float:
    """When the segment's first line was written; infinity where it cannot be read: it goes by number only."""
    first = unsealed(next(raw_lines(path), b""), mac)
    return first.t if isinstance(first, Line) else float("inf")


class _Tail(Struct):
    last: Link
    good_bytes: int
    begun_s: float


def _tail(path: Path, mac: Mac, head: Link | None) -> _Tail:
    """The segment up to its last line that follows from the first without a break."""
    first = first_of(path)
    # An empty segment follows the head, if it is the one that was to come next.
    last = head if head is not None and head.n == first - 1 else Link(first - 1, "")
    good_bytes, begun_s = 0, 0.0
    for raw in raw_lines(path):
        line = unsealed(raw, mac)
        if not isinstance(line, Line) or line.n != last.n + 1 or (last.digest and line.before != last.digest):
            break
        if not good_bytes:
            begun_s = line.t
        good_bytes += len(raw)
        last = Link(line.n, digest_of(raw))
    return _Tail(last, good_bytes, begun_s)


def _beyond(paths: list[Path]) -> int:
    """A number that no line has: where nothing can be believed, the log goes on behind everything."""
    return first_of(paths[-1]) + sum(1 for _ in raw_lines(paths[-1])) if paths else 0
