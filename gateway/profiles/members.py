"""One member of a payload after the other, as a profile describes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from gateway.profiles import values
from gateway.profiles.outcome import Outcome, RejectedError
from gateway.profiles.rules import MAX_PAYLOAD_BYTES
from gateway.profiles.schema import TYPES, UNITS, WHOLE, MemberField
from gateway.profiles.values import Scalar

Get = Callable[[Any], Scalar]

_CONVERT: dict[str, Callable[[Scalar], Any]] = {
    "text": values.text,
    "u16": values.u16,
    "uuid": values.uuid,
    "mac": values.mac,
    "hex": values.adv_bytes,
    "bool": values.truth,
}
_NOT_FINITE = re.compile(rb"[:\[,]\s*-?(?:NaN|Infinity)\b")


def checked_payload(payload: bytes) -> bytes:
    """The payload itself; RejectedError when it is too long, empty or no UTF-8."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise RejectedError(Outcome.OVERSIZED)
    if not payload:  # what clears a retained message
        raise RejectedError(Outcome.NOT_MINE)
    if not payload.isascii():
        try:
            payload.decode()
        except UnicodeDecodeError:
            raise RejectedError(Outcome.NOT_UTF8) from None
    return payload


def decoded(decoder: msgspec.json.Decoder[Any], raw: Any) -> Any:
    """The payload as the shape of the decoder; RejectedError with the reason."""
    try:
        return decoder.decode(raw)
    except RecursionError:
        outcome = Outcome.TOO_DEEP
    except UnicodeDecodeError:
        outcome = Outcome.NOT_UTF8
    except msgspec.DecodeError as e:
        beyond = str(e).startswith("Number out of range") or _NOT_FINITE.search(memoryview(raw))
        outcome = Outcome.NOT_FINITE if beyond else Outcome.MALFORMED
    raise RejectedError(outcome)


class Shape:
    """The part of a payload that a profile looks at, as a nest of structs whose leaves are scalars."""

    def __init__(self, paths: Iterable[str]) -> None:
        tree: dict[str, Any] = {}
        is_value = False
        for path in paths:
            if path == WHOLE:
                is_value = True
                continue
            branch = tree
            for step in path.split("."):
                branch = branch.setdefault(step, {})
        self._tree = tree
        self.type = Scalar if not tree else _struct(tree) | Scalar if is_value else _struct(tree)

    def get(self, path: str) -> Get:
        """A reader of one leaf, None where the path ends early."""
        if path == WHOLE:
            return lambda item: None if isinstance(item, msgspec.Struct) else item
        names, branch = [], self._tree
        for step in path.split("."):
            names.append(f"f{list(branch).index(step)}")
            branch = branch[step]

        def get(item: Any) -> Scalar:
            for name in names:
                if not isinstance(item, msgspec.Struct):
                    return None
                item = getattr(item, name)
            leaf: Scalar = item
            return leaf

        return get


def _struct(tree: dict[str, Any]) -> Any:
    members = [
        (f"f{i}", _struct(inner) | None if inner else Scalar, None) for i, inner in enumerate(tree.values())
    ]
    rename = {f"f{i}": name for i, name in enumerate(tree)}
    return msgspec.defstruct("Payload", members, rename=rename, gc=False)


class Member:
    """One field of the profile, read from a payload."""

    def __init__(self, name: str, field: MemberField, shape: Shape) -> None:
        self._get = [shape.get(path) for path in field.path]
        units = UNITS.get(name)
        self._factor = units[field.unit] if units and field.unit else None
        self._words = {str(key): word for key, word in (field.values or {}).items()}
        self._convert = values.number if units else _CONVERT[field.type or TYPES.get(name, "text")]
        self._absent = field.absent
        self._range = field.range
        self._default = field.default

    def read(self, item: Any) -> Any:
        """The value in the unit of the model, the default where there is none; RejectedError else."""
        unreadable: RejectedError | None = None
        for get in self._get:
            raw = get(item)
            if raw is None or (raw == "null" and self._convert is not values.text):
                continue
            try:
                return self._value(raw)
            except RejectedError as e:
                unreadable = e
        if unreadable:
            raise unreadable
        return self._default

    def _value(self, raw: Scalar) -> Any:
        if self._words:
            return self._words.get(values.text(raw), self._default)
        value = self._convert(raw)
        if self._absent and value in self._absent:
            return self._default
        if self._range and not self._range[0] <= value <= self._range[1]:
            raise RejectedError(Outcome.OUT_OF_RANGE)
        return value if self._factor is None else value * self._factor
