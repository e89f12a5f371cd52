"""MQTT payloads: profiles compiled to typed JSON decoders, one msgspec type per profile."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from gateway.counts import Counts
from gateway.model import Fix, Message, Sighting
from gateway.profiles import values
from gateway.profiles.outcome import Outcome, RejectedError
from gateway.profiles.schema import TYPES, UNITS, Identity, MemberField, MqttProfile, TimeField
from gateway.profiles.templates import IdentityTemplate, IdPattern, TopicTemplate
from gateway.profiles.values import Scalar

MAX_PAYLOAD_BYTES = 64 * 1024

_Get = Callable[[Any], Scalar]
_CONVERT: dict[str, Callable[[Scalar], Any]] = {
    "text": values.text,
    "u16": values.u16,
    "uuid": values.uuid,
    "mac": values.mac,
    "hex": values.adv_bytes,
    "bool": values.truth,
}
_NOT_FINITE = re.compile(rb"[:\[,]\s*-?(?:NaN|Infinity)\b")
_TIME_RANGE_S = (946_684_800.0, 4_102_444_800.0)
"""2000 to 2100: a device that says anything else has no clock yet, or another unit."""
_RSSI_RANGE_DBM = (-127.0, 20.0)
"""Bluetooth Core 5.4, Vol 4 Part E §7.7.65.2; 127 stands for: not available."""


class MqttReader:
    """One profile, compiled: message in, sightings or fixes out."""

    def __init__(self, profile: MqttProfile) -> None:
        self.room = f"profiles.{profile.profile}"
        self.topics = tuple(TopicTemplate(t) for t in profile.match.topic)
        self.gives_fixes = profile.gives == "fix"
        self._items = profile.items
        shape = _Shape(profile)
        self._item = msgspec.json.Decoder(shape.type)
        self._list = msgspec.json.Decoder(list[msgspec.Raw])
        self._where = [(shape.get(path), allowed) for path, allowed in profile.match.where.items()]
        self._fields = [(name, _Member(name, f, shape)) for name, f in profile.fields.items()]
        self._time = _clock(profile.time, shape)
        self._identity = _Identity(profile.identity, shape) if profile.identity else None
        self._build = self._fix if self.gives_fixes else self._sighting
        self._used = {"receiver", *(self._identity.names if self._identity else ())}

    def parts(self, levels: list[str], site: str | None) -> dict[str, str] | None:
        """The named parts of a topic that is this profile's, else None."""
        found = (topic.parts(levels, site) for topic in self.topics)
        return next((parts for parts in found if parts is not None), None)

    def accepts(self, parts: Mapping[str, str]) -> bool:
        """Whether the parts that end up in an observation are fit for it."""
        return all(values.is_name(part) for name, part in parts.items() if name in self._used)

    def read(self, message: Message, parts: Mapping[str, str], counts: Counts) -> list[Sighting | Fix]:
        """What the message says; every item of it is counted, a bad one spoils no other."""
        observations: list[Sighting | Fix] = []
        try:
            items = self._split(message.payload)
        except RejectedError as e:
            counts.count(self.room, e.outcome.value)
            return observations
        for item in items:
            try:
                observations.append(self._one(item, message, parts))
                outcome = Outcome.MATCHED
            except RejectedError as e:
                outcome = e.outcome
            counts.count(self.room, outcome.value)
        return observations

    def _split(self, payload: bytes) -> list[Any]:
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise RejectedError(Outcome.OVERSIZED)
        if not payload:  # what clears a retained message
            raise RejectedError(Outcome.NOT_MINE)
        if not payload.isascii():
            try:
                payload.decode()
            except UnicodeDecodeError:
                raise RejectedError(Outcome.NOT_UTF8) from None
        if self._items and payload.lstrip(b" \t\r\n").startswith(b"["):
            return list(_decoded(self._list, payload))
        return [payload]

    def _one(self, raw: Any, message: Message, parts: Mapping[str, str]) -> Sighting | Fix:
        item = _decoded(self._item, raw)
        for get, allowed in self._where:
            value = get(item)
            if value not in allowed and not ("any" in allowed and value is not None):
                raise RejectedError(Outcome.NOT_MINE)
        found: dict[str, Any] = dict(parts)
        for name, member in self._fields:
            found[name] = member.read(item)
        return self._build(message, item, found, self._identity.read(item, found) if self._identity else "")

    def _sighting(self, message: Message, _: Any, found: dict[str, Any], identity: str) -> Sighting:
        if message.retain:
            raise RejectedError(Outcome.RETAINED)
        return Sighting(
            t_s=message.t_s,
            receiver=found["receiver"],
            address=found.get("address") or "",
            address_type=found.get("address_type") or "",
            rssi_dbm=_within(_required(found["rssi_dbm"]), _RSSI_RANGE_DBM),
            adv=_required(found["adv"]) if "adv" in found else b"",
            identity=identity,
        )

    def _fix(self, message: Message, item: Any, found: dict[str, Any], identity: str) -> Fix:
        fix_t_s = self._time(item)
        accuracy, speed, heading = (found.get(k) for k in ("accuracy_m", "speed_kmh", "heading_deg"))
        return Fix(
            t_s=message.t_s,
            fix_t_s=message.t_s if fix_t_s is None else fix_t_s,
            device=_required(identity or None),
            lat_deg=_within(_required(found["lat_deg"]), (-90, 90)),
            lon_deg=_within(_required(found["lon_deg"]), (-180, 180)),
            accuracy_m=accuracy if accuracy is not None and accuracy > 0 else None,
            speed_kmh=speed if speed is not None and speed >= 0 else None,
            heading_deg=heading % 360 if heading is not None and 0 <= heading <= 360 else None,
            ignition=found.get("ignition"),
            retained=message.retain,
            time_source="reception" if fix_t_s is None else "device",
        )


