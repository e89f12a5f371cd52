"""`gateway schema`: every editor schema there is, by file name."""

from __future__ import annotations

from gateway.consent.editor_schema import editor_schemas
from gateway.profiles import profiles_of
from gateway.profiles.editor_schema import NAME, editor_schema
from gateway.settings.schemas import schemas


def every_schema() -> dict[str, str]:
    """As checked in under config/schema."""
    return schemas(profiles_of(None).subscribable) | editor_schemas() | {NAME: editor_schema()}
