"""The JSON Schema of a profile file, for editors."""

from __future__ import annotations

from typing import Final

from pydantic import TypeAdapter

from gateway import editor
from gateway.profiles.schema_ble import BleProfile
from gateway.profiles.schema_mqtt import MqttProfile

NAME: Final = "profile.schema.json"


def editor_schema() -> str:
    """As checked in under config/schema."""
    return editor.document("A firmware profile", TypeAdapter(BleProfile | MqttProfile).json_schema())
