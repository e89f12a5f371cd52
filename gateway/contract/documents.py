"""The AsyncAPI 3.0 document: channels, who sends and who receives on them, messages.

https://www.asyncapi.com/docs/reference/specification/v3.0.0; operations are the gateway's own.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import yaml
from msgspec import Struct

from gateway.contract.schemas import EVENTS, SCHEMAS, file_name, text_of
from gateway.sinks import cloudevents

ASYNCAPI: Final = "asyncapi.yaml"
_JSON: Final = "application/json"
_FORMAT: Final = "application/schema+json;version=draft-07"
_PARAMETERS: Final = {
    "site": "Id of the store in its map.",
    "gateway": "Id of the gateway in its settings.",
    "recipient": "Name of the recipient in the settings; `platform` is the central one.",
    "question": "The id that the question chose.",
    "key": "Random letters, digits and `._~-`, no underscore first; it says nothing of the subject.",
    "vehicle": "What stands behind `vehicle:` in the car's identity; two levels with OwnTracks.",
}
_BASE: Final = "presence/v1/{site}/{gateway}"


class _Channel(Struct, frozen=True):
    action: Literal["send", "receive"]
    """Of the gateway."""
    address: str
    messages: tuple[str, ...]
    description: str
    retain: bool = False


_CHANNELS: Final[dict[str, _Channel]] = {
    **{
        change: _Channel("send", f"{_BASE}/{{recipient}}/{change}", (change,), f"Events: {change}.")
        for change in EVENTS
    },
    "ack": _Channel("receive", f"{_BASE}/{{recipient}}/ack", ("ack",), "What the application has."),
    "state": _Channel("send", f"{_BASE}/state", ("state",), "Birth and last will.", retain=True),
    "ask": _Channel("receive", f"{_BASE}/platform/ask", ("ask",), "Questions of the platform."),
    "answer": _Channel("send", f"{_BASE}/platform/answer/{{question}}", ("answer",), "The answers."),
    "consentRecord": _Channel(
        "receive",
        "consent/v1/{site}/{key}",
        ("consent-record", "signed"),
        "One topic for each subject.",
        retain=True,
    ),
    "consentManifest": _Channel(
        "receive",
        "consent/v1/{site}/_manifest",
        ("consent-manifest", "signed"),
        "How many records there are, and their digest.",
        retain=True,
    ),
    "driver": _Channel(
        "receive",
        "drivers/v1/{site}/{vehicle}",
        ("driver", "signed"),
        "Who drives; an empty payload: nobody that is known.",
        retain=True,
    ),
}


def documents() -> dict[str, str]:
    """File name to text, as checked in under docs/contract."""
    schemas = {file_name(name): text_of(name) for name in SCHEMAS}
    return {ASYNCAPI: yaml.safe_dump(asyncapi(), sort_keys=False, allow_unicode=True, width=110)} | schemas


def asyncapi() -> dict[str, Any]:
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Presence gateway",
            "version": "1.0.0",
            "description": "What a gateway sends and takes. A type gains attributes only as a new version of "
            "it, on the same topic; docs/events.md says what they mean.",
        },
        "defaultContentType": _JSON,
        "channels": {name: _as_channel(channel) for name, channel in _CHANNELS.items()},
        "operations": {
            f"{channel.action}{name[0].upper()}{name[1:]}": _as_operation(name, channel)
            for name, channel in _CHANNELS.items()
        },
        "components": {"messages": {name: _as_message(name) for name in SCHEMAS}},
    }


def _as_channel(channel: _Channel) -> dict[str, Any]:
    named = [name for name in _PARAMETERS if f"{{{name}}}" in channel.address]
    return {
        "address": channel.address,
        "description": channel.description,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in channel.messages},
        "parameters": {name: {"description": _PARAMETERS[name]} for name in named},
    }


def _as_operation(name: str, channel: _Channel) -> dict[str, Any]:
    return {
        "action": channel.action,
        "channel": {"$ref": f"#/channels/{name}"},
        "messages": [{"$ref": f"#/channels/{name}/messages/{message}"} for message in channel.messages],
        "bindings": {"mqtt": {"qos": 1, "retain": channel.retain}},
    }


def _as_message(name: str) -> dict[str, Any]:
    is_event = name in EVENTS
    return {
        "name": f"presence.{name}.v1" if is_event else name,
        "contentType": cloudevents.CONTENT_TYPE if is_event else _JSON,
        "payload": {"schemaFormat": _FORMAT, "schema": {"$ref": f"./{file_name(name)}"}},
    }
