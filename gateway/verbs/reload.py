"""`gateway reload`: the running gateway takes over what was changed, and says what."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from gateway import control
from gateway.control import Request
from gateway.errors import GatewayError, Problem
from gateway.reload import Report
from gateway.translation.language import Language
from gateway.translation.sentences import told
from gateway.verbs.live import state_directory

Say = Callable[[str], None]


def reload(directory: Path, *, as_json: bool, language: Language, say: Say, tell: Say) -> bool:
    """True: everything that was changed holds now or waits for a restart. GatewayError where none runs."""
    state_dir = state_directory(directory)
    if not control.is_running(state_dir):
        raise GatewayError(f"no gateway runs in {state_dir}; it will read its files when it starts")
    answer = control.ask(state_dir, Request("reload"))
    report = msgspec.convert(answer, Report)
    if as_json:
        say(msgspec.json.encode(report).decode())
    else:
        _tell(report, language, say, tell)
    return not report.problems and not report.refused


def _tell(report: Report, language: Language, say: Say, tell: Say) -> None:
    for line in report.taken:
        say(line)
    for key in report.waiting:
        say(f"{key} was changed and waits for a restart")
    for refusal in report.refused:
        tell(refusal)
    for problem in report.problems:
        tell(told(msgspec.convert(problem, Problem), language))
    if report.problems:
        tell("the map has problems: nothing of it was taken over, and it holds on as it was")
    elif not any(line.startswith("map ") for line in report.taken):
        say("map: nothing new")
