"""Paths into a payload: `position.lat`, `/device.id` from the root, `data[path=Speed].dp[last].value`."""

from __future__ import annotations

import re
from typing import NamedTuple

WHOLE = "."
"""The path to a payload that is one value."""
_STEP = re.compile(
    r"(?P<name>[^.\[\]/]+)(?:\[(?:(?P<member>[^=\[\].]+)=(?P<value>[^\[\]]+)|(?P<last>last))\])?(?:\.|$)"
)


class PathStep(NamedTuple):
    name: str
    """Member of an object."""
    member: str = ""
    """Where the member is a list: of its items the first whose `member` is `value`."""
    value: str = ""
    last: bool = False
    """Where the member is a list: its last item."""

    @property
    def of_list(self) -> bool:
        return self.last or bool(self.member)


class JsonPath:
    """A path taken apart."""

    def __init__(self, text: str) -> None:
        """ValueError in an operator's words when the text is no path."""
        self.text = text
        self.from_root = text.startswith("/")
        """Counted from the whole payload, where it carries items."""
        self.steps: tuple[PathStep, ...] = ()
        rest = text.removeprefix("/")
        if text == WHOLE:
            return
        at = 0
        while at < len(rest) and (found := _STEP.match(rest, at)):
            step = PathStep(found["name"], found["member"] or "", found["value"] or "", bool(found["last"]))
            self.steps, at = (*self.steps, step), found.end()
        if not rest or at < len(rest) or rest.endswith("."):
            raise ValueError(
                "expected the names of members with single dots between them, as in position.lat; "
                "name[member=value] or name[last] takes one of a list"
            )

    def goes_through(self, other: JsonPath) -> bool:
        """Whether `other` reads as a value what this path takes for an object."""
        names = [s.name for s in self.steps]
        return self.from_root == other.from_root and (
            len(self.steps) > len(other.steps) > 0
            and names[: len(other.steps)] == [s.name for s in other.steps]
        )
