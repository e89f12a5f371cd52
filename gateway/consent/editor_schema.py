"""JSON Schemas of the local consent file and the deny-list, for editors."""

from __future__ import annotations

import json
from typing import Any, Final

from pydantic import TypeAdapter

from gateway.consent.records import Reference, SubjectRecord

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"


def editor_schemas() -> dict[str, str]:
    """File name to text, as checked in under config/schema."""
    return {
        "consent.schema.json": _text(
            list[SubjectRecord], "Who is enrolled and what they agreed to (consent.yaml)"
        ),
        "deny.schema.json": _text(list[Reference], "Subjects and identities that no consent can release"),
    }


def _text(kind: Any, title: str) -> str:
    schema = {"$schema": DRAFT, "title": title} | TypeAdapter(kind).json_schema()
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
