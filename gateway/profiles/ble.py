"""Advertisements: profiles compiled to bound readers behind one index by company id and service UUID."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Literal

from bluetooth_data_tools.gap import parse_advertisement_data_bytes

from gateway.counts import Counts
from gateway.profiles.outcome import Outcome
from gateway.profiles.schema import BleProfile, ByteField
from gateway.profiles.templates import SCHEMES, IdentityTemplate
from gateway.profiles.values import MAX_ADV_BYTES, dashed

CACHED = 4096
"""Advertisements whose result is kept: a tag repeats the same bytes many times a second."""

Value = int | float | str | None
_Read = Callable[[bytes], Value]

# Its debug lines print the bytes of broken advertisements, which are those of unknown devices too.
logging.getLogger("bluetooth_data_tools").setLevel(logging.INFO)


class BleReader:
    """One profile, compiled. A payload that does not begin as the profile says is none of its business."""

    def __init__(self, profile: BleProfile) -> None:
        self.room = f"profiles.{profile.profile}"
        self.match = profile.match
        self.starts = bytes.fromhex(profile.match.starts)
        self.lengths = profile.lengths
        self.identity = IdentityTemplate(profile.identity) if profile.identity else None
        self._fields = [(name, _reader(field), field.range) for name, field in profile.fields.items()]

    def read(self, company: int | None, data: bytes) -> dict[str, Value] | Outcome | None:
        """The fields and, where the profile has one, `identity`; None when the payload is not claimed."""
        if not data.startswith(self.starts):
            return None
        shortest, longest = self.lengths
        if len(data) < shortest:
            return Outcome.TOO_SHORT
        if len(data) > longest:
            return Outcome.NOT_MINE
        values: dict[str, Value] = {"company": f"{company:04x}"} if company is not None else {}
        for name, read, bounds in self._fields:
            value = values[name] = read(data)
            if bounds and isinstance(value, int | float) and not bounds[0] <= value <= bounds[1]:
                return Outcome.OUT_OF_RANGE
        if self.identity:
            values["identity"] = self.identity.fill(values)
        return values


def _reader(field: ByteField) -> _Read:
    start, end = field.at, field.at + field.size
    if field.layout == "uuid":
        return lambda data: dashed(data[start:end].hex())
    if field.layout.startswith("hex:"):
        return lambda data: data[start:end].hex()
    order: Literal["little", "big"] = "little" if field.layout.endswith("le") else "big"
    signed = field.layout.startswith("i")
    shift, mask = (field.bits[0], (2 << (field.bits[1] - field.bits[0])) - 1) if field.bits else (0, -1)
    scale, offset, absent = field.scale, field.offset, field.absent
    exact = scale == 1 and offset == 0

    def number(data: bytes) -> Value:
        raw = int.from_bytes(data[start:end], order, signed=signed)
        raw = (raw >> shift) & mask
        if raw == absent:
            return None
        return raw if exact else raw * scale + offset

    return number


class BleIndex:
    """All radio profiles, and what they made of the advertisements heard lately."""

    def __init__(self, readers: Iterable[BleReader]) -> None:
        self.readers = tuple(readers)
        self._any = [r for r in self.readers if r.match.manufacturer == "any"]
        self._companies: dict[int, list[BleReader]] = {}
        self._services: dict[str, list[BleReader]] = {}
        for reader in self.readers:
            match = reader.match
            if isinstance(match.manufacturer, int):
                self._companies.setdefault(match.manufacturer, list(self._any)).append(reader)
            elif match.service is not None:
                self._services.setdefault(match.service, []).append(reader)
        self._known: dict[bytes, tuple[tuple[str, ...], tuple[tuple[str, str], ...]]] = {}

    def identities(self, adv: bytes, counts: Counts) -> tuple[str, ...]:
        """Identities in an advertisement, the surest first; every claim on it is counted."""
        known = self._known.get(adv)
        if known is None:
            known = self._decode(adv)
            if len(self._known) >= CACHED:
                self._known.clear()
            if len(adv) <= MAX_ADV_BYTES:
                self._known[adv] = known
        for room, outcome in known[1]:
            counts.count(room, outcome)
        return known[0]

    def claims(self, adv: bytes) -> list[tuple[BleReader, dict[str, Value] | Outcome]]:
        """Every profile that an advertisement belongs to, with what it says of it."""
        _, _, services, companies, _ = parse_advertisement_data_bytes(adv)
        tries: list[tuple[BleReader, int | None, bytes]]
        tries = [(r, c, data) for c, data in companies.items() for r in self._companies.get(c, self._any)]
        tries += [(r, None, data) for s, data in services.items() for r in self._services.get(s, ())]
        results = ((reader, reader.read(company, data)) for reader, company, data in tries)
        return [(reader, result) for reader, result in results if result is not None]

    def _decode(self, adv: bytes) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
        if len(adv) > MAX_ADV_BYTES:
            return (), (("profiles", Outcome.OVERSIZED.value),)
        found: list[str] = []
        outcomes: list[tuple[str, str]] = []
        for reader, result in self.claims(adv):
            outcome = result if isinstance(result, Outcome) else Outcome.MATCHED
            outcomes.append((reader.room, outcome.value))
            if isinstance(result, dict) and result.get("identity"):
                found.append(str(result["identity"]))
        found.sort(key=lambda identity: SCHEMES.index(identity.partition(":")[0]))
        return tuple(found), tuple(outcomes) or (("profiles", Outcome.NOT_MINE.value),)
