"""What an editor is told of a YAML file: the JSON Schema of its model, fitted to what editors do with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"


def document(title: str, schema: dict[str, Any]) -> str:
    """The text of a schema file; `schema`, as pydantic made it, is changed."""
    for section in schema.get("$defs", {}).values():
        _word(section)
    for _, key in keys(schema):
        _word(key)
        _fit(key)
    whole = {"$schema": DRAFT} | schema | {"title": title}
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def keys(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every key of every section, by its dotted name from the section on."""
    for name, part in {"": schema, **schema.get("$defs", {})}.items():
        for key, value in part.get("properties", {}).items():
            yield f"{name}.{key}" if name else key, value


def _word(part: dict[str, Any]) -> None:
    """Who writes YAML leaves a key out; None is what the program makes of that."""
    if "description" in part:
        part["description"] = (
            part["description"].replace("; None:", "; left out:").replace("None:", "Left out:")
        )


def _fit(key: dict[str, Any]) -> None:
    """A language server writes a key's default where somebody chooses the key. An empty one would have to be
    deleted again, that of a section is in units of the program. A title says the key again."""
    key.pop("title", None)
    if not _writable(key.get("default")):
        key.pop("default", None)


def _writable(default: Any) -> bool:
    if isinstance(default, list):
        return bool(default) and all(map(_writable, default))
    return default is not None and default != "" and not isinstance(default, dict)
