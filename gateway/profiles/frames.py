"""One kind of payload of a radio firmware, compiled."""

from __future__ import annotations

from collections.abc import Callable

from gateway.profiles import schema_ble
from gateway.profiles.decoded import Decoded, Sealed, Values
from gateway.profiles.layouts import Read, reader
from gateway.profiles.objects import ObjectTable
from gateway.profiles.outcome import Outcome, RejectedError
from gateway.profiles.schema_ble import ADDRESS
from gateway.profiles.templates import IdentityTemplate

SEALED_COUNTER = "sealed_counter"
"""Name of the value that only the holder of the key can have made, and that rises with each frame."""
_KEYED = ("aes-ccm",)
"""Seals that are opened here."""


class CompiledFrame:
    """Claims the payloads that begin as the profile says; what it makes of them is `read`."""

    def __init__(
        self, room: str, frame: schema_ble.Frame, table: ObjectTable, *, takes_address: bool = False
    ) -> None:
        self._room = room
        self.prefixes = tuple(Prefix(text) for text in frame.starts)
        self._shortest, self._longest = frame.lengths
        self._where = [
            (reader(frame.fields[name], frame.fields[name].at), frozenset(allowed))
            for name, allowed in frame.where.items()
        ]
        self._fields: list[tuple[str, Read]] = [
            (name, reader(f, f.at, f.below)) for name, f in frame.fields.items()
        ]
        self._identity = IdentityTemplate(frame.identity) if frame.identity else None
        self._names_company = self._identity is not None and "company" in self._identity.names
        self._objects = frame.objects
        self._table = table
        self._seal = frame.sealed
        self._takes_address = takes_address

    @property
    def is_keyed(self) -> bool:
        """Whether a key opens it here."""
        return self._seal is not None and self._seal.kind in _KEYED

    @property
    def needs_address(self) -> bool:
        """Whether what it makes of a payload depends on who sent it."""
        return self._takes_address or self.is_keyed

    def read(
        self, company: int | None, data: bytes, address: str, key_of: Callable[[str], bytes | None]
    ) -> Decoded | None:
        """None when the payload is not claimed. `company` is of manufacturer data."""
        if not any(prefix.fits(data) for prefix in self.prefixes):
            return None
        try:
            if len(data) < self._shortest:
                raise RejectedError(Outcome.TOO_SHORT)
            for read, allowed in self._where:
                if read(data) not in allowed:
                    return None
            if len(data) > self._longest:
                raise RejectedError(Outcome.NOT_MINE)
            values: Values = {name: read(data) for name, read in self._fields}
            outcome, sealed = Outcome.MATCHED, None
            if self._seal is not None:
                packet = data
                data, sealed = self._opened(self._seal, packet, sender(values, address), key_of)
                if sealed is None and self._seal.counter is not None:
                    values[SEALED_COUNTER] = int.from_bytes(_cut(packet, self._seal.counter), "little")
            if sealed is not None:
                outcome = Outcome.NEEDS_KEY
            elif self._objects is not None:
                self._table.read(self._objects, data, values)
        except RejectedError as e:
            return Decoded(self._room, e.outcome)
        if self._identity is None:
            return Decoded(self._room, outcome, values, "", sealed)
        known = {"company": f"{company:04x}", **values} if self._names_company else values
        return Decoded(self._room, outcome, values, self._identity.fill(known), sealed)

    def _opened(
        self,
        seal: schema_ble.Sealed,
        data: bytes,
        address: str,
        key_of: Callable[[str], bytes | None],
    ) -> tuple[bytes, Sealed | None]:
        """The text in the clear, or what is sealed where there is no key; RejectedError for a wrong one."""
        whose = _address_bytes(address)
        text = whose if self._takes_address else _cut(data, seal.text)
        key = key_of(address) if seal.kind in _KEYED and whose else None
        if key is None or seal.tag is None:
            return b"", Sealed(seal.kind, text)
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - loaded only where there is a key
        from cryptography.hazmat.primitives.ciphers.aead import AESCCM  # noqa: PLC0415

        nonce = b"".join(_nonce_part(part, data, whose) for part in seal.nonce)
        tag = _cut(data, seal.tag)
        try:
            return AESCCM(key, tag_length=len(tag)).decrypt(
                nonce, text + tag, bytes.fromhex(seal.aad) or None
            ), None
        except (InvalidTag, ValueError):  # the latter: a key or nonce of a length that the cipher has not
            raise RejectedError(Outcome.BAD_CHECKSUM) from None


def sender(values: Values, address: str) -> str:
    """Who sent a frame: whom it names itself, else the advertisement's address."""
    named = values.get("address")
    return named if isinstance(named, str) else address


def _cut(data: bytes, place: list[int]) -> bytes:
    start, end = place
    return data[start : end or None]


def _nonce_part(part: str | list[int], data: bytes, address: bytes) -> bytes:
    if isinstance(part, list):
        return _cut(data, part)
    return address if part == "address" else bytes.fromhex(part)


def _address_bytes(address: str) -> bytes:
    """As written, empty for what is no address."""
    return bytes.fromhex(address.replace(":", "")) if ADDRESS.fullmatch(address) else b""


class Prefix:
    """The first bytes of a payload, in hex, `?` for any digit."""

    def __init__(self, text: str) -> None:
        digits = text.replace("?", "0")
        self.size = len(text) // 2
        self._bytes = bytes.fromhex(digits)
        self._mask = bytes.fromhex("".join("0" if c == "?" else "f" for c in text)) if "?" in text else None

    def fits(self, data: bytes) -> bool:
        if self._mask is None:
            return data.startswith(self._bytes)
        if len(data) < self.size:
            return False
        pairs = zip(data, self._mask, self._bytes, strict=False)
        return all(byte & mask == wanted for byte, mask, wanted in pairs)

    def takes_first(self, byte: int) -> bool:
        """Whether a payload that begins with this byte may fit."""
        if not self._bytes:
            return True
        mask = self._mask[0] if self._mask else 0xFF
        return byte & mask == self._bytes[0]

    def overlaps(self, other: Prefix) -> bool:
        """Whether some payload fits both."""
        for i in range(min(self.size, other.size)):
            mask = (self._mask[i] if self._mask else 0xFF) & (other._mask[i] if other._mask else 0xFF)
            if (self._bytes[i] ^ other._bytes[i]) & mask:
                return False
        return True
