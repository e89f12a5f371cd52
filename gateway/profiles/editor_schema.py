"""The JSON Schema of a profile file, for editors."""

from __future__ import annotations

import json
from typing import Final

from pydantic import TypeAdapter

from gateway.profiles.schema_ble import BleProfile
from gateway.profiles.schema_mqtt import MqttProfile

NAME: Final = "profile.schema.json"


def editor_schema() -> str:
    """As checked in under config/schema (draft 2020-12)."""
    either = TypeAdapter(BleProfile | MqttProfile).json_schema()
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A firmware profile"}
    return json.dumps(head | either, indent=2, ensure_ascii=False) + "\n"
