"""MQTT payloads, read patiently: whatever is wrong with one has a name. `typed.py` is the quick way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gateway.counts import Counts
from gateway.model import Fix, Message, Sighting
from gateway.profiles import values
from gateway.profiles.items import Item, Refused, Splitter
from gateway.profiles.members import Member, Shape
from gateway.profiles.outcome import Outcome, RejectedError
from gateway.profiles.paths import JsonPath
from gateway.profiles.rules import (
    check_place,
    checked_time_s,
    known_accuracy_m,
    known_heading_deg,
    known_speed_kmh,
)
from gateway.profiles.schema_mqtt import Identity, MqttProfile, TimeField
from gateway.profiles.templates import Claim, IdentityTemplate, IdPattern, TopicTemplate
from gateway.profiles.typed import typed

_RSSI_RANGE_DBM = (-127.0, 20.0)
"""Bluetooth Core 5.4, Vol 4 Part E §7.7.65.2; 127 stands for: not available."""


_SERVICE_DATA = {2: 0x16, 4: 0x20, 16: 0x21}
"""AD type by the length of the UUID, Bluetooth Assigned Numbers §2.3."""
_LONGEST_BODY = 255


class MqttReader:
    """One profile, compiled: message in, sightings or fixes out."""

    def __init__(self, profile: MqttProfile) -> None:
        self.room = f"profiles.{profile.profile}"
        self.topics = tuple(TopicTemplate(t) for t in profile.match.topic)
        self.gives_fixes = profile.gives == "fix"
        self.starts = bytes.fromhex(profile.match.starts)
        """First bytes that tell this profile's payloads from another's on the same topic."""
        split = self._split = Splitter(profile, [JsonPath(path) for _, path in paths(profile)])
        shape, root = split.shape, split.root
        self._where = [(*_place(path, shape, root), allowed) for path, allowed in profile.match.where.items()]
        self._fields = [(name, Member(name, f, shape, root)) for name, f in profile.fields.items()]
        self._time = _clock(profile.time, shape)
        self._identity = _Identity(profile.identity, shape) if profile.identity else None
        self._build = self._fix if self.gives_fixes else self._sighting
        self._claims = [(_place(path, shape, root), Claim(text)) for path, text in profile.claims.items()]
        self.quick = typed(profile)
        """The quick way, where there is one."""
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
            for item in self._split.split(message.payload):
                outcome = Outcome.MATCHED
                if isinstance(item, Refused):
                    outcome = item.outcome
                else:
                    try:
                        observations.append(self._one(item, message, parts))
                    except RejectedError as e:
                        outcome = e.outcome
                counts.count(self.room, outcome.value)
        except RejectedError as e:
            counts.count(self.room, e.outcome.value)
        return observations

    def _one(self, part: Item, message: Message, parts: Mapping[str, str]) -> Sighting | Fix:
        item, root = part.item, part.root
        for from_root, get, allowed in self._where:
            value = get(root if from_root else item)
            if value not in allowed and not ("any" in allowed and value is not None):
                raise RejectedError(Outcome.NOT_MINE)
        for (from_root, get), claim in self._claims:
            if not Claim.holds(claim.expected(parts), get(root if from_root else item)):
                raise RejectedError(Outcome.IMPOSTOR)
        found: dict[str, Any] = {**parts, **part.known}
        for name, member in self._fields:
            value = member.read(item, root)
            if value is not None or name not in found:
                found[name] = value
        return self._build(message, item, found, self._identity.read(item, found) if self._identity else "")

    def _sighting(self, message: Message, _: Any, found: dict[str, Any], identity: str) -> Sighting:
        if message.retain:
            raise RejectedError(Outcome.RETAINED)
        return Sighting(
            t_s=message.t_s,
            receiver=_required(found["receiver"]),
            address=found.get("address") or "",
            address_type=found.get("address_type") or "",
            rssi_dbm=_rssi_dbm(_required(found["rssi_dbm"])),
            adv=self._adv(found["adv"]) if "adv" in found else _rebuilt(found),
            identity=identity,
            battery_pct=_battery_pct(found.get("battery_pct")),
            moved=found.get("moved"),
        )

    def _adv(self, value: Any) -> bytes:
        """A layout gives hex. Missing, there must be something else that may identify."""
        if value is None and self._identity is not None:
            return b""
        return value if isinstance(value, bytes) else values.adv_bytes(value)

    def _fix(self, message: Message, item: Any, found: dict[str, Any], identity: str) -> Fix:
        fix_t_s = self._time(item)
        lat_deg, lon_deg = _required(found["lat_deg"]), _required(found["lon_deg"])
        check_place(lat_deg, lon_deg)
        return Fix(
            t_s=message.t_s,
            fix_t_s=message.t_s if fix_t_s is None else checked_time_s(fix_t_s, message.t_s),
            device=_required(identity or None),
            lat_deg=lat_deg,
            lon_deg=lon_deg,
            accuracy_m=known_accuracy_m(found.get("accuracy_m")),
            speed_kmh=known_speed_kmh(found.get("speed_kmh")),
            heading_deg=known_heading_deg(found.get("heading_deg")),
            ignition=found.get("ignition"),
            retained=message.retain,
            time_source="reception" if fix_t_s is None else "device",
        )


def _rebuilt(found: Mapping[str, Any]) -> bytes:
    """AD structures from the parts that a receiver tells; Core Supplement Part A §1.4, §1.11."""
    manufacturer: bytes = found.get("manufacturer_data") or b""
    service: bytes = found.get("service") or b""
    data: bytes = found.get("service_data") or b""
    bodies = [b"\xff" + manufacturer] if len(manufacturer) > 2 else []
    if service and data:
        bodies.append(bytes((_SERVICE_DATA[len(service)],)) + service + data)
    return b"".join(bytes((len(body),)) + body for body in bodies if len(body) <= _LONGEST_BODY)


def _required(value: Any) -> Any:
    if value is None:
        raise RejectedError(Outcome.MALFORMED)
    return value


def _rssi_dbm(value: float) -> float:
    if not _RSSI_RANGE_DBM[0] <= value <= _RSSI_RANGE_DBM[1]:
        raise RejectedError(Outcome.OUT_OF_RANGE)
    return value


def _battery_pct(value: float | None) -> float | None:
    return value if value is not None and 0 <= value <= 100 else None


def _place(path: str, item: Shape, root: Shape | None) -> tuple[bool, Callable[[Any], Any]]:
    """Whether a path begins at the root, and what reads it there."""
    found = JsonPath(path)
    return found.from_root, (root if found.from_root and root else item).get(found)


def paths(profile: MqttProfile) -> list[tuple[tuple[str | int, ...], str]]:
    """Every path into the payload, with its place in the profile."""
    found: list[tuple[tuple[str | int, ...], str]] = [(("match", "where", p), p) for p in profile.match.where]
    for name, field in profile.fields.items():
        found += [(("fields", name, "path", i), p) for i, p in enumerate(field.path)]
    found += [(("claims", path), path) for path in profile.claims]
    if profile.time:
        found.append((("time", "path"), profile.time.path))
    if profile.identity and profile.identity.of:
        found.append((("identity", "of"), profile.identity.of))
    return found


class _Identity:
    def __init__(self, identity: Identity, shape: Shape) -> None:
        self._of = shape.get(JsonPath(identity.of)) if identity.of else None
        self._forms = [
            (IdPattern(f.reads) if f.reads else None, IdentityTemplate(f.gives)) for f in identity.forms
        ]

        self.names = {name for _, template in self._forms for name in template.names}

    def read(self, item: Any, found: Mapping[str, Any]) -> str:
        """The identity, empty when no form reads the id or a part is missing."""
        id = self._of(item) if self._of else None
        for pattern, template in self._forms:
            if pattern is None:
                identity = template.fill(found)
                if identity:
                    return identity
                continue
            parts = pattern.read(id) if isinstance(id, str) and len(id) <= values.MAX_TEXT else None
            if parts is not None:
                return template.fill({**found, **parts})
        return ""


def _clock(time: TimeField | None, shape: Shape) -> Callable[[Any], float | None]:
    """Reads the moment of the position in Unix seconds; None where the firmware sends no time at all."""
    if time is None:
        return lambda _: None
    get = shape.get(JsonPath(time.path))
    if time.unit == "iso8601":
        return lambda item: values.iso8601_s(get(item))
    factor = 0.001 if time.unit == "ms" else 1.0
    return lambda item: values.number(get(item)) * factor
