"""Is the audit log whole? What `gateway consent audit --verify` asks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct, field

from gateway.audit.chain import (
    BEGINNING,
    HEAD_FILE,
    Line,
    Link,
    Mac,
    digest_of,
    raw_lines,
    read_head,
    segments,
    unsealed,
    unsealed_head,
)
from gateway.errors import Problem

MAX_PROBLEMS = 100


class Proof(Struct):
    """What was looked at, and what is wrong with it."""

    problems: list[Problem] = field(default_factory=list)
    """By file and line; empty: every line is as it was written, and none is missing from `first` on."""
    lines: int = 0
    first: int = 0
    """Number of the first line that is still there; above 1 the older ones were rotated away."""
    since_s: float | None = None
    """When that line was written, Unix seconds: nothing is proven of the time before."""
    until_s: float | None = None
    head: Link | None = None
    """Of the last line: whoever notes it elsewhere can ask later whether it is still in the log."""


def verify(directory: Path, mac: Mac | None, *, witnessed: str | None = None) -> Proof:
    """Walk the whole log. Needs memory for one line.

    Finds a changed byte, a missing, added, doubled or moved line, a missing file, and a cut tail as far as
    the head vouches for it. Without `mac` (`Keys.audit_mac`) one who rewrites the whole log is not found.
    With it, one who has the gateway's key is not found, nor one who puts back log and head of an earlier day
    as a whole: against both helps `witnessed`, the digest of a head that was noted elsewhere.
    """
    # First: what is written while this looks is behind it.
    raw_head = read_head(directory)
    walk = _Walk(mac, witnessed, None if raw_head is None else unsealed_head(raw_head, mac))
    for path in segments(directory):
        walk.segment(path)
    walk.end(directory, has_head=raw_head is not None)
    return walk.proof


def about(directory: Path, subject_key: bytes) -> Iterator[dict[str, object]]:
    """The lines that name this subject (by `Keys.subject_key`), oldest first, broken ones left out."""
    wanted = subject_key.hex()
    for path in segments(directory):
        for raw in raw_lines(path):
            line = unsealed(raw, None)
            if isinstance(line, Line) and line.subject == wanted:
                yield msgspec.json.decode(raw)


class _Walk:
    def __init__(self, mac: Mac | None, witnessed: str | None, head: Link | None) -> None:
        self.proof = Proof()
        self._mac = mac
        self._witnessed = witnessed
        self._head = head
        self._place = ("", 0)
        self._last: Link | None = None
        self._broken = False
        """The line before was wrong: that this one does not fit to it says nothing new."""
        self._rotated_through = 0
        self._first_place = ("", 0)
        self._unread = 0
        """Broken lines before the first good one."""

    def segment(self, path: Path) -> None:
        try:
            for number, raw in enumerate(raw_lines(path), 1):
                self._place = (path.name, number)
                self._line(raw)
        except FileNotFoundError:  # rotated away since it was listed; a missing line would be seen
            return

    def _line(self, raw: bytes) -> None:
        digest = digest_of(raw)
        if digest == self._witnessed:
            self._witnessed = None
        line = unsealed(raw, self._mac)
        if isinstance(line, str):
            self._problem(f"this line {line}")
            # Its number is taken as it must be, so that one bad line is one problem.
            self._last = Link(self._last.n + 1, digest) if self._last else None
            self._unread += self._last is None
            self._broken = True
            return
        self._follows(line)
        if self._head is not None and line.n == self._head.n and digest != self._head.digest:
            self._problem("is not the line that the head vouches for")
        self._last = Link(line.n, digest)
        self._broken = False
        self._note(line)

    def _follows(self, line: Line) -> None:
        if self._last is None:
            if line.n == 1 and line.before != BEGINNING:
                self._problem("the first line of all follows another one")
            return
        expected = self._last.n + 1
        if line.n > expected:
            self._problem(f"lines {expected} to {line.n - 1} are missing before this one")
        elif line.n < expected:
            self._problem(f"line {line.n} stands where line {expected} belongs")
        elif line.before != self._last.digest and not self._broken:
            self._problem("does not follow the line before, which was changed or replaced")

    def _note(self, line: Line) -> None:
        proof = self.proof
        if not proof.lines:
            proof.first, proof.since_s, self._first_place = line.n - self._unread, line.t, self._place
        proof.lines += 1
        proof.until_s = line.t
        if line.kind == "rotated":
            self._rotated_through = max(self._rotated_through, line.through)

    def end(self, directory: Path, *, has_head: bool) -> None:
        head, at = self._head, self._last.n if self._last else 0
        self.proof.head = self._last
        if not has_head and self._last is None and not self.proof.problems:
            self._problem("there is no audit log", (str(directory), 0))
        elif not has_head:
            self._problem("is missing: how far the log went is not proven", (HEAD_FILE, 0))
        elif head is None:
            self._problem("was changed: its seal does not fit", (HEAD_FILE, 1))
        elif at < head.n:
            text = f"vouches for line {head.n} and the log ends at {at}: its end is missing"
            self._problem(text, (HEAD_FILE, 1))
        if self.proof.first > self._rotated_through + 1:
            text = (
                f"lines {self._rotated_through + 1} to {self.proof.first - 1} are missing before this one, "
            )
            self._problem(text + "and no rotation says that it removed them", self._first_place)
        if self._witnessed is not None:
            text = f"the line with the digest {self._witnessed} is not there"
            self._problem(f"{text}: the log was rewritten, or it was rotated away", (str(directory), 0))

    def _problem(self, text: str, place: tuple[str, int] | None = None) -> None:
        file, line = place or self._place
        if len(self.proof.problems) < MAX_PROBLEMS:
            self.proof.problems.append(Problem(file, line, 1, "", text))
