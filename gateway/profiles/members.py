"""One member of a payload after the other, as a profile describes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from gateway.profiles import values
from gateway.profiles.outcome import Outcome, RejectedError
from gateway.profiles.paths import JsonPath, PathStep
from gateway.profiles.rules import MAX_PAYLOAD_BYTES
from gateway.profiles.schema_mqtt import TYPES, UNITS, WHOLE, MemberField
from gateway.profiles.values import Scalar

Get = Callable[[Any], Any]
Decoder = msgspec.json.Decoder[Any] | msgspec.msgpack.Decoder[Any]

_CONVERT: dict[str, Callable[[Any], Any]] = {
    "text": values.text,
    "u16": values.u16,
    "uuid": values.uuid,
    "mac": values.mac,
    "hex": values.adv_bytes,
    "pdus": values.pdus,
    "bool": values.truth,
    "hex_if_any": values.hex_if_any,
    "service": values.service_on_air,
}
_NOT_FINITE = re.compile(rb"[:\[,]\s*-?(?:NaN|Infinity)\b")
_MAX_SELECTED = 256
"""Items of a list among which one is looked for by a member's value."""


def checked_payload(payload: bytes) -> bytes:
    """The payload itself; RejectedError when it is too long, empty or no UTF-8."""
    sized_payload(payload)
    if not payload.isascii():
        try:
            payload.decode()
        except UnicodeDecodeError:
            raise RejectedError(Outcome.NOT_UTF8) from None
    return payload


def sized_payload(payload: bytes) -> bytes:
    """The payload itself; RejectedError when it is too long or empty."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise RejectedError(Outcome.OVERSIZED)
    if not payload:  # what clears a retained message
        raise RejectedError(Outcome.NOT_MINE)
    return payload


def decoded(decoder: Decoder, raw: Any) -> Any:
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


def decoded_or_text(decoder: Decoder, payload: bytes) -> Any:
    """As `decoded`; what is no JSON is the bare text that it is."""
    try:
        return decoded(decoder, payload)
    except RejectedError:
        return payload.decode().strip()


class Shape:
    """The part of a payload that a profile looks at, as a nest of structs.

    Leaves are scalars, but for those that `kinds` gives a type of their own.
    """

    def __init__(self, paths: Iterable[JsonPath], kinds: Mapping[JsonPath, Any] | None = None) -> None:
        tree: dict[str, Any] = {}
        is_value = False
        for path in paths:
            if not path.steps:
                is_value = True
                continue
            branch = tree
            for step in path.steps:
                branch = branch.setdefault(step.name, {})
                if step.of_list:
                    branch.setdefault(_IS_LIST, True)
                if step.member:
                    branch.setdefault(step.member, {})
        for path, kind in (kinds or {}).items():
            branch = tree
            for step in path.steps[:-1]:
                branch = branch.setdefault(step.name, {})
            branch[path.steps[-1].name] = _Leaf(kind)
        self._tree = tree
        self.type = Scalar if not tree else _struct(tree) | Scalar if is_value else _struct(tree)

    def get(self, path: JsonPath) -> Get:
        """A reader of one leaf, None where the path ends early."""
        if path.text == WHOLE:
            return lambda item: None if isinstance(item, msgspec.Struct) else item
        steps: list[tuple[str, str, PathStep]] = []
        branch = self._tree
        for step in path.steps:
            name = _attribute(branch, step.name)
            branch = branch[step.name]
            if isinstance(branch, _Leaf):
                branch = {}
            steps.append((name, _attribute(branch, step.member) if step.member else "", step))

        def get(item: Any) -> Any:
            for name, member, step in steps:
                if not isinstance(item, msgspec.Struct):
                    return None
                item = getattr(item, name)
                if step.last and isinstance(item, list):
                    item = item[-1] if item else None
                elif member:
                    item = _selected(item, member, step.value)
            return None if isinstance(item, msgspec.Struct) else item

        return get


class _Leaf:
    def __init__(self, kind: Any) -> None:
        self.kind = kind


_IS_LIST = "\0"
"""In the tree: this branch is a list of objects, or one alone."""


def _attribute(branch: dict[str, Any], name: str) -> str:
    return f"f{[n for n in branch if n != _IS_LIST].index(name)}"


def _selected(item: Any, member: str, value: str) -> Any:
    found = item if isinstance(item, list) else [item]
    return next(
        (i for i in found[:_MAX_SELECTED] if isinstance(i, msgspec.Struct) and getattr(i, member) == value),
        None,
    )


def _struct(tree: dict[str, Any]) -> Any:
    members: list[tuple[str, Any, None]] = []
    rename = {}
    for name, inner in tree.items():
        if name == _IS_LIST:
            continue
        if isinstance(inner, _Leaf):
            kind = inner.kind | None
        elif not inner:
            kind = Scalar
        elif _IS_LIST in inner:
            one = _struct(inner) if len(inner) > 1 else Scalar
            kind = list[one] | one | None  # type: ignore[valid-type]
        else:
            kind = _struct(inner) | None
        attribute = _attribute(tree, name)
        members.append((attribute, kind, None))
        rename[attribute] = name
    return msgspec.defstruct("Payload", members, rename=rename, gc=False)


class Member:
    """One field of the profile, read from a payload."""

    def __init__(self, name: str, field: MemberField, item: Shape, root: Shape | None = None) -> None:
        paths = [JsonPath(path) for path in field.path]
        self._get = [(p.from_root, (root if p.from_root and root else item).get(p)) for p in paths]
        units = UNITS.get(name)
        self._factor = units[field.unit] if units and field.unit else None
        self._words = {str(key): word for key, word in (field.values or {}).items()}
        self._convert = values.number if units else _CONVERT[field.type or TYPES.get(name, "text")]
        if name == "fix_t_s" and field.unit == "iso8601":
            self._convert, self._factor = values.iso8601_s, None
        self._absent = field.absent
        self._unheard = name == "rssi_dbm"
        self._range = field.range
        self._default = field.default
        self._piece = field.piece

    def read(self, item: Any, root: Any = None) -> Any:
        """The value in the unit of the model, the default where there is none; RejectedError else."""
        unreadable: RejectedError | None = None
        for from_root, get in self._get:
            raw = get(root if from_root else item)
            if raw is None or (raw == "null" and self._convert is not values.text):
                continue
            try:
                return self._value(raw)
            except RejectedError as e:
                unreadable = e
        if unreadable:
            raise unreadable
        return self._default

    def _value(self, raw: Any) -> Any:
        if self._piece is not None:
            pieces = raw.split(",") if isinstance(raw, str) and len(raw) <= values.MAX_TEXT else []
            if self._piece >= len(pieces):
                raise RejectedError(Outcome.MALFORMED)
            raw = pieces[self._piece].strip()
        if self._words:
            return self._words.get(values.text(raw), self._default)
        value = self._convert(raw)
        if self._absent and value in self._absent:
            if self._unheard and self._default is None:
                raise RejectedError(Outcome.NOT_MINE)
            return self._default
        if self._range and not self._range[0] <= value <= self._range[1]:
            raise RejectedError(Outcome.OUT_OF_RANGE)
        return value if self._factor is None else value * self._factor
