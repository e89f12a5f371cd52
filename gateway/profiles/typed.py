"""The quick way from payload to fix: one msgspec type per profile, with the ranges in the type.

It takes what is well formed and leaves everything else to the patient reader in `payload.py`, which finds the
reason. What both take gives the same fix; a test holds them to that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta, Raw, Struct

from gateway.model import Fix, Message
from gateway.profiles import values
from gateway.profiles.outcome import RejectedError
from gateway.profiles.rules import (
    EARLIEST_S,
    LATEST_S,
    MAX_PAYLOAD_BYTES,
    MOST_AHEAD_S,
    known_accuracy_m,
    known_heading_deg,
    known_speed_kmh,
)
from gateway.profiles.schema_mqtt import UNITS, MemberField, MqttProfile

Quick = Callable[[Message], Fix | None]
"""Bound to one topic: the fix, None where the patient reader has to look."""

_Decode = Callable[[bytes], Any]
_NUMBERS = ("lat_deg", "lon_deg", "accuracy_m", "speed_kmh", "heading_deg")
_FINITE = 1.7e308
"""Numbers sent as text may spell infinity or no number at all: bounds keep both out."""
_TIMES = {
    "s": Annotated[float, Meta(ge=EARLIEST_S, le=LATEST_S)],
    "ms": Annotated[float, Meta(ge=EARLIEST_S * 1000, le=LATEST_S * 1000)],
    "iso8601": str,
}
_UNKNOWN: dict[str, Callable[[float], bool]] = {
    "accuracy_m": lambda raw: raw <= 0,
    "speed_kmh": lambda raw: raw < 0,
    "heading_deg": lambda raw: not 0 <= raw <= 360,
}
"""What becomes None whatever the profile says: `absent` may name such values here, and no others."""


class _Leaf(NamedTuple):
    name: str
    path: str
    type: Any
    default: Any = msgspec.NODEFAULT


class _Position(Struct, gc=False):
    """What a nested payload is flattened to."""

    lat_deg: float
    lon_deg: float
    accuracy_m: float | None
    speed_kmh: float | None
    heading_deg: float | None
    ignition: bool | None
    time: float | str | None


class TypedReader:
    """One profile of fixes, compiled to a type; `typed` says whether it can be."""

    def __init__(self, profile: MqttProfile) -> None:
        leaves = list(_leaves(profile))
        shape, places = _shape(leaves)
        self._decode: _Decode = msgspec.json.Decoder(shape, strict=False).decode
        self._where = [
            (attrgetter(places[f"where_{i}"]), [Raw(msgspec.json.encode(v)) for v in allowed])
            for i, allowed in enumerate(profile.match.where.values())
            if not _is_words(allowed)
        ]
        is_flat = all("." not in leaf.path for leaf in leaves)
        self._position = None if is_flat else attrgetter(*(places[n] for n in _Position.__struct_fields__))
        self._texts = {n: attrgetter(places[n]) for n in profile.fields if n not in (*_NUMBERS, "ignition")}
        self._identity = profile.identity_template
        self._factors = tuple(_factor(profile, n) for n in ("accuracy_m", "speed_kmh"))
        self._clock = _clock(profile)

    def bind(self, parts: Mapping[str, str]) -> Quick:
        """The reader of one topic, whose named parts are fit for an identity."""
        is_model = self._clock is _seconds and self._factors == (1.0, 1.0)
        if is_model and self._position is None and not self._where and not self._texts:
            return _flat(self._decode, self._identity.fill(parts))
        return lambda message: self._nested(message, parts)

    def _nested(self, message: Message, parts: Mapping[str, str]) -> Fix | None:
        item = _item(self._decode, message.payload)
        if item is None or any(get(item) not in allowed for get, allowed in self._where):
            return None
        device = self._device(item, parts)
        if self._position is not None:
            item = _Position(*self._position(item))
        fix_t_s = message.t_s if self._clock is None else self._clock(item.time)
        if not device or not _is_usable(fix_t_s, message.t_s, item.lat_deg, item.lon_deg):
            return None
        accuracy_factor, speed_factor = self._factors
        return Fix(
            message.t_s,
            fix_t_s,
            device,
            item.lat_deg,
            item.lon_deg,
            known_accuracy_m(None if item.accuracy_m is None else item.accuracy_m * accuracy_factor),
            known_speed_kmh(None if item.speed_kmh is None else item.speed_kmh * speed_factor),
            known_heading_deg(item.heading_deg),
            item.ignition,
            message.retain,
            "reception" if self._clock is None else "device",
        )

    def _device(self, item: Any, parts: Mapping[str, str]) -> str:
        """Empty when a text is not fit for an identity."""
        words = {name: get(item) for name, get in self._texts.items()}
        return self._identity.fill({**parts, **words}) if all(map(values.is_name, words.values())) else ""


def _flat(decode: _Decode, device: str) -> Quick:
    """`_nested` for a flat payload in the units of the model, written out: each call less is a tenth."""

    def read(message: Message) -> Fix | None:
        payload = message.payload
        try:
            if payload.isascii() and len(payload) <= MAX_PAYLOAD_BYTES:
                item = decode(payload)
            else:
                item = _item(decode, payload)
                if item is None:
                    return None
        except (msgspec.DecodeError, RecursionError):
            return None
        t_s, fix_t_s, lat_deg, lon_deg = message.t_s, item.time, item.lat_deg, item.lon_deg
        if fix_t_s > t_s + MOST_AHEAD_S or lat_deg == lon_deg == 0.0:
            return None
        accuracy_m, speed_kmh, heading_deg = item.accuracy_m, item.speed_kmh, item.heading_deg
        return Fix(
            t_s,
            fix_t_s,
            device,
            lat_deg,
            lon_deg,
            accuracy_m if accuracy_m is not None and accuracy_m > 0.0 else None,
            speed_kmh if speed_kmh is not None and speed_kmh >= 0.0 else None,
            heading_deg % 360.0 if heading_deg is not None and 0.0 <= heading_deg <= 360.0 else None,
            item.ignition,
            message.retain,
        )

    return read


def _item(decode: _Decode, payload: bytes) -> Any:
    """The payload in its type, None when it does not fit."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        return None
    try:
        if not payload.isascii():
            payload.decode()
        return decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _is_usable(fix_t_s: float, received_s: float, lat_deg: float, lon_deg: float) -> bool:
    latest_s = min(LATEST_S, received_s + MOST_AHEAD_S)
    return EARLIEST_S <= fix_t_s <= latest_s and not lat_deg == lon_deg == 0.0


