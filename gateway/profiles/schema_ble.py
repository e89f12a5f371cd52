"""What a profile of firmware heard by radio may say."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from gateway.profiles.schema import (
    ONE_OR_MORE,
    Accepts,
    AnyProfile,
    ByteValue,
    Expect,
    FieldName,
    Hex,
    IdentityText,
    Strict,
)
from gateway.profiles.values import MAX_ADV_BYTES

_BASE_UUID = "-0000-1000-8000-00805f9b34fb"
ADDRESS = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}")


def _company(value: Any) -> Any:
    if value == "any" or (isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 0xFFFF):
        return value
    raise ValueError("expected a company id such as 0x004c, or any")


def _service(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 0xFFFFFFFF:
        return f"{value:08x}{_BASE_UUID}"
    if isinstance(value, str) and re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", value):
        return value.lower()
    raise ValueError("expected a service such as 0xfeaa, or a 128-bit UUID in quotes")


def _prefix(value: str) -> str:
    if not re.fullmatch(r"(?:[0-9a-fA-F?]{2})*", value):
        raise ValueError(f"expected pairs of hex digits in quotes, ? for any digit, got {value!r}")
    return value.lower()


def _address(value: str) -> str:
    if not ADDRESS.fullmatch(value.lower()):
        raise ValueError(f"expected an address such as c3:00:00:25:ef:6a, got {value!r}")
    return value.lower()


Prefixes = Annotated[list[Annotated[str, AfterValidator(_prefix)]], ONE_OR_MORE, Field(min_length=1)]
Lengths = Annotated[list[int], ONE_OR_MORE, Field(min_length=1, max_length=2)]
Slice = Annotated[list[int], Field(min_length=2, max_length=2)]
"""First byte and the one after the last; counted from the end where negative, and 0 for the end itself."""


class BleMatch(Strict):
    manufacturer: Annotated[int | str, BeforeValidator(_company)] | None = None
    service: Annotated[str, Accepts(_service, {"type": "integer"})] | None = None
    address: Literal["resolvable"] | None = None
    """A kind of address instead of a payload: random, and its two top bits are 01."""
    starts: Prefixes = [""]
    """First bytes, counted like every offset: after the company id, or after the service UUID."""
    length: Lengths | None = None
    """Bytes after the company id or UUID: one number, or shortest and longest."""
    where: dict[FieldName, Annotated[list[int | str | bool], ONE_OR_MORE]] = {}
    """Fields with the values they must have for the payload to be of this firmware."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        places = (self.manufacturer, self.service, self.address)
        if sum(place is not None for place in places) != 1:
            raise ValueError("expected one of manufacturer, service, address")
        return self


class Below(Strict):
    """Bits that continue a number downwards, in a byte of their own."""

    at: Annotated[int, Field(ge=0, le=MAX_ADV_BYTES)]
    bits: Annotated[list[int], Field(min_length=2, max_length=2)]

    @model_validator(mode="after")
    def _of_a_byte(self) -> Self:
        if not 0 <= self.bits[0] <= self.bits[1] <= 7:
            raise ValueError("bits: expected first and last of 0 to 7")
        return self


class ByteField(ByteValue):
    at: Annotated[int, Field(ge=0, le=MAX_ADV_BYTES)] = 0
    below: Below | None = None

    @property
    def end(self) -> int:
        """Byte after the last one that must be there."""
        return max(self.at + self.size, self.below.at + 1 if self.below else 0)


class Objects(Strict):
    """A list of objects, one behind the other, each with an id that `objects` of the profile explains."""

    at: Annotated[int, Field(ge=0, le=MAX_ADV_BYTES)]
    """First byte of the list; of a sealed frame in the opened text."""
    until: Annotated[int, Field(ge=-64, le=0)] = 0
    """Bytes at the end that belong to no object, as a negative number."""
    head: Literal["id", "length_id", "length5_id"]
    """What each object begins with. A length counts the id and the value; without one, an id that is not in
    the table ends the list, because nobody knows how long its value is. `length5_id` has it in the lowest 5
    bits of the byte, and reads over an id whose value is of another length than the table's."""


