"""What a profile file may say, for firmware heard by radio and for firmware that speaks MQTT."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from gateway.located import did_you_mean
from gateway.profiles.outcome import Outcome
from gateway.profiles.templates import NAME, IdentityTemplate, IdPattern, TopicTemplate

_LAYOUT = re.compile(r"([ui])8|([ui])(16|24|32|48|64)([bl]e)|uuid|hex:([1-9][0-9]?)")
_BASE_UUID = "-0000-1000-8000-00805f9b34fb"

UNITS: dict[str, dict[str, float]] = {
    "lat_deg": {"deg": 1.0},
    "lon_deg": {"deg": 1.0},
    "accuracy_m": {"m": 1.0, "km": 1000.0, "ft": 0.3048},
    "speed_kmh": {"km/h": 1.0, "m/s": 3.6, "knots": 1.852, "mph": 1.609344},
    "heading_deg": {"deg": 1.0},
    "rssi_dbm": {"dBm": 1.0},
    "fix_t_s": {"s": 1.0, "ms": 0.001},
}
"""Numbers of the model, and the units in which a firmware may send them."""
WHOLE = "."
"""The path to a payload that is one value: JSON or bare text."""
TYPES = {"ignition": "bool", "address": "mac", "adv": "hex"}
"""Members of the model that are not numbers; every other field is text unless it says `as`."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _hex(value: str) -> str:
    if not re.fullmatch(r"(?:[0-9a-fA-F]{2})*", value):
        raise ValueError(f"expected pairs of hex digits in quotes, got {value!r}")
    return value.lower()


def _company(value: Any) -> Any:
    if value == "any" or (isinstance(value, int) and 0 <= value <= 0xFFFF):
        return value
    raise ValueError("expected a company id such as 0x004c, or any")


def _service(value: Any) -> Any:
    if isinstance(value, int) and 0 <= value <= 0xFFFFFFFF:
        return f"{value:08x}{_BASE_UUID}"
    if isinstance(value, str) and re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", value):
        return value.lower()
    raise ValueError("expected a service such as 0xfeaa, or a 128-bit UUID in quotes")


