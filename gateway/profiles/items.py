"""A message taken apart into its observations, whatever it is encoded in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from gateway.profiles.binary import MAX_OBSERVATIONS, BinaryLayout, checksum_holds
from gateway.profiles.members import Decoder, Shape, checked_payload, decoded, sized_payload
from gateway.profiles.outcome import Outcome, RejectedError
from gateway.profiles.paths import WHOLE, JsonPath
from gateway.profiles.schema_mqtt import MqttProfile
from gateway.profiles.templates import IdPattern
from gateway.profiles.values import MAX_TEXT

_NO_VALUES: Mapping[str, Any] = {}
_TO_LAYOUT = 4096
"""Longest item in bytes that a layout is asked to read; an advertisement has 1,650 at most."""


class Item(Struct, frozen=True, gc=False):
    """One observation to be: `root` is the whole payload, `known` what its name or its bytes say."""

    item: Any
    root: Any = None
    known: Mapping[str, Any] = _NO_VALUES


class Refused(Struct, frozen=True, gc=False):
    """One that is none."""

    outcome: Outcome


class Splitter:
    """Compiled for one profile; `shape` is of an item, `root` of the payload around it."""

    def __init__(self, profile: MqttProfile, paths: list[JsonPath]) -> None:
        self._packed = profile.encoding == "msgpack"
        self._layout = BinaryLayout(profile.layout) if profile.layout else None
        self._is_binary = profile.encoding == "binary"
        self._has_checksum = profile.checksum is not None
        self._starts = bytes.fromhex(profile.match.starts)
        items = profile.items
        self._listed = items is not None and not items.members and items.at == WHOLE
        self._patterns = [IdPattern(text) for text in items.members] if items else []
        self.shape, self.root = _shapes(profile, paths)
        self._decode_item = self._decoder(bytes if self._layout else self.shape.type)
        self._decode_list = self._decoder(list[msgspec.Raw])
        self._decode_members = self._decoder(dict[str, msgspec.Raw])
        self._decode_root = self._decoder(self.root.type) if self.root else None
        self._find = self.root.get(JsonPath(items.at)) if self.root and items and items.at != WHOLE else None

    def split(self, payload: bytes) -> Iterator[Item | Refused]:
        """Every observation; RejectedError where the payload as a whole cannot be read."""
        if self._is_binary:
            yield from self._binary(sized_payload(payload))
            return
        payload = sized_payload(payload) if self._packed else checked_payload(payload)
        root = decoded(self._decode_root, payload) if self._decode_root else None
        for raw, known in self._parts(payload, root):
            try:
                item = decoded(self._decode_item, raw)
            except RejectedError as e:
                yield Refused(e.outcome)
                continue
            if self._layout is None:
                yield Item(item, root, known)
            else:
                yield from self._bytes(item, root)

    def _decoder(self, kind: Any) -> Decoder:
        return msgspec.msgpack.Decoder(kind) if self._packed else msgspec.json.Decoder(kind)

    def _parts(self, payload: bytes, root: Any) -> Iterator[tuple[Any, Mapping[str, Any]]]:
        if self._patterns:
            members = self._find(root) if self._find else decoded(self._decode_members, payload)
            yield from self._members(members or {})
            return
        if self._find is not None:
            items = self._find(root)
            if items is None:
                raise RejectedError(Outcome.NOT_MINE)
        elif self._listed and payload.lstrip(b" \t\r\n").startswith(b"["):
            items = decoded(self._decode_list, payload)
        else:
            items = [payload]
        if len(items) > MAX_OBSERVATIONS:
            raise RejectedError(Outcome.OVERSIZED)
        yield from ((item, _NO_VALUES) for item in items)

    def _members(self, members: dict[str, msgspec.Raw]) -> Iterator[tuple[Any, Mapping[str, Any]]]:
        found = False
        for name, raw in members.items():
            if len(name) > MAX_TEXT:
                continue
            read = (pattern.read(name) for pattern in self._patterns)
            known = next((parts for parts in read if parts is not None), None)
            if known is not None:
                found = True
                yield raw, known
        if not found:
            raise RejectedError(Outcome.NOT_MINE)

    def _binary(self, payload: bytes) -> Iterator[Item | Refused]:
        if not payload.startswith(self._starts):
            raise RejectedError(Outcome.NOT_MINE)
        if self._has_checksum and not checksum_holds(payload):
            raise RejectedError(Outcome.BAD_CHECKSUM)
        yield from self._bytes(payload, None, whole=True)

    def _bytes(self, data: bytes, root: Any, *, whole: bool = False) -> Iterator[Item | Refused]:
        if self._layout is None or (not whole and len(data) > _TO_LAYOUT):
            yield Refused(Outcome.OVERSIZED)
            return
        observations, refused = self._layout.read(data)
        yield from (Item(None, root, known) for known in observations)
        if refused is not None:
            yield Refused(refused)


def _shapes(profile: MqttProfile, paths: list[JsonPath]) -> tuple[Shape, Shape | None]:
    """Of an item and, where a profile looks there, of the payload around the items."""
    kinds: dict[JsonPath, Any] = {
        JsonPath(path): list[str] for f in profile.fields.values() if f.type == "pdus" for path in f.path
    }
    plain = [p for p in paths if all(p.text != k.text for k in kinds)]
    item = Shape((p for p in plain if not p.from_root), {k: v for k, v in kinds.items() if not k.from_root})
    around = {k: v for k, v in kinds.items() if k.from_root}
    if profile.items and profile.items.at != WHOLE:
        kind = dict[str, msgspec.Raw] if profile.items.members else list[msgspec.Raw]
        around[JsonPath(profile.items.at)] = kind
    of_root = [p for p in plain if p.from_root]
    return item, Shape(of_root, around) if of_root or around else None
