"""What a store without a calibration sounds like, learned from devices while it is sure where they are.

A map's own model knows no shelves and no walls: each link of a zone is louder or weaker by some decibels than
distance says, for everybody there alike. How much is the mean of what was heard there, shrunk to the map's
model and bounded; sums over all devices, of which none can be told apart. They are whole numbers and count
from the next second on, so that neither the order of devices nor batches matter. Compiled where a compiler
was at hand (learned.pxd has the types); both forms give the same bits.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping

MAP_SECONDS = 150.0
"""The map's own model weighs as much as so many seconds of listening."""
SECONDS_MAX = 600
"""More is halved: a store changes."""
OFF_MAX_DB, SECOND_MAX_DB = 6.0, 10.0
"""Bounds of what is learned of a link, and of what one second may say."""

Lesson = tuple[int, int]
"""Seconds heard, and the sum of what the link was louder in them, in thousandths of a dB."""


class Learned:
    """Of `links` links in each of `zones` zones, of which nothing is known yet."""

    def __init__(self, zones: int, links: int) -> None:
        self._links = links
        self._seconds, self._sum = array("i", bytes(4 * zones * links)), array("q", bytes(8 * zones * links))
        self._map_seconds, self._off_max_db, self._second_max_db = MAP_SECONDS, OFF_MAX_DB, SECOND_MAX_DB
        self._seconds_max = SECONDS_MAX

    def hear(self, zone: int, link: int, off_db: float) -> None:
        """One second of one device in the zone, so much louder on the link than the map's model says."""
        at = zone * self._links + link
        bounded_db = max(-self._second_max_db, min(off_db, self._second_max_db))
        self._seconds[at] += 1
        self._sum[at] += int(1000.0 * bounded_db)

    def off_db(self, zone: int, link: int) -> float:
        """So much louder the link is than the map's model says."""
        at = zone * self._links + link
        mean_db = 0.001 * self._sum[at] / (self._seconds[at] + self._map_seconds)
        return max(-self._off_max_db, min(mean_db, self._off_max_db))

    def fade(self, zone: int) -> None:
        """Halve what is old; between two seconds, when all devices have been heard."""
        for at in range(zone * self._links, (zone + 1) * self._links):
            while self._seconds[at] > self._seconds_max:
                self._seconds[at] = int(self._seconds[at] * 0.5)
                self._sum[at] = int(self._sum[at] * 0.5)

    def dump(self, zone: int) -> dict[int, Lesson]:
        """By link, of those that were heard; nothing where nothing is learned."""
        first = zone * self._links
        links = range(min(self._links, max(len(self._seconds) - first, 0)))
        return {
            r: (self._seconds[first + r], self._sum[first + r]) for r in links if self._seconds[first + r]
        }

    def load(self, zone: int, lessons: Mapping[int, Lesson]) -> None:
        for link, (seconds, total) in lessons.items():
            self._seconds[zone * self._links + link], self._sum[zone * self._links + link] = seconds, total
