"""The screen: each presence against each recipient. What is not permitted does not become a Release."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

import msgspec

from gateway.consent.footfall import Publication
from gateway.consent.keys import Keys
from gateway.consent.policy import Policy, Purpose, Recipient
from gateway.consent.register import Denial, Permit, Register
from gateway.consent.release import _SEAL, Release
from gateway.consent.rounding import partner_expiry_s, rounded_down
from gateway.consent.tally import Tally
from gateway.counts import Counts
from gateway.model import ClockTrust, ConsentSignal, FeedState, ObjectionSignal, Presence, Signal

Removal = Literal["withdrawn", "expired"]

COUNTED = "counted"
"""What stands for a change in the release of a count."""


class Question(Protocol):
    """What of a stored release decides whether it may leave."""

    @property
    def recipient(self) -> str: ...
    @property
    def subject_key(self) -> bytes: ...
    @property
    def purpose(self) -> str: ...
    @property
    def zone(self) -> str: ...
    @property
    def change(self) -> str: ...
    @property
    def t_s(self) -> float: ...
    @property
    def expires_s(self) -> float | None: ...


class Stored(Question, Protocol):
    """A release as the outbox kept it."""

    @property
    def id(self) -> str: ...
    @property
    def body(self) -> bytes: ...


class ConsentScreen:
    """Decides at event time (`releases`) and again at send time (`again`)."""

    def __init__(
        self, policy: Policy, register: Register, keys: Keys, counts: Counts, tally: Tally | None = None
    ) -> None:
        """`tally`: told of each decision, for the audit log."""
        self.policy = policy
        self._register = register
        self._keys = keys
        self.counts = counts
        self._tally = tally
        self.policy_version = policy.version
        self._source = f"/sites/{policy.site}/gateways/{policy.gateway}"
        self._recorded_step_s = {r.name: r.recorded_step_s for r in policy.recipients}
        self._subjects: dict[bytes, str] = {}
        """Subject key → subject, of those that are held."""
        self._unheard: Counter[bytes] = Counter()
        """Subjects (by key; empty: all) of whom a word waits to be taken in: nothing of them is sent."""

    def releases(self, presence: Presence, now_s: float | None = None) -> list[Release]:
        """One for each recipient that may have it now: by the first permitted purpose, with its fields only.

        `now_s` None: when it was decided.
        """
        made = []
        now_s = presence.emitted_s if now_s is None else now_s
        for recipient in self.policy.recipients:
            release = self._first_permitted(presence, recipient, now_s)
            if release is not None:
                made.append(release)
        return made

    def concerns_anybody(self, subject: str, zone: str, t_s: float) -> bool:
        """Whether any change of this stay could be released: then it may be kept across a restart."""
        return any(
            isinstance(
                self._register.decide(subject, purpose.term, recipient.name, zone, t_s=t_s, now_s=t_s), Permit
            )
            for recipient in self.policy.recipients
            for purpose in recipient.purposes
            if purpose.zones is None or zone in purpose.zones
        )

    def know_zones(self, facts: Mapping[str, tuple[str, str]]) -> None:
        """Kind and name of every zone of the map from now on."""
        self.policy = msgspec.structs.replace(self.policy, zone_facts=facts)

    def know(self, subjects: Iterable[str]) -> None:
        """Let stored releases of these subjects be recognised; others are denied as not enrolled."""
        for subject in subjects:
            self._subjects[self._keys.subject_key(subject)] = subject

    def forget(self, subject: str) -> None:
        self._subjects.pop(self._keys.subject_key(subject), None)

    def knows(self, key: bytes) -> bool:
        """Whether the subject with this key is held."""
        return key in self._subjects

    def subject_key(self, subject: str) -> bytes:
        return self._keys.subject_key(subject)

    def heed(self, word: Signal) -> None:
        """A word has arrived and waits its turn; until `heard` nothing that it may forbid is sent."""
        self._unheard.update(self._concerned(word))

    def heard(self, word: Signal) -> None:
        """The word was taken in."""
        self._unheard.subtract(key for key in self._concerned(word) if key in self._unheard)
        self._unheard = +self._unheard

    def again(self, stored: Stored, now_s: float) -> Release | Removal | None:
        """The same release, if all still permits it now; why it must go; None: not yet known."""
        if self.is_unsure(stored, now_s):
            return None
        if not stored.subject_key:
            return self.counted_again(stored, now_s)
        purpose = self._judged(stored, now_s)
        if not isinstance(purpose, Purpose):
            return purpose
        return Release(
            _SEAL, recipient=stored.recipient, id=stored.id, subject_key=stored.subject_key,
            purpose=stored.purpose, zone=stored.zone, change=stored.change, t_s=stored.t_s,
            expires_s=stored.expires_s, body=self._as_listed_now(stored, purpose),
        )  # fmt: skip

    def lapsed(self, stored: Question, now_s: float) -> Removal | None:
        """Why it must go now; None: nothing says so. Not for counts, which are nobody's."""
        verdict = None if self.is_unsure(stored, now_s) else self._judged(stored, now_s)
        return None if isinstance(verdict, Purpose) else verdict

    def is_clock_doubted(self, now_s: float) -> bool:
        return self._register.doubt(now_s) == "clock"

    def is_unsure(self, stored: Question, now_s: float) -> bool:
        """Nobody can say yet whether it may leave. Counts and tombstones belong to nobody, and never are."""
        return bool(stored.subject_key) and bool(
            self._register.doubt(now_s) or self._unheard.keys() & {b"", stored.subject_key}
        )

    def _judged(self, stored: Question, now_s: float) -> Purpose | Removal:
        """The purpose for which it may leave, or why it must go."""
        purpose = self._purpose_of(stored)
        subject = self._subjects.get(stored.subject_key)
        if subject is None or purpose is None:
            denial = "not_enrolled" if subject is None else "no_purpose"
            self._note(stored.recipient, stored.purpose, stored.change, denial, now_s)
            return "withdrawn"
        verdict = self._register.decide(
            subject, stored.purpose, stored.recipient, stored.zone, t_s=stored.t_s, now_s=now_s
        )
        if isinstance(verdict, Permit):
            return purpose
        self._note(stored.recipient, stored.purpose, stored.change, verdict, now_s)
        return "expired" if verdict == "expired" else "withdrawn"

    def counted(self, publication: Publication) -> Release:
        """A count of a sample; it is nobody's, so its subject key is empty."""
        kind, name = self.policy.zone_facts.get(publication.zone, ("", ""))
        event_id = self._keys.event_id(
            self.policy.site, self.policy.gateway, publication.recipient, "", publication.zone, COUNTED,
            _ms(publication.t_s - publication.since_s), _ms(publication.t_s),
        )  # fmt: skip
        sample = {"footfall": publication.footfall, "occupancy": publication.occupancy}
        event = {
            "specversion": "1.0",
            "id": event_id,
            "source": self._source,
            "type": f"presence.{COUNTED}.v1",
            "time": rfc3339(publication.t_s),
            "datacontenttype": "application/json",
            "dataschema": f"urn:presence:{COUNTED}:v1",
            "recipient": publication.recipient,
            "purpose": publication.purpose,
            "policyversion": self.policy_version,
            "data": {
                "zone": {"id": publication.zone, "kind": kind, "name": name},
                "since": rfc3339(publication.since_s),
                "sample": {what: n for what, n in sample.items() if n},
                "k": publication.k,
            },
        }
        self._note(publication.recipient, publication.purpose, COUNTED, "released", publication.t_s)
        return Release(
            _SEAL, recipient=publication.recipient, id=event_id, subject_key=b"",
            purpose=publication.purpose, zone=publication.zone, change=COUNTED, t_s=publication.t_s,
            expires_s=None, body=msgspec.json.encode(event),
        )  # fmt: skip

    def counted_again(self, stored: Stored, now_s: float) -> Release | Removal:
        """The same count, if the settings still have it told in this way."""
        told = msgspec.json.decode(stored.body)["data"]
        for counting in self.policy.counted:
            asks = (counting.recipient, counting.purpose) == (stored.recipient, stored.purpose)
            if asks and stored.zone in counting.zones and told["k"] % counting.k == 0:
                return Release(
                    _SEAL, recipient=stored.recipient, id=stored.id, subject_key=b"", purpose=stored.purpose,
                    zone=stored.zone, change=stored.change, t_s=stored.t_s, expires_s=None, body=stored.body,
                )  # fmt: skip
        self._note(stored.recipient, stored.purpose, COUNTED, "no_purpose", now_s)
        return "withdrawn"

    def recorded_s(self, recipient: str, stored_s: float) -> float:
        """When an event or tombstone was stored, as exactly as this recipient may know it."""
        return rounded_down(stored_s, self._recorded_step_s.get(recipient, 60.0))

    def _purpose_of(self, stored: Question) -> Purpose | None:
        """The purpose of the settings that a stored release was made for, where it still asks for such."""
        for recipient in self.policy.recipients:
            for purpose in recipient.purposes if recipient.name == stored.recipient else ():
                asks = purpose.zones is None or stored.zone in purpose.zones
                if purpose.term == stored.purpose and asks and stored.change in purpose.changes:
                    return purpose
        return None

    def _as_listed_now(self, stored: Stored, purpose: Purpose) -> bytes:
        """Without what the settings list no more, and as coarse as they say, if they changed since."""
        if f'"policyversion":"{self.policy_version}"'.encode() in stored.body:
            return stored.body
        recipient = next(r for r in self.policy.recipients if r.name == stored.recipient)
        rounding = recipient.rounding_of(purpose)
        event = msgspec.json.decode(stored.body)
        data = event["data"] = _listed(event.get("data", {}), purpose)
        for times in (event, data):
            for key in times.keys() & {"time", "since"}:
                t_s = datetime.fromisoformat(times[key]).timestamp()
                times[key] = rfc3339(rounded_down(t_s, rounding.time_s))
        if "dwell_s" in data:
            data["dwell_s"] = rounded_down(data["dwell_s"], rounding.dwell_s)
        return msgspec.json.encode(event)

    def _concerned(self, word: Signal) -> set[bytes]:
        """Keys of the subjects that a word may forbid something of; the empty one stands for all."""
        match word:
            case ConsentSignal(complete=False):
                names = (raw.get("subject") for raw in word.records if isinstance(raw, dict))
                return {self._keys.subject_key(name) for name in names if isinstance(name, str)}
            case ObjectionSignal():
                return {self._keys.subject_key(word.subject)}
            case ConsentSignal() | FeedState(confirmed_s=None) | ClockTrust(trusted=False):
                return {b""}
        return set()

    def _first_permitted(self, presence: Presence, recipient: Recipient, now_s: float) -> Release | None:
        denial, term = "no_purpose", ""
        for purpose in recipient.purposes:
            if presence.change not in purpose.changes:
                continue
            if purpose.zones is not None and presence.zone not in purpose.zones:
                continue
            verdict = self._register.decide(
                presence.subject, purpose.term, recipient.name, presence.zone, t_s=presence.t_s, now_s=now_s
            )
            if isinstance(verdict, Permit):
                self._note(recipient.name, purpose.term, presence.change, "released", now_s)
                return self._make(presence, recipient, purpose, verdict)
            denial, term = verdict, purpose.term
        self._note(recipient.name, term, presence.change, denial, now_s)
        return None

    def deny(self, presence: Presence, doubt: Denial, now_s: float) -> None:
        """Nobody gets it: the doubt about everybody did not pass in time."""
        for recipient in self.policy.recipients:
            self._note(recipient.name, "", presence.change, doubt, now_s)

    def _note(self, recipient: str, purpose: str, change: str, verdict: str, now_s: float) -> None:
        self.counts.count("consent", verdict if verdict == "released" else f"denied_{verdict}")
        if self._tally is not None:
            self._tally.note(recipient, purpose, change, verdict, now_s)

    def _make(self, presence: Presence, recipient: Recipient, purpose: Purpose, permit: Permit) -> Release:
        subject_key = self._keys.subject_key(presence.subject)
        event_id = self._keys.event_id(
            self.policy.site, self.policy.gateway, recipient.name, presence.subject, presence.zone,
            presence.change, _ms(presence.threshold_s or 0.0), _ms(presence.t_s),
        )  # fmt: skip
        subject, consent_id = self._references(presence, recipient, permit)
        expires_s = self._expiry_s(presence, recipient, permit)
        event: dict[str, Any] = {
            "specversion": "1.0",
            "id": event_id,
            "source": self._source,
            "type": f"presence.{presence.change}.v1",
            "subject": subject,
            "time": rfc3339(rounded_down(presence.t_s, recipient.rounding_of(purpose).time_s)),
            "datacontenttype": "application/json",
            "dataschema": f"urn:presence:{presence.change}:v1",
            "recipient": recipient.name,
            "purpose": purpose.term,
            "consentid": consent_id,
            "policyversion": self.policy_version,
        }
        if expires_s is not None:
            event["expirytime"] = rfc3339(expires_s)
        event["data"] = self._facts(presence, recipient, purpose)
        return Release(
            _SEAL, recipient=recipient.name, id=event_id, subject_key=subject_key, purpose=purpose.term,
            zone=presence.zone, change=presence.change, t_s=presence.t_s, expires_s=expires_s,
            body=msgspec.json.encode(event),
        )  # fmt: skip

    def _references(self, presence: Presence, recipient: Recipient, permit: Permit) -> tuple[str, str]:
        """Subject and consent as the recipient knows them: the platform its own, a partner pseudonyms."""
        if recipient.is_platform:
            return presence.subject, permit.record_id
        epoch = int(presence.since_s // self.policy.epoch_s)
        pseudonym = self._keys.pseudonym(recipient.name, epoch, presence.subject)
        return pseudonym, self._keys.consent_id(recipient.name, epoch, permit.record_id)

    def _expiry_s(self, presence: Presence, recipient: Recipient, permit: Permit) -> float | None:
        if not recipient.is_platform:
            now_s = max(presence.t_s, presence.emitted_s)
            return partner_expiry_s(now_s, permit.until_s, self.policy.epoch_s)
        return permit.until_s if math.isfinite(permit.until_s) else None

    def _facts(self, presence: Presence, recipient: Recipient, purpose: Purpose) -> dict[str, Any]:
        """The listed fields of the event and nothing else."""
        rounding = recipient.rounding_of(purpose)
        kind, name = self.policy.zone_facts.get(presence.zone, ("", ""))
        known: dict[str, Any] = {
            "zone": {"id": presence.zone, "kind": kind, "name": name},
            "since": rfc3339(rounded_down(presence.since_s, rounding.time_s)),
            "dwell_s": round(rounded_down(presence.dwell_s, rounding.dwell_s), 3),
            "threshold_s": presence.threshold_s,
            "confidence": round(presence.confidence, recipient.confidence_digits),
            "evidence": presence.evidence,
        }
        return _listed({k: v for k, v in known.items() if v is not None}, purpose)


def _listed(facts: dict[str, Any], purpose: Purpose) -> dict[str, Any]:
    """Of what is known, what the purpose lists; of the evidence key by key."""
    listed = {k: v for k, v in facts.items() if k in purpose.fields and k != "evidence"}
    evidence = {k: v for k, v in facts.get("evidence", {}).items() if f"evidence.{k}" in purpose.fields}
    return listed | ({"evidence": evidence} if evidence else {})


def rfc3339(t_s: float) -> str:
    """Unix seconds as RFC 3339 with milliseconds, UTC."""
    moment = datetime.fromtimestamp(_ms(t_s) / 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def _ms(t_s: float) -> int:
    return round(t_s * 1000)