def _decoded(decoder: msgspec.json.Decoder[Any], raw: Any) -> Any:
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


def _required(value: Any) -> Any:
    if value is None:
        raise RejectedError(Outcome.MALFORMED)
    return value


def _within(value: float, bounds: tuple[float, float]) -> float:
    if not bounds[0] <= value <= bounds[1]:
        raise RejectedError(Outcome.OUT_OF_RANGE)
    return value


class _Shape:
    """The part of a payload that a profile looks at, as a nest of structs whose leaves are scalars."""

    def __init__(self, profile: MqttProfile) -> None:
        tree: dict[str, Any] = {}
        for _, path in paths(profile):
            branch = tree
            for step in path.split("."):
                branch = branch.setdefault(step, {})
        self._tree = tree
        self.type = _struct(tree)

    def get(self, path: str) -> _Get:
        """A reader of one leaf, None where the path ends early."""
        names, branch = [], self._tree
        for step in path.split("."):
            names.append(f"f{list(branch).index(step)}")
            branch = branch[step]

        def get(item: Any) -> Scalar:
            for name in names:
                if item is None:
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


def paths(profile: MqttProfile) -> list[tuple[tuple[str | int, ...], str]]:
    """Every path into the payload, with its place in the profile."""
    found: list[tuple[tuple[str | int, ...], str]] = [(("match", "where", p), p) for p in profile.match.where]
    for name, field in profile.fields.items():
        found += [(("fields", name, "path", i), p) for i, p in enumerate(field.path)]
    if profile.time:
        found.append((("time", "path"), profile.time.path))
    if profile.identity and profile.identity.of:
        found.append((("identity", "of"), profile.identity.of))
    return found


class _Member:
    """One field of the profile, read from a payload."""

    def __init__(self, name: str, field: MemberField, shape: _Shape) -> None:
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
            if raw is None:
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


class _Identity:
    def __init__(self, identity: Identity, shape: _Shape) -> None:
        self._of = shape.get(identity.of) if identity.of else None
        self._forms = [
            (IdPattern(f.reads) if f.reads else None, IdentityTemplate(f.gives)) for f in identity.forms
        ]

        self.names = {name for _, template in self._forms for name in template.names}

    def read(self, item: Any, found: Mapping[str, Any]) -> str:
        """The identity, empty when no form reads the id or a part is missing."""
        id = self._of(item) if self._of else None
        for pattern, template in self._forms:
            if pattern is None:
                return template.fill(found)
            parts = pattern.read(id) if isinstance(id, str) and len(id) <= values.MAX_TEXT else None
            if parts is not None:
                return template.fill({**found, **parts})
        return ""


def _clock(time: TimeField | None, shape: _Shape) -> Callable[[Any], float | None]:
    """Reads the moment of the position in Unix seconds; None where the firmware sends no time at all."""
    if time is None:
        return lambda _: None
    get = shape.get(time.path)
    if time.unit == "iso8601":
        return lambda item: _within(values.iso8601_s(get(item)), _TIME_RANGE_S)
    factor = 0.001 if time.unit == "ms" else 1.0
    return lambda item: _within(values.number(get(item)) * factor, _TIME_RANGE_S)