def typed(profile: MqttProfile) -> TypedReader | None:
    """The typed reader of a profile, None for one that asks for more than a type can say."""
    used = list(profile.match.where) + [p for f in profile.fields.values() for p in f.path]
    used += [profile.time.path] if profile.time else []
    if profile.encoding != "json" or any("[" in path or path.startswith("/") for path in used):
        return None
    plain = profile.gives == "fix" and not profile.items and not profile.parts and len(set(used)) == len(used)
    if (
        plain
        and profile.identity is not None
        and profile.identity.of is None
        and len(profile.identity.forms) == 1
        and all(_is_plain(name, field) for name, field in profile.fields.items())
        and all(_is_words(allowed) or _is_flags(allowed) for allowed in profile.match.where.values())
    ):
        return TypedReader(profile)
    return None


def _is_plain(name: str, field: MemberField) -> bool:
    if len(field.path) != 1 or field.values or field.range or field.default is not None:
        return False
    if field.piece is not None:
        return False
    if name in _NUMBERS:
        return all(name in _UNKNOWN and _UNKNOWN[name](raw) for raw in field.absent)
    return name == "ignition" or field.type in (None, "text")


def _is_words(allowed: list[Any]) -> bool:
    return bool(allowed) and all(isinstance(value, str) and value != "any" for value in allowed)


def _is_flags(allowed: list[Any]) -> bool:
    return all(value is None or isinstance(value, bool) for value in allowed)


def _leaves(profile: MqttProfile) -> Iterator[_Leaf]:
    for i, (path, allowed) in enumerate(profile.match.where.items()):
        if _is_words(allowed):
            yield _Leaf(f"where_{i}", path, Literal[tuple(allowed)])
        else:
            yield _Leaf(f"where_{i}", path, Raw, Raw(b"null"))
    if profile.time is not None:
        yield _Leaf("time", profile.time.path, _TIMES[profile.time.unit])
    for name, field in profile.fields.items():
        if name == "lat_deg":
            yield _Leaf(name, field.path[0], Annotated[float, Meta(ge=-90, le=90)])
        elif name == "lon_deg":
            yield _Leaf(name, field.path[0], Annotated[float, Meta(ge=-180, le=180)])
        elif name in _NUMBERS:
            finite = Annotated[float, Meta(ge=-_FINITE, le=_FINITE)]
            yield _Leaf(name, field.path[0], finite | None, None)
        elif name == "ignition":
            yield _Leaf(name, field.path[0], bool | None, None)
        else:
            yield _Leaf(name, field.path[0], str)


def _shape(leaves: list[_Leaf]) -> tuple[type[Struct], dict[str, str]]:
    """The nest of structs, and where in it each leaf is; a member that the profile lacks is None there."""
    tree: dict[str, Any] = {}
    for leaf in leaves:
        *steps, last = leaf.path.split(".")
        branch = tree
        for step in steps:
            branch = branch.setdefault(step, {})
        branch[last] = leaf
    places: dict[str, str] = {}
    absent = {n for n in _Position.__struct_fields__ if all(n != leaf.name for leaf in leaves)}
    shape = _struct(tree, "", places, dict.fromkeys(absent))
    return shape, places | {name: name for name in absent}


def _struct(
    tree: dict[str, Any], above: str, places: dict[str, str], namespace: dict[str, None] | None = None
) -> type[Struct]:
    members, rename = [], {}
    for i, (key, inner) in enumerate(tree.items()):
        if isinstance(inner, _Leaf):
            members.append((inner.name, inner.type, inner.default))
            places[inner.name] = above + inner.name
            rename[inner.name] = key
        else:
            branch = _struct(inner, f"{above}branch_{i}.", places)
            optional = all(f.required is False for f in msgspec.structs.fields(branch))
            default = msgspec.field(default_factory=branch) if optional else msgspec.NODEFAULT
            members.append((f"branch_{i}", branch, default))
            rename[f"branch_{i}"] = key
    return msgspec.defstruct("Payload", members, rename=rename, namespace=namespace, kw_only=True, gc=False)


def _factor(profile: MqttProfile, name: str) -> float:
    field = profile.fields.get(name)
    return UNITS[name][field.unit] if field and field.unit else 1.0


def _seconds(time: Any) -> float:
    return float(time)


def _clock(profile: MqttProfile) -> Callable[[Any], float] | None:
    """Reads Unix seconds, not a number where there is no time in it; None for firmware that sends none."""
    if profile.time is None:
        return None
    return {"s": _seconds, "ms": _milliseconds, "iso8601": _iso8601}[profile.time.unit]


def _milliseconds(time: Any) -> float:
    return float(time) * 0.001


def _iso8601(time: Any) -> float:
    try:
        return values.iso8601_s(time)
    except RejectedError:
        return math.nan
