"""The keys by which rotating identities are known again, in a YAML file that only its owner can read.

    irk:                                   # phones: identity resolving keys, 32 hex digits, first byte first
      anna-phone: "ec0234a357c8ad05341010a60a397d9b"
    eid:                                   # Eddystone-EID beacons
      trolley-12: {key: "…", exponent: 10, beacon_time_s: 65280, at: "2026-03-01T09:00:00Z"}
    bind:                                  # tags that encrypt what they say (BTHome v2), by address
      "54:48:e6:8f:80:a5": "231d39c1d7cc1ab1aee224cd096db932"

Problems name the line and nothing that stands there: neither keys nor whose they are.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from msgspec import Struct, field
from msgspec.structs import replace

from gateway.credentials import SecretUnusableError, guarded
from gateway.errors import ConfigError, Problem
from gateway.located import Document
from gateway.located import load as load_yaml
from gateway.settings.secrets import SETTINGS_FILE
from gateway.settings.sections import NAME_PATTERN

_KINDS: Final = ("irk", "eid", "bind")
MOST_KEYS: Final = 4096
"""Of each kind. Each new private address is tried with every resolving key."""
MOST_EXPONENT: Final = 15
_EID_MEMBERS: Final = frozenset(["key", "exponent", "beacon_time_s", "at"])
_HEX_KEY: Final = re.compile(r"[0-9a-fA-F]{32}")
_ADDRESS: Final = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")
_MAY_BE_SECRET: Final = re.compile(r"\w{16,}")
_MEMBERS_READ: Final = "key, exponent, beacon_time_s, at"


class EphemeralKey(Struct, frozen=True):
    """What an Eddystone-EID beacon and its owner share, and one reading of the beacon's clock."""

    key: bytes
    """The identity key, 16 bytes."""
    exponent: int
    """The id changes every 2^exponent seconds."""
    beacon_time_s: int
    """What the beacon's counter showed …"""
    at_s: float
    """… at this time, Unix seconds."""

    def __repr__(self) -> str:
        return "EphemeralKey(…)"


class IdentityKeys(Struct, frozen=True):
    """Keys by the names under which people and things are enrolled: `irk:<name>`, `eid:<name>`."""

    irks: dict[str, bytes] = field(default_factory=dict)
    eids: dict[str, EphemeralKey] = field(default_factory=dict)
    binds: dict[str, bytes] = field(default_factory=dict)
    """By address, lower case: keys that open what a tag says, and identify nobody."""

    def bind_key(self, address: str) -> bytes | None:
        return self.binds.get(address)

    @property
    def numbers(self) -> tuple[int, int, int]:
        """How many keys there are of each kind, in the order of the fields."""
        return len(self.irks), len(self.eids), len(self.binds)

    def __repr__(self) -> str:
        irks, eids, binds = self.numbers
        return f"IdentityKeys({irks} irk, {eids} eid, {binds} bind)"


def load_identity_keys(secret: str, environ: Mapping[str, str] | None = None) -> IdentityKeys:
    """The file at `credential:NAME` or a path. ConfigError with all its problems, or why it is not read."""
    try:
        path = guarded(secret, environ)
    except SecretUnusableError as error:
        raise ConfigError([Problem(SETTINGS_FILE, 1, 1, "identity_keys", str(error))]) from None
    try:
        document = load_yaml(path)
    except ConfigError as error:
        without = (replace(p, text=_MAY_BE_SECRET.sub("…", p.text)) for p in error.problems)
        raise ConfigError([_silent(problem) for problem in without]) from None
    reader = _Reader(document)
    keys = reader.keys()
    if reader.problems:
        raise ConfigError([_silent(problem) for problem in reader.problems])
    return keys


def _silent(problem: Problem) -> Problem:
    """Without the line of the file and without the name of an entry."""
    kind = problem.key.partition(".")[0]
    return replace(problem, source="", key=kind if kind in _KINDS else "")


