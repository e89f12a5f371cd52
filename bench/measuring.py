"""The measuring tools and the verb that both accuracy benches drive."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from gateway.verbs import replay


def tool(measure: Path, name: str, *arguments: str | Path) -> str:
    """What a tool of the measuring data prints."""
    command = [sys.executable, str(measure / "tools" / name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603 - our own tools


def replayed(recording: Path, config: Path, events: Path) -> None:
    """Presence lines of every device of a recording, as `gateway replay --all-devices` writes them."""
    wanted = replay.Wanted(
        stage="presence",
        all_devices=True,
        device_class=None,
        speed="max",
        tail_s=300.0,
        out=events,
        publish=None,
    )
    replay.replay(recording, config, wanted)
