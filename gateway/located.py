"""YAML files whose every value remembers where it was written, and problems that point there.

One document per file. libyaml cuts it into events (through PyYAML, whose reader in plain Python takes thirty
times as long); they are resolved here, by the core schema of YAML 1.2.2 (§10.3.2): `10:20:30:40:50:11` and
`NO` are text, `0o17` is 15, `<<` is an ordinary key.
"""

from __future__ import annotations

import difflib
import os
import re
import stat
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml
from yaml import events

from gateway.errors import ConfigError, Problem

MAX_BYTES = 1 << 20
MAX_ALIAS_NODES = 100_000
MAX_DEPTH = 50
READ_TRIES = 3
MOST_NAMED = 12

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Spot:
    """One value of the file: its place, the place of its key, and the spots inside it. Counted from 1."""

    __slots__ = ("column", "inside", "key_column", "key_line", "line", "nodes", "value")

    def __init__(self, line: int, column: int, value: Any = None) -> None:
        self.line, self.column = line, column
        self.key_line, self.key_column, self.value = line, column, value
        self.inside: dict[Any, _Spot] = {}
        self.nodes = 1
        """How many values this is once its aliases are expanded."""


class Document:
    """The plain data of one file (`data`: dict, list, str, int, float, bool, None) and where it stands."""

    def __init__(self, name: str, data: Any, root: _Spot, lines: list[str]) -> None:
        self.name, self.data = name, data
        self._root, self._lines = root, lines

    def problem(self, path: tuple[str | int, ...], text: str, *, at_key: bool = False) -> Problem:
        """A problem at the value (or the key) that `path` leads to.

        Steps that are not in the file are skipped (union tags, missing keys): the position is then that of
        what encloses them. List items are named by their `id` or `profile`, else by index from 0.
        """
        spot, names, found = self._root, [], None
        for step in path:
            found = spot.inside.get(step)
            if found is not None:
                names.append(_item_name(step, found.value))
                spot = found
        at_key = at_key and found is not None
        line, column = (spot.key_line, spot.key_column) if at_key else (spot.line, spot.column)
        return Problem(self.name, line, column, ".".join(names), text, self._lines[line - 1])


def _item_name(step: str | int, value: Any) -> str:
    named = value if isinstance(step, int) and isinstance(value, dict) else {}
    name = named.get("id", named.get("profile"))
    return str(name if isinstance(name, str | int) else step)


def shown(value: Any) -> str:
    """A value as problems show it, cut at 60 characters."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list | tuple):
        return "a mapping" if isinstance(value, dict) else f"a list of {len(value)}"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean x?` with the nearest of `known`, or nothing when none is near."""
    by_fold = {name.casefold().replace("-", "_"): name for name in known}
    near = difflib.get_close_matches(word.casefold().replace("-", "_"), by_fold, n=1)
    return f"; did you mean {by_fold[near[0]]}?" if near else ""


def instead(word: str, known: Collection[str]) -> str:
    """As `did_you_mean`; where none is near, `; known here: …` with all of them, if they are few."""
    if near := did_you_mean(word, known):
        return near
    if not known:
        return "; there are none"
    return f"; known here: {', '.join(dict.fromkeys(known))}" if len(known) <= MOST_NAMED else ""


def load(
    path: Path, *, name: str | None = None, top: type[dict[Any, Any]] | type[list[Any]] | None = dict
) -> Document:
    """Read one file; `top` is what its top level must be, None for anything.

    ConfigError for whatever cannot be read as one YAML 1.2 document of at most 1 MiB, 50 levels and 100,000
    values out of aliases, and for duplicate keys. `name` is what problems call the file; by default the path.
    """
    called = str(path) if name is None else name
    text = _text(path, called)
    lines = re.split(r"\r\n|\r|\n", text)
    reader = _Reader(called, lines)
    root = reader.document(text)
    if reader.problems:
        raise ConfigError(reader.problems)
    document = Document(called, root.value, root, lines)
    if top is not None and not isinstance(root.value, top):
        expected = "a mapping (key: value)" if top is dict else "a list (- item)"
        text = "the file is empty" if root.value is None else f"expected {expected}, got {shown(root.value)}"
        raise ConfigError([document.problem((), text)])
    return document


