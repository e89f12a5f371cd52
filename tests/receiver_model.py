"""What a platform may rely on, as assertions over everything that it received."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from daemons import Daemon, Place, Platform
from log_lines import repeated
from mosquitto import Mosquitto

from gateway.counts import Counts
from gateway.mqtt import Connection, Incoming
from gateway.outbox import Outbox


class Receiver(Platform):
    """A platform that also counts what tombstones stand for, and remembers the order of first arrivals.

    Doubles are told by id alone. `first` holds each event when it came for the first time.
    """

    def __init__(self, connection_of: Callable[..., Connection], recipient: str = "platform") -> None:
        super().__init__(connection_of, recipient)
        self.first: list[dict[str, Any]] = []
        self.removed: set[int] = set()

    def _take(self, incoming: Incoming) -> None:
        known = len(self.events)
        super()._take(incoming)
        if len(self.events) > known:
            event = next(reversed(self.events.values()))
            self.first.append(event)
            for first, last in event["data"].get("ranges", []):
                self.removed.update(range(first, last + 1))

    @property
    def through(self) -> int:
        n = 0
        while n + 1 in self.by_sequence or n + 1 in self.removed:
            n += 1
        return n

    def missing(self) -> list[int]:
        last = max(self.by_sequence, default=0)
        return [n for n in range(1, last + 1) if n not in self.by_sequence and n not in self.removed]

    def is_ordered(self, *, historical: bool) -> bool:
        """Whether those of the backlog, or the live ones, came first in the order of their sequence."""
        of_kind = [int(e["sequence"]) for e in self.first if e["historical"] is historical]
        return of_kind == sorted(of_kind)

    def subjects(self) -> set[str]:
        return {e["subject"] for e in self.events.values() if "subject" in e}

    def assert_complete(self, last_sequence: int) -> None:
        """Every committed event exactly once by id, or covered by a tombstone."""
        assert not self.missing(), self.missing()[:20]
        assert max(self.by_sequence, default=0) == last_sequence
        assert len(set(self.by_sequence.values())) == len(self.by_sequence) == len(self.events)


class Centred:
    """A place whose recipients are behind a broker of their own, in the centre; vehicles stay on that of the store."""

    def __init__(self, place: Place, centre: Mosquitto, host: str = "127.0.0.1") -> None:
        self.place, self.centre = place, centre
        settings = place.config / "gateway.yaml"
        central = f"  central: {{host: {host}, port: {centre.port}}}\nrecipients:"
        text = settings.read_text().replace("via: local", "via: central").replace("recipients:", central)
        settings.write_text(text)
        self.seen_from_the_centre = _Far(centre)


class _Far(Place):
    """As far as a platform needs a place."""

    def __init__(self, broker: Mosquitto) -> None:
        self.broker = broker


async def complete(at: Receiver, place: Place, *, recipients: Iterable[str] = ("platform",)) -> None:
    """After the daemon has stopped: it kept nothing back, and the receiver has all that was ever committed."""
    async with Outbox(place.state / "outbox.sqlite", list(recipients), counts=Counts()) as outbox:
        assert not any((await outbox.backlog()).values())
        at.assert_complete(await outbox.wait("platform", 0))


async def received(at: Receiver, daemon: Daemon, changes: int, seconds: float = 60.0) -> float:
    """Waits for so many events; seconds that it took."""
    began_s = asyncio.get_running_loop().time()
    async with asyncio.timeout(seconds):
        while len(at.events) < changes or at.missing():
            assert daemon.process.returncode is None, daemon.said()
            await asyncio.sleep(0.02)
    return asyncio.get_running_loop().time() - began_s


def assert_quiet(daemon: Daemon) -> None:
    """One line per change of state: no line of the log stands there twice running, and nothing is a traceback."""
    said = daemon.said()
    assert "Traceback" not in said, said
    assert not repeated(said.splitlines()), said
