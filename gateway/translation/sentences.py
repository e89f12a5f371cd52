"""From a finished English sentence to a German one, by templates that are matched and filled again."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from string import Formatter

from msgspec.structs import replace

from gateway.errors import Problem
from gateway.translation.german import CLAUSES, TERMS
from gateway.translation.language import Language

JOINT = "; "
_ALTERNATIVE = " or "
_NAMES = re.compile(r"[\w.:-]+(, [\w.:-]+)*")
_NUMBERS, _NUMBER = frozenset(("n", "m", "line", "high", "low")), r"[-+0-9.,]+(?<![.,])"
_FORM = re.compile(r"[a-z]+:<[a-z0-9 ]+>(:<[a-z0-9 ]+>)*")
_LIST_OF = re.compile(r"a list of (\d+)(.*)", re.DOTALL)


def translated(text: str, language: Language) -> str:
    """All of it, or, where the catalogue does not know one of its clauses, the text as it is."""
    if language == "en":
        return text
    german = [_clause(clause) for clause in text.split(JOINT)]
    return JOINT.join(clause for clause in german if clause) if None not in german else text


def told(problem: Problem, language: Language) -> str:
    """The problem with its place, its source line and the caret, which stay what they are."""
    text = replace(problem, text=translated(problem.text, language))
    return text.with_caret(warning=translated("warning", language))


def _clause(text: str) -> str | None:
    """None: the catalogue does not know it."""
    if text in CLAUSES and "{" not in text:
        return CLAUSES[text]
    for pattern, german in _templates():
        found = pattern.fullmatch(text)
        if found is None:
            continue
        filled = {name: _FILLED.get(name, _kept)(value) for name, value in found.groupdict().items()}
        if None not in filled.values():
            return german.format(**filled)
    return None


@lru_cache(maxsize=1)
def _templates() -> list[tuple[re.Pattern[str], str]]:
    """What says most by itself goes first, so that `{file}: {mistake}` comes when nothing else fits."""
    open_ones = [(english, german) for english, german in CLAUSES.items() if "{" in english]
    open_ones.sort(key=lambda pair: -len(re.sub(r"{\w+}", "", pair[0])))
    return [(_pattern(english), german) for english, german in open_ones]


def _pattern(english: str) -> re.Pattern[str]:
    parts = []
    for literal, name, _, _ in Formatter().parse(english):
        parts.append(re.escape(literal))
        if name is not None:
            parts.append(f"(?P<{name}>{_NUMBER if name in _NUMBERS else '.+?'})")
    return re.compile("".join(parts), re.DOTALL)


def _kept(value: str) -> str | None:
    return value


def _items(value: str) -> str | None:
    items = [_clause(item) for item in value.split(", ")]
    return ", ".join(item for item in items if item) if None not in items else None


def _terms(value: str) -> str | None:
    """`a list`, `a number or a list`, `shelf, aisle or checkout`."""
    if value in TERMS:
        return TERMS[value]
    terms = [TERMS.get(t, t if _NAMES.fullmatch(t) else None) for t in value.split(_ALTERNATIVE)]
    return " oder ".join(term for term in terms if term) if None not in terms else None


def _form(value: str) -> str | None:
    """How an identity is written."""
    return value if _FORM.fullmatch(value) else None


def _value(value: str) -> str | None:
    """What the file has there, as `located.shown` describes it."""
    if found := _LIST_OF.fullmatch(value):
        return f"eine Liste von {found[1]}{found[2]}"
    return TERMS.get(value, value)


_FILLED: dict[str, Callable[[str], str | None]] = {
    "mistake": _clause,
    "items": _items,
    "what": _terms,
    "form": _form,
    "value": _value,
}
