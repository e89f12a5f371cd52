"""The texts with `{names}` of the profile language: topics, ids that receivers make, identities."""

from __future__ import annotations

import re
from collections.abc import Mapping

from gateway.profiles.outcome import RejectedError
from gateway.profiles.values import mac, u16, uuid

NAME = re.compile(r"[a-z_][a-z0-9_]*")
SCHEMES = ("irk", "eid", "ibeacon", "altbeacon", "eddystone", "tag", "mac", "vehicle")
"""First words of identities; those of a radio in the order in which they identify, the surest first.

`tag:<maker>:<id>` is for makers whose id has no kind of its own: a new maker needs no code.
"""

_PART = re.compile(r"\{([^{}]*)\}")
_PREFIX = re.compile(r"[A-Za-z0-9._-]+\*")


class _Level:
    """One level of a topic: plain text, or a name for whatever stands there, of one kind or beginning so."""

    def __init__(self, text: str, *, is_first: bool) -> None:
        part = _PART.fullmatch(text)
        name, _, kind = (part[1] if part else "").partition(":")
        self.name: str = name
        self.is_address = kind == "mac"
        self.prefix = kind.removesuffix("*") if kind.endswith("*") else ""
        self.text = "" if part else text
        is_named = NAME.fullmatch(self.name) and (not kind or self.is_address or _PREFIX.fullmatch(kind))
        is_plain = (text or is_first) and not any(c in text for c in "{}+#") and not text.startswith("$")
        if not (is_named if part else is_plain):
            raise ValueError(f"the level {text!r} is neither plain text nor one {{name}}")

    def takes(self, level: str) -> bool:
        if not self.name:
            return level == self.text
        return level.startswith(self.prefix) and (not self.is_address or _is_address(level))

    def overlaps(self, other: _Level) -> bool:
        """Whether some level fits both."""
        if not self.name:
            return other.takes(self.text)
        if not other.name:
            return self.takes(other.text)
        return self.prefix.startswith(other.prefix) or other.prefix.startswith(self.prefix)


class TopicTemplate:
    """`owntracks/{user}/{device}`: each named part is one whole level; `{site}` is bound to the site's id.

    `{address:mac}` takes only a level that is an address, and gives it as identities spell it;
    `{receiver:shelly*}` one that begins so.
    """

    def __init__(self, text: str) -> None:
        """ValueError in an operator's words when the text is no template."""
        self._levels = [_Level(level, is_first=i == 0) for i, level in enumerate(text.split("/"))]
        self.names = tuple(level.name for level in self._levels if level.name)
        if len(set(self.names)) < len(self.names):
            raise ValueError("the same {name} stands at two levels")

    def filter(self, site: str | None) -> str:
        """What to subscribe to."""
        return "/".join(
            level.text if not level.name else site if level.name == "site" and site else "+"
            for level in self._levels
        )

    def parts(self, levels: list[str], site: str | None) -> dict[str, str] | None:
        """The named parts of a topic, None when it is another topic (or another site's)."""
        if len(levels) != len(self._levels):
            return None
        found: dict[str, str] = {}
        for mine, level in zip(self._levels, levels, strict=True):
            if not mine.takes(level) or (mine.name == "site" and site is not None and level != site):
                return None
            if mine.name:
                found[mine.name] = mac(level) if mine.is_address else level
        return found

    def overlaps(self, other: TopicTemplate) -> bool:
        """Whether some topic fits both."""
        return len(self._levels) == len(other._levels) and all(
            mine.overlaps(theirs) for mine, theirs in zip(self._levels, other._levels, strict=True)
        )


