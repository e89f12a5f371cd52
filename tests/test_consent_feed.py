"""The consent feed over MQTT as a pure object: tables of what comes and which signals follow."""

from __future__ import annotations

import json
import random
import resource
from typing import Any

import pytest
from consent_feeds import Ear, erasure, manifest, payload, short
from consents import NOON_S

from gateway.consent import holding
from gateway.consent.payloads import MAX_RECORD_BYTES

ANNA, ANNA2, BEN, CARL = payload("anna"), payload("anna", version=2), payload("ben"), payload("carl")
NO_ANNA = payload("anna", version=2, consents=[])
GONE = erasure("anna", 3)
DOUBLED = ANNA2.replace(b'"status"', b'"status": "ConsentWithdrawn", "status"')

LATER_S = NOON_S + 600

Step = tuple[str, bytes, str]
"""Key (`subscribe`, `check`, or a record key), payload, the signals in short."""


def m(*pairs: tuple[str, bytes], t: float = 0.0, **changes: Any) -> bytes:
    return manifest(dict(pairs), NOON_S + t, **changes)


TABLES: dict[str, list[Step]] = {
    "records and manifest in either order": [
        ("subscribe", b"", ""),
        ("k1", ANNA, "anna1"),
        ("k2", BEN, "ben1"),
        ("check", b"", ""),
        ("_manifest", m(("k1", ANNA), ("k2", BEN)), ""),
        ("check", b"", "confirmed 0"),
        ("k1", ANNA2, "unmatched, anna2"),
        ("check", b"", ""),
        ("_manifest", m(("k1", ANNA2), ("k2", BEN), t=60), ""),
        ("check", b"", "confirmed 60"),
        ("_manifest", m(("k1", ANNA2), ("k2", BEN), ("k3", CARL), t=120), "unmatched"),
        ("k3", CARL, "carl1"),
        ("check", b"", "confirmed 120"),
        ("_manifest", m(("k1", ANNA2), ("k2", BEN), ("k3", CARL), t=180), "confirmed 180"),
    ],
    "what comes again says nothing": [
        ("subscribe", b"", ""),
        ("_manifest", m(("k1", ANNA)), ""),
        ("k1", ANNA, "anna1"),
        ("check", b"", "confirmed 0"),
        ("k1", ANNA, ""),
        ("_manifest", m(("k1", ANNA)), ""),
        ("subscribe", b"", ""),
        ("k1", ANNA, ""),
        ("_manifest", m(("k1", ANNA)), ""),
        ("check", b"", ""),
    ],
    "removed while we were away: dropped as soon as the fresh set matches": [
        ("subscribe", b"", ""),
        ("k1", ANNA, "anna1"),
        ("k2", BEN, "ben1"),
        ("_manifest", m(("k1", ANNA), ("k2", BEN)), ""),
        ("check", b"", "confirmed 0"),
        ("subscribe", b"", ""),
        ("_manifest", m(("k2", BEN), t=60), "unmatched"),
        ("k2", BEN, ""),
        ("check", b"", "all of ben1, confirmed 60"),
    ],
    "removed while we listen: a new subscription is wanted, and tells who is left": [
        ("subscribe", b"", ""),
        ("k1", ANNA, "anna1"),
        ("k2", BEN, "ben1"),
        ("_manifest", m(("k1", ANNA), ("k2", BEN)), ""),
        ("check", b"", "confirmed 0"),
        ("k1", b"", "unmatched"),
        ("_manifest", m(("k2", BEN), t=60), ""),
        ("check", b"", "renew"),
        ("subscribe", b"", ""),
        ("k2", BEN, ""),
        ("_manifest", m(("k2", BEN), t=60), ""),
        ("check", b"", "all of ben1, confirmed 60"),
    ],
    "an erasure that is cleaned up later needs no new subscription": [
        ("subscribe", b"", ""),
        ("k1", ANNA, "anna1"),
        ("_manifest", m(("k1", ANNA)), ""),
        ("check", b"", "confirmed 0"),
        ("k1", GONE, "unmatched, anna3x"),
        ("_manifest", m(("k1", GONE), t=60), ""),
        ("check", b"", "confirmed 60"),
        ("k1", b"", "unmatched"),
        ("_manifest", m(t=120), ""),
        ("check", b"", "confirmed 120"),
    ],
    "a rebuilt set": [
        ("subscribe", b"", ""),
        ("k1", ANNA, "anna1"),
        ("_manifest", m(("k1", ANNA)), ""),
        ("check", b"", "confirmed 0"),
        ("_manifest", m(("k7", BEN), t=60, generation=2), "unmatched, renew"),
        ("subscribe", b"", ""),
        ("k7", BEN, "ben1"),
        ("_manifest", m(("k7", BEN), t=60, generation=2), ""),
        ("check", b"", "all of ben1, confirmed 60"),
    ],
    "another subject under the same key": [
        ("subscribe", b"", ""),
        ("k1", ANNA, "anna1"),
        ("_manifest", m(("k1", ANNA)), ""),
        ("check", b"", "confirmed 0"),
        ("k1", BEN, "unmatched, ben1"),
        ("_manifest", m(("k1", BEN), t=60), ""),
        ("check", b"", "renew"),
        ("subscribe", b"", ""),
        ("k1", BEN, ""),
        ("check", b"", "all of ben1, confirmed 60"),
    ],
    "two keys with one subject: both are handed on, and what the lost one said is forgotten": [
        ("subscribe", b"", ""),
        ("k1", ANNA, "anna1"),
        ("k2", ANNA2, "anna2"),
        ("k3", BEN, "ben1"),
        ("_manifest", m(("k1", ANNA), ("k2", ANNA2), ("k3", BEN)), ""),
        ("check", b"", "confirmed 0"),
        ("k2", b"", "unmatched"),
        ("_manifest", m(("k1", ANNA), ("k3", BEN), t=60), ""),
        ("check", b"", "renew"),
        ("subscribe", b"", ""),
        ("k1", ANNA, ""),
        ("k3", BEN, ""),
        ("check", b"", "all of ben1, anna1, confirmed 60"),
        ("subscribe", b"", ""),
        ("k1", ANNA, ""),
        ("k3", BEN, ""),
        ("_manifest", m(("k1", ANNA), ("k3", BEN), t=120), "confirmed 120"),
    ],
    "a record that becomes garbage denies at once": [
        ("subscribe", b"", ""),
        ("k1", ANNA, "anna1"),
        ("_manifest", m(("k1", ANNA)), ""),
        ("check", b"", "confirmed 0"),
        ("k1", b'{"subject": "anna"', "unmatched, -anna"),
        ("k1", ANNA, "anna1"),
        ("_manifest", m(("k1", ANNA), t=60), ""),
        ("check", b"", "renew"),  # the register has to be told that the denial is over
        ("subscribe", b"", ""),
        ("k1", ANNA, ""),
        ("check", b"", "all of anna1, confirmed 60"),
    ],
    "a garbled record that the manifest counts enrols nobody": [
        ("subscribe", b"", ""),
        ("k1", ANNA, "anna1"),
        ("k2", DOUBLED, "-anna"),
        ("_manifest", m(("k1", ANNA), ("k2", DOUBLED)), ""),
        ("check", b"", "all of anna1 -anna, confirmed 0"),
    ],
    "manifests that are not believed": [
        ("subscribe", b"", ""),
        ("k1", ANNA, "anna1"),
        ("_manifest", m(("k1", ANNA), t=901), ""),
        ("check", b"", ""),
        ("_manifest", m(("k1", ANNA), t=899), ""),
        ("check", b"", "confirmed 600"),
        ("_manifest", m(t=898), ""),
        ("_manifest", m(t=899, generation=0), ""),
        ("_manifest", b"[]", ""),
        ("_manifest", b"{", ""),
        ("_manifest", b"", ""),
        ("_manifest", m(("k1", ANNA), t=899), ""),
    ],
    "a lost message is trusted to nobody until all was read again": [
        ("subscribe", b"", ""),
        ("k1", ANNA, "anna1"),
        ("_manifest", m(("k1", ANNA)), ""),
        ("check", b"", "confirmed 0"),
        ("lost", b"", "unmatched, renew"),
        ("check", b"", "renew"),
        ("subscribe", b"", ""),
        ("k1", ANNA, ""),
        ("check", b"", ""),
        ("_manifest", m(("k1", ANNA)), ""),
        ("check", b"", "confirmed 0"),
    ],
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())
def test_what_follows(table: list[Step]) -> None:
    ear = Ear()
    for n, (key, content, expected) in enumerate(table):
        if key == "subscribe":
            ear.feed.renew()
            words: list[str] = []
        elif key == "check":
            words = short(ear.check(LATER_S))
        elif key == "lost":
            words = short(ear.hear(ear.feed.distrust(LATER_S)))
        else:
            words = short(ear.take(key, content, LATER_S))
        words += ["renew"] if ear.feed.wants_renewal else []
        assert ", ".join(words) == expected, f"step {n}: {key}"


