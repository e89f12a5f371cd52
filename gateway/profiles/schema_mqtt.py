"""What a profile of firmware heard over MQTT may say."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from gateway.profiles.paths import JsonPath
from gateway.profiles.schema import (
    ONE_OR_MORE,
    Accepts,
    AnyProfile,
    Bounds,
    ByteValue,
    Expect,
    FieldName,
    Hex,
    IdentityText,
    Strict,
    checked_layout,
    listed,
)
from gateway.profiles.templates import Claim, IdentityTemplate, IdPattern, TopicTemplate

UNITS: dict[str, dict[str, float]] = {
    "lat_deg": {"deg": 1.0},
    "lon_deg": {"deg": 1.0},
    "accuracy_m": {"m": 1.0, "km": 1000.0, "ft": 0.3048},
    "speed_kmh": {"km/h": 1.0, "m/s": 3.6, "knots": 1.852, "mph": 1.609344},
    "heading_deg": {"deg": 1.0},
    "rssi_dbm": {"dBm": 1.0},
    "battery_pct": {"%": 1.0, "1": 100.0},
    "fix_t_s": {"s": 1.0, "ms": 0.001, "iso8601": 1.0},
    "every_s": {"s": 1.0, "ms": 0.001},
}
"""Numbers of the model, and the units in which a firmware may send them (`1`: of 0 to 1)."""
WHOLE = "."
"""The path to a payload that is one value: JSON or bare text."""
TYPES = {
    "ignition": "bool",
    "moved": "bool",
    "address": "mac",
    "adv": "hex",
    "alive": "bool",
    "manufacturer_data": "hex_if_any",
    "service_data": "hex_if_any",
    "service": "service",
}
"""Members of the model that are not numbers; every other field is text unless it says `as`.

`manufacturer_data` (company id first), `service_data` and the `service` that it is of stand for `adv` where a
receiver takes advertisements apart.
"""


def _path(value: str) -> str:
    JsonPath(value)
    return value


def _topic(value: str) -> str:
    TopicTemplate(value)
    return value


def _tail(value: str) -> str:
    if TopicTemplate(value).names:
        raise ValueError("a part is named by plain topic levels; the {names} stand in match.topic")
    return value


def _seconds(value: Any) -> Any:
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(s|min)", value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"expected a duration such as 2s or 10min, got {value!r}")
    return float(found[1]) * (60.0 if found[2] == "min" else 1.0)


def _pattern(value: str) -> str:
    IdPattern(value)
    return value


def _claim(value: str) -> str:
    Claim(value)
    return value


def _layouts(value: str | dict[int, str]) -> str | dict[int, str]:
    for layout in [value] if isinstance(value, str) else value.values():
        checked_layout(layout)
    return value


def _sent(value: Any) -> Any:
    if isinstance(value, str) and value != "reception":
        raise ValueError("expected reception, or the path and unit of the time")
    return None if isinstance(value, str) else value


def _always(value: Any) -> Any:
    return {"forms": [{"gives": text} for text in listed(value)]} if isinstance(value, str | list) else value


def _every(value: Any) -> Any:
    return {"default": _seconds(value)} if isinstance(value, str) else value


def _items(value: Any) -> Any:
    if value is True:
        return {"at": WHOLE}
    return {"at": value} if isinstance(value, str) else value


Topic = Annotated[str, AfterValidator(_topic)]
_TEXT = {"type": "string"}
DURATION = Accepts(_seconds, {"type": "string", "examples": ["2s", "10min"]})
Path = Annotated[str, AfterValidator(_path)]
Pattern = Annotated[str, AfterValidator(_pattern)]


class MqttMatch(Strict):
    topic: Annotated[list[Annotated[str, AfterValidator(_topic)]], ONE_OR_MORE, Field(min_length=1)]
    where: dict[Path, Annotated[list[float | str | bool | None], ONE_OR_MORE]] = {}
    """Members with the values they must have (null: or be missing); `any`: must be there."""
    starts: Hex = ""
    """First bytes of a binary payload: what tells it from another firmware's on the same topic."""


class MemberField(Strict):
    path: Annotated[list[Path], ONE_OR_MORE] = []
    """Where in the payload; of several the first that is there and readable. None: always the default."""
    unit: str | None = None
    type: Annotated[
        Literal["text", "u16", "uuid", "mac", "hex", "pdus", "bool"] | None, Field(alias="as")
    ] = None
    values: dict[str | int, str | bool] | None = None
    """The payload's word for each of ours; a word that is not listed counts as missing."""
    piece: Annotated[int, Field(ge=0, le=9)] | None = None
    """Of a text with commas: which piece, counted from 0."""
    absent: Annotated[list[float], ONE_OR_MORE] = []
    """Raw numbers that say: not available."""
    default: float | str | bool | None = None
    """Taken where the member is missing or absent, in the unit of the field's name."""
    range: Bounds | None = None
    """Bounds of the raw number."""

    @model_validator(mode="after")
    def _has_a_value(self) -> Self:
        if not self.path and self.default is None:
            raise ValueError("expected a path, or a default that always holds")
        return self


class Items(Strict):
    """Where a message carries several observations."""

    at: Path = WHOLE
    """The list, or the object that has `members`; `.`: the payload itself is."""
    members: Annotated[list[Pattern], ONE_OR_MORE] = []
    """Those members of the object whose names read so are the items; parts of a name are fields."""


