"""JSON Schemas of all that goes over the wire, from the types.

Draft 7, because that is the JSON Schema that every AsyncAPI 3 tool has to read.
"""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

from gateway.consent.records import SubjectRecord
from gateway.consent.screen import COUNTED
from gateway.contract import events, words
from gateway.desk import Holdings
from gateway.model import CHANGES
from gateway.sinks.cloudevents import REMOVED
from gateway.sinks.courier import Acknowledgement
from gateway.sinks.questions import Question

DRAFT: Final = "http://json-schema.org/draft-07/schema#"
EVENTS: Final[dict[str, type[msgspec.Struct]]] = {
    **dict.fromkeys(CHANGES, events.PresenceEvent),
    "dwelled": events.DwelledEvent,
    COUNTED: events.CountedEvent,
    REMOVED: events.RemovedEvent,
}
"""By change, which is the last level of the topic."""
_OTHERS: Final[dict[str, tuple[tuple[type, ...], str]]] = {
    "ack": ((Acknowledgement,), "What the application of a recipient has"),
    "state": ((events.Alive, events.Gone), "Whether the gateway lives"),
    "ask": ((Question,), "The platform asks what is held of one subject"),
    "answer": ((Holdings,), "What is held of one subject"),
    "consent-record": ((SubjectRecord,), "One subject's enrolment and consents"),
    "consent-manifest": ((words.Manifest,), "What the set of consent records is"),
    "driver": ((words.Driver,), "Who drives a shared car"),
    "signed": ((words.Signed,), "A signed record, manifest or driver"),
}
SCHEMAS: Final = (*EVENTS, *_OTHERS)


def schema_of(name: str) -> dict[str, Any]:
    """The schema of one payload, complete in itself. KeyError: there is none."""
    if name in EVENTS:
        return _event(name)
    types, title = _OTHERS[name]
    schemas, definitions = zip(*(_of(kind) for kind in types), strict=True)
    body = schemas[0] if len(schemas) == 1 else {"anyOf": list(schemas)}
    return _document(name, title, body | _definitions(definitions))


def file_name(name: str) -> str:
    return f"{name}.schema.json"


def text_of(name: str) -> str:
    return json.dumps(schema_of(name), indent=2, ensure_ascii=False) + "\n"


def _event(change: str) -> dict[str, Any]:
    body, definitions = _of(EVENTS[change])
    body["properties"] |= {
        "type": {"const": f"presence.{change}.v1"},
        "dataschema": {"const": _urn(change)},
    }
    return _document(change, f"The event presence.{change}.v1", body | _definitions([definitions]))


def _urn(name: str) -> str:
    return f"urn:presence:{name}:v1"


def _of(kind: type) -> tuple[dict[str, Any], dict[str, Any]]:
    """The schema of a type and its definitions."""
    if issubclass(kind, msgspec.Struct):
        _, definitions = msgspec.json.schema_components([kind], ref_template="#/definitions/{name}")
        schema = definitions.pop(kind.__name__)
    else:
        schema = kind.model_json_schema(ref_template="#/definitions/{model}")  # type: ignore[attr-defined]
        definitions = schema.pop("$defs", {})
    return _as_draft_7(schema), {name: _as_draft_7(part) for name, part in definitions.items()}


def _as_draft_7(schema: Any) -> Any:
    """Draft 2020-12 says of a pair with `prefixItems` what draft 7 says with `items`."""
    if isinstance(schema, list):
        return [_as_draft_7(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {key: _as_draft_7(value) for key, value in schema.items()}
    if "prefixItems" in plain:
        plain["items"] = plain.pop("prefixItems")
        plain["additionalItems"] = False
    return plain


def _definitions(found: Any) -> dict[str, Any]:
    together = {name: part for definitions in found for name, part in definitions.items()}
    return {"definitions": dict(sorted(together.items()))} if together else {}


def _document(name: str, title: str, body: dict[str, Any]) -> dict[str, Any]:
    return {"$schema": DRAFT, "$id": _urn(name)} | body | {"title": title}
