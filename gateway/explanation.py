"""Why something is said of one subject, and to whom: what is heard, believed, open, consented to and told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from gateway.assembly import Assembly
from gateway.consent.register import Permit
from gateway.core.explaining import Story

SAID_S = 600.0


class Decision(Struct, frozen=True):
    """Whether one recipient may know for one purpose, and where."""

    recipient: str
    purpose: str
    changes: list[str]
    fields: list[str]
    permitted_zones: list[str]
    consents: list[str]
    """Record ids that permit it."""
    denied: list[str]
    """Why not, where it is denied everywhere; else empty."""
    asked_zones: int = 0
    """How many zones and fences the purpose asks for."""


class Explanation(Struct, frozen=True):
    subject: str
    t_s: float
    event: dict[str, Any] | None
    """What it is about, as a presence line; None: the state at this time."""
    told: list[str] | None
    """Recipients that the event was released to; None where it is about no event."""
    said: list[dict[str, Any]]
    """Earlier events of the last ten minutes, where they are known."""
    core: Story
    doubt: str | None
    """Why nothing at all may leave now; None: each consent decides."""
    decisions: list[Decision]
    is_replayed: bool = False
    """From a recording: by the map and settings it was replayed with, which need not be those of then."""
    recorded_to_s: float | None = None
    """Where the recording ended before this: it is so only if nothing more was heard."""
    identities: list[str] = []
    """Of the subject's record, those by which it would be known."""
    unknown: int = 0
    """Signals of devices that nobody enrolled, since the start."""


def explain(
    assembly: Assembly,
    subject: str,
    *,
    event: dict[str, Any] | None = None,
    told: list[str] | None = None,
    said: Sequence[dict[str, Any]] = (),
    is_replayed: bool = False,
    recorded_to_s: float | None = None,
) -> Explanation:
    """At the core's time."""
    core = assembly.pipeline.explain(subject)
    record = assembly.register.record_of(subject)
    return Explanation(
        subject,
        core.t_s,
        event,
        told,
        [earlier for earlier in said if core.t_s - earlier["emitted"] <= SAID_S],
        core,
        assembly.register.doubt(core.t_s),
        list(decisions(assembly, subject, event["t"] if event else core.t_s, core.t_s)),
        is_replayed,
        recorded_to_s,
        list(record.identities) if record else [],
        assembly.counts.by_room().get("identity", {}).get("unknown", 0),
    )


def decisions(assembly: Assembly, subject: str, t_s: float, now_s: float) -> Iterator[Decision]:
    """For every recipient and purpose of the settings, of what happened at `t_s`."""
    site, register = assembly.site, assembly.register
    zones = [zone.id for zone in site.zones] + [fence.id for fence in site.fences]
    for recipient in assembly.screen.policy.recipients:
        for purpose in recipient.purposes:
            verdicts = {
                zone: register.decide(subject, purpose.term, recipient.name, zone, t_s=t_s, now_s=now_s)
                for zone in zones
                if purpose.zones is None or zone in purpose.zones
            }
            permits = {zone: v for zone, v in verdicts.items() if isinstance(v, Permit)}
            reasons = {verdict for verdict in verdicts.values() if isinstance(verdict, str)}
            yield Decision(
                recipient.name,
                purpose.term,
                sorted(purpose.changes),
                sorted(purpose.fields),
                list(permits),
                sorted({permit.record_id for permit in permits.values()}),
                [] if permits else sorted(reasons),
                len(verdicts),
            )


def as_json(explanation: Explanation) -> bytes:
    return msgspec.json.encode(explanation)
