"""How soon a client tries again, by how its connections ended."""

from __future__ import annotations

import time
from typing import Final

from gateway.links import full_jitter, slow_jitter
from gateway.mqtt_reasons import BROKEN, SAME_IDENTIFIER, Meaning

SETTLED_S = 30.0
"""A connection that lasted this long was a good one: the pauses start small again."""
SHORT_LIVED: Final = 5
"""So many in a row that were made at the first try and broke before that: each time somebody else takes the
session over, whether the broker says so (0x8E) or not, as mosquitto 2.0.11.
"""


class Pace:
    """`begin`, perhaps `made`, `ended`, `pause_s`; and again."""

    def __init__(self) -> None:
        self._pauses, self._slow_pauses = full_jitter(), slow_jitter()
        self._short_lived = 0
        self._began_s = 0.0
        self._is_made = False

    def begin(self) -> None:
        self._began_s, self._is_made = time.monotonic(), False

    def made(self) -> None:
        self._is_made = True

    def ended(self, why: Meaning) -> Meaning:
        """Why, or what is behind it."""
        lasted = time.monotonic() - self._began_s > SETTLED_S
        is_short = self._is_made and not lasted and why is BROKEN
        self._short_lived = self._short_lived + 1 if is_short else 0
        if self._short_lived >= SHORT_LIVED and not why.is_lasting:
            why = Meaning(
                f"broken {SHORT_LIVED} times soon after the connect; {SAME_IDENTIFIER}", is_lasting=True
            )
        if lasted and not why.is_lasting:
            self._pauses, self._slow_pauses = full_jitter(), slow_jitter()
        return why

    def pause_s(self, why: Meaning) -> float:
        return next(self._slow_pauses if why.is_lasting else self._pauses)
