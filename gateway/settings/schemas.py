"""JSON Schemas of the configuration files, for editors; keys that wait for a restart say so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from pydantic import BaseModel

from gateway.settings.calibration import CalibrationFile
from gateway.settings.gateway import GatewaySettings
from gateway.settings.identity_keys import MOST_EXPONENT
from gateway.settings.restarts import REREAD, SITE_KEYS
from gateway.settings.sections import NAME_PATTERN
from gateway.settings.site import SiteFile

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
RESTART: Final = "x-restart"
"""True on a key that a running gateway does not take over."""
_WAITS: Final = "Takes effect at the next start."
_REREAD: Final = "What the file says is taken over by `gateway reload`; another file at the next start."


def schemas() -> dict[str, str]:
    """File name to text, as checked in under config/schema."""
    return {
        "site.schema.json": _text(_site(), "The map of one store (site.yaml)"),
        "gateway.schema.json": _text(_gateway(), "The settings of one gateway (gateway.yaml)"),
        "calibration.schema.json": _text(_of(CalibrationFile), "What a walk has learned (calibration.yaml)"),
        "identity-keys.schema.json": _text(_identity_keys(), "Keys of identities that rotate"),
    }


def _text(schema: dict[str, Any], title: str) -> str:
    return json.dumps({"$schema": DRAFT} | schema | {"title": title}, indent=2, ensure_ascii=False) + "\n"


def _of(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema()


def _site() -> dict[str, Any]:
    schema = _of(SiteFile)
    for path in SITE_KEYS:
        section, key = path.split(".")
        _mark(_section(schema, section)["properties"][key], _WAITS)
    return schema


def _gateway() -> dict[str, Any]:
    schema = _of(GatewaySettings)
    for name, key in _properties(schema):
        _mark(key, _REREAD if name in REREAD else _WAITS)
    return schema


def _section(schema: dict[str, Any], name: str) -> dict[str, Any]:
    section: dict[str, Any] = schema["$defs"][schema["properties"][name]["$ref"].rpartition("/")[2]]
    return section


def _properties(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every key of every section, by its dotted name from the section on."""
    for name, part in {"": schema, **schema.get("$defs", {})}.items():
        for key, value in part.get("properties", {}).items():
            yield f"{name}.{key}" if name else key, value


def _mark(key: dict[str, Any], words: str) -> None:
    key["description"] = f"{key['description'].rstrip()} {words}" if "description" in key else words
    key[RESTART] = True


def _identity_keys() -> dict[str, Any]:
    """The file is read without pydantic, which would quote keys in its errors."""
    hex_key = {"type": "string", "pattern": "^[0-9a-fA-F]{32}$", "description": "16 bytes, 32 hex digits."}
    ephemeral = {
        "type": "object",
        "additionalProperties": False,
        "required": ["key", "exponent", "beacon_time_s", "at"],
        "properties": {
            "key": hex_key,
            "exponent": {"type": "integer", "minimum": 0, "maximum": MOST_EXPONENT},
            "beacon_time_s": {"type": "integer", "minimum": 0, "description": "The beacon's counter ..."},
            "at": {"type": "string", "format": "date-time", "description": "... at this time."},
        },
    }
    address = "^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$"
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "irk": _by(
                NAME_PATTERN, hex_key, "Identity resolving keys of phones, by the name behind `irk:`."
            ),
            "eid": _by(NAME_PATTERN, ephemeral, "Eddystone-EID beacons, by the name behind `eid:`."),
            "bind": _by(address, hex_key, "Keys of tags that encrypt what they say, by address."),
        },
    }


def _by(pattern: str, value: dict[str, Any], words: str) -> dict[str, Any]:
    return {
        "type": "object",
        "description": words,
        "patternProperties": {pattern: value},
        "additionalProperties": False,
    }
