"""Consents over MQTT: the transport of `ConsentFeed` and `Drivers`.

Subscribed with QoS 0 on purpose: within a connection nothing is lost, after one everything is read again,
and mosquitto gives of many retained messages with QoS 1 only as many as its queue is long.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Iterable
from typing import Final, NoReturn

from gateway.consent.feed import ConsentFeed
from gateway.consent.holding import MAX_BYTES
from gateway.counts import Counts
from gateway.errors import NotConnectedError
from gateway.lanes import Lanes
from gateway.links import Link, full_jitter
from gateway.model import Signal
from gateway.mqtt import Connection, Incoming
from gateway.mqtt_client import Endpoint
from gateway.sources import Clock
from gateway.sources.drivers import Drivers

LASTING_S: Final = 10.0
"""A set that does not match for so long is asked for anew."""
RENEWAL_GAP_S: Final = 2.0
CHECK_AFTER_S: Final = 0.1
CHECK_SHARE: Final = 10.0
"""A check that took 1 s is followed by the next 10 s later."""
LOST: Final = ("", b"")
SETTLED_S: Final = 10.0
"""A subscription has then told who drives."""
TURN: Final = 256
"""Messages between two looks at the event loop: some 10 ms of work."""
AHEAD: Final = 1_000
"""Signals in the control lane above which messages wait here, as bytes."""
BREATH_S: Final = 0.02
MAX_WAITING_BYTES: Final = 2 * MAX_BYTES
OVERHEAD_BYTES: Final = 200
"""Of a message that waits, beside topic and payload."""

_log = logging.getLogger("gateway.sources")


class ConsentMqtt:
    """`feed` None: consents come another way, and only who drives is heard here."""

    def __init__(
        self,
        endpoint: Endpoint,
        client_id: str,
        *,
        feed: ConsentFeed | None,
        drivers: Drivers | None,
        lanes: Lanes,
        clock: Clock,
        counts: Counts,
    ) -> None:
        self.link = Link(f"consent {endpoint.name}")
        self._feed, self._drivers = feed, drivers
        self._lanes, self._clock, self._counts = lanes, clock, counts
        self._filters = [(f"{feed.address}+", 0)] if feed is not None else []
        self._filters += [(f"{drivers.address}#", 0)] if drivers is not None else []
        self._waiting: deque[tuple[str, bytes] | None] = deque()
        """Messages in the order of reception; None: a subscription began; LOST: some are missing."""
        self._waiting_bytes = 0
        self._has_lost = False
        self._stirred = asyncio.Event()
        self._renewals = Renewals()
        self._check_at_s = 0.0
        self._settled_at_s: float | None = None
        self._connection = Connection(
            endpoint, client_id, self.link, on_message=self._hear, on_up=self._subscribe
        )

    async def run(self) -> None:
        if self._feed is not None:
            self._lanes.control(self._feed.start(self._clock()))
        async with asyncio.TaskGroup() as group:
            group.create_task(self._connection.run())
            group.create_task(self._keep())

    async def _subscribe(self) -> None:
        now_s = asyncio.get_running_loop().time()
        self._renewals.began(now_s)
        self._settled_at_s = now_s + SETTLED_S
        self._waiting.append(None)
        await self._connection.subscribe(self._filters)
        self._stirred.set()

    def _hear(self, incoming: Incoming) -> None:
        size = _size(incoming.topic, incoming.payload)
        if self._waiting_bytes + size > MAX_WAITING_BYTES:
            self._counts.count("consent_feed", "overflow")
            self._has_lost = True
            if not self._waiting or self._waiting[-1] is not LOST:
                self._waiting.append(LOST)
        else:
            self._waiting.append((incoming.topic, incoming.payload))
            self._waiting_bytes += size
        self._stirred.set()

    async def _keep(self) -> NoReturn:
        loop = asyncio.get_running_loop()
        while True:
            if not self._waiting:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._pause_s(loop.time())):
                        await self._stirred.wait()
            self._stirred.clear()
            await self._work_off()
            self._check(loop)
            self._settle(loop.time())
            await self._renew(loop.time())

    async def _work_off(self) -> None:
        """A turn's worth of what waits, as far as the lane has room."""
        room = AHEAD - self._lanes.control_waiting
        for _ in range(min(TURN, room, len(self._waiting))):
            self._take(self._waiting.popleft())
        if self._has_lost and self._feed is not None:
            self._has_lost = False
            self._tell(self._feed.distrust(self._clock()))
        await asyncio.sleep(0 if room > 0 else BREATH_S)

    def _take(self, message: tuple[str, bytes] | None) -> None:
        if message is None:
            for part in (self._feed, self._drivers):
                if part is not None:
                    part.renew()
            return
        topic, payload = message
        t_s = self._clock()
        if message is LOST:  # once more, in its turn: a subscription that began before does not heal it
            if self._feed is not None:
                self._tell(self._feed.distrust(t_s))
            return
        self._waiting_bytes -= _size(topic, payload)
        if self._feed is not None and topic.startswith(self._feed.address):
            self._tell(self._feed.take(topic[len(self._feed.address) :], payload, t_s))
        elif self._drivers is not None and topic.startswith(self._drivers.address):
            said = self._drivers.take(topic[len(self._drivers.address) :], payload, t_s)
            self._tell([said] if said is not None else [])

    def _tell(self, signals: Iterable[Signal]) -> None:
        for signal in signals:
            self._lanes.control(signal)

    def _check(self, loop: asyncio.AbstractEventLoop) -> None:
        feed, began_s = self._feed, loop.time()
        if feed is None or not feed.is_unchecked or began_s < self._check_at_s:
            return
        was_in_doubt = feed.in_doubt
        self._tell(feed.check(self._clock()))
        ended_s = loop.time()
        self._check_at_s = ended_s + max(CHECK_AFTER_S, CHECK_SHARE * (ended_s - began_s))
        if was_in_doubt and not feed.in_doubt:
            _log.info("%s: %d records, as their manifest says", self.link.name, len(feed))

    def _settle(self, now_s: float) -> None:
        if self._settled_at_s is None or now_s < self._settled_at_s:
            return
        self._settled_at_s = None
        if self._drivers is not None:
            self._tell(self._drivers.settle(self._clock()))

    async def _renew(self, now_s: float) -> None:
        feed = self._feed
        if feed is None or self.link.state != "up":
            return
        if not self._renewals.are_due(now_s, lasting=feed.is_unmatched, urgent=feed.wants_renewal):
            return
        self._counts.count("consent_feed", "renewed")
        _log.log(
            logging.INFO if feed.wants_renewal else logging.WARNING,
            "%s: %s; reading all of them again",
            self.link.name,
            feed.words,
        )
        with contextlib.suppress(NotConnectedError):  # the next connection reads everything anyway
            await self._subscribe()

    def _pause_s(self, now_s: float) -> float | None:
        """Until something has to be looked at, should nothing come."""
        feed = self._feed
        due = [self._settled_at_s] if self._settled_at_s is not None else []
        if feed is not None and feed.is_unchecked:
            due.append(self._check_at_s)
        if feed is not None and (feed.is_unmatched or feed.wants_renewal):
            due.append(self._renewals.next_s(now_s, urgent=feed.wants_renewal))
        return max(0.0, min(due) - now_s) if due else None


