"""Vectors: known payloads inside a profile, and what the vendor's document says that they mean."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from gateway.counts import Counts
from gateway.located import did_you_mean
from gateway.model import Fix, Message, Sighting
from gateway.profiles.assembler import Assembler
from gateway.profiles.ble import BleIndex, BleReader, is_resolvable
from gateway.profiles.decoded import Decoded
from gateway.profiles.outcome import Outcome
from gateway.profiles.parts import Part, PartReader
from gateway.profiles.payload import MqttReader
from gateway.profiles.schema_ble import BleProfile, BleVector
from gateway.profiles.schema_mqtt import MqttEarlier, MqttHeard, MqttProfile, MqttVector
from gateway.profiles.states import StateReader

RECEIVED_S = 1_700_000_000.0
"""Moment at which the messages of vectors count as received."""


class VectorResult(msgspec.Struct, frozen=True):
    profile: str
    number: int
    """Counted from 1."""
    problem: str
    """Empty when the vector holds."""

    @property
    def passed(self) -> bool:
        return not self.problem

    def __str__(self) -> str:
        return f"{self.profile}: vector {self.number}: {self.problem or 'holds'}"


def readers_of(profile: MqttProfile) -> tuple[MqttReader | PartReader, ...]:
    """What reads the topics of a profile: one reader, or one for each part."""
    if profile.parts:
        return tuple(PartReader(profile, tail) for tail in profile.parts)
    return (MqttReader(profile),)


def check_vectors(profile: BleProfile | MqttProfile) -> list[VectorResult]:
    """Run every vector of one profile through that profile."""
    if isinstance(profile, BleProfile):
        problems = [_ble_problem(BleReader(profile), v) for v in profile.vectors]
    else:
        readers, states = readers_of(profile), [StateReader(state) for state in profile.state]
        problems = []
        for vector in profile.vectors:
            problem = _state_problem(states, vector)
            problems.append(_mqtt_problem(readers, vector) if problem is None else problem)
    return [VectorResult(profile.profile, i, problem) for i, problem in enumerate(problems, 1)]


class _OneKey(NamedTuple):
    """The key of a vector, for whatever address."""

    key: bytes | None

    def bind_key(self, address: str) -> bytes | None:  # noqa: ARG002
        return self.key


def _ble_problem(reader: BleReader, vector: BleVector) -> str:
    keys = _OneKey(bytes.fromhex(vector.key) if vector.key else None)
    address = vector.address or ""
    if vector.adv is not None:
        claims = BleIndex([reader], keys).claims(bytes.fromhex(vector.adv), address)
    elif vector.data is not None:
        company = reader.match.manufacturer if vector.company is None else vector.company
        number = company if isinstance(company, int) else None
        claim = reader.read(number, bytes.fromhex(vector.data), address, keys)
        claims = [] if claim is None else [claim]
    else:
        claim = reader.read(None, b"", address) if is_resolvable(address) else None
        claims = [] if claim is None else [claim]
    return _compare(
        vector.expect, [_said(c) for c in claims if c.outcome is Outcome.MATCHED], _outcome(claims)
    )


def _said(decoded: Decoded) -> dict[str, Any]:
    return {**decoded.values, "identity": decoded.identity}


def _outcome(claims: Sequence[Decoded]) -> str:
    """The one that counts: a match, else the first refusal."""
    found = [claim.outcome for claim in claims] or [Outcome.NOT_MINE]
    return (Outcome.MATCHED if Outcome.MATCHED in found else found[0]).value


def _state_problem(readers: Sequence[StateReader], vector: MqttVector) -> str | None:
    """None when the topic is not where receivers speak of themselves."""
    levels = vector.topic.split("/")
    for reader in readers:
        receiver = reader.receiver(levels, None)
        if receiver is not None:
            word = reader.read(_payload_of(vector))
            said = [] if word is None else [{"receiver": receiver, **msgspec.structs.asdict(word)}]
            return _compare(vector.expect, said, Outcome.MALFORMED.value)
    return None


def _mqtt_problem(readers: Sequence[MqttReader | PartReader], vector: MqttVector) -> str:
    counts = Counts()
    assembler = Assembler(counts)
    for earlier in vector.before:
        _observed(readers, earlier, RECEIVED_S - earlier.ago_s, counts, assembler)
    counts = Counts()
    found = _observed(readers, vector, RECEIVED_S, counts, assembler)
    if found is None:
        return _compare(vector.expect, [], Outcome.NOT_MINE.value)
    observed = [msgspec.structs.asdict(o) for o in found]
    for observation in observed:
        if "adv" in observation:
            observation["adv"] = observation["adv"].hex()
    return _compare(vector.expect, observed, ", ".join(counts.by_room().get(readers[0].room, ())))


def _observed(
    readers: Sequence[MqttReader | PartReader],
    heard: MqttVector | MqttEarlier,
    t_s: float,
    counts: Counts,
    assembler: Assembler,
) -> list[Sighting | Fix] | None:
    """None when the topic is not of this profile."""
    message = Message(t_s, heard.topic, _payload_of(heard), heard.retain)
    claims = [(reader, reader.parts(heard.topic.split("/"), None)) for reader in readers]
    mine = [(reader, parts) for reader, parts in claims if parts is not None]
    if not mine:
        return None
    made = [
        assembler.take(item) if isinstance(item, Part) else item
        for reader, parts in mine
        for item in reader.read(message, parts, counts)
    ]
    return [item for item in made if item is not None]


def _payload_of(heard: MqttHeard) -> bytes:
    if heard.bytes is not None:
        return bytes.fromhex(heard.bytes)
    return heard.payload.encode() if isinstance(heard.payload, str) else msgspec.json.encode(heard.payload)


def _compare(expect: Any, observed: Sequence[Mapping[str, Any]], outcome: str) -> str:
    if isinstance(expect, str):
        return "" if expect == outcome else f"expected {expect}, got {outcome}"
    expected = [] if expect is None else expect if isinstance(expect, list) else [expect]
    if len(expected) != len(observed):
        return f"expected {len(expected) or 'nothing'}, got {len(observed) or 'nothing'} ({outcome})"
    for wanted, got in zip(expected, observed, strict=True):
        for name, value in wanted.items():
            if name not in got:
                return f"gives no {name}{did_you_mean(name, got)}"
            if not _same(value, got[name]):
                return f"{name}: expected {value!r}, got {got[name]!r}"
    return ""


def _same(expected: object, got: object) -> bool:
    numbers = (int, float)
    if isinstance(expected, numbers) and isinstance(got, numbers) and not isinstance(expected, bool):
        return math.isclose(expected, got, rel_tol=1e-9, abs_tol=1e-6)
    return expected == got
