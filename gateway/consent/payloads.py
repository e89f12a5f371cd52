"""What one message of a consent feed says: the JSON of its payload, and whether its signature is right.

A record in a feed is either the record itself or an envelope `{"record": "<the record as JSON text>",
"signature": "<base64>"}` around it; an element of an HTTP feed carries `"key"` in the envelope as well.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from gateway.consent.records import is_reference
from gateway.consent.signature import Signers

MAX_RECORD_BYTES: Final = 64 * 1024
MAX_KEY_CHARS: Final = 128
_ENVELOPE: Final = frozenset({"record", "signature"})
_KEY_CHARS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._~-")

Fault = Literal["", "too_long", "broken", "doubled_key", "malformed", "unsigned", "wrong_signature"]
"""Why a payload cannot be used; empty: it can."""


class Opened(Struct, frozen=True):
    value: Any = None
    """What was decoded; None where nothing could be read. Only without a `fault` may it be believed."""
    subjects: tuple[str, ...] = ()
    """Whom it names, also where it cannot be used: exactly one without a `fault`."""
    fault: Fault = ""


def is_key(key: str) -> bool:
    """Whether a level of a topic may be a record key: 1 to 128 letters, digits and `._~-`, no `_` first."""
    return 0 < len(key) <= MAX_KEY_CHARS and key[0] != "_" and _KEY_CHARS.issuperset(key)


def open_record(payload: bytes, address: str, key: str | None, signers: Signers | None) -> Opened:
    """The record in a payload. `address`: what stands before the record key in what is signed.

    `key` None: the envelope names it. `signers` None: signatures are not asked for.
    """
    opened = open_signed(payload, address, key, signers)
    if opened.fault:
        return opened
    return opened if opened.subjects else msgspec.structs.replace(opened, fault="malformed")


def open_signed(payload: bytes, address: str, key: str | None, signers: Signers | None) -> Opened:
    """As `open_record`, of any JSON: the manifest and the word who drives come in the same envelope."""
    if len(payload) > MAX_RECORD_BYTES:
        return Opened(fault="too_long")
    outer = _parse(payload)
    if outer.fault:
        return outer
    if not isinstance(outer.value, dict) or outer.value.keys() - {"key"} != _ENVELOPE:
        return outer if signers is None else msgspec.structs.replace(outer, fault="unsigned")
    return _unwrap(outer.value, address, key, signers)


def denials(opened: Opened, lost: str | None = None) -> list[dict[str, Any]]:
    """What stands for a record with a fault: of each subject that it names, and of `lost`, a record that is
    malformed to the register and denies; with the version that it claims, which a later one overcomes.
    """
    said = opened.value.get("version") if isinstance(opened.value, dict) else None
    is_clear = type(said) is int and opened.fault != "doubled_key"
    claimed = {"version": said} if is_clear else {}
    named = [{"subject": subject, **claimed, "fault": opened.fault} for subject in opened.subjects]
    is_named = lost is None or lost in opened.subjects
    return named if is_named else [*named, {"subject": lost, "fault": opened.fault}]


def read_again(payload: bytes) -> Any:
    """The record in a payload in which `open_record` found no fault."""
    value = msgspec.json.decode(payload)
    return msgspec.json.decode(value["record"]) if value.keys() - {"key"} == _ENVELOPE else value


def _unwrap(envelope: Mapping[str, Any], address: str, key: str | None, signers: Signers | None) -> Opened:
    text, signature, named = envelope["record"], envelope["signature"], envelope.get("key", key)
    if not isinstance(text, str) or not isinstance(named, str) or (key is not None and named != key):
        return Opened(fault="malformed")
    record = text.encode()
    inner = _parse(record)
    if signers is None or inner.fault:
        return inner
    if isinstance(signature, str) and signers.signed(f"{address}{named}", record, signature):
        return inner
    return msgspec.structs.replace(inner, fault="wrong_signature")


def _parse(payload: bytes) -> Opened:
    """JSON in which no object has a key twice: which of the two counts is anybody's guess.

    msgspec decodes (no NaN, no broken UTF-8, no half of a surrogate pair) and lets the last of two keys win;
    the standard library shows both.
    """
    doubled = _DoubledKeys()
    try:
        value = msgspec.json.decode(payload)
        json.loads(payload, object_pairs_hook=doubled)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return Opened(fault="broken")
    if not isinstance(value, dict):
        return Opened(value)
    named = dict.fromkeys(v for k, v in doubled.outermost if k == "subject" and is_reference(v))
    return Opened(value, tuple(named), "doubled_key" if doubled.found else "")


class _DoubledKeys:
    """Sees the pairs of every object, those of the outermost last."""

    def __init__(self) -> None:
        self.found = False
        self.outermost: Sequence[tuple[str, Any]] = ()

    def __call__(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        self.found = self.found or len(made) < len(pairs)
        self.outermost = pairs
        return made
