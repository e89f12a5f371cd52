"""Parts of an MQTT profile that must fit each other, and MQTT profiles that must not meet."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from gateway.located import did_you_mean
from gateway.profiles.mistakes import Mistake, Place, identity_mistakes
from gateway.profiles.paths import JsonPath
from gateway.profiles.payload import paths
from gateway.profiles.schema_mqtt import TYPES, UNITS, WHOLE, MemberField, MqttProfile, Step
from gateway.profiles.templates import SCHEMES, Claim, IdentityTemplate, IdPattern, TopicTemplate

_MEMBERS = {
    "fix": ("lat_deg", "lon_deg", "accuracy_m", "speed_kmh", "heading_deg", "ignition"),
    "sighting": (
        *("rssi_dbm", "receiver", "address", "address_type", "battery_pct", "moved"),
        *("adv", "manufacturer_data", "service_data", "service"),
    ),
}
_PARTS = (*_MEMBERS["fix"], "fix_t_s")
_NEEDED = {"fix": ("lat_deg", "lon_deg"), "sighting": ("rssi_dbm", "receiver")}
_OF_RADIO, _OF_VEHICLES = SCHEMES[:-1], SCHEMES[-1:]


def mqtt_mistakes(profile: MqttProfile) -> Iterator[Mistake]:
    """Everything wrong within one profile that its schema lets through."""
    if profile.parts:
        if profile.claims:
            yield ("claims",), "values that come one by one name nobody"
        yield from _in_parts(profile)
        return
    if profile.assemble:
        yield ("assemble",), "there are no parts to put together"
    yield from _encoding(profile)
    topics = [TopicTemplate(t) for t in profile.match.topic]
    parts = [name for name in topics[0].names if all(name in t.names for t in topics)]
    in_names = [n for p in (profile.items.members if profile.items else []) for n in IdPattern(p).names]
    in_layout = [step.name for step in _named(profile.layout) if step.name]
    there = {*profile.fields, *parts, *in_names, *in_layout}
    for needed in _NEEDED[profile.gives]:
        if needed not in there:
            yield ("fields",), f"missing key '{needed}': a {profile.gives} has one"
    for path, text in profile.claims.items():
        for name in Claim(text).names:
            if name not in parts:
                yield ("claims", path), f"{{{name}}} is no part of the topic"
    if profile.claims and (profile.encoding == "binary" or profile.layout):
        yield ("claims",), "there are no members in bytes"
    forms = profile.identity.forms if profile.identity else []
    used = {name for form in forms for name in IdentityTemplate(form.gives).names}
    for name, field in profile.fields.items():
        if any(name in t.names for t in topics):
            yield ("fields", name), "the topic has a part of this name"
        yield from _member(("fields", name), field, _MEMBERS[profile.gives], used, f"a {profile.gives}")
        if WHOLE in field.path:
            yield ("fields", name, "path"), f"{WHOLE} is the whole payload of a part, and there are no parts"
    yield from _steps(profile.layout, ("layout",), {*_MEMBERS[profile.gives], *used}, set())
    if profile.gives == "fix" and not profile.identity:
        yield (), "missing key 'identity': a fix has one"
    for i, form in enumerate(forms):
        known = [*there, *(IdPattern(form.reads).names if form.reads else ())]
        schemes = _OF_VEHICLES if profile.gives == "fix" else _OF_RADIO
        yield from identity_mistakes(form.gives, ("identity", "forms", i, "gives"), known, schemes)
    yield from _states(profile)
    yield from _paths(profile)


def _states(profile: MqttProfile) -> Iterator[Mistake]:
    """A receiver's word on itself: whose it is stands in the topic."""
    heard = {TopicTemplate(topic).filter(None) for topic in profile.match.topic}
    for i, state in enumerate(profile.state):
        place = ("state", i)
        if profile.gives != "sighting":
            yield place, "only receivers say that they are alive"
        for j, text in enumerate(state.topic):
            topic = TopicTemplate(text)
            if "receiver" not in topic.names:
                yield (*place, "topic", j), "one level has to be {receiver}"
            if topic.filter(None) in heard:
                yield (*place, "topic", j), "what is heard comes on this topic too"
        for name, field in (("alive", state.alive), ("every_s", state.every)):
            if field is not None:
                key = name.removesuffix("_s")
                yield from (
                    ((*place, key, *at[1:]), text) for at, text in _member((name,), field, (name,), (), "it")
                )
        if state.alive is None and state.every is None:
            yield place, "expected alive, or every when any message there says so"


def _paths(profile: MqttProfile) -> Iterator[Mistake]:
    found = [(place, path, JsonPath(path)) for place, path in paths(profile)]
    for place, path, taken in found:
        if any(other.goes_through(taken) for _, _, other in found):
            yield place, f"{path} is read as a value here, and other paths go through it"
        if taken.from_root and not profile.items:
            yield place, f"{path} begins at the root, and the payload carries no items: leave the / out"


def _encoding(profile: MqttProfile) -> Iterator[Mistake]:
    """What goes with JSON, with MessagePack, with bytes."""
    binary = profile.encoding == "binary"
    if binary and not profile.layout:
        yield (), "missing key 'layout': of a binary payload it says what follows what"
    if binary and profile.items:
        yield ("items",), "a binary payload repeats in its layout"
    if not binary and (profile.match.starts or profile.checksum):
        key = ("match", "starts") if profile.match.starts else ("checksum",)
        yield key, "is for binary payloads"
    if profile.layout and not binary and not profile.items:
        yield ("layout",), "reads bytes: a binary payload, or items that are bytes"
    if profile.layout:
        for place, path in paths(profile):
            if binary or not JsonPath(path).from_root:
                yield place, "there is no member to be found in bytes; the layout says what is where"