def test_a_grant_does_not_outlive_the_record_that_gave_it() -> None:
    """Two records of one subject, which no platform should have: the higher one goes."""
    ear = Ear()
    less, more = payload("anna", consents=[]), payload("anna", version=2)
    ear.subscribe({"k1": less, "k2": more, "_manifest": m(("k1", less), ("k2", more))})
    assert ear.admitted("anna") == ["anna"]
    ear.subscribe({"k1": less, "_manifest": m(("k1", less), t=60)}, LATER_S)
    assert ear.state.confirmed_s == NOON_S + 60
    assert ear.admitted("anna") == []


def test_a_reconnect_keeps_what_was_confirmed_and_only_what_is_still_there() -> None:
    ear = Ear()
    ear.subscribe({"k1": ANNA, "k2": BEN, "_manifest": m(("k1", ANNA), ("k2", BEN))})
    ear.feed.renew()
    assert ear.state.confirmed_s == NOON_S  # until something speaks against it
    ear.subscribe({"k2": BEN, "_manifest": m(("k2", BEN), t=900)}, NOON_S + 1000)
    assert ear.state.confirmed_s == NOON_S + 900
    assert ear.admitted("anna", "ben") == ["ben"]


# --- bad input: counted, and never a grant ---

DEEP = b'{"subject": "anna", "version": 2, "consents": ' + b"[" * 30_000 + b"]" * 30_000 + b"}"
BAD: list[tuple[str, bytes, str, list[str]]] = [
    ("k1", b"{", "broken", ["unmatched", "-anna"]),
    ("k1", b"\xff", "broken", ["unmatched", "-anna"]),
    ("k1", b"NaN", "broken", ["unmatched", "-anna"]),
    ("k1", ANNA2.replace(b'"version": 2', b'"version": NaN'), "broken", ["unmatched", "-anna"]),
    ("k1", b'{"subject": "\\ud800"}', "broken", ["unmatched", "-anna"]),
    ("k1", DEEP, "broken", ["unmatched", "-anna"]),
    ("k1", b"[1]", "malformed", ["unmatched", "-anna"]),
    ("k1", b'"anna"', "malformed", ["unmatched", "-anna"]),
    ("k1", b'{"subject": 7, "version": 2}', "malformed", ["unmatched", "-anna"]),
    ("k1", b'{"subject": "", "version": 2}', "malformed", ["unmatched", "-anna"]),
    ("k1", DOUBLED, "doubled_key", ["unmatched", "-anna"]),
    ("k9", DOUBLED, "doubled_key", ["unmatched", "-anna"]),
    ("k1", b'{"subject": "ben", "subject": "anna"}', "doubled_key", ["unmatched", "-ben -anna"]),
    ("k1", payload("anna", version=2, notice="x" * MAX_RECORD_BYTES), "too_long", ["unmatched", "-anna"]),
    ("_other", ANNA2, "not_a_key", []),
    ("a b", ANNA2, "not_a_key", []),
    ("k1/signature", ANNA2, "not_a_key", []),
    ("", ANNA2, "not_a_key", []),
    ("k" * 129, ANNA2, "not_a_key", []),
    ("ключ", ANNA2, "not_a_key", []),
]  # fmt: skip


