"""JSON Schemas of the configuration files, for editors."""

from __future__ import annotations

import json
from typing import Final

from pydantic import BaseModel

from gateway.settings.calibration import CalibrationFile
from gateway.settings.gateway import GatewaySettings
from gateway.settings.site import SiteFile

FILES: Final[dict[str, tuple[type[BaseModel], str]]] = {
    "site.schema.json": (SiteFile, "The map of one store (site.yaml)"),
    "gateway.schema.json": (GatewaySettings, "The settings of one gateway (gateway.yaml)"),
    "calibration.schema.json": (CalibrationFile, "What a walk has learned (calibration.yaml)"),
}


def schemas() -> dict[str, str]:
    """File name to text, as checked in under config/schema."""
    return {name: schema_text(model, title) for name, (model, title) in FILES.items()}


def schema_text(model: type[BaseModel], title: str) -> str:
    """The JSON Schema (draft 2020-12) of one file."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"} | model.model_json_schema()
    return json.dumps(schema | {"title": title}, indent=2, ensure_ascii=False) + "\n"
