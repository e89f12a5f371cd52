"""What goes over the socket: a line of JSON there, a line of JSON back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from gateway.errors import GatewayError

MAX_BYTES = 64 << 20
"""Of an answer; a question is far below."""
QUESTION_BYTES = 1 << 16
NAME = "gateway.sock"


class Request(Struct, frozen=True, omit_defaults=True):
    do: Literal["show", "export", "withdraw", "erase", "reread", "reload", "why", "outbox"]
    subject: str = ""


class Reply(Struct, frozen=True, omit_defaults=True):
    """Exactly one of the two."""

    said: dict[str, Any] | None = None
    refused: str | None = None


class RefusalError(GatewayError):
    """The daemon does not do it; the message says why."""


def own_directory(state_dir: Path) -> Path:
    """Where a daemon puts its socket: systemd's RuntimeDirectory=, else the state directory."""
    passed = os.environ.get("RUNTIME_DIRECTORY")
    return Path(passed) if passed else state_dir


def likely_directories(state_dir: Path) -> list[Path]:
    """Where a client looks for it."""
    return [state_dir, own_directory(state_dir), Path("/run/gateway")]


@contextmanager
def near(directory: Path) -> Iterator[str]:
    """A path of the socket that is short enough, however long the directory's is (sun_path: 108 bytes)."""
    descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{NAME}"
    finally:
        os.close(descriptor)
