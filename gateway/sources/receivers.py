"""What remote receivers say of themselves: alive, or dead by last will, a radio that is down, silence."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final, NoReturn

from gateway.counts import Counts
from gateway.model import ReceiverState
from gateway.profiles import StateReader, Word
from gateway.recent import Freshness
from gateway.sources import Clock, Hear

MISSED: Final = 3
"""Heartbeats that may be missing."""
LOOK_S: Final = 1.0
CACHED_TOPICS: Final = 4096
MAX_TOPIC_CHARS: Final = 1024


class ReceiverStates:
    """Turns what firmware profiles call a state into `ReceiverState` signals for receivers of the map.

    Counted in room `receivers`: `alive`, `dead`, `silent` (no heartbeat any more), `unknown`, `malformed`,
    `retained` (kept by the broker: nobody says it now; only a death is believed then).
    """

    def __init__(
        self,
        readers: Sequence[StateReader],
        hear: Hear,
        clock: Clock,
        counts: Counts,
        *,
        site: str,
        is_known: Callable[[str], bool],
    ) -> None:
        """`is_known`: whether the map has this receiver; of others nothing is said on."""
        self.topic_filters = tuple(dict.fromkeys(t.filter(site) for r in readers for t in r.topics))
        self._readers, self._site = readers, site
        self._is_known = is_known
        self._topics: dict[str, tuple[StateReader, str] | None] = {}
        """Whose word a topic carries, and who reads it; None: nobody's."""
        self._hear, self._clock, self._counts = hear, clock, counts
        self._expected_s: dict[str, float] = {}
        """When the next word of a living receiver is overdue, monotonic."""

    def take(self, topic: str, payload: bytes, *, retained: bool) -> bool:
        """Whether the message is of this kind, whatever became of it."""
        known = self._topics[topic] if topic in self._topics else self._find(topic)
        if known is None:
            return False
        reader, receiver = known
        if not self._is_known(receiver):
            self._counts.count("receivers", "unknown")
        elif (word := reader.read(payload)) is None:
            self._counts.count("receivers", "malformed")
        elif retained and word.alive:
            self._counts.count("receivers", "retained")
        else:
            self._said(receiver, word)
        return True

    def _find(self, topic: str) -> tuple[StateReader, str] | None:
        if len(topic) > MAX_TOPIC_CHARS:
            return None
        levels = topic.split("/")
        claims = ((reader, reader.receiver(levels, self._site)) for reader in self._readers)
        known = next(((reader, receiver) for reader, receiver in claims if receiver is not None), None)
        if len(self._topics) >= CACHED_TOPICS:
            self._topics.clear()
        self._topics[topic] = known
        return known

    async def watch(self) -> NoReturn:
        """Notice those that say nothing any more, until cancelled."""
        freshness = Freshness()
        while True:
            await asyncio.sleep(LOOK_S)
            now_s = time.monotonic()
            if freshness.is_over(now_s):  # a topic may name anybody
                self._topics.clear()
            for receiver in [r for r, expected_s in self._expected_s.items() if expected_s < now_s]:
                del self._expected_s[receiver]
                self._counts.count("receivers", "silent")
                self._hear(ReceiverState(self._clock(), receiver, alive=False))

    def _said(self, receiver: str, word: Word) -> None:
        self._counts.count("receivers", "alive" if word.alive else "dead")
        if not word.alive:
            self._expected_s.pop(receiver, None)
        elif word.every_s is not None:
            self._expected_s[receiver] = time.monotonic() + MISSED * word.every_s
        self._hear(ReceiverState(self._clock(), receiver, word.alive))
