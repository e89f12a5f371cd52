"""Lists of objects in a payload, each with an id that a table of the profile explains."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.profiles.decoded import Values
from gateway.profiles.layouts import Read, reader
from gateway.profiles.outcome import Outcome, RejectedError
from gateway.profiles.schema_ble import ByteField, Objects

MAX_OBJECTS = 64
"""More than the longest advertisement of any known firmware holds; what follows is not read."""

_FIVE_BITS = 0x1F


class ObjectTable:
    """Ids to readers."""

    def __init__(self, table: Mapping[int, Mapping[str, ByteField]]) -> None:
        self._known: dict[int, tuple[int, bool, list[tuple[str, Read]]]] = {}
        for number, fields in table.items():
            size = max((f.end for f in fields.values()), default=0)
            has_length = any(f.has_length for f in fields.values())
            self._known[number] = size, has_length, [(name, reader(f, f.at)) for name, f in fields.items()]

    def read(self, place: Objects, data: bytes, into: Values) -> None:
        """The values of all objects of a payload; RejectedError where one is cut off or out of range."""
        at, end = place.at, len(data) + place.until
        if at > end:
            raise RejectedError(Outcome.TOO_SHORT)
        with_length = place.head != "id"
        length_bits = _FIVE_BITS if place.head == "length5_id" else 0xFF
        for _ in range(MAX_OBJECTS):
            if at >= end:
                return
            if with_length:
                value_end = at + 1 + (data[at] & length_bits)
                at, number = at + 2, data[at + 1] if at + 1 < end else -1
                if number < 0 or value_end < at or value_end > end:
                    raise RejectedError(Outcome.TOO_SHORT)
            else:
                number, at, value_end = data[at], at + 1, -1
            known = self._known.get(number)
            if known is None:
                if not with_length:
                    return
                at = value_end
                continue
            size, has_length, fields = known
            if length_bits == _FIVE_BITS and value_end - at != size:  # the same id in another form
                at = value_end
                continue
            if has_length and at < end:
                size, at = data[at], at + 1
            if at + size > (value_end if with_length else end):
                raise RejectedError(Outcome.TOO_SHORT)
            value = data[at : at + size]
            for name, read in fields:
                _put(into, name, read(value))
            at = value_end if with_length else at + size


def _put(into: Values, name: str, value: object) -> None:
    if name not in into:
        into[name] = value  # type: ignore[assignment]
        return
    before = into[name]
    if isinstance(before, list):
        before.append(value)  # type: ignore[arg-type]
    else:
        into[name] = [before, value]  # type: ignore[list-item]
