"""Advertisements: profiles compiled to bound readers, found by company id or service UUID and first byte."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from gateway.counts import Counts
from gateway.profiles.decoded import NO_KEYS, BindKeys, Decoded, Sealed
from gateway.profiles.frames import CompiledFrame, sender
from gateway.profiles.objects import ObjectTable
from gateway.profiles.outcome import Outcome
from gateway.profiles.schema_ble import BleProfile
from gateway.profiles.telemetry import Telemetry, telemetry_in
from gateway.profiles.templates import SCHEMES
from gateway.profiles.values import MAX_ADV_BYTES

CACHED = 640
"""Advertisements whose result is kept: a tag repeats the same bytes many times a second. From 683 on the
table would grow by 70 KiB at once, and 64 is what one advertisement may cost."""

MOST_CLAIMS = 32
"""Claims on one advertisement that are looked at: 270 fit into one that somebody makes for the purpose."""

# AD types, Bluetooth Assigned Numbers §2.3
_SERVICE_16, _SERVICE_32, _SERVICE_128, _MANUFACTURER = 0x16, 0x20, 0x21, 0xFF
_BASE_UUID = bytes.fromhex("0000000000001000800000805f9b34fb")[::-1]


class BleReader:
    """One profile, compiled. A payload that does not begin as the profile says is none of its business."""

    def __init__(self, profile: BleProfile) -> None:
        self.room = f"profiles.{profile.profile}"
        self.match = profile.match
        table = ObjectTable(profile.objects)
        by_address = profile.match.address is not None
        self._frames = [
            CompiledFrame(self.room, frame, table, takes_address=by_address)
            for _, frame in profile.all_frames
        ]
        self.needs_address = any(frame.needs_address for frame in self._frames)
        self._has_keyed = any(frame.is_keyed for frame in self._frames)

    def takes_first(self, byte: int) -> bool:
        """Whether a payload that begins with this byte may be of this profile."""
        return any(prefix.takes_first(byte) for frame in self._frames for prefix in frame.prefixes)

    def read(
        self, company: int | None, data: bytes, address: str = "", keys: BindKeys = NO_KEYS
    ) -> Decoded | None:
        """What the payload says, None when it is not claimed. `company` is of manufacturer data."""
        refused: Decoded | None = None
        for frame in self._frames:
            decoded = frame.read(company, data, address, keys.bind_key)
            if decoded is not None:
                if decoded.outcome is Outcome.MATCHED:
                    if (
                        self._has_keyed
                        and not frame.is_keyed
                        and keys.bind_key(sender(decoded.values, address))
                    ):
                        return Decoded(self.room, Outcome.BAD_CHECKSUM)  # whoever has the key seals
                    return decoded
                refused = refused or decoded
        return refused


class Heard(Struct, frozen=True, gc=False):
    """What one advertisement says, whoever sent it."""

    identities: tuple[str, ...] = ()
    """The surest first."""
    telemetry: Telemetry | None = None
    sealed: tuple[Sealed, ...] = ()
    """What needs a key: ephemeral ids, and a resolvable address."""


_NOTHING = Heard()
_Outcomes = tuple[tuple[str, str], ...]
_UNKNOWN: _Outcomes = (("profiles", Outcome.NOT_MINE.value),)
_OVERSIZED: _Outcomes = (("profiles", Outcome.OVERSIZED.value),)


class BleIndex:
    """All radio profiles, and what they made of the advertisements heard lately."""

    def __init__(self, readers: Iterable[BleReader], keys: BindKeys = NO_KEYS) -> None:
        self.readers = tuple(readers)
        self._keys = keys
        self._any = _by_first([r for r in self.readers if r.match.manufacturer == "any"])
        self._places: dict[bytes, dict[int, tuple[BleReader, ...]]] = {}
        """AD type and company id or UUID as on the air, then the first byte behind."""
        for place in {_place(r) for r in self.readers} - {b""}:
            here = [r for r in self.readers if _place(r) == place]
            if place[0] == _MANUFACTURER:
                here += [r for r in self.readers if r.match.manufacturer == "any"]
            self._places[place] = _by_first(here)
        self._resolvable = [r for r in self.readers if r.match.address == "resolvable"]
        self._known: dict[bytes, tuple[Heard, _Outcomes]] = {}
        self._addresses: dict[str, tuple[tuple[Sealed, ...], _Outcomes]] = {}

    def with_keys(self, keys: BindKeys) -> BleIndex:
        """The same profiles for somebody who holds keys."""
        return BleIndex(self.readers, keys)

    def heard(self, adv: bytes, address: str, address_type: str, counts: Counts) -> Heard:
        """What an advertisement says; every claim on it is counted."""
        known = self._known.get(adv)
        if known is None:
            known = self._decode(adv, address)
        heard, outcomes = known
        for room, outcome in outcomes:
            counts.count(room, outcome)
        if address_type != "random" or not is_resolvable(address):
            return heard
        of_address = self._addresses.get(address)
        if of_address is None:
            of_address = self._of_address(address)
        sealed, outcomes = of_address
        for room, outcome in outcomes:
            counts.count(room, outcome)
        return Heard(heard.identities, heard.telemetry, (*heard.sealed, *sealed))

    def forget(self) -> None:
        """What was heard lately; it is only kept to be quick."""
        self._known.clear()
        self._addresses.clear()

    def claims(self, adv: bytes, address: str = "") -> list[Decoded]:
        """What every profile that an advertisement belongs to says of it."""
        return self._claims(self._tries(adv), adv, address)

    def _of_address(self, address: str) -> tuple[tuple[Sealed, ...], _Outcomes]:
        """What profiles make of a resolvable address: it is heard hundreds of times before it changes."""
        claims = [claim for r in self._resolvable if (claim := r.read(None, b"", address)) is not None]
        if len(self._addresses) >= CACHED:
            self._addresses.clear()
        known = (
            tuple(claim.sealed for claim in claims if claim.sealed is not None),
            tuple((claim.room, claim.outcome.value) for claim in claims),
        )
        self._addresses[address] = known
        return known

    def _tries(self, adv: bytes) -> list[tuple[BleReader, int, int, int | None]]:
        """Readers that may claim a payload, with its place: first byte, the one after the last, company id.

        Core Specification Vol 3 Part C §11: a length of 0 ends the structures, one that is cut off is none.
        """
        tries: list[tuple[BleReader, int, int, int | None]] = []
        places, at, size = self._places, 0, len(adv)
        while at + 3 < size and len(tries) < MOST_CLAIMS:
            length = adv[at]
            end = at + 1 + length
            if not length or end > size:
                break
            kind = adv[at + 1]
            if kind in (0xFF, 0x16):  # two bytes say whose
                start = at + 4
                by_first = places.get(adv[at + 1 : start])
            elif kind in (0x20, 0x21):
                start = at + (6 if kind == 0x20 else 18)
                by_first = places.get(_shortened(adv[at + 1 : start]))
            else:
                at = end
                continue
            if start < end:
                if by_first is not None:
                    readers = by_first.get(adv[start])
                else:
                    readers = self._any.get(adv[start]) if kind == 0xFF else None
                if readers:
                    company = adv[at + 2] | adv[at + 3] << 8 if kind == 0xFF else None
                    tries += [(reader, start, end, company) for reader in readers]
            at = end
        return tries

    def _claims(
        self, tries: Sequence[tuple[BleReader, int, int, int | None]], adv: bytes, address: str
    ) -> list[Decoded]:
        keys = self._keys
        found = (reader.read(company, adv[s:e], address, keys) for reader, s, e, company in tries)
        return [decoded for decoded in found if decoded is not None]

    def _decode(self, adv: bytes, address: str) -> tuple[Heard, _Outcomes]:
        if len(adv) > MAX_ADV_BYTES:
            return _NOTHING, _OVERSIZED
        if not adv:  # a remote receiver that decodes by itself
            return _NOTHING, ()
        tries = self._tries(adv)
        if not tries:  # cheaper to find out again than to keep
            return _NOTHING, _UNKNOWN
        claims = self._claims(tries, adv, address)
        if not claims:
            return _NOTHING, _UNKNOWN
        identities = sorted(
            (c.identity for c in claims if c.identity), key=lambda i: SCHEMES.index(i.partition(":")[0])
        )
        heard = Heard(
            tuple(dict.fromkeys(identities)),
            telemetry_in([c.values for c in claims if c.outcome is Outcome.MATCHED]),
            tuple(c.sealed for c in claims if c.sealed is not None),
        )
        known = heard, tuple((c.room, c.outcome.value) for c in claims)
        if not any(reader.needs_address for reader, *_ in tries):
            if len(self._known) >= CACHED:
                self._known.clear()
            self._known[adv] = known
        return known


def is_resolvable(address: str) -> bool:
    """Whether the two top bits of a random address are 01 (Core Specification Vol 6 Part B §1.3.2.2)."""
    return address[:1] in ("4", "5", "6", "7") and len(address) == 17


def _by_first(readers: Sequence[BleReader]) -> dict[int, tuple[BleReader, ...]]:
    found = {byte: tuple(r for r in readers if r.takes_first(byte)) for byte in range(256)}
    return {byte: taking for byte, taking in found.items() if taking}


def _place(reader: BleReader) -> bytes:
    """AD type and what follows it on the air, empty for a reader without one place."""
    match = reader.match
    if isinstance(match.manufacturer, int):
        return bytes((_MANUFACTURER,)) + match.manufacturer.to_bytes(2, "little")
    if match.service is None:
        return b""
    return _shortened(bytes((_SERVICE_128,)) + bytes.fromhex(match.service.replace("-", ""))[::-1])


def _shortened(place: bytes) -> bytes:
    """A service by its shortest name: the same UUID may come in 2, 4 or 16 bytes."""
    uuid = place[1:]
    if len(uuid) == 16 and uuid[:12] == _BASE_UUID[:12]:
        uuid = uuid[12:]
    if len(uuid) == 4 and uuid[2:] == b"\0\0":
        uuid = uuid[:2]
    kind = {2: _SERVICE_16, 4: _SERVICE_32, 16: _SERVICE_128}[len(uuid)] if len(uuid) in (2, 4, 16) else 0
    return bytes((kind,)) + uuid
