"""The quick way from payload to fix: one msgspec type per profile, with the ranges in the type.

Of flat payloads the compiled pass of `flat.py` takes what it can, before the type. The type takes what is
well formed and leaves everything else to the patient reader in `payload.py`, which finds the reason. What two
of them take gives the same fix; a test holds them to that.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta, Raw, Struct

from gateway.model import Fix, Message
from gateway.profiles import flat, values
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
from gateway.profiles.templates import Claim

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
_TIME_FACTORS = {"s": 1.0, "ms": 0.001}
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
        claims = enumerate(profile.claims.values())
        self._claims = [(attrgetter(places[f"claim_{i}"]), Claim(text)) for i, text in claims]
        self._factors = tuple(_factor(profile, n) for n in ("accuracy_m", "speed_kmh"))
        self._clock = _clock(profile)
        self.members = _members(profile, leaves) if is_flat else None
        """For the one pass over a flat payload, where the profile is fit for it."""

    def bind(self, parts: Mapping[str, str]) -> Quick:
        """The reader of one topic, whose named parts are fit for an identity."""
        by_type = functools.partial(self.by_type, parts)
        if self.members is None or not flat.COMPILED:
            return by_type
        return flat.FlatReader(self.members, self._identity.fill(parts), by_type).read

    def by_type(self, parts: Mapping[str, str], message: Message) -> Fix | None:
        item = _item(self._decode, message.payload)
        if item is None or any(get(item) not in allowed for get, allowed in self._where):
            return None
        for get, claim in self._claims:
            if (said := get(item)) is not None and not Claim.holds(claim.expected(parts), said):
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


def _members(profile: MqttProfile, leaves: list[_Leaf]) -> flat.Members | None:
    """What the one pass over a flat payload looks for, None for a profile that asks for more than it can."""
    where = profile.match.where.values()
    words = [[value.encode() for value in allowed if isinstance(value, str)] for allowed in where]
    kinds = dict.fromkeys((*_NUMBERS[:2], "time", *_NUMBERS[2:], "ignition"))
    kinds |= dict.fromkeys(f"where_{i}" for i in range(len(words)))
    kinds |= dict.fromkeys(f"claim_{i}" for i in range(len(profile.claims)))
    words += [[] for _ in profile.claims]  # left to the type where a payload has it
    number = {name: kind for kind, name in enumerate(kinds)}
    fit = all(leaf.name in number and leaf.path.isascii() for leaf in leaves)
    fit = fit and all(map(_is_words, where)) and all(text.isascii() for texts in words for text in texts)
    if not fit or profile.time is None or profile.time.unit == "iso8601" or len(words) > flat.WORDS_MAX:
        return None
    return flat.Members(
        [leaf.path.encode() for leaf in leaves],
        [number[leaf.name] for leaf in leaves],
        words,
        (_TIME_FACTORS[profile.time.unit], _factor(profile, "accuracy_m"), _factor(profile, "speed_kmh")),
    )


def typed(profile: MqttProfile) -> TypedReader | None:
    """The typed reader of a profile, None for one that asks for more than a type can say."""
    used = list(profile.match.where) + [p for f in profile.fields.values() for p in f.path]
    used += [*profile.claims, *([profile.time.path] if profile.time else [])]
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
    for i, path in enumerate(profile.claims):
        yield _Leaf(f"claim_{i}", path, str | None, None)
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


def _clock(profile: MqttProfile) -> Callable[[Any], float] | None:
    """Reads Unix seconds, not a number where there is no time in it; None for firmware that sends none."""
    if profile.time is None:
        return None
    factor = _TIME_FACTORS.get(profile.time.unit)
    return _iso8601 if factor is None else lambda time: float(time) * factor


def _iso8601(time: Any) -> float:
    try:
        return values.iso8601_s(time)
    except RejectedError:
        return math.nan
