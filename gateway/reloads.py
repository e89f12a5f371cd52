"""What came of reading the configuration again: kept for who looks later."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.errors import Problem


class LastReload:
    """The newest attempt; `problems` name files and lines, and nobody."""

    def __init__(self) -> None:
        self.at_s: float | None = None
        """Unix seconds; None: nothing was read again since the start."""
        self.problems: tuple[str, ...] = ()

    def done(self, at_s: float, problems: Sequence[str] = ()) -> None:
        self.at_s, self.problems = at_s, tuple(problems)


def place_of(problem: Problem) -> str:
    """File and line alone: the words may quote who a record or a key is about."""
    return f"{problem.file}:{problem.line}:{problem.column}"
