"""Audit logs for tests, and what is in them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from gateway.audit import AuditLog, verify
from gateway.consent import Keys
from gateway.consent.tally import Entry, Purged

MAC = Keys(bytes(range(32))).audit_mac
DAY = 86_400.0
T = 1_766_404_800.0


def entries(n: int, t_s: float = T) -> list[Entry]:
    return [Purged(t=t_s + i, reason="expired", n=i + 1) for i in range(n)]


def written(directory: Path, *batches: list[Entry], **limits: float) -> Path:
    """A log of one run, each batch in an append of its own."""
    with AuditLog(directory, MAC, clock=lambda: T, **limits) as log:  # type: ignore[arg-type]
        for batch in batches:
            log.append(batch)
    return directory


def segments(directory: Path) -> list[Path]:
    return sorted(directory.glob("audit-*.jsonl"))


def only_segment(directory: Path) -> Path:
    (path,) = segments(directory)
    return path


def kinds(directory: Path) -> list[str]:
    return [
        json.loads(line)["kind"] for path in segments(directory) for line in path.read_bytes().splitlines()
    ]


def problems(directory: Path) -> list[str]:
    return [str(problem) for problem in verify(directory, MAC).problems]


def edit(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[Path], None]:
    def do(directory: Path) -> None:
        path = only_segment(directory)
        path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))

    return do
