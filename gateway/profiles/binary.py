"""Binary payloads over MQTT: a layout is walked step by step, and what repeats makes observations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gateway.profiles.layouts import Read, Value, reader
from gateway.profiles.outcome import Outcome, RejectedError
from gateway.profiles.schema import ByteValue
from gateway.profiles.schema_mqtt import Step

MAX_OBSERVATIONS = 1024
"""In one message; a payload that announces more is oversized."""

_Values = dict[str, Value]


class BinaryLayout:
    """The steps of a layout, compiled."""

    def __init__(self, steps: list[Step]) -> None:
        self._steps = [_CompiledStep(step) for step in steps]

    def read(self, data: bytes) -> tuple[list[_Values], Outcome | None]:
        """One set of values for each time that the innermost repetition comes, and why it ended early.

        What is left behind the last step is not looked at.
        """
        found: list[_Values] = []
        try:
            found.extend(_walk(self._steps, _Cursor(data), {}))
        except RejectedError as e:
            return found, e.outcome
        return found, None


class _Cursor:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.made = 0

    def take(self, size: int) -> bytes:
        """The next bytes; RejectedError where there are not so many left."""
        end = self.at + size
        if end > len(self.data):
            raise RejectedError(Outcome.TOO_SHORT)
        taken, self.at = self.data[self.at : end], end
        return taken


class _CompiledStep:
    def __init__(self, step: Step) -> None:
        self.name = step.name or ""
        self.skip = step.skip or 0
        self.by = step.by or ""
        self.repeat = step.repeat or ""
        self.each = [_CompiledStep(inner) for inner in step.each]
        layouts = step.layout if isinstance(step.layout, dict) else {0: step.layout}
        self._readers = {key: _valued(step, layout) for key, layout in layouts.items()} if self.name else {}

    def value(self, cursor: _Cursor, known: _Values) -> Value:
        key = known.get(self.by, 0) if self.by else 0
        found = self._readers.get(key) if isinstance(key, int) else None
        if found is None:
            raise RejectedError(Outcome.OUT_OF_RANGE)
        field, read = found
        if field.has_length:
            return read(cursor.take(cursor.take(1)[0]))
        return read(cursor.take(len(cursor.data) - cursor.at if field.is_open else field.size))


def _valued(step: Step, layout: str) -> tuple[ByteValue, Read]:
    said = step.model_dump(exclude_unset=True, include=set(ByteValue.model_fields) - {"layout"})
    field = ByteValue.model_validate({"as": layout, **said})
    return field, reader(field)


def _walk(steps: list[_CompiledStep], cursor: _Cursor, known: _Values) -> Iterator[_Values]:
    known = dict(known)
    for step in steps:
        if step.skip:
            cursor.take(step.skip)
        elif step.name:
            known[step.name] = step.value(cursor, known)
        else:
            times: Any = known[step.repeat]
            for _ in range(times if isinstance(times, int) else 0):
                yield from _walk(step.each, cursor, known)
    if not any(step.each for step in steps):
        cursor.made += 1
        if cursor.made > MAX_OBSERVATIONS:
            raise RejectedError(Outcome.OVERSIZED)
        yield known


def checksum_holds(data: bytes) -> bool:
    """Whether the last byte is the sum of all others, modulo 256."""
    return len(data) > 1 and sum(data[:-1]) & 0xFF == data[-1]
