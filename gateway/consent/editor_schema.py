"""JSON Schemas of the local consent file and the deny-list, for editors."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from gateway import editor
from gateway.consent.records import Reference, SubjectRecord


def editor_schemas() -> dict[str, str]:
    """File name to text, as checked in under config/schema."""
    return {
        "consent.schema.json": _text(
            list[SubjectRecord], "Who is enrolled and what they agreed to (consent.yaml)"
        ),
        "deny.schema.json": _text(list[Reference], "Subjects and identities that no consent can release"),
    }


def _text(kind: Any, title: str) -> str:
    return editor.document(title, TypeAdapter(kind).json_schema())
