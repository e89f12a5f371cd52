"""What a schema cannot say: parts of a profile that must fit each other, and profiles that must not meet."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from gateway.located import did_you_mean
from gateway.profiles.checks_mqtt import mqtt_meet, mqtt_mistakes
from gateway.profiles.frames import Prefix
from gateway.profiles.mistakes import Mistake, Place, identity_mistakes
from gateway.profiles.schema_ble import BleProfile, Frame, Sealed
from gateway.profiles.schema_mqtt import MqttProfile
from gateway.profiles.templates import SCHEMES

_RADIO_SCHEMES = SCHEMES[:-1]


def mistakes(profile: BleProfile | MqttProfile) -> list[Mistake]:
    """Everything wrong within one profile that its schema lets through."""
    return list(_ble(profile) if isinstance(profile, BleProfile) else mqtt_mistakes(profile))


def _ble(profile: BleProfile) -> Iterator[Mistake]:
    yield from _ble_layout(profile)
    has_company = profile.match.manufacturer is not None
    for place, frame in profile.all_frames:
        yield from _frame(frame, place, has_company=has_company)
    any_company = profile.match.manufacturer == "any"
    for i, vector in enumerate(profile.vectors):
        if vector.data is not None and any_company and vector.company is None:
            yield ("vectors", i), "missing key 'company': this profile takes any"
        if (vector.data or vector.adv) is None and profile.match.address is None:
            yield ("vectors", i), "expected one of data, adv"


def _ble_layout(profile: BleProfile) -> Iterator[Mistake]:
    """The parts of a file that exclude each other, and the table of objects."""
    in_frames = [frame.objects for frame in profile.frames.values() if frame.objects]
    if profile.frames:
        for key in ("fields", "identity", "sealed"):
            if getattr(profile, key):
                yield (key,), "stands in the frames, where a profile has frames"
        for key in ("length", "where"):
            if getattr(profile.match, key):
                yield ("match", key), "stands in the frames, where a profile has frames"
        if profile.match.starts != [""]:
            yield ("match", "starts"), "stands in the frames, where a profile has frames"
    if bool(profile.objects) != bool(in_frames):
        yield ("objects",), "a table of objects and a frame that has `objects` need each other"
    for number, fields in profile.objects.items():
        if not 0 <= number <= 0xFF:
            yield ("objects", number), "the id of an object is one byte"
        for name, field in fields.items():
            if field.is_open:
                yield ("objects", number, name, "as"), f"{field.layout} has no end here; use {field.layout}8"
            if field.has_length and (len(fields) > 1 or field.at):
                yield ("objects", number, name), f"a {field.layout} is an object of its own"
            if field.below:
                yield ("objects", number, name, "below"), "stands in fields only"


def _frame(frame: Frame, place: Place, *, has_company: bool) -> Iterator[Mistake]:
    match = place or ("match",)
    shortest, longest = frame.lengths
    if shortest > longest:
        yield (*match, "length"), "expected the shorter length first"
    for starts in frame.starts:
        if len(starts) // 2 > shortest:
            yield (*match, "starts"), f"longer than the shortest payload of {shortest} bytes"
    for name, field in frame.fields.items():
        if field.end > shortest:
            yield (
                (*place, "fields", name),
                f"ends at byte {field.end}, beyond the shortest payload of {shortest} bytes",
            )
        if field.has_length:
            yield (*place, "fields", name, "as"), f"{field.layout} is for objects"
    for name in frame.where:
        if name not in frame.fields:
            near = did_you_mean(name, frame.fields)
            yield (*match, "where", name), f"there is no field {name} here{near}"
    if frame.sealed:
        yield from _sealed(frame.sealed, place, shortest)
        if frame.objects and frame.sealed.kind != "aes-ccm":
            yield (*place, "objects"), f"{frame.sealed.kind} is not opened here: there are no objects to read"
    if frame.identity:
        known = [*frame.fields, *(["company"] if has_company else [])]
        yield from identity_mistakes(frame.identity, (*place, "identity"), known, _RADIO_SCHEMES)


def _sealed(sealed: Sealed, place: Place, shortest: int) -> Iterator[Mistake]:
    parts: list[tuple[Place, object]] = [(("text",), sealed.text), (("tag",), sealed.tag)]
    parts += [(("nonce", i), item) for i, item in enumerate(sealed.nonce)]
    for key, part in parts:
        if isinstance(part, list) and not _lies_in(part, shortest):
            yield (*place, "sealed", *key), f"reaches beyond the shortest payload of {shortest} bytes"


def _lies_in(part: list[int], shortest: int) -> bool:
    start = part[0] if part[0] >= 0 else shortest + part[0]
    end = part[1] if part[1] > 0 else shortest + part[1]
    return 0 <= start <= end <= shortest


# --- two frames, two profiles ---


def shadowed(profile: BleProfile | MqttProfile) -> Iterator[tuple[Place, Place]]:
    """Places of frames of one profile that could claim the same payload, the first one first."""
    frames = profile.all_frames if isinstance(profile, BleProfile) else []
    for (one, a), (two, b) in combinations(frames, 2):
        if _frames_meet(a, b):
            yield one, two


def meet(a: BleProfile | MqttProfile, b: BleProfile | MqttProfile) -> bool:
    """Whether one payload could belong to both."""
    if isinstance(a, BleProfile) and isinstance(b, BleProfile):
        return _same_place(a, b) and any(
            _frames_meet(one, two) for _, one in a.all_frames for _, two in b.all_frames
        )
    if isinstance(a, MqttProfile) and isinstance(b, MqttProfile):
        return mqtt_meet(a, b)
    return False


def _same_place(a: BleProfile, b: BleProfile) -> bool:
    one, two = a.match, b.match
    if one.address or two.address:
        return one.address == two.address
    if one.service or two.service:
        return one.service == two.service
    return one.manufacturer == two.manufacturer or "any" in (one.manufacturer, two.manufacturer)


def _frames_meet(a: Frame, b: Frame) -> bool:
    """Frames that ask different values of the same bytes do not meet."""
    for name, allowed in a.where.items():
        if name in b.where and a.fields[name] == b.fields[name] and not set(allowed) & set(b.where[name]):
            return False
    return any(Prefix(x).overlaps(Prefix(y)) for x in a.starts for y in b.starts) and (
        max(a.lengths[0], b.lengths[0]) <= min(a.lengths[1], b.lengths[1])
    )
