"""Who is where, for the operator's page: how many in each zone, what happened lately, one subject's way.

The operator is a recipient like any other: only subjects who consent to this recipient and purpose, for this
zone, then and now, are in any answer. It keeps nothing where the settings name no such purpose.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from msgspec import Struct

from gateway.consent.policy import Showing
from gateway.model import Change, OpenStay, Presence

MayShow = Callable[[str, str, float, float], bool]
"""(subject, zone, when it happened, now) → whether the operator may know."""

LINES: Final = 5_000
KEPT_S: Final = 7_200.0
"""Lines that are older, or were pushed out, are gone."""


class Line(Struct, frozen=True):
    """One change; `subject` is for `journey` alone and is not shown."""

    t_s: float
    subject: str
    zone: str
    change: Change
    dwell_s: float


class Board:
    """Pure: presences in the order of their emission, and time as an argument."""

    def __init__(self, shown: Showing | None, may_show: MayShow) -> None:
        self._is_on = shown is not None
        self._may_show = may_show
        self._here: dict[str, dict[str, float]] = {}
        """Zone → subject → since when it is there."""
        self._lines: deque[Line] = deque(maxlen=LINES)

    def take(self, presence: Presence) -> None:
        if not self._is_on:
            return
        if presence.change == "left":
            self._leave(presence.zone, presence.subject)
        elif presence.change in ("entered", "dwelled"):
            self._here.setdefault(presence.zone, {})[presence.subject] = presence.since_s
        self._age(presence.emitted_s)
        if self._may_show(presence.subject, presence.zone, presence.t_s, presence.emitted_s):
            self._lines.append(
                Line(presence.t_s, presence.subject, presence.zone, presence.change, presence.dwell_s)
            )

    def resume(self, stays: Iterable[OpenStay]) -> None:
        """What was open at the last stop and goes on."""
        for stay in stays:
            if self._is_on and stay.phase == "inside":
                self._here.setdefault(stay.zone, {})[stay.subject] = stay.since_s

    def forget(self, subject: str) -> None:
        """Was never here."""
        for zone in list(self._here):
            self._leave(zone, subject)
        if any(line.subject == subject for line in self._lines):
            self._lines = deque((ln for ln in self._lines if ln.subject != subject), maxlen=LINES)

    def _leave(self, zone: str, subject: str) -> None:
        """A zone without anybody is forgotten: the map may not have it any more."""
        here = self._here.get(zone, {})
        here.pop(subject, None)
        if not here:
            self._here.pop(zone, None)

    # --- what is asked ---

    def counts(self, now_s: float) -> dict[str, int]:
        """How many are in each zone in which there is somebody who may be shown."""
        counted = {
            zone: sum(self._may_show(subject, zone, now_s, now_s) for subject in subjects)
            for zone, subjects in self._here.items()
        }
        return {zone: n for zone, n in counted.items() if n}

    def ticker(self, now_s: float, most: int) -> list[Line]:
        """The newest changes, newest first."""
        self._age(now_s)
        found: list[Line] = []
        for line in reversed(self._lines):
            if len(found) == most:
                break
            if self._may_show(line.subject, line.zone, line.t_s, now_s):
                found.append(line)
        return found

    def journey(self, subject: str, now_s: float) -> list[Line]:
        """What is remembered of one subject, oldest first; empty also for one that may not be shown."""
        self._age(now_s)
        return list(self._of(subject, now_s))

    def _of(self, subject: str, now_s: float) -> Iterator[Line]:
        for line in self._lines:
            if line.subject == subject and self._may_show(subject, line.zone, line.t_s, now_s):
                yield line

    def _age(self, now_s: float) -> None:
        while self._lines and self._lines[0].t_s < now_s - KEPT_S:
            self._lines.popleft()
