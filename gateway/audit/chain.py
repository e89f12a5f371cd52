"""The form of the audit log on disk: numbered lines, each sealed and holding the digest of the one before.

    {"line":17,"kind":"decisions",…,"before":"<SHA-256 of line 16>","mac":"<HMAC of this line up to here>"}

`before` is over the whole line with its line end, so that `sed -n 16p FILE | sha256sum` shows it. The head, a
file beside the segments, has the same form: number and digest of the last line that the disk has confirmed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from gateway.consent.tally import Entry

Mac = Callable[[bytes], str]
"""64 hex digits that nobody can make without the gateway's key: `Keys.audit_mac`."""

MAX_LINE_BYTES: Final = 16_384
HEAD_FILE: Final = "head.json"
BEGINNING: Final = "0" * 64
"""`before` of the very first line."""

_MAC_KEY: Final = b',"mac":"'
_MAC_TAIL: Final = len(_MAC_KEY) + 64 + len(b'"}\n')


class Link(Struct, frozen=True, rename={"n": "line"}):
    """Where a chain stands: number and SHA-256 (hex) of its last line."""

    n: int
    digest: str


class Line(Struct, frozen=True, rename={"n": "line"}):
    """What every line has, whatever its kind."""

    n: int
    before: str
    t: float
    kind: str
    through: int = 0
    """Of `rotated`: the last line that is gone."""
    subject: str = ""
    """Of `act`."""


class Healed(Struct, frozen=True, tag_field="kind", tag="healed"):
    """A power cut left bytes behind the last confirmed line that are no line; they were cut off."""

    t: float
    bytes: int


class Damaged(Struct, frozen=True, tag_field="kind", tag="damaged"):
    """What the head vouches for is not there (any more); the log goes on, the gap stays visible."""

    t: float
    found: str


class Rotated(Struct, frozen=True, tag_field="kind", tag="rotated"):
    """The segments up to line `through` were removed for size or age."""

    t: float
    through: int


class Lost(Struct, frozen=True, tag_field="kind", tag="lost"):
    """The disk refused for so long that `lines` lines were given up."""

    t: float
    lines: int


Told = Entry | Healed | Damaged | Rotated | Lost


def sealed(entry: Told, after: Link, mac: Mac) -> tuple[bytes, Link]:
    """The line that follows `after`, with its line end, and where the chain stands then."""
    facts = msgspec.json.encode(entry)[1:-1]
    open_line = b'{"line":%d,%b,"before":"%b"' % (after.n + 1, facts, after.digest.encode())
    raw = open_line + _MAC_KEY + mac(open_line).encode() + b'"}\n'
    return raw, Link(after.n + 1, digest_of(raw))


def unsealed(raw: bytes, mac: Mac | None) -> Line | str:
    """The line, or what is wrong with it. Without `mac` the seal is not looked at."""
    if not raw.endswith(b"\n"):
        return "has no end: cut off by a power cut, or just being written"
    body, tail = raw[:-_MAC_TAIL], raw[-_MAC_TAIL:]
    if len(raw) > MAX_LINE_BYTES or not tail.startswith(_MAC_KEY) or not tail.endswith(b'"}\n'):
        return "is no line of an audit log"
    if mac is not None and tail[len(_MAC_KEY) : -3] != mac(body).encode():
        return "was changed: its seal does not fit"
    try:
        return msgspec.json.decode(raw, type=Line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return "is no line of an audit log"


def sealed_head(link: Link, mac: Mac) -> bytes:
    body = msgspec.json.encode(link)[:-1]
    return body + _MAC_KEY + mac(body).encode() + b'"}\n'


def unsealed_head(raw: bytes, mac: Mac | None) -> Link | None:
    """None where it is not what `sealed_head` makes."""
    try:
        link = msgspec.json.decode(raw, type=Link)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    body, tail = raw[:-_MAC_TAIL], raw[-_MAC_TAIL:]
    if body != msgspec.json.encode(link)[:-1] or not tail.startswith(_MAC_KEY) or tail[-3:] != b'"}\n':
        return None
    return None if mac is not None and tail[len(_MAC_KEY) : -3] != mac(body).encode() else link


def digest_of(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


# --- files ---


def segment_path(directory: Path, first: int) -> Path:
    return directory / f"audit-{first:012d}.jsonl"


def segments(directory: Path) -> list[Path]:
    """Oldest first."""
    return sorted(directory.glob(f"audit-{'[0-9]' * 12}.jsonl"))


def first_of(path: Path) -> int:
    """Number of the segment's first line, from its name."""
    return int(path.stem.removeprefix("audit-"))


def raw_lines(path: Path) -> Iterator[bytes]:
    """Lines with their ends; one that is too long comes in pieces, so that memory stays small."""
    with path.open("rb") as file:
        while raw := file.readline(MAX_LINE_BYTES + 1):
            yield raw


def read_head(directory: Path) -> bytes | None:
    """None where there is no head."""
    try:
        with (directory / HEAD_FILE).open("rb") as file:
            return file.read(MAX_LINE_BYTES)
    except FileNotFoundError:
        return None
