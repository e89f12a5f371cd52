"""Every key of the YAML files as a document, from the schemas that editors use."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from gateway.settings.schemas import schemas, waits

HEAD: Final = """\
# Settings

Every key of every file, from the same source as the schemas in `config/schema`, with which an editor
completes and underlines. `gateway check DIR` names what is wrong. A key without a default has to be
there; `↻` waits for the next start of the gateway, everything else is taken over by `gateway reload`. A
duration is `20s`, `1min`, `1h` or `30d`; a number has its unit in its name (`radius_m`).

Worked examples: [config/store](../config/store), [config/demo](../config/demo). Firmware profiles have a
language of their own: [profiles.md](profiles.md).
"""
FILES: Final = {
    "site.schema.json": "site.yaml: the map",
    "gateway.schema.json": "gateway.yaml: this gateway",
    "calibration.schema.json": "calibration.yaml: written by `gateway calibrate --write`",
    "identity-keys.schema.json": "The file of `identity_keys`",
}
_REMARKS: Final = (
    " Takes effect at the next start.",
    "Takes effect at the next start.",
)


def settings_reference() -> str:
    """Markdown."""
    written = [HEAD]
    for name, text in schemas().items():
        schema = json.loads(text)
        written.append(f"\n## {FILES[name]}\n")
        written += [_section(title, part, schema) for title, part in _sections(schema)]
    return "".join(written)


def keys() -> Iterator[tuple[str, str, str, str]]:
    """(file, section or empty, key, meaning) of everything that can be written."""
    for name, text in schemas().items():
        for title, part in _sections(json.loads(text)):
            for key, value in part.get("properties", {}).items():
                yield name, title, key, meaning(value)


def meaning(value: Mapping[str, Any]) -> str:
    """What a schema says of a key, without what the restart mark says already."""
    said = str(value.get("description", ""))
    for remark in _REMARKS:
        said = said.removesuffix(remark)
    return said


def _sections(schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The top of the file, then what it is made of, in the order in which it is first named."""
    yield "", schema
    parts: Mapping[str, Mapping[str, Any]] = schema.get("$defs", {})
    seen: list[str] = []
    waiting = list(_named(schema.get("properties", {})))
    while waiting:
        name = waiting.pop(0)
        if name not in seen and "properties" in parts[name]:
            seen.append(name)
            waiting = [*_named(parts[name]["properties"]), *waiting]
            yield name, parts[name]


def _named(value: Any) -> Iterator[str]:
    """Sections that a schema refers to."""
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"].rpartition("/")[2]
        for inner in value.values():
            yield from _named(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _named(inner)


def _section(title: str, part: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    lines = [f"\n### {title}\n"] if title else []
    if title and part.get("description"):
        lines.append(f"\n{_cell(part['description'])}\n")
    lines.append("\n| key | value | default | meaning |\n|---|---|---|---|\n")
    required = part.get("required", ())
    for key, value in part.get("properties", {}).items():
        mark = " ↻" if waits(value) else ""
        default = "" if key in required else _default(value)
        lines.append(f"| `{key}`{mark} | {_kind(value, schema)} | {default} | {_cell(meaning(value))} |\n")
    return "".join(lines)


def _default(key: Mapping[str, Any]) -> str:
    value = key.get("default")
    if "$ref" in key and value is None:
        return "see there"
    if value is None:
        return "none"
    if isinstance(value, list):
        return f"`{json.dumps(value)}`" if len(json.dumps(value)) < 60 else "see there"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _kind(value: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """What may be written, in a few words."""
    if "$ref" in value:
        return _referred(value["$ref"].rpartition("/")[2], schema)
    for several in ("anyOf", "oneOf"):
        if several in value:
            kinds = [_kind(one, schema) for one in value[several] if one.get("type") != "null"]
            return " or ".join(dict.fromkeys(kinds))
    if "enum" in value:
        listed = ", ".join(f"`{one}`" for one in value["enum"][:8])
        return listed + (", …" if len(value["enum"]) > 8 else "")
    if "const" in value:
        return f"`{value['const']}`"
    return _plain(value, schema)


def _plain(value: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    match value.get("type"):
        case "array":
            if "prefixItems" in value:
                return "[" + ", ".join(_kind(one, schema) for one in value["prefixItems"]) + "]"
            return f"list of {_kind(value.get('items', {}), schema)}"
        case "object":
            inner: Any = value.get("additionalProperties") or next(
                iter(value.get("patternProperties", {}).values()), {}
            )
            return f"by name: {_kind(inner, schema)}" if isinstance(inner, dict) and inner else "keys"
        case "integer" | "number":
            return "number" + _limits(value)
        case "boolean":
            return "true or false"
        case "string" if "30d" in value.get("examples", ()):
            return "duration"
        case _:
            return "text" if value.get("format") != "path" else "file"


def _referred(name: str, schema: Mapping[str, Any]) -> str:
    part = schema["$defs"][name]
    return f"[{name}](#{name.lower()})" if "properties" in part else _kind(part, schema)


def _limits(value: Mapping[str, Any]) -> str:
    low, high = value.get("minimum", value.get("exclusiveMinimum")), value.get("maximum")
    if low is not None and high is not None:
        return f", {low:g} to {high:g}"
    return (
        f", above {low:g}" if "exclusiveMinimum" in value else f", {low:g} or more" if low is not None else ""
    )


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
