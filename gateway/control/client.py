"""The asking side."""

from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path
from typing import Any

import msgspec

from gateway.control.wire import MAX_BYTES, NAME, RefusalError, Reply, Request, likely_directories, near

TIMEOUT_S = 90.0
"""A withdrawal answers when everything is swept, within a minute."""


def is_running(state_dir: Path) -> bool:
    """Whether a daemon holds this state directory."""
    try:
        descriptor = os.open(state_dir / "lock", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def ask(state_dir: Path, request: Request) -> dict[str, Any]:
    """The daemon's answer. RefusalError when it says no, or cannot be reached."""
    for directory in likely_directories(state_dir):
        if (directory / NAME).exists():
            return _ask(directory, request)
    raise RefusalError(f"the gateway of {state_dir} runs and has no socket; is it of another version?")


def _ask(directory: Path, request: Request) -> dict[str, Any]:
    try:
        with near(directory) as path, socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(TIMEOUT_S)
            connection.connect(path)
            connection.sendall(msgspec.json.encode(request) + b"\n")
            answer = bytearray()
            while not answer.endswith(b"\n") and len(answer) <= MAX_BYTES:
                part = connection.recv(1 << 16)
                if not part:
                    break
                answer += part
        reply = msgspec.json.decode(answer, type=Reply)
    except (OSError, msgspec.DecodeError) as error:
        raise RefusalError(f"{directory / NAME}: no answer: {error}") from None
    if reply.said is None:
        raise RefusalError(reply.refused or "no answer")
    return reply.said