class _Reader:
    def __init__(self, document: Document) -> None:
        self._document = document
        self.problems: list[Problem] = []
        self._lines: dict[bytes, int] = {}
        """Where each key was read first."""

    def keys(self) -> IdentityKeys:
        for kind in self._document.data:
            if kind not in _KINDS:
                self._say((kind,), f"unknown key; known here: {', '.join(_KINDS)}", at_key=True)
        irks = {name: self._key(("irk", name), value) for name, value in self._named("irk")}
        eids = {name: self._ephemeral(name, value) for name, value in self._named("eid")}
        binds = {address.lower(): self._key(("bind", address), v) for address, v in self._named("bind")}
        return IdentityKeys(
            {name: key for name, key in irks.items() if key is not None},
            {name: key for name, key in eids.items() if key is not None},
            {address: key for address, key in binds.items() if key is not None},
        )

    def _named(self, kind: str) -> Iterator[tuple[str, Any]]:
        section = self._document.data.get(kind, {})
        if not isinstance(section, dict):
            self._say((kind,), "expected a mapping of names to keys")
            return
        if len(section) > MOST_KEYS:
            self._say((kind,), f"{len(section):,} keys; at most {MOST_KEYS:,} are taken")
            return
        for name, value in section.items():
            if kind == "bind":
                if isinstance(name, str) and _ADDRESS.fullmatch(name):
                    yield name, value
                else:
                    self._say((kind, name), "expected an address such as 54:48:e6:8f:80:a5", at_key=True)
                continue
            if not isinstance(name, str) or re.fullmatch(NAME_PATTERN, name) is None or name != name.lower():
                self._say((kind, name), "a key's name has lower case letters, digits, dots, dashes, "
                          "underscores, at most 64; a number needs quotes", at_key=True)  # fmt: skip
                continue
            yield name, value

    def _key(self, path: tuple[str, ...], value: Any) -> bytes | None:
        if not isinstance(value, str) or _HEX_KEY.fullmatch(value) is None:
            self._say(path, "expected a key of 32 hex digits, in quotes")
            return None
        key = bytes.fromhex(value)
        if not any(key):
            self._say(path, "a key of zeros is no key")
            return None
        line = self._document.problem(path, "").line
        if key in self._lines:
            self._say(path, f"this key stands on line {self._lines[key]} already: it would identify two")
        self._lines.setdefault(key, line)
        return key

    def _ephemeral(self, name: str, value: Any) -> EphemeralKey | None:
        path = ("eid", name)
        if not isinstance(value, dict) or value.keys() != _EID_MEMBERS:
            self._say(path, f"expected {{{_MEMBERS_READ}}}, no more and no less")
            return None
        key = self._key((*path, "key"), value["key"])
        exponent, counter, at_s = value["exponent"], value["beacon_time_s"], _moment_s(value["at"])
        if not _is_whole(exponent, MOST_EXPONENT):
            self._say((*path, "exponent"), f"expected a whole number from 0 to {MOST_EXPONENT}")
        if not _is_whole(counter, 0xFFFF_FFFF):
            self._say((*path, "beacon_time_s"), "expected the beacon's 32-bit seconds counter")
        if at_s is None:
            self._say((*path, "at"), "expected when the counter was read, such as 2026-03-01T09:00:00Z")
        if key is None or at_s is None:
            return None
        return EphemeralKey(key, exponent, counter, at_s)

    def _say(self, path: tuple[Any, ...], text: str, *, at_key: bool = False) -> None:
        self.problems.append(self._document.problem(path, text, at_key=at_key))


def _is_whole(value: Any, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most


def _moment_s(value: Any) -> float | None:
    """Unix seconds of an RFC 3339 time with its offset; None for anything else."""
    try:
        moment = datetime.fromisoformat(value)
        at_s = moment.timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
    return at_s if moment.tzinfo is not None and math.isfinite(at_s) and at_s > 0 else None
