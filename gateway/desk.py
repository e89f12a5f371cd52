"""Where one subject's rights are seen to: what is held of it, shown, exported, withdrawn, erased.

The daemon has one behind its socket and behind its request topic; without a daemon the command line opens
the store itself and has one of its own.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from typing import Any

import msgspec
from msgspec import Struct

from gateway import audit, recordings
from gateway.assembly import Assembly
from gateway.clock import PipelineClock
from gateway.consent.bars import OPEN
from gateway.consent.board import Line
from gateway.consent.screen import rfc3339
from gateway.consent.tally import Act
from gateway.counts import Counts
from gateway.errors import GatewayError
from gateway.explanation import decisions, explain
from gateway.identity import Identification
from gateway.model import ObjectionSignal
from gateway.outbox import Outbox
from gateway.recorder import StillAdmitted, concerns

WITHIN_S = 60.0
"""In which a withdrawal is gone from the disk."""
LOOK_S = 0.02

Say = Callable[[ObjectionSignal], Awaitable[None]]


class Holdings(Struct):
    """Everything of one subject on this machine."""

    subject: str
    at: str
    record: dict[str, Any] | None
    """As the feed or the file says it; None: not enrolled here."""
    decisions: list[dict[str, Any]]
    """One for each purpose and recipient of the settings."""
    bar: dict[str, Any] | None
    """What is remembered of an erasure or a withdrawal, under the HMAC."""
    in_memory: list[str]
    """Devices of which the core keeps a state."""
    open_stays: list[dict[str, Any]]
    queued: dict[str, int]
    """Events that wait, by recipient."""
    recordings: dict[str, int]
    """Lines, by file."""
    audit: list[dict[str, Any]]

    def sizes(self) -> dict[str, int]:
        """How much lies where, of what an erasure removes."""
        return {
            "records": int(self.record is not None),
            "in_memory": len(self.in_memory),
            "open_stays": len(self.open_stays),
            "queued": sum(self.queued.values()),
            "recording_lines": sum(self.recordings.values()),
        }


class Desk:
    def __init__(self, assembly: Assembly, outbox: Outbox, clock: PipelineClock, say: Say) -> None:
        """`say` returns when an objection is through the pipeline and committed."""
        self._assembly = assembly
        self._outbox = outbox
        self._clock = clock
        self._say = say

    async def show(self, subject: str) -> Holdings:
        held, _ = await self._held(subject)
        self._tell("shown", subject)
        return held

    async def journey(self, subject: str) -> list[Line]:
        """Where a subject was lately, as far as the operator may know; empty also for one not known."""
        self._tell("shown", subject)
        return self._assembly.pipeline.board.journey(subject, self._clock())

    def why(self, subject: str) -> dict[str, Any]:
        """What is heard, believed and open of the subject now, and who may know."""
        self._tell("shown", subject)
        return msgspec.structs.asdict(explain(self._assembly, subject))

    async def export(self, subject: str) -> dict[str, Any]:
        """As `show`, with the queued events and the lines of recordings themselves."""
        held, lines = await self._held(subject)
        key = self._assembly.screen.subject_key(subject)
        rows = await self._outbox.queued_of(key)
        events = [
            {"recipient": row.recipient, "sequence": row.sequence, "event": msgspec.Raw(row.body)}
            for row in rows
        ]
        self._tell("exported", subject)
        return msgspec.structs.asdict(held) | {"queued_events": events, "recorded": lines}

    async def object(self, subject: str, *, erase: bool) -> dict[str, Any]:
        """Withdraws or erases; returns when it is gone from the disk: what went, and what is left of it.

        GatewayError when that is not so within a minute; it goes on being tried.
        """
        before, _ = await self._held(subject)
        try:
            async with asyncio.timeout(WITHIN_S):
                await self._say(ObjectionSignal(self._clock(), subject, erase))
                while await self._outbox.sweep_due():  # noqa: ASYNC110 - the sweep is another task
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            raise GatewayError(
                f"nothing of it is sent any more, but it is not yet gone from the disk after {WITHIN_S:g} s; "
                "the log says why, and it goes on being tried"
            ) from None
        after, _ = await self._held(subject, _identities(before))
        left = after.sizes()
        return {"removed": {k: n - left[k] for k, n in before.sizes().items()}, "left": left}

    async def _held(
        self, subject: str, identities: Collection[str] = ()
    ) -> tuple[Holdings, dict[str, list[msgspec.Raw]]]:
        """What is held, and the lines of recordings themselves. `identities`: of before, where the record may
        be gone.
        """
        assembly, now_s = self._assembly, self._clock()
        key = assembly.screen.subject_key(subject)
        record = assembly.register.record_of(subject)
        bar = assembly.register.bar_of(subject)
        stays = [stay for stay in await self._outbox.open_stays() if stay.subject == subject]
        held = Holdings(
            subject=subject,
            at=rfc3339(now_s),
            record=None if record is None else record.model_dump(mode="json", exclude_none=True),
            decisions=self._decisions(subject, now_s),
            bar=None if bar == OPEN else msgspec.to_builtins(bar),
            in_memory=assembly.pipeline.devices_of(subject),
            open_stays=[msgspec.to_builtins(stay) for stay in stays],
            queued=dict(Counter(row.recipient for row in await self._outbox.queued_of(key))),
            recordings={},
            audit=[],
        )
        found = await asyncio.to_thread(self._lines, subject, identities or _identities(held))
        held.recordings = {path: len(lines) for path, lines in found.items()}
        held.audit = list(audit.about(assembly.settings.gateway.state_dir / "audit", key))
        return held, found

    def _decisions(self, subject: str, now_s: float) -> list[dict[str, Any]]:
        """Where each recipient may know of the subject now, or why it may not."""
        return [
            {"recipient": d.recipient, "purpose": d.purpose, "permitted_zones": d.permitted_zones}
            | ({} if d.permitted_zones else {"denied": d.denied})
            for d in decisions(self._assembly, subject, now_s, now_s)
        ]

    def _lines(self, subject: str, identities: Collection[str]) -> dict[str, list[msgspec.Raw]]:
        """By recording, the lines that concern the subject."""
        assembly = self._assembly
        enrolment = StillAdmitted(dict.fromkeys(identities, subject))
        found: dict[str, list[msgspec.Raw]] = {}
        for path in recordings.enlisted(assembly.settings.gateway.state_dir):
            identification = Identification(
                assembly.site, assembly.profiles, enrolment, Counts(), assembly.identity_keys
            )
            lines = [ln for ln in recordings.lines(path) if concerns(identification, enrolment, ln)]
            if lines:
                found[str(path)] = [msgspec.Raw(line.strip()) for line in lines]
        return found

    def _tell(self, act: Act, subject: str) -> None:
        key = self._assembly.screen.subject_key(subject)
        self._assembly.tally.carried_out(act, key, self._clock())


def _identities(held: Holdings) -> list[str]:
    return [identity.lower() for identity in (held.record or {}).get("identities", ())]
