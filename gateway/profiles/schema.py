"""What every profile file says, and the spellings that radio and MQTT profiles share."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema

from gateway.located import did_you_mean
from gateway.profiles.outcome import Outcome
from gateway.profiles.templates import NAME, IdentityTemplate

LAYOUT = re.compile(
    r"(?P<sign>[ui])(?:8|(?P<bits>16|24|32|48|64)[bl]e)"
    r"|s7\.100|uuid|mac|mac_le|hex:(?P<bytes>[1-9][0-9]?)|text:(?P<chars>[1-9][0-9]?)|text|hex|text8|hex8"
)
_LAYOUTS = (
    "u8, i8, u16be, i16le (16, 24, 32, 48, 64 bits), s7.100, uuid, mac, mac_le, hex:<bytes>, text:<bytes>"
)

_SIZES = {"uuid": 16, "mac": 6, "mac_le": 6, "s7.100": 2, "text8": 1, "hex8": 1, "text": 0, "hex": 0}


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Accepts:
    """A validator that runs first and takes shorter spellings, which editors have to know of too."""

    def __init__(self, takes: Callable[[Any], Any], *spellings: dict[str, Any]) -> None:
        self._takes, self._spellings = takes, spellings

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self._takes, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        full = handler(schema)
        spellings = self._spellings or (full["items"],)
        return {"anyOf": [*spellings, full]}


def _hex(value: str) -> str:
    if not re.fullmatch(r"(?:[0-9a-fA-F]{2})*", value):
        raise ValueError(f"expected pairs of hex digits in quotes, got {value!r}")
    return value.lower()


def listed(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


ONE_OR_MORE = Accepts(listed)
"""A list, or its only item."""


def _rising(value: list[float]) -> list[float]:
    if value[0] > value[-1]:
        raise ValueError("expected the lower bound first")
    return value


def checked_layout(value: str) -> str:
    """ValueError in an operator's words for a layout that there is not."""
    if not LAYOUT.fullmatch(value):
        raise ValueError(f"expected {_LAYOUTS}, or to the end text, hex; text8, hex8 begin with their length")
    return value


def _field_name(value: str) -> str:
    if not NAME.fullmatch(value) or value == "company":
        raise ValueError("a field is named in lower case letters, digits and _, and not company")
    return value


def _profile_name(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", value) or len(value) > 64:
        raise ValueError(f"a profile is named in lower case letters, digits and single dashes, not {value!r}")
    return value


def _identity(value: str) -> str:
    IdentityTemplate(value)
    return value


def _expect(value: Any) -> Any:
    outcomes = [o.value for o in Outcome]
    if isinstance(value, str) and value not in outcomes:
        raise ValueError(f"{value!r} is no outcome{did_you_mean(value, outcomes)}")
    if isinstance(value, str | dict | None) or all(isinstance(item, dict) for item in listed(value)):
        return value
    raise ValueError("expected fields with their values, the name of an outcome, or null for nothing")


Expect = Annotated[Any, BeforeValidator(_expect)]
"""What a vector gives: fields (for MQTT of one observation, or a list of them), an outcome, or null."""
Hex = Annotated[str, AfterValidator(_hex)]
Bounds = Annotated[list[float], Field(min_length=2, max_length=2), AfterValidator(_rising)]
FieldName = Annotated[str, AfterValidator(_field_name)]
IdentityText = Annotated[str, AfterValidator(_identity)]
Layout = Annotated[str, AfterValidator(checked_layout)]
ProfileName = Annotated[str, AfterValidator(_profile_name)]


class AnyProfile(Strict):
    profile: ProfileName
    source: Annotated[str, Field(min_length=1)]
    """The vendor's document."""
    replaces: ProfileName | None = None
    """Of a profile of one's own: the shipped one that it stands for."""
    verified: bool = True
    """False: not everything here stands in that document; `note` says what."""
    note: str = ""

    @model_validator(mode="after")
    def _says_why(self) -> Self:
        if not self.verified and not self.note:
            raise ValueError("verified: false needs a note that says what could not be verified")
        return self


class ByteValue(Strict):
    """How some bytes become a value; where they lie is said elsewhere."""

    layout: Annotated[Layout, Field(alias="as")]
    bits: Annotated[list[int], Field(min_length=2, max_length=2)] | None = None
    """First and last bit of the number, 0 is the lowest; of an `i` layout the last one is the sign."""
    absent: Annotated[list[int | Hex], ONE_OR_MORE] = []
    """The raw number (of mac and hex: the bytes in hex) that says: not available."""
    scale: float = 1.0
    offset: float = 0.0
    range: Bounds | None = None
    """Bounds of the scaled value; outside them the payload is out of range."""
    clamp: Bounds | None = None
    """Bounds to which the scaled value is pulled back."""
    within: Bounds | None = None
    """Makes it true or false: whether the raw number lies in these bounds."""
    values: dict[int, str | bool | float] | None = None
    """The meaning of each raw number; one that is not listed is unknown."""
    words: dict[int, str] | None = None
    """Of a text: bytes that stand for words."""

    @property
    def size(self) -> int:
        """Bytes; of a layout that goes on to the end, or begins with its length, the fewest."""
        digits = re.sub(r"\D", "", self.layout)
        if self.layout in _SIZES:
            return _SIZES[self.layout]
        return int(digits) // 8 if self.is_number else int(digits)

    @property
    def is_open(self) -> bool:
        """Whether it goes on to the end of the payload."""
        return self.layout in ("text", "hex")

    @property
    def has_length(self) -> bool:
        """Whether it begins with a byte that says how long it is."""
        return self.layout in ("text8", "hex8")

    @property
    def is_number(self) -> bool:
        return self.layout == "s7.100" or (self.layout[0] in "ui" and self.layout != "uuid")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        self.check_options()
        return self

    def check_options(self) -> None:
        """ValueError for what does not go with the layout."""
        of_numbers = {"bits", "scale", "offset", "range", "clamp", "within", "values"}
        if not self.is_number and (wrong := self.model_fields_set & of_numbers):
            raise ValueError(f"{self.layout} is no number: it has no {', '.join(sorted(wrong))}")
        if self.words and not self.layout.startswith("text"):
            raise ValueError(f"{self.layout} is no text: it has no words")
        if self.bits and not 0 <= self.bits[0] <= self.bits[1] < 8 * self.size:
            raise ValueError(f"bits: expected first and last of 0 to {8 * self.size - 1}")
        if self.within and self.values:
            raise ValueError("expected one of within, values")
