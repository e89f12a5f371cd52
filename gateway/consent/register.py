"""Enrolment and consents held in memory: who an identity belongs to, and what that subject permits.

Deny by default: every answer but a `Permit` is a reason, and whatever is in doubt is one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct

from gateway.consent.bars import EVERYBODY, Bar
from gateway.consent.drivers import Ownership
from gateway.consent.holdings import Held, Holdings
from gateway.consent.records import RELEASING, ConsentEntry, SubjectRecord
from gateway.counts import Counts
from gateway.model import DriverSignal, FeedState

Denial = Literal[
    "not_enrolled", "erased", "deny_listed", "malformed", "tie", "no_purpose", "age", "no_consent",
    "superseded", "withdrawn", "revoked", "refused", "invalidated", "requested", "unknown_status",
    "not_yet_valid", "expired", "zone", "stale", "unmatched", "never_confirmed", "clock",
]  # fmt: skip
"""Why not. The last four concern everybody and may pass: `Register.doubt`."""

STATUSES: Mapping[str, Denial] = {
    "ConsentWithdrawn": "withdrawn",
    "ConsentRevoked": "revoked",
    "ConsentRefused": "refused",
    "ConsentExpired": "expired",
    "ConsentInvalidated": "invalidated",
    "ConsentRequested": "requested",
    "ConsentRequestDeferred": "requested",
    "ConsentUnknown": "unknown_status",
}
"""Consent statuses of DPV 2 that deny; another word than these and the releasing two: `unknown_status`."""

Asks = Mapping[tuple[str, str], bool]
"""(purpose, recipient) of the settings → whether only adults may be profiled for it."""


class Permit(Struct, frozen=True):
    """The consent that permits, and until when."""

    record_id: str
    until_s: float


_Answer = tuple[float, float, frozenset[str] | None, Permit | Denial]
"""(from, until, zones or all, permit) of one subject for one (purpose, recipient); a denial has no time."""
_NEVER = float("-inf")


class Register:
    """Answers two questions: whose identity is this, and may this leave for that recipient and purpose?"""

    def __init__(
        self,
        counts: Counts,
        *,
        asks: Asks | None = None,
        subject_key: Callable[[str], bytes] = str.encode,
        max_age_s: float | None = None,
    ) -> None:
        """`asks` None: any purpose of any recipient may be asked. `subject_key`: by which a
        subject is known without its name. `max_age_s` None: the records need no confirmation (a local file).
        """
        self._counts = counts
        self._asks = asks
        self._holdings = Holdings(counts, subject_key)
        self._ownership = Ownership(counts)
        self._answers: dict[tuple[str, str], dict[str, _Answer]] = {}
        """(purpose, recipient) → subject → what was worked out since its records last changed."""
        self._spans_s: dict[str, tuple[tuple[float, float], ...]] = {}
        """Subject → (from, until) in which something could be released, likewise."""
        self._denied: frozenset[str] = frozenset()
        self._max_age_s = max_age_s
        self._is_clock_trusted = True
        self._good_until_s = float("inf") if max_age_s is None else float("-inf")
        self._open_until_s = self._good_until_s
        """As `_good_until_s`, and never where the clock is not trusted."""
        self._doubt: Denial = "never_confirmed"

    # --- what comes in ---

    def absorb(self, raw_records: Sequence[Any], *, complete: bool = False, t_s: float = 0.0) -> set[str]:
        """Take records in, heard at `t_s`; returns the subjects whose consents may have changed.

        `complete`: these are all there are. A malformed record is counted and, where it names a subject,
        denies that subject until a higher version comes.
        """
        touched: set[str] = set()
        self._holdings.age(t_s)
        if complete:
            touched.update(self._holdings.undoubt())
            for doubted in touched:
                self._forget_answers(doubted)
        for raw in raw_records:
            subject, before = self._holdings.take(raw, t_s)
            if subject is not None:
                touched.add(subject)
                self._own(subject, before)
        if complete:
            named = [raw.get("subject") for raw in raw_records if isinstance(raw, dict)]
            left = set(self._holdings.subjects()).difference(n for n in named if isinstance(n, str))
            for subject in sorted(left):
                self._own(subject, self._holdings.drop(subject, t_s))
                touched.add(subject)
        return touched

    def bar(self, key: bytes, bar: Bar) -> str | None:
        """An erasure or withdrawal of this machine; returns the subject's name where it is held."""
        subject, before = self._holdings.bar(key, bar)
        if key == EVERYBODY:
            self._forget_answers()
        if subject is not None:
            self._own(subject, before)
        return subject

    def deny(self, listed: Collection[str]) -> set[str]:
        """Subjects and identities that no consent can release; returns the subjects concerned, also those
        of a device that is newly listed.
        """
        before, self._denied = self._denied, frozenset(listed)
        owners = self._ownership.deny(listed)
        self._forget_answers()
        return owners | {s for s in before ^ self._denied if self._holdings.get(s) is not None}

    def drives(self, signal: DriverSignal) -> set[str]:
        """Who drives a shared car; returns the subjects that the car stood for and does not any more."""
        return self._ownership.drives(signal)

    def confirm(self, state: FeedState) -> None:
        """How far the feed is believed. A confirmation from the future counts from its reception."""
        if self._max_age_s is None:
            return
        if state.confirmed_s is None:
            self._good_until_s, self._doubt = float("-inf"), state.doubt or "never_confirmed"
        else:
            self._good_until_s = min(state.confirmed_s, state.t_s) + self._max_age_s
            self._doubt = "stale"
        self.trust_clock(self._is_clock_trusted)

    def trust_clock(self, trusted: bool) -> None:
        self._is_clock_trusted = trusted
        self._open_until_s = self._good_until_s if trusted else float("-inf")

    # --- what is asked ---

    def doubt(self, now_s: float) -> Denial | None:
        """Why nothing may leave now, whoever is concerned; None: each subject's consents decide."""
        if not self._is_clock_trusted:
            return "clock"
        return None if now_s < self._good_until_s else self._doubt

    def subject_of(self, identity: str, t_s: float) -> str | None:
        """The one subject that this (lower case) identity stands for; None for nobody, or in doubt."""
        return self._ownership.subject_of(identity, t_s)

    def admits(self, subject: str, t_s: float) -> bool:
        """Whether any consent of the subject could release anything at `t_s`."""
        spans_s = self._spans_s.get(subject)
        if spans_s is None:
            held = self._holdings.get(subject)
            if held is None:
                return False
            spans_s = self._spans_s[subject] = self._spans_of(held)
        return any(from_s <= t_s < until_s for from_s, until_s in spans_s)

    def decide(
        self, subject: str, purpose: str, recipient: str, zone: str, *, t_s: float, now_s: float
    ) -> Permit | Denial:
        """May what happened at `t_s` leave now? The permit, or why not."""
        try:
            from_s, until_s, zones, permit = self._answers[purpose, recipient][subject]
        except KeyError:
            return self._decide_anew(subject, purpose, recipient, zone, t_s, now_s)
        if (
            from_s <= t_s < until_s
            and from_s <= now_s < until_s
            and (zones is None or zone in zones)
            and now_s < self._open_until_s
        ):
            return permit
        if until_s == _NEVER:
            return permit
        if not (t_s < until_s and now_s < until_s):
            return "expired"
        if not (from_s <= t_s and from_s <= now_s):
            return "not_yet_valid"
        return "zone" if zones is not None and zone not in zones else self.doubt(now_s) or "stale"

    def subjects(self) -> list[str]:
        """Everybody who is enrolled."""
        return list(self._holdings.subjects())

    def admitted_identities(self, now_s: float) -> dict[str, str]:
        """Identity → subject, of everybody of whom something could be released now."""
        found: dict[str, str] = {}
        for subject in self._holdings.subjects():
            held = self._holdings.get(subject)
            if held is not None and self.admits(subject, now_s):
                for identity in map(str.lower, held.record.identities):
                    if self.subject_of(identity, now_s) == subject:
                        found[identity] = subject
        return found

    def may_count(  # noqa: PLR0917 - the form of `footfall.MayCount`
        self, subject: str, purpose: str, recipient: str, zone: str, first_s: float, end_s: float
    ) -> bool:
        """Whether the subject may be in a count of the zone that begins and ends at these moments."""
        return isinstance(self.decide(subject, purpose, recipient, zone, t_s=first_s, now_s=end_s), Permit)

    def record_of(self, subject: str) -> SubjectRecord | None:
        """What is held of a subject."""
        held = self._holdings.get(subject)
        return held.record if held else None

    def bar_of(self, subject: str) -> Bar:
        return self._holdings.bar_of(subject)

    # --- worked out once ---

    def _own(self, subject: str, before: SubjectRecord | None) -> None:
        """After a change: what the subject's identities were, and are."""
        self._forget_answers(subject)
        held = self._holdings.get(subject)
        if before is not None:
            self._ownership.remove(subject, before.identities)
        if held is not None and not held.is_tied:
            self._ownership.add(subject, held.record.identities)

    def _forget_answers(self, subject: str | None = None) -> None:
        """None: of all."""
        if subject is None:
            self._answers.clear()
            self._spans_s.clear()
            return
        self._spans_s.pop(subject, None)
        for grants in self._answers.values():
            grants.pop(subject, None)

    def _decide_anew(  # noqa: PLR0917 - the question, passed on
        self, subject: str, purpose: str, recipient: str, zone: str, t_s: float, now_s: float
    ) -> Permit | Denial:
        held = self._holdings.get(subject)
        if held is None:
            return "erased" if self._holdings.bar_of(subject).erased_version else "not_enrolled"
        if self._asks is not None and (purpose, recipient) not in self._asks:
            return "no_purpose"
        answer = _answer(self._weigh(held, purpose, recipient))
        self._answers.setdefault((purpose, recipient), {})[subject] = answer
        return self.decide(subject, purpose, recipient, zone, t_s=t_s, now_s=now_s)

    def _spans_of(self, held: Held) -> tuple[tuple[float, float], ...]:
        pairs: Iterable[tuple[str, str]] = self._asks or ()
        if self._asks is None:
            pairs = [
                (p, r) for entry in held.record.consents for p in entry.purposes for r in entry.recipients
            ]
        weighed = [self._weigh(held, purpose, recipient) for purpose, recipient in pairs]
        return tuple(sorted({(e.from_s, e.until_s) for e in weighed if isinstance(e, ConsentEntry)}))

    def _weigh(self, held: Held, purpose: str, recipient: str) -> ConsentEntry | Denial:
        """The consent that decides, where it permits for a time; else why not."""
        record = held.record
        if record.subject in self._denied:
            return "deny_listed"
        if held.is_doubted:
            return "malformed"
        if held.is_tied:
            return "tie"
        if record.age in ("minor", "unknown") and is_personalising(purpose):
            return "age"
        if self._asks is not None and self._asks[purpose, recipient] and record.age != "adult":
            return "age"
        concerning = [c for c in record.consents if purpose in c.purposes and recipient in c.recipients]
        if not concerning:
            return "no_consent"
        newest_s = max(c.from_s for c in concerning)
        entry, *others = [c for c in concerning if c.from_s == newest_s]
        if any(other != entry for other in others):
            return "tie"
        return self._denial(held, entry) or entry

    @staticmethod
    def _denial(held: Held, entry: ConsentEntry) -> Denial | None:
        rank, record_version = held.versions.verdict(entry.record_id, entry.version), held.record.version
        if rank != "current":
            return rank
        if entry.status not in RELEASING:
            return STATUSES.get(entry.status, "unknown_status")
        bar = held.bar
        is_barred = record_version <= bar.version or entry.from_s <= bar.event_time_s
        return "withdrawn" if is_barred else None


def _answer(weighed: ConsentEntry | Denial) -> _Answer:
    if not isinstance(weighed, ConsentEntry):
        return _NEVER, _NEVER, None, weighed
    zones = None if weighed.zones == "all" else frozenset(weighed.zones)
    return weighed.from_s, weighed.until_s, zones, Permit(weighed.record_id, weighed.until_s)


def is_personalising(purpose: str) -> bool:
    """Whether it is of DPV 2's Personalisation or Marketing branch, for which no child is profiled."""
    name = purpose.partition(":")[2]
    return any(word in name for word in _PERSONALISING)


_PERSONALISING = ("Personalis", "Targeted", "Marketing", "Advertising", "Recommendations", "Profiling")
