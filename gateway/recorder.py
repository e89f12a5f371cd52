"""Writes what was heard of enrolled devices, and of nobody else, to a recording."""

from __future__ import annotations

import gzip
import os
from collections.abc import Collection
from pathlib import Path
from typing import IO, Self

from gateway.errors import RecordingError
from gateway.identity import Identification
from gateway.model import Fix, Message, ReceiverState, Sighting, Signal
from gateway.profiles import Part
from gateway.recording import format_line


class NamedDevices:
    """`--survey ID…`: these devices and no others, each a subject of its own."""

    def __init__(self, identities: Collection[str]) -> None:
        self._identities = frozenset(identity.lower() for identity in identities)

    def subject_of(self, identity: str, t_s: float) -> str | None:  # noqa: ARG002 - named is named
        return identity if identity in self._identities else None

    def admits(self, subject: str, t_s: float) -> bool:  # noqa: ARG002 - named is admitted
        return subject in self._identities


class Recorder:
    """One recording; use as a context manager. RecordingError when the file exists or cannot be written.

    What a remote receiver reports in one message about many devices is taken apart, so that a foreign
    address cannot ride along. Mode 0600: a recording is personal data.
    """

    def __init__(self, path: Path, identification: Identification, *, max_bytes: int) -> None:
        self._path = path
        self._identification = identification
        self._max_bytes = max_bytes
        self.lines = 0
        self.bytes = 0
        """Written so far, before compression."""

    @property
    def is_full(self) -> bool:
        return self.bytes >= self._max_bytes

    def __enter__(self) -> Self:
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise RecordingError(f"{self._path} exists; a recording is never written over") from None
        except OSError as error:
            raise RecordingError(f"{self._path}: {error.strerror}") from None
        raw = os.fdopen(descriptor, "wb")
        self._raw: IO[bytes] = raw
        self._file: IO[bytes] = gzip.open(raw, "wb") if self._path.suffix == ".gz" else raw  # type: ignore[assignment]
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._raw.close()

    def take(self, signal: Signal) -> None:
        """Write the signal as far as it concerns an enrolled device."""
        if isinstance(signal, ReceiverState):
            self._write(signal)
        if not isinstance(signal, Sighting | Message):
            return
        heard = self._identification.heard(signal)
        enrolled = [i for i, observation in heard if observation is not None or _is_known_part(i)]
        if isinstance(signal, Message) and any(isinstance(i, Fix | Part) or not i.adv for i in enrolled):
            if len(enrolled) == len(heard):  # else it names somebody else as well
                self._write(signal)
        else:
            for item in enrolled:
                self._write(item)  # type: ignore[arg-type]

    def _write(self, signal: Signal) -> None:
        if self.is_full:
            return
        line = format_line(signal)
        self._file.write(line)
        self.lines += 1
        self.bytes += len(line)


def _is_known_part(item: Sighting | Fix | Part) -> bool:
    """Part of a position of an enrolled vehicle, which makes no observation by itself."""
    return isinstance(item, Part) and bool(item.subject)
