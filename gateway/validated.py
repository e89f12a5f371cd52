"""A read YAML file against a pydantic model, with problems worded for operators."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from functools import lru_cache
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, cast, get_args, get_origin

import msgspec
from pydantic import BaseModel, TypeAdapter, ValidationError

from gateway.errors import ConfigError, Problem
from gateway.located import Document, did_you_mean, shown

T = TypeVar("T")


def validate(document: Document, model: type[T], *, private: bool = False) -> T:
    """The document as `model` (a pydantic model, or any type that pydantic understands).

    ConfigError with every problem, worded for operators; a ValueError raised in a validator keeps its words.
    `private`: what the file says names people, so that its values are not repeated, as in a log.
    """
    kind: Any = model
    try:
        return cast(T, _adapter(kind).validate_python(document.data))
    except ValidationError as e:
        found = e.errors(include_url=False)
    raise ConfigError(_either({_problem(document, model, error, private) for error in found})) from None


def _either(problems: Collection[Problem]) -> list[Problem]:
    """One problem for each value that is none of several forms."""
    merged: dict[tuple[int, int, str, str], Problem] = {}
    for problem in sorted(problems):
        wanted, _, got = problem.text.partition(", got ")
        place = (problem.line, problem.column, problem.key, got)
        if place in merged and wanted.startswith(_EXPECT) and merged[place].text.startswith(_EXPECT):
            before = merged[place].text.partition(", got ")[0]
            text = f"{before} or {wanted.removeprefix(_EXPECT)}" + (f", got {got}" if got else "")
            merged[place] = msgspec.structs.replace(problem, text=text)
        else:
            merged[place if place not in merged else (*place[:3], problem.text)] = problem
    return list(merged.values())


_EXPECT = "expected "


@lru_cache(maxsize=64)
def _adapter(model: Any) -> TypeAdapter[Any]:
    return TypeAdapter(model)


def _problem(document: Document, model: Any, error: Any, private: bool) -> Problem:
    kind, path = error["type"], error["loc"]
    if kind == "missing":
        last = path[-1]
        text = f"missing key '{last}'" if isinstance(last, str) else f"item {last + 1} is missing"
        return document.problem(path[:-1], text)
    if kind == "extra_forbidden":
        known = list(dict.fromkeys(_keys([model], path[:-1])))
        hint = did_you_mean(str(path[-1]), known) or (f"; known here: {', '.join(known)}" if known else "")
        return document.problem(path, f"unknown key{hint}", at_key=True)
    at_key = path[-1:] == ("[key]",)
    text, got = _words(error)
    if kind in _EXPECTED:
        has_mappings = any(_keys([model], (*path, 0)))
        got += _remedy(_EXPECTED[kind], error["input"], has_mappings=has_mappings)
    words = text if private or not got else f"{text}, got {got}"
    return document.problem(path[:-1] if at_key else path, words, at_key=at_key)


def _words(error: Any) -> tuple[str, str]:
    """What is wrong, and the value where that is no part of it."""
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if kind in ("value_error", "assertion_error"):
        return str(context["error"]), ""
    if kind in _EXPECTED:
        return f"expected {_EXPECTED[kind]}", shown(value)
    if kind in ("literal_error", "enum", "union_tag_invalid"):
        listed = context.get("expected") or context.get("expected_tags", "")
        names = [quoted or bare for quoted, bare in re.findall(r"'([^']*)'|\b([0-9.]+)\b", listed)]
        near = did_you_mean(value, names) if isinstance(value, str) else ""
        got = context["tag"] if kind == "union_tag_invalid" else shown(value)
        return f"expected {' or '.join(filter(None, (', '.join(names[:-1]), names[-1])))}", f"{got}{near}"
    if kind in _LIMITS:
        word, key = _LIMITS[kind]
        limit = context[key]
        if limit == 1 and kind in ("string_too_short", "too_short"):
            return "must not be empty", ""
        return word.format(f"{limit:g}" if isinstance(limit, float) else limit), shown(value)
    return str(error["msg"]).replace("Input should be", "expected"), ""


def _remedy(expected: str, value: Any, *, has_mappings: bool) -> str:
    """How the value would be written, where it is only written wrongly; `has_mappings`: a list of those."""
    if expected == "text" and isinstance(value, int | float) and not isinstance(value, bool):
        return "; put it in quotes"
    if expected == "a list" and isinstance(value, str) and not has_mappings:
        return f"; write [{value}]" if len(str(value)) <= LONGEST_REMEDY else ""
    if expected == "a list" and value is None:
        return "; write [] or leave the key out"
    if expected in ("a number", "a whole number") and isinstance(value, str) and _NUMBER.fullmatch(value):
        return "; write it without quotes"
    return ""


LONGEST_REMEDY = 40
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_EXPECTED = {
    "string_type": "text",
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float", "int_parsing_size"), "a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "a number"),
    "finite_number": "a finite number",
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
    **dict.fromkeys(("list_type", "tuple_type", "set_type", "frozen_set_type"), "a list"),
    **dict.fromkeys(("dict_type", "mapping_type", "model_type", "model_attributes_type"), "a mapping"),
    "none_required": "nothing",
}
_LIMITS = {
    "greater_than": ("must be more than {}", "gt"),
    "greater_than_equal": ("must be at least {}", "ge"),
    "less_than": ("must be less than {}", "lt"),
    "less_than_equal": ("must be at most {}", "le"),
    "too_short": ("needs {} items or more", "min_length"),
    "too_long": ("takes {} items at most", "max_length"),
    "string_too_short": ("needs {} characters or more", "min_length"),
    "string_too_long": ("takes {} characters at most", "max_length"),
}


def _keys(types: Collection[Any], path: tuple[str | int, ...]) -> Iterator[str]:
    """The keys that models take at `path`, in the order of the schema; union tags in the path are skipped."""
    models = [m for t in types for m in _arms(t)]
    if not path:
        for model in models:
            if isinstance(model, type) and issubclass(model, BaseModel):
                yield from (field.alias or name for name, field in model.model_fields.items())
        return
    step, rest = path[0], path[1:]
    inner: list[Any] = []
    for model in models:
        if isinstance(model, type) and issubclass(model, BaseModel):
            inner += [f.annotation for n, f in model.model_fields.items() if step in (f.alias or n, n)]
        elif get_origin(model) is dict:
            inner.append(get_args(model)[1])
        elif isinstance(step, int):
            inner += [a for a in get_args(model) if a is not Ellipsis]
    yield from _keys(inner or models, rest)


def _arms(kind: Any) -> Iterator[Any]:
    origin = get_origin(kind)
    if origin is Annotated:
        yield from _arms(get_args(kind)[0])
    elif origin in (Union, UnionType):
        for arm in get_args(kind):
            yield from _arms(arm)
    else:
        yield kind
