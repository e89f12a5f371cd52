"""Bytes to values, one compiled reader for each field of a profile. The caller has checked the length."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from gateway.profiles.outcome import Outcome, RejectedError
from gateway.profiles.schema import ByteValue
from gateway.profiles.schema_ble import Below
from gateway.profiles.values import dashed

Value = int | float | str | bool | None
Read = Callable[[bytes], Value]


def reader(field: ByteValue, at: int = 0, below: Below | None = None) -> Read:
    """Reads the field from a payload in which it begins at byte `at`; RejectedError beyond its range.

    A layout with a length of its own is handed its value without that byte.
    """
    end = None if field.is_open or field.has_length else at + field.size
    if field.is_number:
        return _number(field, at, at + field.size, below)
    if field.layout.startswith("text"):
        return _text(field, at, end)
    return _digits(field, at, end)


def _digits(field: ByteValue, at: int, end: int | None) -> Read:
    absent = frozenset(str(a) for a in field.absent)
    spell: Callable[[bytes], str]
    match field.layout:
        case "uuid":
            spell = lambda raw: dashed(raw.hex())  # noqa: E731
        case "mac":
            spell = lambda raw: raw.hex(":")  # noqa: E731
        case "mac_le":
            spell = lambda raw: raw[::-1].hex(":")  # noqa: E731
        case _:
            spell = bytes.hex
    if not absent:
        return lambda data: spell(data[at:end])

    def read(data: bytes) -> Value:
        raw = data[at:end]
        return None if raw.hex() in absent else spell(raw)

    return read


def _text(field: ByteValue, at: int, end: int | None) -> Read:
    words = {byte: word.encode() for byte, word in (field.words or {}).items()}

    def read(data: bytes) -> Value:
        raw = data[at:end].rstrip(b"\0") if end is not None else data[at:]
        if words:
            raw = b"".join(words.get(byte) or bytes((byte,)) for byte in raw)
        return raw.decode(errors="replace")

    return read


def _number(field: ByteValue, start: int, end: int, below: Below | None) -> Read:
    raw_number = _raw_number(field, start, end, below)
    absent = frozenset(a for a in field.absent if isinstance(a, int))
    if field.values is not None:
        meaning = field.values
        return lambda data: meaning.get(int(raw_number(data)))
    if field.within is not None:
        low, high = field.within

        def is_within(data: bytes) -> Value:
            raw = raw_number(data)
            return None if raw in absent else low <= raw <= high

        return is_within
    scale, offset, bounds, clamp = field.scale, field.offset, field.range, field.clamp
    if scale == 1 and offset == 0 and not absent and bounds is None and clamp is None:
        return raw_number

    def number(data: bytes) -> Value:
        raw = raw_number(data)
        if raw in absent:
            return None
        value = raw if scale == 1 and offset == 0 else raw * scale + offset
        if bounds is not None and not bounds[0] <= value <= bounds[1]:
            raise RejectedError(Outcome.OUT_OF_RANGE)
        return value if clamp is None else min(max(value, clamp[0]), clamp[1])

    return number


def _raw_number(
    field: ByteValue, start: int, end: int, below: Below | None
) -> Callable[[bytes], int | float]:
    if field.layout == "s7.100":
        return lambda data: _sign_and_hundredths(data[start], data[start + 1])
    order: Literal["little", "big"] = "little" if field.layout.endswith("le") else "big"
    signed = field.layout.startswith("i")
    if field.bits is None and below is None:
        if end == start + 1 and not signed:
            return lambda data: data[start]
        return lambda data: int.from_bytes(data[start:end], order, signed=signed)
    first, last = field.bits or (0, 8 * (end - start) - 1)
    width = last - first + 1
    low_at, low_first, low_width = (
        (below.at, below.bits[0], below.bits[1] - below.bits[0] + 1) if below else (0, 0, 0)
    )

    def sliced(data: bytes) -> int:
        raw = int.from_bytes(data[start:end], order) >> first & (1 << width) - 1
        if low_width:
            raw = raw << low_width | data[low_at] >> low_first & (1 << low_width) - 1
        total = width + low_width
        return raw - (1 << total) if signed and raw >> total - 1 else raw

    return sliced


def _sign_and_hundredths(whole: int, hundredths: int) -> float:
    """A sign bit and seven bits of whole units, then a byte of hundredths."""
    value = (whole & 0x7F) + hundredths / 100
    return -value if whole & 0x80 else value
