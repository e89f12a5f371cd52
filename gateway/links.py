"""The state of a link to the outside (a radio, a broker, a recipient), and the pause before the next try."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable, Iterator
from typing import Final, Literal

LOOPBACK: Final = frozenset(["127.0.0.1", "::1", "localhost"])
"""Hosts that are this machine: a scaled clock does no harm there, and nobody listens on the way."""

_log = logging.getLogger("gateway.links")


class Link:
    """One source or sink as an operator sees it: `down` at first, then one log line per change."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.state: Literal["down", "up"] = "down"
        self.detail = "not started"
        self._said: tuple[str, str] | None = None

    def up(self, detail: str = "") -> None:
        self._say("up", detail)

    def down(self, reason: str) -> None:
        """`reason` is for an operator: what failed and what would help; no identities."""
        self._say("down", reason)

    def _say(self, state: Literal["down", "up"], detail: str) -> None:
        self.state, self.detail = state, detail
        if self._said == (state, detail):
            return
        self._said = (state, detail)
        level = logging.INFO if state == "up" else logging.WARNING
        _log.log(level, "%s: %s%s", self.name, state, f" ({detail})" if detail else "")


def words_of(links: Iterable[Link]) -> str:
    """`up: …; down: …` by name."""
    states: dict[str, list[str]] = {"up": [], "down": []}
    for link in links:
        states[link.state].append(link.name)
    return "; ".join(f"{state}: {', '.join(names)}" for state, names in states.items() if names)


def full_jitter(base_s: float = 1.0, cap_s: float = 60.0) -> Iterator[float]:
    """Pauses in seconds, uniform in [0, min(cap, base * 2^n)), so that many gateways do not stampede.

    Full jitter of M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """
    limit_s = base_s
    while True:
        yield random.uniform(0.0, limit_s)  # noqa: S311 - a pause is no secret
        limit_s = min(cap_s, limit_s * 2)
