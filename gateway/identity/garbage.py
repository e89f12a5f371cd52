"""What cannot be one device: an address with a new identity every minute, a UUID used to carry readings.

Hydrometers and thermometers put what they measure into major and minor of an iBeacon. Taken for identities,
each reading would be a device of its own.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final, Literal

from gateway.identity.trace import trace

WINDOW_S: Final = 600.0
MOST_OF_ADDRESS: Final = 10
"""Identities that one address may show within the window."""
MOST_OF_FAMILY: Final = 50
"""Major and minor that one UUID may show within the window from senders that change them."""
CHANGING: Final = 3
"""Identities of one UUID from one address above which it is changing them; a tag with slots has fewer."""
ADDRESSES: Final = 4096
FAMILIES: Final = 512
BROADCAST: Final = ("ibeacon:", "altbeacon:", "eddystone:", "tag:", "mac:")
"""Kinds of identity that anybody can send: no key stands behind them. A `mac:` is one that a frame names."""
OF_MANY_SENDERS: Final = ("tag:", "mac:")
"""One maker's tags are as many families as there are tags: only who changes them is counted."""


class _Recent:
    """Traces of the newest names, one more than are believed."""

    __slots__ = ("_most", "_names")

    def __init__(self, most: int) -> None:
        self._most = most
        self._names: OrderedDict[int, tuple[float, int]] = OrderedDict()
        """When it was noted last, and the trace of its family."""

    def __len__(self) -> int:
        return len(self._names)

    @property
    def newest_s(self) -> float:
        return next(reversed(self._names.values()), (float("inf"), 0))[0]

    def note(self, name: int, family: int, t_s: float) -> None:
        self._names[name] = t_s, family
        self._names.move_to_end(name)
        if len(self._names) > self._most + 1:
            self._names.popitem(last=False)

    def of_family(self, family: int, t_s: float) -> int:
        """Names of one family that were noted within the window."""
        since_s = t_s - WINDOW_S
        return sum(at_s >= since_s and family == of for at_s, of in self._names.values())

    def is_crowded(self, t_s: float) -> bool:
        """Whether more names than believed were noted within the window."""
        return len(self._names) > self._most and next(iter(self._names.values()))[0] >= t_s - WINDOW_S


class Garbage:
    """Watches which identities come from where, in bounded memory: the address silent for longest goes.

    Neither is kept, only what tells that one came again (`trace`).
    """

    def __init__(self) -> None:
        self._addresses: OrderedDict[int, _Recent] = OrderedDict()
        self._families: OrderedDict[int, _Recent] = OrderedDict()

    def disbelieved(
        self, address: str, identities: Iterable[tuple[str, bool]], t_s: float
    ) -> dict[str, Literal["garbage_address", "garbage_family"]]:
        """Those of the broadcast identities that are not believed, and why.

        With each identity comes whether it is one of ours: a fleet of enrolled tags, each with an address of
        its own, is no garbage however large it is. `address` is empty where a receiver did not say.
        """
        found: dict[str, Literal["garbage_address", "garbage_family"]] = {}
        _fade(self._addresses, t_s)
        _fade(self._families, t_s)
        shown = _entry(self._addresses, trace(address), MOST_OF_ADDRESS, ADDRESSES) if address else None
        for identity, is_ours in identities:
            is_changing = False
            name, family = trace(identity), trace(_family(identity))
            if shown is not None:
                shown.note(name, family, t_s)
                if len(shown) > CHANGING:
                    is_changing = shown.of_family(family, t_s) > CHANGING
            if is_changing or not (is_ours or identity.startswith(OF_MANY_SENDERS)):
                members = _entry(self._families, family, MOST_OF_FAMILY, FAMILIES)
                members.note(name, family, t_s)
                if members.is_crowded(t_s):
                    found[identity] = "garbage_family"
            if shown is not None and shown.is_crowded(t_s):
                found[identity] = "garbage_address"
        return found


def _family(identity: str) -> str:
    """`ibeacon:<uuid>:` of an iBeacon; an AltBeacon less its last two parts, a namespace, a maker, `mac:`."""
    if identity.startswith("mac:"):
        return "mac:"
    return identity.rsplit(":", 1 if identity.startswith(("eddystone:", "tag:")) else 2)[0] + ":"


def _fade(entries: OrderedDict[int, _Recent], t_s: float) -> None:
    """Who was silent for longer than the window is forgotten."""
    while entries and next(iter(entries.values())).newest_s < t_s - WINDOW_S:
        entries.popitem(last=False)


def _entry(entries: OrderedDict[int, _Recent], name: int, most: int, room: int) -> _Recent:
    found = entries.get(name)
    if found is None:
        found = entries[name] = _Recent(most)
        if len(entries) > room:
            entries.popitem(last=False)
    else:
        entries.move_to_end(name)
    return found
