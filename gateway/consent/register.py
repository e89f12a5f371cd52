"""Enrolment and consents held in memory: who an identity belongs to, and what that subject permits.

Merge rules (DESIGN §6.3), so that any order and any repetition of a feed ends in the same state: of a
subject the highest record version; of a consent the highest version ever seen, also in records that were
overtaken since; among the consents that concern a question the newest event time. Two different things
that claim the same rank are a tie, and a tie denies.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct

from gateway.consent.records import RELEASING, ConsentEntry, SubjectRecord, parse_record
from gateway.counts import Counts

Denial = Literal[
    "not_enrolled",
    "erased",
    "tie",
    "no_consent",
    "superseded",
    "not_given",
    "not_yet_valid",
    "expired",
    "zone",
]


class Permit(Struct, frozen=True):
    """The consent that permits, and until when."""

    record_id: str
    until_s: float


class _Held(Struct):
    record: SubjectRecord
    tied: bool = False


class Register:
    """Answers two questions: whose identity is this, and may this leave for that recipient and purpose?"""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._held: dict[str, _Held] = {}
        self._seen: dict[str, dict[str, tuple[int, str, bool]]] = {}
        """subject → record id → (highest version seen, its content, tied)."""
        self._owners: dict[str, set[str]] = {}

    def absorb(self, raw_records: Sequence[Any], *, complete: bool = False) -> set[str]:
        """Take records in; returns the subjects whose consents may have changed.

        A malformed record is counted and, where it names a subject, denies that subject until a good and
        later record comes.
        """
        touched: set[str] = set()
        for raw in raw_records:
            record = parse_record(raw)
            if record is None:
                self._counts.count("consent", "malformed")
                touched |= self._doubt(raw)
            elif self._take(record):
                touched.add(record.subject)
        if complete:
            gone = self._held.keys() - {r.get("subject") for r in raw_records if isinstance(r, dict)}
            for subject in gone:
                self._own(self._held.pop(subject).record, remove=True)
            touched |= gone
        return touched

    def subject_of(self, identity: str) -> str | None:
        """The one subject enrolled with this identity; None for an unknown one, or where two claim it."""
        owners = self._owners.get(identity)
        if owners is None:
            return None
        if len(owners) > 1:
            self._counts.count("identity", "ambiguous")
            return None
        return next(iter(owners))

    def admits(self, subject: str, t_s: float) -> bool:
        """Whether any consent of the subject could release anything at `t_s`."""
        held = self._held.get(subject)
        if held is None or held.tied or held.record.erased:
            return False
        return any(self._weigh(subject, entry, t_s) is None for entry in held.record.consents)

    def decide(
        self, subject: str, purpose: str, recipient: str, zone: str, moments_s: tuple[float, ...]
    ) -> Permit | Denial:
        """May it leave? Asked for each of `moments_s` (the event, and now): the permit, or why not."""
        held = self._held.get(subject)
        if held is None:
            return "not_enrolled"
        if held.record.erased:
            return "erased"
        if held.tied:
            return "tie"
        concerning = [c for c in held.record.consents if purpose in c.purposes and recipient in c.recipients]
        if not concerning:
            return "no_consent"
        newest_s = max(c.from_s for c in concerning)
        deciding = [c for c in concerning if c.from_s == newest_s]
        if len(deciding) > 1 and any(c != deciding[0] for c in deciding):
            return "tie"
        entry = deciding[0]
        for t_s in moments_s:
            denial = self._weigh(subject, entry, t_s)
            if denial is not None:
                return denial
        if entry.zones != "all" and zone not in entry.zones:
            return "zone"
        return Permit(entry.record_id, entry.until_s)

    def _weigh(self, subject: str, entry: ConsentEntry, t_s: float) -> Denial | None:
        version, _, tied = self._seen[subject][entry.record_id]
        if entry.version < version:
            return "superseded"
        if tied:
            return "tie"
        if entry.status not in RELEASING:
            return "not_given"
        if t_s < entry.from_s:
            return "not_yet_valid"
        return "expired" if t_s >= entry.until_s else None

    def _take(self, record: SubjectRecord) -> bool:
        """Whether anything is different now."""
        learned = self._learn(record)
        held = self._held.get(record.subject)
        if held is not None and record.version <= held.record.version:
            if record.version == held.record.version and record != held.record and not held.tied:
                held.tied = True
                self._counts.count("consent", "tie")
                return True
            return learned
        if held is not None:
            self._own(held.record, remove=True)
        self._held[record.subject] = _Held(record)
        self._own(record)
        return True

    def _learn(self, record: SubjectRecord) -> bool:
        """Remember the highest version of each consent, so that an older one cannot come back."""
        seen = self._seen.setdefault(record.subject, {})
        learned = False
        for entry in record.consents:
            content = msgspec.json.encode(entry.model_dump(mode="json"), order="sorted").decode()
            known = seen.get(entry.record_id)
            if known is None or entry.version > known[0]:
                seen[entry.record_id] = (entry.version, content, False)
                learned = True
            elif entry.version == known[0] and content != known[1] and not known[2]:
                seen[entry.record_id] = (entry.version, known[1], True)
                learned = True
        return learned

    def _own(self, record: SubjectRecord, *, remove: bool = False) -> None:
        for identity in () if record.erased else record.identities:
            name = identity.lower()
            if not remove:
                self._owners.setdefault(name, set()).add(record.subject)
            elif owners := self._owners.get(name):
                owners.discard(record.subject)
                if not owners:
                    del self._owners[name]

    def _doubt(self, raw: Any) -> set[str]:
        subject = raw.get("subject") if isinstance(raw, dict) else None
        held = self._held.get(subject) if isinstance(subject, str) else None
        if held is None:
            return set()
        held.tied = True
        return {held.record.subject}
