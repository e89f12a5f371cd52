"""How log lines look: for a journal with priorities, for a terminal with colours, for a program as JSON.

sd-daemon(3): a line that begins with `<N>` has priority N of syslog in the journal, which adds the time.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, Literal, TextIO

Form = Literal["text", "json"]
FORMS: Final[tuple[Form, ...]] = ("text", "json")

_PRIORITIES: Final = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_COLOURS: Final = ((logging.ERROR, "31"), (logging.WARNING, "33"))
"""SGR parameters of ECMA-48: red, yellow."""


def begin(
    form: Form = "text", *, stream: TextIO | None = None, environ: Mapping[str, str] | None = None
) -> None:
    """All that is logged from now on goes to standard error, one line a message."""
    stream = sys.stderr if stream is None else stream
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter(form, stream, os.environ if environ is None else environ))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("mqtt").setLevel(logging.ERROR)  # paho's own words: the link says it for operators


def formatter(form: Form, stream: TextIO, environ: Mapping[str, str]) -> logging.Formatter:
    if form == "json":
        return _Json()
    if _is_journal(stream, environ.get("JOURNAL_STREAM", "")):
        return _Journal("%(message)s")
    stamp = "%(asctime)s %(levelname)s %(message)s"
    return _Coloured(stamp) if wants_colour(stream, environ) else logging.Formatter(stamp)


def wants_colour(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Only on a terminal, and not where NO_COLOR (no-color.org) or a dumb terminal says otherwise."""
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def _is_journal(stream: TextIO, passed: str) -> bool:
    """Whether systemd has connected the stream to the journal (systemd.exec(5), JOURNAL_STREAM).

    Children whose output goes elsewhere inherit the variable, so device and inode have to be the same.
    """
    try:
        told = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return passed == f"{told.st_dev}:{told.st_ino}"


class _Journal(logging.Formatter):
    """Each line of a message on its own: the journal takes the others for messages without a priority."""

    def format(self, record: logging.LogRecord) -> str:
        priority = next((n for level, n in _PRIORITIES if record.levelno >= level), 7)
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).splitlines())


class _Coloured(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        colour = next((code for level, code in _COLOURS if record.levelno >= level), None)
        return text if colour is None else f"\x1b[{colour}m{text}\x1b[0m"


class _Json(logging.Formatter):
    """One object a line: `time` (RFC 3339, UTC), `level`, `room`, `message`, of an error `trace`."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        said = {
            "time": moment.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "room": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            said["trace"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=False)