def _text(path: Path, called: str) -> str:
    def wrong(text: str, before: bytes = b"") -> ConfigError:
        line_start = before.rpartition(b"\n")[2].decode("utf-8", "replace")
        return ConfigError([Problem(called, before.count(b"\n") + 1, len(line_start) + 1, "", text)])

    try:
        raw = _bytes(path, wrong)
    except FileNotFoundError:
        raise wrong("no such file") from None
    except (OSError, ValueError) as e:
        raise wrong(f"cannot be read: {getattr(e, 'strerror', None) or e}") from None
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in raw[:2]:
        raise wrong("this is UTF-16; save the file as UTF-8")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        raise wrong("not UTF-8 from here; save the file as UTF-8", raw[: e.start]) from None
    if control := _UNPRINTABLE.search(text):
        before = text[: control.start()].encode()
        raise wrong(f"control character U+{ord(control[0]):04X}; is this a text file?", before)
    return text


def _bytes(path: Path, wrong: Callable[[str], ConfigError]) -> bytes:
    """The content at one moment; never more than is allowed, however much it grows meanwhile."""
    for _ in range(READ_TRIES):
        before = path.stat()
        if stat.S_ISDIR(before.st_mode):
            raise wrong("expected a file, this is a directory")
        if not stat.S_ISREG(before.st_mode):
            raise wrong("expected an ordinary file")
        if before.st_size > MAX_BYTES:
            raise wrong(f"larger than 1 MiB ({before.st_size:,} bytes)")
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
            after = os.fstat(file.fileno())
        if (after.st_size, after.st_mtime_ns, after.st_ino) == (
            len(raw),
            before.st_mtime_ns,
            before.st_ino,
        ):
            return raw
    raise wrong("changes while it is read; try again when it is written")


# Three characters that YAML 1.2 allows are left out: line breaks to libyaml, and to few editors.
_UNPRINTABLE = re.compile("[^\t\n\r -~\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_INT = re.compile(r"[-+]?[0-9]+\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)\Z|\.(?:nan|NaN|NAN)\Z")
_BASED = re.compile(r"0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_WORDS = dict.fromkeys(("", "~", "null", "Null", "NULL"), None) | {
    word: truth for truth in (True, False) for word in (str(truth), str(truth).lower(), str(truth).upper())
}