class Sealed(Strict):
    """A frame that only the holder of a key can read."""

    kind: Annotated[Literal["eid", "irk", "aes-ccm", "other"], Field(alias="as")]
    """eid: an ephemeral id that an identity key explains. irk: the address itself. aes-ccm: opened here with
    the bind key of the address. other: recognised only, nothing here can open it."""
    text: Slice = [0, 0]
    """The ephemeral id, or the cipher text."""
    tag: Slice | None = None
    nonce: list[Literal["address"] | Hex | Slice] = []
    """Of aes-ccm, in order: the address, fixed bytes, bytes of the payload. The address is the field of this
    name where the frame tells its sender, else that of the advertisement."""
    aad: Hex = ""
    """Of aes-ccm: what is authenticated besides the text."""
    counter: Slice | None = None
    """Of aes-ccm: a number, lowest byte first, that rises with each frame; one that falls is a replay."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.kind == "aes-ccm") != bool(self.tag is not None and self.nonce):
            raise ValueError("aes-ccm has a tag and a nonce, nothing else has")
        if (self.counter or self.aad) and self.kind != "aes-ccm":
            raise ValueError("only aes-ccm has a counter or aad: what nobody can read may say anything")
        return self


class Frame(Strict):
    """One kind of payload of a firmware."""

    starts: Prefixes = [""]
    length: Lengths | None = None
    where: dict[FieldName, Annotated[list[int | str | bool], ONE_OR_MORE]] = {}
    fields: dict[FieldName, ByteField] = {}
    objects: Objects | None = None
    identity: IdentityText | None = None
    sealed: Sealed | None = None

    @property
    def lengths(self) -> tuple[int, int]:
        """Shortest and longest payload in bytes."""
        if self.length is not None:
            return self.length[0], self.length[-1]
        ends = [f.end for f in self.fields.values()] + [len(s) // 2 for s in self.starts]
        if self.objects and not self.sealed:
            ends.append(self.objects.at - self.objects.until)
        return max(ends), MAX_ADV_BYTES


class BleVector(Strict):
    data: Hex | None = None
    """Bytes after the company id or service UUID."""
    adv: Hex | None = None
    """AD structures as on the air."""
    company: Annotated[int, Field(ge=0, le=0xFFFF)] | None = None
    """With `data`, for a profile that takes any company."""
    address: Annotated[str, AfterValidator(_address)] | None = None
    """Of the device, where something depends on it."""
    key: Annotated[Hex, Field(min_length=32, max_length=32)] | None = None
    """The bind key that opens it; a key out of a document, nobody's own."""
    expect: Expect

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if self.data is not None and self.adv is not None:
            raise ValueError("expected one of data, adv")
        if self.data is None and self.adv is None and self.address is None:
            raise ValueError("expected one of data, adv, address")
        return self


class BleProfile(AnyProfile):
    match: BleMatch
    fields: dict[FieldName, ByteField] = {}
    identity: IdentityText | None = None
    sealed: Sealed | None = None
    frames: dict[FieldName, Frame] = {}
    """Several kinds of payload at one place; each says what else it matches."""
    objects: dict[int, dict[FieldName, ByteField]] = {}
    """What the objects of a list mean, by their id; offsets are counted in the value."""
    vectors: Annotated[list[BleVector], Field(min_length=1)]

    @property
    def all_frames(self) -> list[tuple[tuple[str, ...], Frame]]:
        """Every frame with its place in the file."""
        if self.frames:
            return [(("frames", name), frame) for name, frame in self.frames.items()]
        match = self.match
        only = Frame.model_construct(
            starts=match.starts,
            length=match.length,
            where=match.where,
            fields=self.fields,
            objects=None,
            identity=self.identity,
            sealed=self.sealed,
        )
        return [((), only)]
