"""The recordings that a withdrawal must reach: a list of them in the state directory, and their rewriting.

A recording is appended to by `gateway record` and rewritten by whoever holds the state directory, perhaps at
the same time: both hold the file's lock for as long as it takes, and look whether it is still the same file.
"""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import os
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from gateway.durable import replace_whole, sync_directory
from gateway.errors import RecordingError
from gateway.recording import MAX_LINE_BYTES, opened

LIST_FILE = "recordings.json"
LISTED = 10_000
"""Names kept; of more the oldest go."""

TORN = (EOFError, gzip.BadGzipFile, zlib.error)
"""What reading behind a tear raises."""

Part = Callable[[bytes], list[bytes]]
"""What of a line may stay: the line itself, parts of it, or nothing."""


def enlist(state_dir: Path, path: Path) -> None:
    """From now on withdrawals reach this recording. RecordingError where the list cannot be written."""
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _list_of(state_dir) as listed:
            names = [*dict.fromkeys([*listed, str(path.absolute())])][-LISTED:]
            replace_whole(state_dir / LIST_FILE, msgspec.json.encode(names))
    except OSError as error:
        raise RecordingError(
            f"{state_dir}: {error.strerror}; recordings are listed there, so that a withdrawal reaches them"
        ) from None


def enlisted(state_dir: Path) -> list[Path]:
    """Those that are there now. The others stay on the list: a disk that is not mounted may come back."""
    if not (state_dir / LIST_FILE).exists():
        return []
    with _list_of(state_dir) as listed:
        return [path for path in map(Path, listed) if path.exists()]


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Nobody else writes to this recording meanwhile. RecordingError where somebody does."""
    beside = path.with_name(f".{path.name}.writing")
    with contextlib.closing(os.fdopen(os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RecordingError(f"{path} is being written by another `gateway record`") from None
        try:
            yield
        finally:
            beside.unlink(missing_ok=True)


def is_own(path: Path) -> bool:
    """Whether a recording lies there that nobody else could have read or made."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    mine = stat.S_ISREG(found.st_mode) and not found.st_mode & 0o077 and found.st_uid == os.geteuid()
    first = next(lines(path), b"") if mine else b""
    return mine and (not found.st_size or first.startswith(b'{"t":'))


def append(path: Path, data: bytes) -> None:
    """RecordingError when the file is gone or the disk refuses: then nothing of it is left there."""
    try:
        with _locked(path) as descriptor:
            size = os.lseek(descriptor, 0, os.SEEK_END)
            rest = gzip.compress(data, mtime=0) if path.suffix == ".gz" else data
            try:
                while rest:
                    rest = rest[os.write(descriptor, rest) :]
            except OSError:
                os.ftruncate(descriptor, size)
                raise
    except OSError as error:
        raise RecordingError(f"{path}: {error.strerror}") from None


def rewrite(path: Path, part: Part) -> int:
    """Keeps of each line what `part` says; how many lines went. RecordingError when it cannot be done.

    All or nothing: the new file takes the old one's name when it is whole and on disk. What cannot be read
    any more (a tail torn by a power cut) goes.
    """
    beside = path.with_name(f".{path.name}.sweeping")
    try:
        with _locked(path):
            removed = _copy(path, beside, part)
            if removed:
                beside.replace(path)
                sync_directory(path.parent)
            else:
                beside.unlink()
    except OSError as error:
        raise RecordingError(f"{path}: {error.strerror}") from None
    return removed


def _copy(path: Path, beside: Path, part: Part) -> int:
    beside.unlink(missing_ok=True)  # of a run that was cut off
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    removed = 0
    with os.fdopen(descriptor, "wb") as raw:
        with gzip.open(raw, "wb") if path.suffix == ".gz" else contextlib.nullcontext(raw) as out:
            try:
                for line in _readable(path):
                    kept = part(line)
                    removed += kept != [line]
                    out.writelines(kept)
            except TORN:
                removed += 1  # whoever's it was
        raw.flush()
        os.fsync(raw.fileno())
    return removed


def lines(path: Path) -> Iterator[bytes]:
    """Those of a recording, up to the first that cannot be read."""
    with contextlib.suppress(*TORN):
        yield from _readable(path)


def _readable(path: Path) -> Iterator[bytes]:
    with opened(path) as file:
        while line := file.readline(MAX_LINE_BYTES + 1):
            yield line


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """A descriptor of the file that has this name, locked."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_ino == path.stat().st_ino:
                yield descriptor
                return
        finally:
            os.close(descriptor)


@contextmanager
def _list_of(state_dir: Path) -> Iterator[list[str]]:
    path = state_dir / LIST_FILE
    os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    with _locked(path):
        try:
            yield msgspec.json.decode(path.read_bytes() or b"[]", type=list[str])
        except msgspec.DecodeError:
            raise RecordingError(f"{path} is damaged: it names the recordings that erasures reach") from None