class Step(ByteValue):
    """What comes next in a binary payload: bytes to skip, a value, or what is there several times."""

    layout: Annotated[str | dict[int, str], AfterValidator(_layouts), Field(alias="as")] = "u8"  # type: ignore[assignment]
    """With `by`: the layout for each value of an earlier one."""
    name: FieldName | None = None
    skip: Annotated[int, Field(ge=1, le=255)] | None = None
    by: FieldName | None = None
    repeat: FieldName | None = None
    """Name of the value that says how often `each` comes."""
    each: list[Step] = []

    @model_validator(mode="before")
    @classmethod
    def _one_kind(cls, data: Any) -> Any:
        if isinstance(data, dict):
            kinds = [key for key in ("name", "skip", "repeat") if key in data]
            if len(kinds) != 1:
                raise ValueError("expected one of name, skip, repeat")
            if (kinds == ["repeat"]) != bool(data.get("each")):
                raise ValueError("repeat says how often, and each what comes so often")
            if kinds == ["name"] and "as" not in data:
                raise ValueError("missing key 'as'")
            if ("by" in data) != isinstance(data.get("as"), dict):
                raise ValueError("by names the value, and as the layout for each of its values")
        return data

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not isinstance(self.layout, dict):
            self.check_options()
        return self


class Assemble(Strict):
    """How the parts of a position find each other; see `assembler`."""

    within_s: Annotated[float, Field(alias="within", gt=0, le=60), DURATION] = 2.0
    """Latitude and longitude further apart than this do not belong together."""
    keep_s: Annotated[float, Field(alias="keep", gt=0, le=3600), DURATION] = 60.0
    """A speed, heading or ignition older than this says nothing of a position any more."""


class State(Strict):
    """Where a receiver says that it is alive, or its last will that it is not."""

    topic: Annotated[list[Topic], ONE_OR_MORE, Field(min_length=1)]
    alive: MemberField | None = None
    """None: any message there says that the receiver lives."""
    every: Annotated[MemberField | None, Accepts(_every, {"type": "string", "examples": ["15s"]})] = None
    """How often it is said: a receiver that is silent for longer is dead. None: nobody knows how often."""


class TimeField(Strict):
    path: Path
    unit: Literal["s", "ms", "iso8601"]


class IdentityForm(Strict):
    reads: Pattern | None = None
    gives: IdentityText


class Identity(Strict):
    of: Path | None = None
    """The member that holds the receiver's id."""
    forms: Annotated[list[IdentityForm], Field(min_length=1)]
    """The first that reads the id, or whose parts are all there, gives the identity."""

    @model_validator(mode="after")
    def _readable(self) -> Self:
        if any((form.reads is None) != (self.of is None) for form in self.forms):
            raise ValueError("`of` names the member that the `reads` of every form takes apart")
        return self


class MqttHeard(Strict):
    topic: str
    payload: Any = None
    """Text as it was sent, or the JSON value itself."""
    bytes: Hex | None = None
    """A binary payload, in hex."""
    retain: bool = False

    @model_validator(mode="before")
    @classmethod
    def _one_form(cls, data: Any) -> Any:
        if isinstance(data, dict) and ("payload" in data) == ("bytes" in data):
            raise ValueError("expected one of payload, bytes")
        return data


class MqttEarlier(MqttHeard):
    ago_s: Annotated[float, Field(alias="ago", ge=0), DURATION]


class MqttVector(MqttHeard):
    before: list[MqttEarlier] = []
    """What the same vehicle sent before, where a fix comes in parts."""
    expect: Expect


class MqttProfile(AnyProfile):
    match: MqttMatch
    gives: Literal["fix", "sighting"]
    encoding: Literal["json", "msgpack", "binary"] = "json"
    items: Annotated[Items | None, Accepts(_items, {"const": True}, _TEXT)] = None
    """A message may carry several observations: true for a list, the path of one, or members by name."""
    fields: dict[FieldName, MemberField] = {}
    layout: list[Step] = []
    """Of a binary payload, or of items that are bytes: what follows what."""
    checksum: Literal["sum8"] | None = None
    """Of a binary payload: its last byte is the sum of all others, modulo 256."""
    parts: dict[Annotated[str, AfterValidator(_tail)], dict[FieldName, MemberField]] = {}
    """For a fix split over topics: the levels that follow `match.topic`, and what is sent there."""
    assemble: Assemble | None = None
    time: Annotated[TimeField | None, Accepts(_sent, {"const": "reception"})] = None
    """Where the moment of the position stands; `reception`: the firmware sends none."""
    claims: dict[Path, Annotated[str, AfterValidator(_claim)]] = {}
    """Members that name the sender again, and what they say if it is the topic's; another is an impostor."""
    state: Annotated[list[State], ONE_OR_MORE] = []
    """Of receivers: what they say of themselves."""
    identity: Annotated[Identity, Accepts(_always, _TEXT, {"type": "array", "items": _TEXT})] | None = None
    vectors: Annotated[list[MqttVector], Field(min_length=1)]

    @property
    def topics(self) -> list[str]:
        """The templates of all topics, those of the parts one by one."""
        if not self.parts:
            return self.match.topic
        return [f"{topic}/{tail}" for topic in self.match.topic for tail in self.parts]

    @property
    def identity_template(self) -> IdentityTemplate:
        """Of a profile whose identity is made of topic parts and fields alone."""
        if self.identity is None or self.identity.of is not None:
            raise ValueError(f"{self.profile} reads its identity out of an id")
        return IdentityTemplate(self.identity.forms[0].gives)
