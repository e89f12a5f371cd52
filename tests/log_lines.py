"""A log as an operator reads it."""

from __future__ import annotations

from collections.abc import Sequence


def words_of(line: str) -> str:
    """Of `<date> <time> LEVEL words` the words."""
    return line.split(" ", 3)[-1]


def repeated(lines: Sequence[str]) -> list[str]:
    """Lines of one link that say again what its line before said; a link is what stands before the first colon."""
    last: dict[str, str] = {}
    found = []
    for line in map(words_of, lines):
        name = line.partition(":")[0]
        if last.get(name) == line:
            found.append(line)
        last[name] = line
    return found
