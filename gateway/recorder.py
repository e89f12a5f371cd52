"""Writes what was heard of enrolled devices, and of nobody else, to a recording."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Self

from gateway import recordings
from gateway.errors import RecordingError
from gateway.identity import Enrolment, Identification
from gateway.model import Fix, Label, Message, ReceiverState, Sighting, Signal
from gateway.profiles import Part
from gateway.recording import format_line, parse_labelled

FLUSH_BYTES = 1 << 16
NEARLY = 0.9


class NamedDevices:
    """`--survey ID…`: these devices and no others, each a subject of its own; never one that is enrolled."""

    def __init__(self, identities: Collection[str], enrolment: Enrolment) -> None:
        self._identities = frozenset(identity.lower() for identity in identities)
        self._enrolment = enrolment

    def subject_of(self, identity: str, t_s: float) -> str | None:
        if identity not in self._identities or self._enrolment.subject_of(identity, t_s) is not None:
            return None
        return identity

    def admits(self, subject: str, t_s: float) -> bool:  # noqa: ARG002 - named is admitted
        return subject in self._identities


class StillAdmitted:
    """Who is enrolled and admitted now, whatever the time of a signal is."""

    def __init__(self, subjects: Mapping[str, str]) -> None:
        """`subjects`: identity → subject, of those alone who are admitted."""
        self._subjects = subjects

    def subject_of(self, identity: str, t_s: float) -> str | None:  # noqa: ARG002 - as of now
        return self._subjects.get(identity)

    def admits(self, subject: str, t_s: float) -> bool:  # noqa: ARG002 - only such are known here
        return True


def enrolled_part(identification: Identification, signal: Signal) -> list[Signal]:
    """The signal as far as it concerns an enrolled device: itself, parts of it, or nothing.

    What a remote receiver reports in one message about many devices is taken apart, so that a foreign
    address cannot ride along.
    """
    if isinstance(signal, ReceiverState):
        return [signal]
    if not isinstance(signal, Sighting | Message):
        return []
    heard = identification.heard(signal)
    enrolled = [i for i, observation in heard if observation is not None or _is_known_part(i)]
    if isinstance(signal, Message) and any(isinstance(i, Fix | Part) or not i.adv for i in enrolled):
        return [signal] if len(enrolled) == len(heard) else []  # else it names somebody else as well
    return [item for item in enrolled if isinstance(item, Sighting)]


def enrolled_line(identification: Identification, enrolment: Enrolment, line: bytes) -> list[bytes]:
    """The same of a line of a recording; a line that cannot be read goes."""
    entry = _entry(line)
    kept = _kept(identification, enrolment, entry)
    return [line] if kept == [entry] else [format_line(signal) for signal in kept]


def concerns(identification: Identification, enrolment: Enrolment, line: bytes) -> bool:
    """Whether a line of a recording is about anybody who is enrolled here."""
    entry = _entry(line)
    return not isinstance(entry, ReceiverState) and bool(_kept(identification, enrolment, entry))


def _entry(line: bytes) -> Signal | Label | None:
    try:
        return parse_labelled(line)
    except ValueError:
        return None


def _kept(identification: Identification, enrolment: Enrolment, entry: Signal | Label | None) -> list[Any]:
    if entry is None:
        return []
    if isinstance(entry, Label):
        return [entry] if enrolment.subject_of(entry.device, entry.t_s) is not None else []
    return list(enrolled_part(identification, entry))


class Recorder:
    """One recording; use as a context manager. RecordingError when the file exists or cannot be written.

    `continues`: one of before goes on, if nobody else writes to it; then `trim` has to come first.
    Mode 0600: a recording is personal data.
    """

    def __init__(
        self, path: Path, identification: Identification, *, max_bytes: int, continues: bool = False
    ) -> None:
        self._path = path
        self._identification = identification
        self._max_bytes = max_bytes
        self._continues = continues
        self._unwritten: list[bytes] = []
        self._unwritten_bytes = 0
        self._held = contextlib.ExitStack()
        self.lines = 0
        self.bytes = 0
        """Taken so far, before compression."""

    @property
    def is_full(self) -> bool:
        return self.bytes >= self._max_bytes

    def __enter__(self) -> Self:
        try:
            with contextlib.ExitStack() as held:
                if self._continues:
                    held.enter_context(recordings.alone(self._path))
                if not (self._continues and recordings.is_own(self._path)):
                    os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
                self._held = held.pop_all()
        except FileExistsError:
            raise RecordingError(f"{self._path} exists; a recording is never written over") from None
        except OSError as error:
            raise RecordingError(f"{self._path}: {error.strerror}") from None
        return self

    def __exit__(self, *_: object) -> None:
        with self._held:
            self.flush()

    def take(self, signal: Signal) -> None:
        """Write the signal as far as it concerns an enrolled device."""
        for part in enrolled_part(self._identification, signal):
            if self.is_full:
                return
            line = format_line(part)
            self._unwritten.append(line)
            self._unwritten_bytes += len(line)
            self.lines += 1
            self.bytes += len(line)
        if self._unwritten_bytes >= FLUSH_BYTES:
            self.flush()

    def trim(self, before_s: float) -> None:
        """Remove lines from before this time, and the oldest of the rest where more than nine tenths of what
        may be kept are full: then half of it stays."""
        self.flush()
        surplus = self.bytes - self._max_bytes // 2 if self.is_nearly_full else 0
        kept = gone = 0

        def younger(line: bytes) -> list[bytes]:
            nonlocal kept, gone
            if gone < surplus or _time_s(line) < before_s:
                gone += len(line)
                return []
            kept += len(line)
            return [line]

        recordings.rewrite(self._path, younger)
        self.bytes = kept

    @property
    def is_nearly_full(self) -> bool:
        return self.bytes > self._max_bytes * NEARLY

    def flush(self) -> None:
        """What was taken is in the file when this returns."""
        if self._unwritten:
            recordings.append(self._path, b"".join(self._unwritten))
            self._unwritten.clear()
            self._unwritten_bytes = 0


def _time_s(line: bytes) -> float:
    """A line that cannot be read is as old as can be."""
    entry = _entry(line)
    return float("-inf") if entry is None else entry.t_s


def _is_known_part(item: Sighting | Fix | Part) -> bool:
    """Part of a position of an enrolled vehicle, which makes no observation by itself."""
    return isinstance(item, Part) and bool(item.subject)
