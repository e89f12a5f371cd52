"""A consent feed over MQTT as a pure object: records, removals and manifests in, signals out.

What a record says acts at once. Whether all of it may be believed is another question: the set held must
match the manifest. Every (re)subscription collects a fresh set beside the one held; whichever matches the
manifest is the truth, and who is only in the other is enrolled no longer.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final, Literal

from gateway.consent.holding import MAX_RECORDS, Entry, Holding
from gateway.consent.manifest import Manifest, line, parse_manifest
from gateway.consent.payloads import Opened, denials, is_key, open_record, open_signed, read_again
from gateway.consent.signature import Signers
from gateway.counts import Counts
from gateway.model import ConsentSignal, FeedState

MANIFEST: Final = "_manifest"
FUTURE_S: Final = 300.0
"""A manifest may be so far ahead of this clock."""

FeedSignal = ConsentSignal | FeedState
Doubt = Literal["", "unmatched", "never_confirmed"]
ROOM: Final = "consent_feed"


class ConsentFeed:
    """Nothing is raised on bad input: it is counted in room `consent_feed` and denies.

    Counted: `record`, `unchanged`, `removed`, `same_subject`; of records that deny `too_long`, `broken`,
    `doubled_key`, `malformed`, `unsigned`, `wrong_signature`; `not_a_key`, `too_many`; of manifests
    `manifest`, `manifest_future`, `manifest_older`, and `manifest_…` with the faults of records.
    """

    def __init__(self, site: str, counts: Counts, signers: Signers | None = None) -> None:
        self.address = f"consent/v1/{site}/"
        self._counts = counts
        self._signers = signers
        self._held = Holding()
        """Every record that came and was not removed, those of earlier subscriptions too."""
        self._keys_of: Counter[str] = Counter()
        """How many records held enrol a subject."""
        self._fresh: Holding | None = None
        """What came since the last subscription; None: nothing is being collected."""
        self._payloads: dict[str, bytes] = {}
        """Those of `_fresh`, should the set have to be handed on as a whole."""
        self._gone: set[str] = set()
        """Subjects that were handed on and that no record held enrols any more."""
        self._has_denied = False
        """Denials were handed on that only a set told as a whole can take back."""
        self._manifest: Manifest | None = None
        self._doubt: Doubt = "never_confirmed"
        self.is_unchecked = False
        """Something changed that may decide whether the set matches: `check` will tell."""
        self.wants_renewal = False
        """Only a new subscription can help: the set was rebuilt, or somebody is in it no longer."""

    def __len__(self) -> int:
        return len(self._held)

    @property
    def in_doubt(self) -> bool:
        return bool(self._doubt)

    @property
    def is_unmatched(self) -> bool:
        """There is a manifest, and another set than it describes."""
        return self.in_doubt and self._manifest is not None

    @property
    def words(self) -> str:
        """For an operator: what is wrong with the set, no identities."""
        if self.wants_renewal:
            return "records were removed, or the set was rebuilt"
        here, there = len(self._held), 0 if self._manifest is None else self._manifest.count
        words = f"{here} records came and the manifest tells of {there}" if here != there else (
            f"{here} records came and are not those of the manifest"
        )  # fmt: skip
        # Since 2.0.16 mosquitto drops what is beyond it of QoS 0, too.
        return words + (" (mosquitto: max_queued_messages must be above that)" if here < there else "")

    def start(self, t_s: float) -> FeedState:
        """Before anything came: nothing can be believed."""
        return FeedState(t_s, None, "never_confirmed")

    def renew(self) -> None:
        """A subscription begins: all that there is will come again."""
        self._fresh, self._payloads = Holding(), {}
        self.wants_renewal = False

    def distrust(self, t_s: float) -> list[FeedSignal]:
        """A message was lost: only another subscription can tell what is so, the manifest included."""
        self._manifest = None
        self.wants_renewal = True
        return self._break_match(t_s)

    def take(self, key: str, payload: bytes, t_s: float) -> list[FeedSignal]:
        """A message on `<address><key>`; an empty payload removes what was there."""
        if key == MANIFEST:
            return self._take_manifest(payload, t_s) if payload else []
        if not is_key(key):
            self._count("not_a_key")
            return []
        return self._put(key, payload, t_s) if payload else self._remove(key, t_s)

    def check(self, t_s: float) -> list[FeedSignal]:
        """Compare with the manifest. Sorts and hashes, so it is for when what belongs together has come."""
        self.is_unchecked = False
        manifest = self._manifest
        if manifest is None or not self._doubt:
            return []
        if self._fresh is not None and _matches(self._fresh, manifest):
            return [*self._replace(t_s), self._confirm(manifest, t_s)]
        if _matches(self._held, manifest):
            self._gone -= self._keys_of.keys()
            if not self._gone and not self._has_denied:
                self._end_collecting()
                return [self._confirm(manifest, t_s)]
            self.wants_renewal = self._fresh is None
        return []

    def _put(self, key: str, payload: bytes, t_s: float) -> list[FeedSignal]:
        told, held = line(key, payload), self._held.get(key)
        if held is not None and held.line == told:
            self._count("unchanged")
            self._collect(key, held, payload)
            return []
        if not self._has_room(key, len(payload)):
            self._count("too_many")
            return self._break_match(t_s)
        opened = open_record(payload, self.address, key, self._signers)
        entry = _entry(told, payload, opened)
        lost = self._exchange(key, entry)
        self._collect(key, entry, payload)
        return [*self._break_match(t_s), *self._hand_on(opened, lost, t_s)]

    def _hand_on(self, opened: Opened, lost: str | None, t_s: float) -> list[FeedSignal]:
        """The record itself; of one that cannot be used the denial of whom it names or enrolled before."""
        self._count(opened.fault or "record")
        if not opened.fault:
            return [ConsentSignal(t_s, (opened.value,))]
        denied = denials(opened, lost)
        self._has_denied = self._has_denied or bool(denied)
        return [ConsentSignal(t_s, tuple(denied))] if denied else []

    def _remove(self, key: str, t_s: float) -> list[FeedSignal]:
        if self._held.get(key) is None:
            return []
        self._count("removed")
        self._exchange(key, None)
        if self._fresh is not None:
            self._fresh.remove(key)
            self._payloads.pop(key, None)
        return self._break_match(t_s)

    def _exchange(self, key: str, entry: Entry | None) -> str | None:
        """Put or remove among those held; returns the subject that this record is about no longer."""
        old = self._held.get(key)
        before = None if old is None else old.subject
        after = None if entry is None else entry.subject
        if entry is None:
            self._held.remove(key)
        else:
            self._held.put(key, entry)
        if before == after:
            return None
        if old is not None and before is not None:
            self._keys_of[before] -= 1
            if not self._keys_of[before]:
                del self._keys_of[before]
                self._gone |= {before} if old.enrols else set()
        if after is not None:
            self._keys_of[after] += 1
            self._gone.discard(after)
            if self._keys_of[after] == 2:
                self._count("same_subject")
        return before

    def _collect(self, key: str, entry: Entry, payload: bytes) -> None:
        if self._fresh is None:
            return
        self.is_unchecked = True
        if self._fresh.has_room(key, entry.bytes):
            self._fresh.put(key, entry)
            self._payloads[key] = payload

    def _has_room(self, key: str, size: int) -> bool:
        collecting = self._held if self._fresh is None else self._fresh
        is_known = self._held.get(key) is not None
        # What earlier subscriptions left is held as well, until a fresh set takes its place.
        return collecting.has_room(key, size) and (
            is_known or len(self._held) + len(self._gone) < 2 * MAX_RECORDS
        )

    def _replace(self, t_s: float) -> list[FeedSignal]:
        """The fresh set takes the place of the one held; who is in it no longer is enrolled no longer."""
        fresh = self._fresh
        if fresh is None:
            return []
        keys_of = Counter(e.subject for e in fresh.entries() if e.subject is not None)
        left = {e.subject for e in self._held.entries() if e.enrols and e.subject is not None}
        gone = (self._gone | left) - keys_of.keys()
        must_tell = bool(gone) or self._has_denied
        told = self._all_records(fresh) if must_tell else ()
        self._held, self._keys_of, self._gone, self._has_denied = fresh, keys_of, set(), False
        self._end_collecting()
        if not must_tell:
            return []
        self._count("complete")
        return [ConsentSignal(t_s, told, complete=True)]

    def _all_records(self, fresh: Holding) -> tuple[Any, ...]:
        told: list[Any] = []
        for key, payload in self._payloads.items():
            entry = fresh.get(key)
            if entry is not None and entry.subject is not None:
                told.append(read_again(payload))
            else:
                told += denials(open_record(payload, self.address, key, self._signers))
        return tuple(told)

    def _end_collecting(self) -> None:
        self._fresh, self._payloads = None, {}

    def _take_manifest(self, payload: bytes, t_s: float) -> list[FeedSignal]:
        opened = open_signed(payload, self.address, MANIFEST, self._signers)
        manifest = None if opened.fault else parse_manifest(opened.value)
        if manifest is None:
            self._count(f"manifest_{opened.fault or 'malformed'}")
            return []
        if manifest.time_s > t_s + FUTURE_S:
            self._count("manifest_future")
            return []
        if not manifest.supersedes(self._manifest):
            self._count("manifest_older")
            return []
        self._count("manifest")
        before, self._manifest = self._manifest, manifest
        if before is not None and manifest.generation > before.generation:
            self.wants_renewal = self._fresh is None
        if self._doubt or before is None or not manifest.is_same_set(before):
            self.is_unchecked = True
            return self._break_match(t_s)
        self._end_collecting()
        return [self._confirm(manifest, t_s)] if manifest != before else []

    def _break_match(self, t_s: float) -> list[FeedSignal]:
        self.is_unchecked = True
        if self._doubt:
            return []
        self._doubt = "unmatched"
        self._count("unmatched")
        return [FeedState(t_s, None, "unmatched")]

    def _confirm(self, manifest: Manifest, t_s: float) -> FeedState:
        self._doubt = ""
        self.wants_renewal = False
        self._count("matched")
        return FeedState(t_s, min(manifest.time_s, t_s))

    def _count(self, outcome: str) -> None:
        self._counts.count(ROOM, outcome)


def _entry(told: bytes, payload: bytes, opened: Opened) -> Entry:
    if opened.fault:
        return Entry(told, len(payload), None, enrols=False)
    return Entry(told, len(payload), opened.subjects[0], enrols=not opened.value.get("erased"))


def _matches(holding: Holding, manifest: Manifest) -> bool:
    return len(holding) == manifest.count and holding.digest() == manifest.digest