def _listed(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _rising(value: list[float]) -> list[float]:
    if value[0] > value[-1]:
        raise ValueError("expected the lower bound first")
    return value


def _layout(value: str) -> str:
    if not _LAYOUT.fullmatch(value):
        raise ValueError("expected u8, i8, u16be, i16le (16, 24, 32, 48, 64 bits), uuid or hex:<bytes>")
    return value


def _field_name(value: str) -> str:
    if not NAME.fullmatch(value) or value == "company":
        raise ValueError("a field is named in lower case letters, digits and _, and not company")
    return value


def _profile_name(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", value) or len(value) > 64:
        raise ValueError(f"a profile is named in lower case letters, digits and single dashes, not {value!r}")
    return value


def _path(value: str) -> str:
    if value != WHOLE and not all(value.split(".")):
        raise ValueError("expected the names of members with single dots between them")
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


def _identity(value: str) -> str:
    IdentityTemplate(value)
    return value


def _expect(value: Any) -> Any:
    outcomes = [o.value for o in Outcome]
    if isinstance(value, str) and value not in outcomes:
        raise ValueError(f"{value!r} is no outcome{did_you_mean(value, outcomes)}")
    if isinstance(value, str | dict | None) or all(isinstance(item, dict) for item in _listed(value)):
        return value
    raise ValueError("expected fields with their values, the name of an outcome, or null for nothing")


def _sent(value: Any) -> Any:
    if isinstance(value, str) and value != "reception":
        raise ValueError("expected reception, or the path and unit of the time")
    return None if isinstance(value, str) else value


def _always(value: Any) -> Any:
    return {"forms": [{"gives": value}]} if isinstance(value, str) else value


Expect = Annotated[Any, BeforeValidator(_expect)]
"""What a vector gives: fields (for MQTT of one observation, or a list of them), an outcome, or null."""
Hex = Annotated[str, AfterValidator(_hex)]
Company = Annotated[int | str, BeforeValidator(_company)]
Bounds = Annotated[list[float], Field(min_length=2, max_length=2), AfterValidator(_rising)]
FieldName = Annotated[str, AfterValidator(_field_name)]
Path = Annotated[str, AfterValidator(_path)]
IdentityText = Annotated[str, AfterValidator(_identity)]
ProfileName = Annotated[str, AfterValidator(_profile_name)]


class _Profile(_Part):
    profile: ProfileName
    source: Annotated[str, Field(min_length=1)]
    """The vendor's document."""
    verified: bool = True
    """False: not everything here stands in that document; `note` says what."""
    note: str = ""

    @model_validator(mode="after")
    def _says_why(self) -> Self:
        if not self.verified and not self.note:
            raise ValueError("verified: false needs a note that says what could not be verified")
        return self


# --- heard by radio ---


class BleMatch(_Part):
    manufacturer: Company | None = None
    service: Annotated[str, BeforeValidator(_service)] | None = None
    starts: Hex = ""
    """First bytes, counted like every offset: after the company id, or after the service UUID."""
    length: Annotated[list[int], BeforeValidator(_listed), Field(min_length=1, max_length=2)] | None = None
    """Bytes after the company id or UUID: one number, or shortest and longest."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.manufacturer is None) == (self.service is None):
            raise ValueError("expected one of manufacturer, service")
        return self


class ByteField(_Part):
    at: Annotated[int, Field(ge=0, le=1650)]
    layout: Annotated[str, Field(alias="as"), AfterValidator(_layout)]
    bits: Annotated[list[int], Field(min_length=2, max_length=2)] | None = None
    """First and last bit of the number, 0 is the lowest."""
    absent: int | None = None
    """The raw number that says: not available."""
    scale: float = 1.0
    offset: float = 0.0
    range: Bounds | None = None
    """Bounds of the scaled value."""

    @property
    def size(self) -> int:
        """Bytes."""
        if self.layout == "uuid":
            return 16
        if self.layout.startswith("hex:"):
            return int(self.layout[4:])
        return int(re.sub(r"\D", "", self.layout)) // 8

    @model_validator(mode="after")
    def _fits(self) -> Self:
        is_number = self.layout[0] in "ui" and self.layout != "uuid"
        if not is_number and self.model_fields_set - {"at", "layout"}:
            raise ValueError(f"{self.layout} is no number: it has only at and as")
        if self.bits and not 0 <= self.bits[0] <= self.bits[1] < 8 * self.size:
            raise ValueError(f"bits: expected first and last of 0 to {8 * self.size - 1}")
        return self


class BleVector(_Part):
    data: Hex | None = None
    """Bytes after the company id or service UUID."""
    adv: Hex | None = None
    """AD structures as on the air."""
    company: Annotated[int, Field(ge=0, le=0xFFFF)] | None = None
    """With `data`, for a profile that takes any company."""
    expect: Expect

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if (self.data is None) == (self.adv is None):
            raise ValueError("expected one of data, adv")
        return self


class BleProfile(_Profile):
    match: BleMatch
    fields: dict[FieldName, ByteField] = {}
    identity: IdentityText | None = None
    vectors: Annotated[list[BleVector], Field(min_length=1)]

    @property
    def lengths(self) -> tuple[int, int]:
        """Shortest and longest payload in bytes."""
        needed = max((f.at + f.size for f in self.fields.values()), default=0)
        if self.match.length is None:
            return max(needed, len(self.match.starts) // 2), 1650
        return self.match.length[0], self.match.length[-1]


# --- heard over MQTT ---


class MqttMatch(_Part):
    topic: Annotated[
        list[Annotated[str, AfterValidator(_topic)]], BeforeValidator(_listed), Field(min_length=1)
    ]
    where: dict[Path, Annotated[list[float | str | bool | None], BeforeValidator(_listed)]] = {}
    """Members with the values they must have (null: or be missing); `any`: must be there."""


class MemberField(_Part):
    path: Annotated[list[Path], BeforeValidator(_listed), Field(min_length=1)]
    """Where in the payload; of several the first that is there and readable."""
    unit: str | None = None
    type: Annotated[Literal["text", "u16", "uuid", "mac", "hex", "bool"] | None, Field(alias="as")] = None
    values: dict[str | int, str | bool] | None = None
    """The payload's word for each of ours; a word that is not listed counts as missing."""
    absent: Annotated[list[float], BeforeValidator(_listed)] = []
    """Raw numbers that say: not available."""
    default: float | str | bool | None = None
    """Taken where the member is missing or absent, in the unit of the field's name."""
    range: Bounds | None = None
    """Bounds of the raw number."""


class Assemble(_Part):
    """How the parts of a position find each other; see `assembler`."""

    within_s: Annotated[float, Field(alias="within", gt=0, le=60), BeforeValidator(_seconds)] = 2.0
    """Latitude and longitude further apart than this do not belong together."""
    keep_s: Annotated[float, Field(alias="keep", gt=0, le=3600), BeforeValidator(_seconds)] = 60.0
    """A speed, heading or ignition older than this says nothing of a position any more."""


class TimeField(_Part):
    path: Path
    unit: Literal["s", "ms", "iso8601"]


class IdentityForm(_Part):
    reads: Annotated[str, AfterValidator(_pattern)] | None = None
    gives: IdentityText


class Identity(_Part):
    of: Path | None = None
    """The member that holds the receiver's id."""
    forms: Annotated[list[IdentityForm], Field(min_length=1)]
    """The first that reads the id gives the identity."""

    @model_validator(mode="after")
    def _readable(self) -> Self:
        if any((form.reads is None) != (self.of is None) for form in self.forms):
            raise ValueError("`of` names the member that the `reads` of every form takes apart")
        return self


class MqttHeard(_Part):
    topic: str
    payload: Any
    """Text as it was sent, or the JSON value itself."""
    retain: bool = False


class MqttEarlier(MqttHeard):
    ago_s: Annotated[float, Field(alias="ago", ge=0), BeforeValidator(_seconds)]


class MqttVector(MqttHeard):
    before: list[MqttEarlier] = []
    """What the same vehicle sent before, where a fix comes in parts."""
    expect: Expect


class MqttProfile(_Profile):
    match: MqttMatch
    gives: Literal["fix", "sighting"]
    items: bool = False
    """The payload may be a list, each item one observation."""
    fields: dict[FieldName, MemberField] = {}
    parts: dict[Annotated[str, AfterValidator(_tail)], dict[FieldName, MemberField]] = {}
    """For a fix split over topics: the levels that follow `match.topic`, and what is sent there."""
    assemble: Assemble | None = None
    time: Annotated[TimeField | None, BeforeValidator(_sent)] = None
    """Where the moment of the position stands; `reception`: the firmware sends none."""
    identity: Annotated[Identity, BeforeValidator(_always)] | None = None
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
