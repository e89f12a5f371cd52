"""The records held, merged so that any order and any repetition of a feed ends in the same state.

Of a subject the highest record version; of a consent the highest version that any record of it has shown;
two different things of one rank are a tie, which denies. A malformed record denies its subject unless a
higher version is held. A bar (an erasure, a withdrawal on this machine) outlives the records under it.
"""

from __future__ import annotations

import hashlib
import marshal
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from gateway.consent.bars import EVERYBODY, KEPT_S, OPEN, Bar
from gateway.consent.records import SubjectRecord, is_reference, parse_record
from gateway.consent.versions import Versions
from gateway.counts import Counts

MAX_DOUBTED = 100_000
"""Subjects whose malformed records are remembered; those beyond are counted and denied while unknown."""
MAX_GONE = 20_000
"""Subjects in the set no longer of whom the versions are still known; of more the first that went are not."""
AGE_EVERY_S = 3_600.0
"""Between two looks for bars that may be forgotten."""


class Held(Struct):
    record: SubjectRecord
    content: bytes
    versions: Versions
    bar: Bar
    said: bytes = b""
    """Digest of the words that `record` was last read from; empty: they may not be skipped."""
    is_tied: bool = False
    is_doubted: bool = False
    """A malformed record of this version or a higher one was seen."""