class IdentityTemplate:
    """`ibeacon:{uuid}:{major}:{minor}`: what identifies a device, lower case as a whole."""

    def __init__(self, text: str) -> None:
        """ValueError in an operator's words when the text is no identity."""
        self.scheme = text.partition(":")[0]
        if self.scheme not in SCHEMES or ":" not in text:
            raise ValueError(f"an identity begins with one of {', '.join(s + ':' for s in SCHEMES)}")
        self._pieces = _PART.split(text)
        self.names = tuple(self._pieces[1::2])
        if not self.names or not all(NAME.fullmatch(n) for n in self.names):
            raise ValueError("an identity needs {names} of fields or topic parts, in lower case")
        if any(c in piece for piece in self._pieces[::2] for c in "{}"):
            raise ValueError("a brace is open or empty")

    def fill(self, values: Mapping[str, object]) -> str:
        """The identity, empty when one of its parts is unknown."""
        pieces = list(self._pieces)
        for i, name in enumerate(self.names):
            value = values.get(name)
            if value is None:
                return ""
            pieces[2 * i + 1] = str(value)
        return "".join(pieces).lower()


class Claim:
    """`{receiver}`, `owntracks/{user}/{device}`: what a payload says where it names its sender as well.

    The sender is who the topic says, which a broker can bind to a certificate; a payload is anybody's word.
    """

    def __init__(self, text: str) -> None:
        """ValueError in an operator's words when the text is none."""
        self._pieces = _PART.split(text)
        self.names = tuple(self._pieces[1::2])
        if not self.names or not all(NAME.fullmatch(n) for n in self.names):
            raise ValueError("expected {names} of topic parts, as in {receiver}")

    def expected(self, parts: Mapping[str, str]) -> str:
        """In lower case, as identities are."""
        pieces = list(self._pieces)
        pieces[1::2] = [parts[name] for name in self.names]
        return "".join(pieces).lower()

    @staticmethod
    def holds(expected: str, said: object) -> bool:
        """Nothing said is no claim; a topic may go on below."""
        return said is None or f"{said}/".lower().startswith(f"{expected}/")


class IdPattern:
    """`iBeacon:{uuid:uuid}-{major:u16}-{minor:u16}`: an id that a receiver has put together.

    Types: `uuid`, `u16` (decimal), `mac`, `name` (letters, digits, `-` and `_`), `hex<n>` (n bytes); the part
    `_` is read over.
    """

    def __init__(self, text: str) -> None:
        """ValueError in an operator's words when the text is no pattern."""
        pieces = _PART.split(text)
        regex = ""
        self._types: dict[str, str] = {}
        for i, piece in enumerate(pieces):
            if i % 2 == 0:
                regex += re.escape(piece)
                continue
            name, _, kind = piece.partition(":")
            of_bytes = re.fullmatch(r"hex([1-9][0-9]?)", kind)
            if not NAME.fullmatch(name) or not (of_bytes or kind in _ID_PARTS) or name in self._types:
                raise ValueError(
                    f"{{{piece}}}: expected {{name:type}}, each name once; "
                    "types are uuid, u16, mac, name, hex<bytes>"
                )
            body = f"[0-9a-f]{{{2 * int(of_bytes[1])}}}" if of_bytes else _ID_PARTS[kind]
            regex += f"(?:{body})" if name == "_" else f"(?P<{name}>{body})"
            if name != "_":
                self._types[name] = kind
        self._regex = re.compile(regex, re.IGNORECASE | re.ASCII)
        self.names = tuple(self._types)

    def read(self, id: str) -> dict[str, str] | None:
        """The named parts in the spelling of identities, None when `id` is of another form."""
        found = self._regex.fullmatch(id)
        if found is None:
            return None
        try:
            return {name: _spelled(kind, found[name]) for name, kind in self._types.items()}
        except RejectedError:
            return None


_ID_PARTS = {
    "uuid": r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}",
    "u16": r"[0-9]{1,5}",
    "name": r"[0-9a-z_-]{1,64}",
    "mac": r"[0-9a-f]{12}|[0-9a-f]{2}(?::[0-9a-f]{2}){5}",
}


def _is_address(text: str) -> bool:
    try:
        mac(text)
    except RejectedError:
        return False
    return True


def _spelled(kind: str, part: str) -> str:
    if kind == "uuid":
        return uuid(part)
    if kind == "mac":
        return mac(part)
    return str(u16(part)) if kind == "u16" else part.lower()