def _named(steps: list[Step]) -> list[Step]:
    inner = [s for step in steps for s in _named(step.each)]
    return [step for step in steps if step.name] + inner


def _steps(steps: list[Step], place: Place, wanted: Collection[str], before: set[str]) -> Iterator[Mistake]:
    """A layout in order: what a step refers to has been read, and what it reads is of use."""
    asked = {s.by for s in steps} | {s.repeat for s in steps}
    for i, step in enumerate(steps):
        here = (*place, i)
        for key, name in (("by", step.by), ("repeat", step.repeat)):
            if name and name not in before:
                yield (*here, key), f"no {name} has been read before this{did_you_mean(name, before)}"
        if step.name:
            if step.name in before:
                yield (*here, "name"), f"{step.name} has been read already"
            elif step.name not in wanted and step.name not in asked:
                near = did_you_mean(step.name, wanted)
                yield (*here, "name"), f"{step.name} is of no use here{near}; skip it"
            before.add(step.name)
        if step.each:
            yield from _steps(step.each, (*here, "each"), wanted, before)
            if any(s.repeat for s in steps[i + 1 :]):
                yield here, "only what is repeated last makes observations; there is another repeat behind"


def _in_parts(profile: MqttProfile) -> Iterator[Mistake]:
    for key in ("fields", "time", "items", "layout", "state"):
        if getattr(profile, key):
            yield (key,), "stands in the parts, where a profile has parts"
    if profile.match.where:
        yield ("match", "where"), "the topics of the parts say what is meant"
    if profile.encoding != "json":
        yield ("encoding",), "parts are JSON or bare text"
    if profile.gives != "fix":
        yield ("gives",), "only a fix comes in parts"
    forms = profile.identity.forms if profile.identity else []
    if not forms:
        yield (), "missing key 'identity': a fix has one"
    topics = [TopicTemplate(t) for t in profile.match.topic]
    named = [name for name in topics[0].names if all(name in t.names for t in topics)]
    for i, form in enumerate(forms):
        yield from identity_mistakes(form.gives, ("identity", "forms", i, "gives"), named, _OF_VEHICLES)
    for needed in _NEEDED["fix"]:
        if not any(needed in fields for fields in profile.parts.values()):
            yield ("parts",), f"missing key '{needed}': a fix has one"
    for tail, fields in profile.parts.items():
        for name, field in fields.items():
            yield from _member(("parts", tail, name), field, _PARTS, (), "a fix")


def _member(
    place: Place, field: MemberField, members: Collection[str], used: Collection[str], of: str
) -> Iterator[Mistake]:
    name = str(place[-1])
    if name not in members and name not in used:
        near = did_you_mean(name, members)
        yield (
            place,
            f"neither part of {of} nor of the identity{near or '; known are ' + ', '.join(members)}",
        )
    units: dict[str, Any] | None = UNITS.get(name)
    if units and field.unit not in units and field.path:
        got = f", got {field.unit!r}{did_you_mean(field.unit, units)}" if field.unit else ""
        yield (*place, "unit"), f"expected unit: {' or '.join(units)}{got}"
    if units and (field.type or field.values):
        yield place, f"{name} is a number: it has a unit, not as or values"
    if not units and (field.unit or field.absent or field.range):
        yield place, f"{name} is no number: it has no unit, absent or range"
    if TYPES.get(name) == "bool" and not all(
        isinstance(word, bool) for word in (field.values or {}).values()
    ):
        yield (*place, "values"), f"{name} is true or false"
    if name in TYPES and field.type not in (None, TYPES[name]) and (name, field.type) != ("adv", "pdus"):
        yield (*place, "as"), f"{name} is always read as {TYPES[name]}"


# --- two profiles ---

_JSON_STARTS = frozenset(b' \t\r\n[{"-0123456789tfn')


def mqtt_meet(a: MqttProfile, b: MqttProfile) -> bool:
    """Whether one message could belong to both."""
    if not any(TopicTemplate(x).overlaps(TopicTemplate(y)) for x in a.topics for y in b.topics):
        return False
    if not _starts_meet(a, b):
        return False
    one, two = _of_root(a), _of_root(b)
    return all(_common(one[path], two[path]) for path in one.keys() & two.keys())


def _of_root(profile: MqttProfile) -> dict[str, list[Any]]:
    """What a profile asks of members, by their path from the root where the payload carries items."""
    where = profile.match.where
    items = profile.items
    if items is None or (items.at == WHOLE and not items.members):  # a list, or one object alone
        return where
    return {path[1:] if path.startswith("/") else f"…{path}": allowed for path, allowed in where.items()}


def _starts_meet(a: MqttProfile, b: MqttProfile) -> bool:
    one, two = bytes.fromhex(a.match.starts), bytes.fromhex(b.match.starts)
    if one and two:
        return one.startswith(two) or two.startswith(one)
    for starts, other in ((one, b), (two, a)):
        if starts and other.encoding == "json" and starts[0] not in _JSON_STARTS:
            return False
    return True


def _common(a: list[Any], b: list[Any]) -> bool:
    """Whether a member can satisfy both lists of allowed values."""
    if any(value in b for value in a):
        return True
    return ("any" in a and any(v is not None for v in b)) or ("any" in b and any(v is not None for v in a))
