"""What a schema cannot say: parts of a profile that must fit each other, and profiles that must not meet."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from gateway.located import did_you_mean
from gateway.profiles.payload import paths
from gateway.profiles.schema import TYPES, UNITS, WHOLE, BleProfile, MemberField, MqttProfile
from gateway.profiles.templates import SCHEMES, IdentityTemplate, IdPattern, TopicTemplate

Mistake = tuple[tuple[str | int, ...], str]
"""Place in the file, and what is wrong there."""

_MEMBERS = {
    "fix": ("lat_deg", "lon_deg", "accuracy_m", "speed_kmh", "heading_deg", "ignition"),
    "sighting": ("rssi_dbm", "receiver", "address", "address_type", "adv"),
}
_PARTS = (*_MEMBERS["fix"], "fix_t_s")
_NEEDED = {"fix": ("lat_deg", "lon_deg"), "sighting": ("rssi_dbm", "receiver")}


def mistakes(profile: BleProfile | MqttProfile) -> list[Mistake]:
    """Everything wrong within one profile that its schema lets through."""
    return list(_ble(profile) if isinstance(profile, BleProfile) else _mqtt(profile))


def _ble(profile: BleProfile) -> Iterator[Mistake]:
    shortest, longest = profile.lengths
    if shortest > longest:
        yield ("match", "length"), "expected the shorter length first"
    if len(profile.match.starts) // 2 > shortest:
        yield ("match", "starts"), f"longer than the shortest payload of {shortest} bytes"
    for name, field in profile.fields.items():
        if field.at + field.size > shortest:
            end = field.at + field.size
            yield ("fields", name), f"ends at byte {end}, beyond the shortest payload of {shortest} bytes"
    any_company = profile.match.manufacturer == "any"
    for i, vector in enumerate(profile.vectors):
        if vector.data is not None and any_company and vector.company is None:
            yield ("vectors", i), "missing key 'company': this profile takes any"
    if profile.identity:
        known = [*profile.fields, *(["company"] if profile.match.manufacturer is not None else [])]
        yield from _identity(profile.identity, ("identity",), known, SCHEMES[:-1])


def _mqtt(profile: MqttProfile) -> Iterator[Mistake]:
    if profile.parts:
        yield from _in_parts(profile)
        return
    if profile.assemble:
        yield ("assemble",), "there are no parts to put together"
    topics = [TopicTemplate(t) for t in profile.match.topic]
    parts = [name for name in topics[0].names if all(name in t.names for t in topics)]
    for needed in _NEEDED[profile.gives]:
        if needed not in profile.fields and (needed != "receiver" or needed not in parts):
            yield ("fields",), f"missing key '{needed}': a {profile.gives} has one"
    forms = profile.identity.forms if profile.identity else []
    used = {name for form in forms for name in IdentityTemplate(form.gives).names}
    for name, field in profile.fields.items():
        if any(name in t.names for t in topics):
            yield ("fields", name), "the topic has a part of this name"
        yield from _member(("fields", name), field, _MEMBERS[profile.gives], used, f"a {profile.gives}")
        if WHOLE in field.path:
            yield ("fields", name, "path"), f"{WHOLE} is the whole payload of a part, and there are no parts"
    if profile.gives == "fix" and not profile.identity:
        yield (), "missing key 'identity': a fix has one"
    for i, form in enumerate(forms):
        known = [*profile.fields, *parts, *(IdPattern(form.reads).names if form.reads else ())]
        schemes = SCHEMES[-1:] if profile.gives == "fix" else SCHEMES[:-1]
        yield from _identity(form.gives, ("identity", "forms", i, "gives"), known, schemes)
    whole = {path for _, path in paths(profile)}
    for place, path in paths(profile):
        if any(other.startswith(f"{path}.") for other in whole):
            yield place, f"{path} is read as a value here, and other paths go through it"


def _identity(
    text: str, place: tuple[str | int, ...], known: Collection[str], schemes: Collection[str]
) -> Iterator[Mistake]:
    template = IdentityTemplate(text)
    if template.scheme not in schemes:
        yield place, f"expected an identity that begins with one of {', '.join(s + ':' for s in schemes)}"
    for name in template.names:
        if name not in known:
            yield place, f"there is no {name} here{did_you_mean(name, known)}"


def _in_parts(profile: MqttProfile) -> Iterator[Mistake]:
    for key in ("fields", "time", "items"):
        if getattr(profile, key):
            yield (key,), "stands in the parts, where a profile has parts"
    if profile.match.where:
        yield ("match", "where"), "the topics of the parts say what is meant"
    if profile.gives != "fix":
        yield ("gives",), "only a fix comes in parts"
    forms = profile.identity.forms if profile.identity else []
    if not forms:
        yield (), "missing key 'identity': a fix has one"
    topics = [TopicTemplate(t) for t in profile.match.topic]
    named = [name for name in topics[0].names if all(name in t.names for t in topics)]
    for i, form in enumerate(forms):
        yield from _identity(form.gives, ("identity", "forms", i, "gives"), named, SCHEMES[-1:])
    for needed in _NEEDED["fix"]:
        if not any(needed in fields for fields in profile.parts.values()):
            yield ("parts",), f"missing key '{needed}': a fix has one"
    for tail, fields in profile.parts.items():
        for name, field in fields.items():
            yield from _member(("parts", tail, name), field, _PARTS, (), "a fix")


def _member(
    place: tuple[str | int, ...], field: MemberField, members: Collection[str], used: Collection[str], of: str
) -> Iterator[Mistake]:
    name = str(place[-1])
    if name not in members and name not in used:
        near = did_you_mean(name, members)
        yield (
            place,
            f"neither part of {of} nor of the identity{near or '; known are ' + ', '.join(members)}",
        )
    units: dict[str, Any] | None = UNITS.get(name)
    if units and field.unit not in units:
        got = f", got {field.unit!r}{did_you_mean(field.unit, units)}" if field.unit else ""
        yield (*place, "unit"), f"expected unit: {' or '.join(units)}{got}"
    if units and (field.type or field.values):
        yield place, f"{name} is a number: it has a unit, not as or values"
    if not units and (field.unit or field.absent or field.range):
        yield place, f"{name} is no number: it has no unit, absent or range"
    if (
        name in TYPES
        and TYPES[name] == "bool"
        and not all(isinstance(word, bool) for word in (field.values or {}).values())
    ):
        yield (*place, "values"), f"{name} is true or false"
    if name in TYPES and field.type not in (None, TYPES[name]):
        yield (*place, "as"), f"{name} is always read as {TYPES[name]}"


# --- two profiles ---


def meet(a: BleProfile | MqttProfile, b: BleProfile | MqttProfile) -> bool:
    """Whether one payload could belong to both."""
    if isinstance(a, BleProfile) and isinstance(b, BleProfile):
        return _ble_meet(a, b)
    if isinstance(a, MqttProfile) and isinstance(b, MqttProfile):
        return _mqtt_meet(a, b)
    return False


def _ble_meet(a: BleProfile, b: BleProfile) -> bool:
    one, two = a.match, b.match
    same_place = (
        one.service == two.service
        if one.service or two.service
        else one.manufacturer == two.manufacturer or "any" in (one.manufacturer, two.manufacturer)
    )
    return (
        same_place
        and (one.starts.startswith(two.starts) or two.starts.startswith(one.starts))
        and max(a.lengths[0], b.lengths[0]) <= min(a.lengths[1], b.lengths[1])
    )


def _mqtt_meet(a: MqttProfile, b: MqttProfile) -> bool:
    if not any(TopicTemplate(x).overlaps(TopicTemplate(y)) for x in a.topics for y in b.topics):
        return False
    shared = a.match.where.keys() & b.match.where.keys()
    return all(_common(a.match.where[path], b.match.where[path]) for path in shared)


def _common(a: list[Any], b: list[Any]) -> bool:
    """Whether a member can satisfy both lists of allowed values."""
    if any(value in b for value in a):
        return True
    return ("any" in a and any(v is not None for v in b)) or ("any" in b and any(v is not None for v in a))
