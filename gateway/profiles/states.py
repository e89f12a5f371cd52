"""What receivers say of themselves: alive, or by their last will not, and how often they say so."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from gateway.profiles import values
from gateway.profiles.members import Member, Shape, checked_payload, decoded, decoded_or_text
from gateway.profiles.outcome import RejectedError
from gateway.profiles.paths import WHOLE, JsonPath
from gateway.profiles.schema_mqtt import State
from gateway.profiles.templates import TopicTemplate


class Word(Struct, frozen=True):
    """What one message says."""

    alive: bool
    every_s: float | None = None
    """When it is not said again for a few times this long, the receiver hears no more. None: unknown."""


class StateReader:
    """The state topics of one profile, compiled."""

    def __init__(self, state: State) -> None:
        self.topics = tuple(TopicTemplate(text) for text in state.topic)
        fields = {"alive": state.alive, "every_s": state.every}
        given = {name: field for name, field in fields.items() if field is not None}
        shape = Shape(JsonPath(path) for field in given.values() for path in field.path)
        self._looks = any(field.path for field in given.values())
        self._decode = decoded_or_text if any(WHOLE in field.path for field in given.values()) else decoded
        self._decoder = msgspec.json.Decoder(shape.type | None)
        self._members = [(name, Member(name, field, shape)) for name, field in given.items()]

    def receiver(self, levels: list[str], site: str | None) -> str | None:
        """Whose word a topic carries; None for a topic that is none of these."""
        for topic in self.topics:
            parts = topic.parts(levels, site)
            if parts is not None:
                return parts["receiver"] if values.is_name(parts["receiver"]) else None
        return None

    def read(self, payload: bytes) -> Word | None:
        """None for what is no such word."""
        try:
            item = self._decode(self._decoder, checked_payload(payload)) if self._looks else None
            said = {"alive": True} | {name: member.read(item) for name, member in self._members}
        except RejectedError:
            return None
        return Word(**said) if said["alive"] is not None else None
