"""Messages that carry a part of a fix: one topic for the latitude, one for the longitude, and so on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from gateway.counts import Counts
from gateway.model import Message
from gateway.profiles import values
from gateway.profiles.members import Member, Shape, checked_payload, decoded, decoded_or_text
from gateway.profiles.outcome import Outcome, RejectedError
from gateway.profiles.paths import WHOLE, JsonPath
from gateway.profiles.rules import check_place, checked_time_s
from gateway.profiles.schema_mqtt import Assemble, MqttProfile
from gateway.profiles.templates import TopicTemplate


class Part(Struct):
    """What one message says of a vehicle; `subject` is filled in by identification."""

    t_s: float
    """Moment of reception."""
    room: str
    """Where what becomes of it is counted."""
    device: str
    known: dict[str, Any]
    """Members of `Fix` in its units; None: the vehicle says that it does not know."""
    retained: bool
    within_s: float
    keep_s: float
    subject: str = ""


class PartReader:
    """The topics of one part of one profile, compiled."""

    gives_fixes = True
    starts = b""

    def __init__(self, profile: MqttProfile, tail: str) -> None:
        self.room = f"profiles.{profile.profile}"
        self.topics = tuple(TopicTemplate(f"{topic}/{tail}") for topic in profile.match.topic)
        fields = profile.parts[tail]
        shape = Shape(JsonPath(path) for field in fields.values() for path in field.path)
        self._is_text = any(WHOLE in field.path for field in fields.values())
        self._decoder = msgspec.json.Decoder(shape.type | None)
        self._fields = [(name, Member(name, field, shape)) for name, field in fields.items()]
        self._identity = profile.identity_template
        self._assemble = profile.assemble or Assemble()

    def parts(self, levels: list[str], site: str | None) -> dict[str, str] | None:
        """The named parts of a topic that is this one's, else None."""
        found = (topic.parts(levels, site) for topic in self.topics)
        return next((parts for parts in found if parts is not None), None)

    def accepts(self, parts: Mapping[str, str]) -> bool:
        """Whether the parts that end up in an identity are fit for it."""
        return all(values.is_name(part) for name, part in parts.items() if name in self._identity.names)

    def read(self, message: Message, parts: Mapping[str, str], counts: Counts) -> list[Part]:
        """What the message says, counted."""
        try:
            known = self._known(message)
        except RejectedError as e:
            counts.count(self.room, e.outcome.value)
            return []
        counts.count(self.room, Outcome.MATCHED.value)
        device = self._identity.fill(parts)
        rule = self._assemble
        return [Part(message.t_s, self.room, device, known, message.retain, rule.within_s, rule.keep_s)]

    def _known(self, message: Message) -> dict[str, Any]:
        payload = checked_payload(message.payload)
        item = (decoded_or_text if self._is_text else decoded)(self._decoder, payload)
        known = {name: member.read(item) for name, member in self._fields}
        place = [known[name] for name in ("lat_deg", "lon_deg") if name in known]
        if None in place:
            raise RejectedError(Outcome.NOT_MINE if all(v is None for v in place) else Outcome.MALFORMED)
        if len(place) == 2:
            check_place(*place)
        elif place:
            check_place(known.get("lat_deg", 1.0), known.get("lon_deg", 1.0))
        if known.get("fix_t_s") is not None:
            checked_time_s(known["fix_t_s"], message.t_s)
        return known