def _scalar(text: str) -> Any:
    """The value of an unquoted scalar by the core schema."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _INT.match(text) and len(text) < 40:
        return int(text)
    if _FLOAT.match(text):
        return float(text)
    if _NOT_FINITE.match(text):
        return float(text.replace(".", ""))
    return int(text, 0) if _BASED.match(text) else text


class _Reader:
    """Builds spots from parser events; mistakes that do not stop the parser are collected in `problems`."""

    def __init__(self, name: str, lines: list[str]) -> None:
        self.problems: list[Problem] = []
        self._name, self._lines = name, lines
        self._anchors: dict[str, _Spot | None] = {}
        self._alias_nodes = 0

    def document(self, text: str) -> _Spot:
        """The root of the one document; ConfigError where reading cannot go on."""
        self._events: Iterator[Any] = yaml.parse(text, Loader=_Loader)
        root = _Spot(1, 1)
        seen = False
        try:
            for event in self._events:
                if isinstance(event, events.DocumentStartEvent):
                    if seen:
                        raise self._stop(event.start_mark, "a second document; a file holds one")
                    seen = True
                    root = self._value(next(self._events), 0)
        except yaml.YAMLError as e:
            raise self._syntax(e) from None
        return root

    def _stop(self, mark: Any, text: str) -> ConfigError:
        return ConfigError([*self.problems, self._at(mark.line + 1, mark.column + 1, text)])

    def _at(self, line: int, column: int, text: str, key: str = "") -> Problem:
        if line > len(self._lines):  # libyaml counts a line break more at the end of a file without one
            line, column = len(self._lines), len(self._lines[-1]) + 1
        return Problem(self._name, line, column, key, text, self._lines[line - 1])

    def _value(self, event: Any, depth: int) -> _Spot:
        mark = event.start_mark
        if isinstance(event, events.AliasEvent):
            return self._alias(event)
        if depth > MAX_DEPTH:
            raise self._stop(mark, f"nested deeper than {MAX_DEPTH} levels")
        spot = _Spot(mark.line + 1, mark.column + 1)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        if isinstance(event, events.ScalarEvent):
            spot.value = _scalar(event.value) if event.implicit[0] and not event.style else event.value
        elif isinstance(event, events.SequenceStartEvent):
            self._sequence(spot, depth)
        else:
            self._mapping(spot, depth)
        if event.tag not in (None, "!", "tag:yaml.org,2002:str"):
            self.problems.append(
                self._at(spot.line, spot.column, f"the tag {event.tag} is not used here; remove it")
            )
        if event.anchor is not None:
            self._anchors[event.anchor] = spot
        return spot

    def _alias(self, event: Any) -> _Spot:
        origin = self._anchors.get(event.anchor)
        if origin is None:
            known = event.anchor in self._anchors
            text = "refers to what contains it" if known else "has no anchor before it"
            raise self._stop(event.start_mark, f"the alias *{event.anchor} {text}")
        self._alias_nodes += origin.nodes
        if self._alias_nodes > MAX_ALIAS_NODES:
            raise self._stop(event.start_mark, f"aliases expand to more than {MAX_ALIAS_NODES:,} values")
        spot = _Spot(event.start_mark.line + 1, event.start_mark.column + 1, origin.value)
        spot.inside, spot.nodes = origin.inside, origin.nodes
        return spot

    def _sequence(self, spot: _Spot, depth: int) -> None:
        spot.value = []
        while not isinstance(event := next(self._events), events.SequenceEndEvent):
            item = self._value(event, depth + 1)
            spot.inside[len(spot.value)] = item
            spot.value.append(item.value)
            spot.nodes += item.nodes

    def _mapping(self, spot: _Spot, depth: int) -> None:
        spot.value = {}
        while not isinstance(event := next(self._events), events.MappingEndEvent):
            key = self._value(event, depth + 1)
            after = next(self._events)
            item = self._value(after, depth + 1)
            if isinstance(after, events.ScalarEvent) and not after.value and not after.style:
                # The parser puts `key:` without a value at whatever comes next.
                item.line, item.column = key.line, key.column
            item.key_line, item.key_column = key.line, key.column
            spot.nodes += item.nodes + 1
            if isinstance(key.value, dict | list):
                self.problems.append(self._at(key.line, key.column, "a key must be plain text"))
            elif key.value in spot.value:
                first = spot.inside[key.value].key_line
                text = f"duplicate key; it is on line {first} already"
                self.problems.append(self._at(key.line, key.column, text, str(key.value)))
            else:
                spot.value[key.value] = item.value
                spot.inside[key.value] = item

    def _syntax(self, error: yaml.YAMLError) -> ConfigError:
        if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
            return ConfigError([*self.problems, self._at(1, 1, "not YAML")])
        said, mark, opened = str(error.problem), error.problem_mark, error.context_mark
        text = next((text for part, text in _SYNTAX if part in said), said.replace("\n", " "))
        if opened is not None and error.context in _AT_OPENING:
            mark = opened
        elif opened is not None and "{line}" in text:
            text = text.format(line=opened.line + 1)
        elif mark.line < len(self._lines) and self._lines[mark.line][: mark.column + 1].lstrip(
            " "
        ).startswith("\t"):
            text = _TAB
        return self._stop(mark, text)


_TAB = "a tab; YAML indents with spaces only"
_ESCAPE = "no such escape; inside double quotes a backslash is written `\\\\`"
_AT_OPENING = ("while scanning a simple key", "while scanning a quoted scalar")
_SYNTAX = (
    ("'\\t'", _TAB),
    ("could not find expected ':'", "neither `key: value` nor `- item`; is `: ` missing?"),
    ("mapping values are not allowed", "a second `: ` here: wrong indentation, or text that needs quotes"),
    ("sequence entries are not allowed", "a list item cannot start here; check the indentation"),
    ("did not find expected key", "the indentation fits nothing above; check the spaces and list dashes"),
    ("expected '-' indicator", "the indentation fits nothing above; check the spaces and list dashes"),
    ("expected <block end>", "the indentation fits nothing above; check the spaces and list dashes"),
    ("expected ',' or ']'", "expected `,` or `]`: the `[` on line {line} is still open"),
    ("expected ',' or '}'", "expected `,` or `}}`: the `{{` on line {line} is still open"),
    ("end of stream", "the quote that opens here is never closed"),
    ("cannot start any token", "a value cannot start with this character; put the text in quotes"),
    ("expected node content", "a value is missing before this"),
    ("unexpected ':'", "a `:` without a space after it; put the text in quotes"),
    ("expected alphabetic or numeric", "`&` or `*` without a name; put the text in quotes"),
    ("maximum nesting depth", f"nested deeper than {MAX_DEPTH} levels"),
    ("unknown escape", _ESCAPE),
    ("hexdecimal number", _ESCAPE),
    ("expected <document start>", "something after the end of the value; is it indented too little?"),
)