def _size(topic: str, payload: bytes) -> int:
    return len(topic) + len(payload) + OVERHEAD_BYTES


class Renewals:
    """When a set in doubt is asked for anew: after 10 s, then ever less often, for the broker's sake."""

    def __init__(self) -> None:
        self._pauses = full_jitter(2 * LASTING_S, 600.0)
        self._extra_s = 0.0
        self._since_s: float | None = None
        """When the doubt began, or when a subscription last tried to end it."""
        self._began_s = float("-inf")

    def began(self, now_s: float) -> None:
        """A subscription begins."""
        self._began_s = now_s
        if self._since_s is not None:
            self._since_s = now_s

    def next_s(self, now_s: float, *, urgent: bool) -> float:
        if urgent:
            return self._began_s + RENEWAL_GAP_S + self._extra_s
        return (now_s if self._since_s is None else self._since_s) + LASTING_S + self._extra_s

    def are_due(self, now_s: float, *, lasting: bool, urgent: bool) -> bool:
        """`lasting`: the set does not match; `urgent`: only a subscription can help."""
        if not lasting and not urgent:
            self._since_s, self._extra_s = None, 0.0
            self._pauses = full_jitter(2 * LASTING_S, 600.0)
            return False
        if self._since_s is None:
            self._since_s = now_s
        if now_s < self.next_s(now_s, urgent=urgent):
            return False
        self._extra_s = next(self._pauses)
        return True