@pytest.mark.parametrize(
    ("key", "content", "reason", "signals"), BAD, ids=[f"{n} {case[2]}" for n, case in enumerate(BAD)]
)
def test_bad_records_are_counted_and_deny(key: str, content: bytes, reason: str, signals: list[str]) -> None:
    ear = Ear()
    ear.subscribe({"k1": ANNA, "_manifest": m(("k1", ANNA))})
    assert ear.admitted("anna") == ["anna"]
    assert short(ear.take(key, content)) == signals
    assert ear.counts.of("consent_feed", reason) == 1
    assert ear.admitted("anna") == ([] if signals else ["anna"])


@pytest.mark.parametrize(
    "changes",
    [
        {"time": "2025-12-22T12:00:00"},
        {"time": 1766404800},
        {"time": "yesterday"},
        {"time": None},
        {"count": "1"},
        {"count": -1},
        {"count": True},
        {"count": 1.5},
        {"count": 2**40},
        {"digest": "0" * 63},
        {"digest": "g" * 64},
        {"digest": 7},
        {"generation": None},
        {"generation": -1},
    ],
    ids=str,
)
def test_malformed_manifests_confirm_nothing(changes: dict[str, Any]) -> None:
    ear = Ear()
    ear.subscribe({"k1": ANNA, "_manifest": m(("k1", ANNA), **changes)})
    assert ear.counts.of("consent_feed", "manifest_malformed") == 1
    assert ear.state.doubt == "never_confirmed"


