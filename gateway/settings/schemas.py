"""JSON Schemas of the configuration files, for editors; keys that wait for a restart say so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic import BaseModel

from gateway import editor
from gateway.settings.calibration import CalibrationFile
from gateway.settings.gateway import GatewaySettings
from gateway.settings.identity_keys import MOST_EXPONENT
from gateway.settings.restarts import REREAD, SITE_KEYS
from gateway.settings.sections import NAME_PATTERN
from gateway.settings.site import SiteFile

_WAITS: Final = "Takes effect at the next start."
_REREAD: Final = "What the file says is taken over by `gateway reload`; another file at the next start."


def schemas(subscribable: Iterable[str] = ()) -> dict[str, str]:
    """File name to text, as checked in under config/schema. `subscribable`: firmware profiles to propose."""
    return {
        "site.schema.json": editor.document("The map of one store (site.yaml)", _site()),
        "gateway.schema.json": editor.document(
            "The settings of one gateway (gateway.yaml)", _gateway(subscribable)
        ),
        "calibration.schema.json": editor.document(
            "What a walk has learned (calibration.yaml)", _of(CalibrationFile)
        ),
        "identity-keys.schema.json": editor.document("Keys of identities that rotate", _identity_keys()),
    }


def _of(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema()


def _site() -> dict[str, Any]:
    schema = _of(SiteFile)
    for path in SITE_KEYS:
        section, key = path.split(".")
        _mark(_section(schema, section)["properties"][key], _WAITS)
    return schema


def _gateway(subscribable: Iterable[str]) -> dict[str, Any]:
    schema = _of(GatewaySettings)
    schema["$defs"]["Broker"]["properties"]["subscribe"]["items"]["examples"] = sorted(subscribable)
    for name, key in editor.keys(schema):
        _mark(key, _REREAD if name in REREAD else _WAITS)
    return schema


def _section(schema: dict[str, Any], name: str) -> dict[str, Any]:
    section: dict[str, Any] = schema["$defs"][schema["properties"][name]["$ref"].rpartition("/")[2]]
    return section


def waits(key: Mapping[str, Any]) -> bool:
    """Whether a running gateway does not take over what stands there. Marked in words, which editors show: a
    keyword of our own beside a `$ref` keeps language servers from following it."""
    return str(key.get("description", "")).endswith((_WAITS, _REREAD))


def _mark(key: dict[str, Any], words: str) -> None:
    key["description"] = f"{key.get('description', '')} {words}".strip()


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
