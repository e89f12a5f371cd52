"""The state of a link to the outside (a radio, a broker, a recipient), and the pause before the next try."""

from __future__ import annotations

import contextlib
import logging
import random
import socket
import struct
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, Literal

LOOPBACK: Final = frozenset(["127.0.0.1", "::1", "localhost"])
"""Hosts that are this machine: a scaled clock does no harm there, and nobody listens on the way."""

MAX_RETRY_AFTER_S: Final = 3600.0
SLOWLY_S, SLOWEST_S = 60.0, 900.0
"""Bounds of the pause where trying again helps only when somebody has changed something."""
NOT_STARTED = "not started"
_SAID = 20

_log = logging.getLogger("gateway.links")


def discard_unsent(connected: Any) -> None:
    """When this socket is closed, the kernel throws away what it has not sent yet (socket(7), SO_LINGER)."""
    with contextlib.suppress(OSError):
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Link:
    """One source or sink as an operator sees it: `down` at first, then one log line per change.

    A reason that was said since it was last up is not said again, as where two alternate.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.state: Literal["down", "up"] = "down"
        self.detail = NOT_STARTED
        self._said: set[str] = set()
        """Details since the last change of state."""
        self._said_state = ""

    def up(self, detail: str = "") -> None:
        self._say("up", detail)

    def down(self, reason: str) -> None:
        """`reason` is for an operator: what failed and what would help; no identities."""
        self._say("down", reason)

    def _say(self, state: Literal["down", "up"], detail: str) -> None:
        self.state, self.detail = state, detail
        if state != self._said_state or len(self._said) >= _SAID:
            self._said.clear()
        self._said_state = state
        if detail in self._said:
            return
        self._said.add(detail)
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


def slow_jitter(base_s: float = SLOWLY_S, cap_s: float = SLOWEST_S) -> Iterator[float]:
    """As `full_jitter`, and never less than half of the base."""
    for pause_s in full_jitter(base_s, cap_s):
        yield base_s / 2 + pause_s


def retry_after_s(header: str | None) -> float:
    """Seconds that a `Retry-After` (RFC 9110 §10.2.3) asks for, by number or date; 0 for anything else,
    never more than an hour.
    """
    if header is None:
        return 0.0
    try:
        wait_s = float(header) if header.isascii() and header.isdigit() else _until_s(header)
    except (ValueError, OverflowError):
        return 0.0
    return min(max(wait_s, 0.0), MAX_RETRY_AFTER_S)


def _until_s(date: str) -> float:
    moment = parsedate_to_datetime(date)
    return (moment - datetime.now(UTC if moment.tzinfo else None)).total_seconds()
