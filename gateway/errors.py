"""What can go wrong, and what an operator reads then.

GatewayError
├── ConfigError      a configuration or profile file has problems, all of them listed
├── RecordingError   a line of a recording cannot be read
├── StoreError       the outbox on disk cannot be opened or written
├── NotConnectedError, RefusedError (TooLargeError)   what a broker or a partner was sent did not get there
└── SealError        code outside the consent room tried to make a Release
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class Problem(msgspec.Struct, frozen=True, order=True):
    """One mistake in one file, named so that an editor can jump to it."""

    file: str
    """File name as the operator would write it."""
    line: int
    """Counted from 1."""
    column: int
    """Counted from 1."""
    key: str
    """Dotted path of the key; list items by their id where they have one."""
    text: str
    """What is wrong and, where known, what would be right."""
    source: str = ""
    """The line of the file, without its line end; empty when there is none."""
    is_warning: bool = False
    """The program can run with it, and hardly as it was meant."""

    def __str__(self) -> str:
        return self.line_of("warning")

    def line_of(self, warning: str) -> str:
        """Place, key and text in one line; `warning`: what a warning is called."""
        where = f"{self.file}:{self.line}:{self.column}: " + (f"{warning}: " if self.is_warning else "")
        return f"{where}{self.key}: {self.text}" if self.key else f"{where}{self.text}"

    def with_caret(self, *, warning: str = "warning") -> str:
        """The message, then the source line and a caret under the column."""
        said = self.line_of(warning)
        if not self.source:
            return said
        lead = "".join("\t" if c == "\t" else " " for c in self.source[: self.column - 1])
        return f"{said}\n    {self.source}\n    {lead}^"


class GatewayError(Exception):
    """Base of every error that this program raises on purpose."""


class ConfigError(GatewayError):
    """One or more files of the configuration or of the profiles are wrong."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(sorted(problems))
        super().__init__("\n".join(str(p) for p in self.problems))


class RecordingError(GatewayError):
    """A line of a recording cannot be read; the message names file and line."""


class StoreError(GatewayError):
    """The outbox on disk cannot be opened, read or written."""


class NotConnectedError(GatewayError):
    """There is no connection, or it broke while this was being sent."""


class RefusedError(GatewayError):
    """There was an answer, and it was no (of a broker a reason code of 0x80 or above, MQTT 5.0 §3.4.2.1)."""

    def __init__(self, text: str, *, is_lasting: bool = False) -> None:
        """`is_lasting`: trying again helps only when somebody has changed something."""
        super().__init__(text)
        self.is_lasting = is_lasting


class TooLargeError(RefusedError):
    """It will never be taken there, whatever else is changed but the limit."""


class SealError(GatewayError):
    """A Release was made outside the consent room."""