class Holdings:
    """Counted in room `consent`: malformed, tie, barred, doubt_overflow."""

    def __init__(self, counts: Counts, subject_key: Callable[[str], bytes]) -> None:
        self._counts = counts
        self._key = subject_key
        self._held: dict[str, Held] = {}
        self._versions: dict[str, Versions] = {}
        """Of subjects held, and of those in `_gone`."""
        self._gone: dict[str, float] = {}
        """Subject → when it was dropped from the set, the oldest first."""
        self._doubts: dict[str, float] = {}
        """Subject → highest version of a malformed record."""
        self._bars: dict[bytes, Bar] = {}
        self._age_again_s = float("-inf")

    def get(self, subject: str) -> Held | None:
        return self._held.get(subject)

    def __len__(self) -> int:
        return len(self._held)

    def subjects(self) -> Iterator[str]:
        return iter(self._held)

    def bar_of(self, subject: str) -> Bar:
        own = self._bars.get(self._key(subject), OPEN)
        everybody = self._bars.get(EVERYBODY)
        return own if everybody is None else own.join(everybody)

    def bar(self, key: bytes, bar: Bar) -> tuple[str | None, SubjectRecord | None]:
        """Bars the subject with this key; its name, where it is known, and its record from before.

        With `EVERYBODY` all of them: before any record is held.
        """
        self._bars[key] = self._bars.get(key, OPEN).join(bar)
        if key == EVERYBODY:
            for each in list(self._held):
                self._heed_bar(each, self.bar_of(each))
            return None, None
        subject = next((s for s in self._versions if self._key(s) == key), None)
        if subject is None:
            return None, None
        held = self._held.get(subject)
        self._heed_bar(subject, self._bars[key])
        return subject, held.record if held else None

    def take(self, raw: Any, t_s: float) -> tuple[str | None, SubjectRecord | None]:
        """One record, heard at `t_s`: the subject for which something may be different now, and its record
        from before.

        (None, None) where nothing is.
        """
        said = _said(raw)
        if said and self._is_held(raw, said):
            return None, None
        record = parse_record(raw)
        if record is None:
            return self._doubt(raw), None
        before = self._held.get(record.subject)
        was = before.record if before else None
        changed = self._erase(record, t_s) if record.erased else self._take(record, said)
        return (record.subject, was) if changed else (None, None)

    def _is_held(self, raw: Mapping[str, Any], said: bytes) -> bool:
        """The very words that are held: to read them again would change nothing, and is most of what a set
        that comes as a whole has to say."""
        subject = raw.get("subject")
        held = self._held.get(subject) if isinstance(subject, str) else None
        return held is not None and held.said == said

    def drop(self, subject: str, t_s: float) -> SubjectRecord | None:
        """It is no longer in the set; what was learned of its versions stays for `KEPT_S`."""
        held = self._held.pop(subject, None)
        if held is None:
            return None
        self._gone[subject] = t_s
        if len(self._gone) > MAX_GONE:
            self._forget(next(iter(self._gone)))
        return held.record

    def age(self, t_s: float) -> None:
        """Bars, and versions of who is gone, are forgotten when their time is over. A record that is held
        stays barred until another takes its place."""
        if t_s < self._age_again_s:
            return
        self._age_again_s = t_s + AGE_EVERY_S
        for subject in [s for s, gone_s in self._gone.items() if gone_s + KEPT_S <= t_s]:
            self._forget(subject)
        self._bars = {key: bar for key, bar in self._bars.items() if bar.until_s > t_s}

    def _forget(self, subject: str) -> None:
        del self._gone[subject], self._versions[subject]

    def undoubt(self) -> list[str]:
        """A set that is complete in itself begins: malformed records of before count no longer.

        Returns the subjects held of which there were any.
        """
        doubted = [subject for subject in self._doubts if subject in self._held]
        self._doubts.clear()
        for subject in doubted:
            self._held[subject].is_doubted = False
        return doubted

    def _take(self, record: SubjectRecord, said: bytes) -> bool:
        subject, bar = record.subject, self.bar_of(record.subject)
        if record.version <= bar.erased_version:
            self._counts.count("consent", "barred")
            return False
        content, entries = _content(record)
        versions = self._versions.setdefault(subject, Versions())
        learned = versions.learn(record.version, entries)
        held = self._held.get(subject)
        if held is None or record.version > held.record.version:
            is_doubted = self._doubts.get(subject, 0) >= record.version
            self._held[subject] = Held(record, content, versions, bar, said, is_doubted=is_doubted)
            self._gone.pop(subject, None)
            return True
        if record.version < held.record.version or content == held.content:
            return learned
        if not held.is_tied:
            self._counts.count("consent", "tie")
        if content < held.content:  # which of them is shown must not hang on the order
            held.record, held.content, held.said = record, content, said
        held.is_tied = True
        return True

    def _erase(self, record: SubjectRecord, t_s: float) -> bool:
        key = self._key(record.subject)
        known_s = record.event_time.timestamp() if record.event_time else None
        before = self._bars.get(key, OPEN)
        until_s = (t_s if known_s is None else known_s) + KEPT_S
        if before.erased_version >= record.version:
            until_s = before.until_s  # the same word again
        moment_s = float("-inf") if known_s is None else known_s
        bar = before.join(Bar(record.version, record.version, moment_s, until_s))
        self._bars[key] = bar
        self._heed_bar(record.subject, bar)
        return bar != before

    def _heed_bar(self, subject: str, bar: Bar) -> None:
        held = self._held.get(subject)
        if held is not None:
            held.bar = bar
            if held.record.version <= bar.erased_version:
                del self._held[subject]
        if subject in self._versions:
            self._versions[subject].forget(bar.erased_version)
            if subject not in self._held:
                del self._versions[subject]
                self._gone.pop(subject, None)
        if self._doubts.get(subject, 0) <= bar.erased_version:
            self._doubts.pop(subject, None)

    def _doubt(self, raw: Any) -> str | None:
        self._counts.count("consent", "malformed")
        subject = raw.get("subject") if isinstance(raw, Mapping) else None
        if not is_reference(subject):
            return None
        said = raw.get("version")
        version = float(said) if type(said) is int and said >= 1 else float("inf")
        if subject not in self._doubts and len(self._doubts) >= MAX_DOUBTED:
            self._counts.count("consent", "doubt_overflow")
        elif version > max(self._doubts.get(subject, 0), self.bar_of(subject).erased_version):
            self._doubts[subject] = version
        held = self._held.get(subject)
        if held is None or version < held.record.version or held.is_doubted:
            return None
        held.is_doubted = True
        return subject


def _said(raw: Any) -> bytes:
    """Digest of a record as it came, types included (1 is not True); empty where it cannot be one."""
    if not isinstance(raw, dict):
        return b""
    try:
        words = marshal.dumps(raw, 0)  # the form that depends on nothing but the values
    except ValueError:  # too deep, or of no kind that JSON or YAML has
        return b""
    return hashlib.blake2b(words, digest_size=16).digest()


def _content(record: SubjectRecord) -> tuple[bytes, list[tuple[str, int, bytes]]]:
    """What tells two records of one version apart, and the same of each consent."""
    plain = record.model_dump(mode="json")
    entries = [(e["record_id"], e["version"], _digest(e)) for e in plain["consents"]]
    return _digest(plain), entries


def _digest(plain: Any) -> bytes:
    return hashlib.blake2b(msgspec.json.encode(plain, order="sorted"), digest_size=16).digest()
