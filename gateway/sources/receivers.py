"""What remote receivers say of themselves: alive, or dead by last will, a radio that is down, silence."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from typing import Final, NoReturn

from gateway.counts import Counts
from gateway.model import ReceiverState
from gateway.sources import Clock, Hear, rawform

MISSED: Final = 3
"""Heartbeats that may be missing."""
LOOK_S: Final = 1.0


class ReceiverStates:
    """Turns state messages of the generic raw form into `ReceiverState` signals for receivers of the map.

    Counted in room `receivers`: `alive`, `dead`, `silent` (no heartbeat any more), `unknown`, `malformed`,
    `retained` (kept by the broker: nobody says it now; only a death is believed then).
    """

    def __init__(
        self, site: str, receivers: Collection[str], hear: Hear, clock: Clock, counts: Counts
    ) -> None:
        self.topic_filter = rawform.state_topic(site, "+")
        self._topics = {rawform.state_topic(site, receiver): receiver for receiver in receivers}
        self._prefix, self._suffix = self.topic_filter.split("+")
        self._hear, self._clock, self._counts = hear, clock, counts
        self._expected_s: dict[str, float] = {}
        """When the next word of a living receiver is overdue, monotonic."""

    def take(self, topic: str, payload: bytes, *, retained: bool) -> bool:
        """Whether the message is of this kind, whatever became of it."""
        if not (topic.endswith(self._suffix) and topic.startswith(self._prefix)):
            return False
        receiver, state = self._topics.get(topic), rawform.decode_state(payload)
        if receiver is None:
            self._counts.count("receivers", "unknown")
        elif state is None:
            self._counts.count("receivers", "malformed")
        elif retained and state.alive:
            self._counts.count("receivers", "retained")
        else:
            self._said(receiver, state)
        return True

    async def watch(self) -> NoReturn:
        """Notice those that say nothing any more, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            now_s = time.monotonic()
            for receiver in [r for r, expected_s in self._expected_s.items() if expected_s < now_s]:
                del self._expected_s[receiver]
                self._counts.count("receivers", "silent")
                self._hear(ReceiverState(self._clock(), receiver, alive=False))

    def _said(self, receiver: str, state: rawform.State) -> None:
        self._counts.count("receivers", "alive" if state.alive else "dead")
        if state.alive:
            self._expected_s[receiver] = time.monotonic() + MISSED * state.every_s
        else:
            self._expected_s.pop(receiver, None)
        self._hear(ReceiverState(self._clock(), receiver, state.alive))
