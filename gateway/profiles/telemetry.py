"""What tags say of themselves besides who they are, and which tag a frame without an identity belongs to."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from msgspec import Struct

from gateway.profiles.decoded import Values
from gateway.profiles.frames import SEALED_COUNTER

FRESH_S = 3600.0
"""A battery level or a movement older than this says nothing any more; tags send theirs at least so often."""
MOVED_FRESH_S = 60.0
RESTARTED = 100
"""A sealed counter below this has begun anew: the battery was changed, or it ran over."""
TAGS = 10_000
"""Enrolled tags whose telemetry is kept."""


class Telemetry(Struct, frozen=True, gc=False):
    """None: the frame does not say."""

    battery_pct: float | None = None
    moved: bool | None = None
    motion_count: int | None = None
    """Of firmware that counts movements instead of saying that it moves."""
    sealed_counter: int | None = None
    """Of a frame that a key opened; it rises with each frame."""


def telemetry_in(frames: Iterable[Values]) -> Telemetry | None:
    """The fields `battery_pct`, `moved` and `motion_count` of an advertisement, None without any."""
    battery_pct = moved = motion_count = sealed_counter = None
    for values in frames:
        for battery in _numbers(values.get("battery_pct")):
            if 0 <= battery <= 100:
                battery_pct = float(battery) if battery_pct is None else min(battery_pct, float(battery))
        found = values.get("moved")
        for value in found if isinstance(found, list) else (found,):
            if isinstance(value, bool):
                moved = value or bool(moved)
        for count in _numbers(values.get("motion_count")):
            motion_count = int(count)
        for count in _numbers(values.get(SEALED_COUNTER)):
            sealed_counter = int(count)
    if battery_pct is None and moved is None and motion_count is None:
        return None
    return Telemetry(battery_pct, moved, motion_count, sealed_counter)


def _numbers(found: object) -> list[int | float]:
    items = found if isinstance(found, list) else [found]
    return [v for v in items if isinstance(v, int | float) and not isinstance(v, bool)]


class _Tag(Struct):
    subject: str
    battery_pct: float | None = None
    battery_s: float = 0.0
    moved: bool | None = None
    moved_s: float = 0.0
    motion_count: int | None = None
    sealed_counter: int | None = None


class TelemetryMemory:
    """Many tags send who they are and how they are in different advertisements of one address.

    Addresses are kept of enrolled devices only, in memory only: `belongs` says that one is. Pure: time is
    an argument.
    """

    def __init__(self, *, tags: int = TAGS) -> None:
        self._room_for = tags
        self._tags: OrderedDict[str, _Tag] = OrderedDict()
        """By address, the one that identified itself longest ago first."""

    def belongs(self, address: str, subject: str) -> None:
        """A device of this enrolled subject was just identified at this address."""
        if not address:
            return
        tag = self._tags.get(address)
        if tag is not None and tag.subject == subject:
            self._tags.move_to_end(address)
            return
        if tag is None and len(self._tags) >= self._room_for:
            self._tags.popitem(last=False)
        self._tags[address] = _Tag(subject)

    def note(self, address: str, telemetry: Telemetry, t_s: float) -> bool:
        """Kept where the address belongs to somebody, else forgotten at once. False for a replay."""
        tag = self._tags.get(address)
        if tag is None:
            return True
        count = telemetry.sealed_counter
        if count is not None:
            if tag.sealed_counter is not None and RESTARTED <= count < tag.sealed_counter:
                return False
            tag.sealed_counter = count
        if telemetry.battery_pct is not None:
            tag.battery_pct, tag.battery_s = telemetry.battery_pct, t_s
        moved = telemetry.moved
        if telemetry.motion_count is not None:
            if tag.motion_count is not None and moved is None:
                moved = telemetry.motion_count != tag.motion_count
            tag.motion_count = telemetry.motion_count
        if moved is not None:
            tag.moved, tag.moved_s = moved, t_s
        return True

    def of(self, address: str, t_s: float) -> Telemetry:
        """What is known of the device at this address and still fresh."""
        tag = self._tags.get(address)
        if tag is None:
            return Telemetry()
        return Telemetry(
            tag.battery_pct if t_s - tag.battery_s <= FRESH_S else None,
            tag.moved if t_s - tag.moved_s <= MOVED_FRESH_S else None,
        )

    def forget(self, subject: str) -> None:
        """Nothing of this subject is kept."""
        for address in [a for a, tag in self._tags.items() if tag.subject == subject]:
            del self._tags[address]