def test_a_manifest_with_a_key_twice_confirms_nothing() -> None:
    ear = Ear()
    ear.subscribe({"k1": ANNA, "_manifest": m(("k1", ANNA)).replace(b'{"time"', b'{"count": 7, "time"')})
    assert ear.counts.of("consent_feed", "manifest_doubled_key") == 1
    assert ear.state.doubt == "never_confirmed"


def test_more_records_than_a_gateway_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holding, "MAX_RECORDS", 3)
    ear = Ear()
    flood = {f"k{n}": payload(f"s{n}") for n in range(10)}
    ear.subscribe({**flood, "_manifest": manifest(flood)})
    assert ear.counts.of("consent_feed", "too_many") == 7
    assert ear.state.doubt == "never_confirmed"
    assert ear.admitted("s0", "s9") == ["s0"]


def test_more_bytes_than_a_gateway_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holding, "MAX_BYTES", 10 * len(BEN))
    ear = Ear()
    flood = {f"k{n:02}": payload(f"s{n:02}") for n in range(20)}
    ear.subscribe({**flood, "_manifest": manifest(flood)})
    assert ear.counts.of("consent_feed", "record") <= 10
    assert ear.state.doubt == "never_confirmed"


# --- any order, any repetition ---


def test_a_thousand_permutations_of_a_feed_end_in_one_state() -> None:
    """Records, repetitions, removals, erasures, garbage and manifests, shuffled; then the feed settles as it does live:
    where the set does not match, a new subscription brings what is retained, again in any order."""
    history = [(f"k{n}", payload(f"s{n}", version=v)) for n in range(6) for v in (1, 2, 3)]
    history += [("k4", b""), ("k5", erasure("s5", 4)), ("k6", payload("s6")), ("k6", b"")]
    history += [("k2", b"{"), ("k9", payload("s1", version=9, colour="red")), ("k9", b"")]
    retained = {f"k{n}": payload(f"s{n}", version=3) for n in range(4)} | {"k5": erasure("s5", 4)}
    manifests = [
        ("_manifest", manifest({"k0": payload("s0")}, NOON_S - 600)),
        ("_manifest", manifest({}, NOON_S - 300)),
        ("_manifest", manifest(retained, NOON_S)),
    ]
    subjects = [f"s{n}" for n in range(7)]
    chance = random.Random(6)
    ends = set()
    for _ in range(1000):
        ear = Ear()
        ear.feed.renew()
        told = history + manifests + chance.sample(history, 8)
        chance.shuffle(told)
        for n, (key, content) in enumerate(told):
            ear.take(key, content)
            if n % 5 == 0:
                ear.check()
        ear.check()
        for _ in range(2):
            if ear.feed.in_doubt or ear.feed.wants_renewal:
                now = [*retained.items(), manifests[-1]]
                chance.shuffle(now)
                ear.subscribe(dict(now))
        ends.add((ear.state.confirmed_s, tuple(ear.admitted(*subjects)), len(ear.feed)))
    assert ends == {(NOON_S, ("s0", "s1", "s2", "s3"), len(retained))}


# --- speed and memory ---


@pytest.mark.parametrize("records", [10_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_a_hundred_thousand_records_take_seconds(records: int) -> None:
    """Decoded and compared with the manifest; what remains of 30 s is the register's."""
    form = payload("card-000000")
    retained = {f"{n * 2654435761 % 2**32:08x}": form.replace(b"000000", b"%06d" % n) for n in range(records)}
    changed = {**retained, "00000000": payload("card-000000", version=2)}
    manifests = manifest(retained), manifest(changed, NOON_S + 1)
    feed = Ear().feed
    began_s = _spent_s()
    feed.renew()
    for key, content in retained.items():
        feed.take(key, content, NOON_S)
    feed.take("_manifest", manifests[0], NOON_S)
    assert short(feed.check(NOON_S)) == ["confirmed 0"]
    loaded_s = _spent_s() - began_s
    began_s = _spent_s()
    feed.take("00000000", changed["00000000"], NOON_S + 1)
    feed.take("_manifest", manifests[1], NOON_S + 1)
    assert short(feed.check(NOON_S + 1)) == ["confirmed 1"]
    changed_s = _spent_s() - began_s
    assert loaded_s < 15 * records / 100_000, f"{loaded_s:.1f} s"
    assert changed_s < loaded_s / 10, f"a change took {changed_s:.2f} s of {loaded_s:.1f} s"


def _spent_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def test_payloads_are_kept_only_while_a_set_is_collected() -> None:
    ear = Ear()
    ear.subscribe({"k1": ANNA, "_manifest": m(("k1", ANNA))})
    held = json.dumps([repr(vars(ear.feed))])
    assert "ConsentGiven" not in held
