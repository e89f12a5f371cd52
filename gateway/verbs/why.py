"""`gateway why`: the running gateway explains what it says of one subject."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from gateway import control
from gateway.control import Request
from gateway.errors import ConfigError, GatewayError
from gateway.explanation import Explanation
from gateway.explanation import as_json as json_of
from gateway.settings import load_site
from gateway.story import story
from gateway.verbs.live import state_directory


def why(subject: str, directory: Path, *, as_json: bool, say: Callable[[str], None]) -> None:
    """GatewayError where no gateway runs."""
    state_dir = state_directory(directory)
    if not control.is_running(state_dir):
        raise GatewayError(f"no gateway runs in {state_dir}; `gateway replay --explain` explains a recording")
    answer = control.ask(state_dir, Request("why", subject))
    explanation = msgspec.convert(answer, Explanation)
    if as_json:
        say(json_of(explanation).decode())
        return
    for line in story(explanation, _zone(directory)):
        say(line)


def _zone(directory: Path) -> ZoneInfo:
    """Of the shop's clocks; UTC where the map is broken just now."""
    try:
        return ZoneInfo(load_site(directory).timezone)
    except ConfigError:
        return ZoneInfo("UTC")
