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


class TopicTemplate:
    """`owntracks/{user}/{device}`: each named part is one whole level; `{site}` is bound to the site's id.

    `{address:mac}` takes only a level that is an address, and gives it as identities spell it.
    """

    def __init__(self, text: str) -> None:
        """ValueError in an operator's words when the text is no template."""
        self._levels: list[tuple[bool, str]] = []
        self._addresses: set[str] = set()
        for i, level in enumerate(text.split("/")):
            part = _PART.fullmatch(level)
            name = part[1].removesuffix(":mac") if part else ""
            if NAME.fullmatch(name):
                self._levels.append((True, name))
                if level != f"{{{name}}}":
                    self._addresses.add(name)
            elif (not level and i > 0) or any(c in level for c in "{}+#") or level.startswith("$"):
                raise ValueError(f"the level {level!r} is neither plain text nor one {{name}}")
            else:
                self._levels.append((False, level))
        self.names = tuple(text for named, text in self._levels if named)
        if len(set(self.names)) < len(self.names):
            raise ValueError("the same {name} stands at two levels")

    def filter(self, site: str | None) -> str:
        """What to subscribe to."""
        return "/".join(
            text if not named else site if text == "site" and site else "+" for named, text in self._levels
        )

    def parts(self, levels: list[str], site: str | None) -> dict[str, str] | None:
        """The named parts of a topic, None when it is another topic (or another site's)."""
        if len(levels) != len(self._levels):
            return None
        found: dict[str, str] = {}
        for (named, text), level in zip(self._levels, levels, strict=True):
            if not named:
                if text != level:
                    return None
            elif text == "site" and site is not None and level != site:
                return None
            elif text in self._addresses:
                if not _is_address(level):
                    return None
                found[text] = mac(level)
            else:
                found[text] = level
        return found

    def overlaps(self, other: TopicTemplate) -> bool:
        """Whether some topic fits both."""
        return len(self._levels) == len(other._levels) and all(
            (a_named or b_named or a == b)
            and not (a_named and a in self._addresses and not b_named and not _is_address(b))
            and not (b_named and b in other._addresses and not a_named and not _is_address(a))
            for (a_named, a), (b_named, b) in zip(self._levels, other._levels, strict=True)
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
