"""Deny by default: the register answers yes for one state of affairs only, whatever the order of the feed."""

from __future__ import annotations

import copy
import itertools
import random
import time
from typing import Any

import pytest
from consents import DAY, NOON_S, PURPOSE, entry, record

from gateway.consent import Keys
from gateway.consent.bars import Bar
from gateway.consent.register import Permit, Register
from gateway.counts import Counts
from gateway.model import DriverSignal, FeedState

WITHDRAWN = entry(version=2, status="ConsentWithdrawn", event_time="2025-12-10T00:00:00Z")


def answer(records: list[Any], *, purpose: str = PURPOSE, recipient: str = "platform", zone: str = "cereals",
           moments_s: tuple[float, float] = (NOON_S, NOON_S)) -> str:  # fmt: skip
    register = Register(Counts())
    register.absorb(records)
    t_s, now_s = moments_s
    verdict = register.decide("card-1234", purpose, recipient, zone, t_s=t_s, now_s=now_s)
    return "yes" if isinstance(verdict, Permit) else verdict


@pytest.mark.parametrize(
    ("said", "question", "expected"),
    [
        ([record()], {}, "yes"),
        ([record("card-1234", entry(status="RenewedConsentGiven"))], {}, "yes"),
        ([], {}, "not_enrolled"),
        ([record("card-1234", entry(status="ConsentRefused"))], {}, "refused"),
        ([record("card-1234", entry(status="ConsentUnknown"))], {}, "unknown_status"),
        ([record("card-1234", entry(status="consentgiven"))], {}, "unknown_status"),
        ([record("card-1234", entry(status="Whatever"))], {}, "unknown_status"),
        ([record("card-1234", WITHDRAWN)], {}, "withdrawn"),
        ([record()], {"purpose": "dpv:Marketing"}, "no_consent"),
        ([record()], {"recipient": "insurer"}, "no_consent"),
        ([record("card-1234", entry(zones=["dairy"]))], {}, "zone"),
        ([record("card-1234", entry(zones=["dairy", "cereals"]))], {}, "yes"),
        # valid at every moment asked about: when it happened, and now
        ([record()], {"moments_s": (NOON_S - 60 * DAY, NOON_S)}, "not_yet_valid"),
        ([record()], {"moments_s": (NOON_S, NOON_S + 400 * DAY)}, "expired"),
        ([record("card-1234", entry(valid_until=None))], {"moments_s": (NOON_S, NOON_S + 400 * DAY)}, "yes"),
        # across record ids the newest event time decides
        ([record("card-1234", entry(), entry(record_id="c-2", status="ConsentWithdrawn",
                                             event_time="2025-12-10T00:00:00Z"))], {}, "withdrawn"),
        ([record("card-1234", entry(status="ConsentWithdrawn"), entry(record_id="c-2",
                                    event_time="2025-12-10T00:00:00Z"))], {}, "yes"),
        ([record("card-1234", entry(), entry(record_id="c-2", status="ConsentWithdrawn"))], {}, "tie"),
        # an erasure is final for its version
        ([record(), record(version=2, erased=True, identities=[], consents=[])], {}, "erased"),
    ],
)  # fmt: skip
def test_decision(said: list[Any], question: dict[str, Any], expected: str) -> None:
    assert answer(said, **question) == expected


FEEDS = {
    "a withdrawal": ([record(), record("card-1234", WITHDRAWN, version=2)], "withdrawn"),
    "an old version of a consent comes back in a newer record": (
        [record("card-1234", entry(version=3, status="ConsentWithdrawn")), record(version=2)],
        "superseded",
    ),
    "two records of one version that differ": (
        [record(), record("card-1234", entry(zones=["dairy"]))],
        "tie",
    ),
    "a tie is resolved by a later record": (
        [
            record(),
            record("card-1234", entry(zones=["dairy"])),
            record("card-1234", entry(version=2), version=2),
        ],
        "yes",
    ),
    "an erasure and an old grant": (
        [record(), record(version=2, erased=True, identities=[], consents=[])],
        "erased",
    ),
}


@pytest.mark.parametrize(("said", "expected"), FEEDS.values(), ids=FEEDS)
def test_any_order_and_any_repetition_end_in_one_state(said: list[Any], expected: str) -> None:
    for order in itertools.permutations(said):
        assert answer([*order, *order]) == expected


@pytest.mark.parametrize(
    "change",
    [
        {"version": 0}, {"version": "seven"}, {"identities": "ibeacon"}, {"consents": {}}, {"subject": ""},
        {"unknown": 1}, {"identities": ["mac:a"] * 101},
        {"consents": [entry(event_time="2025-12-01T00:00:00")]},  # no time zone
        {"consents": [entry(event_time="yesterday")]}, {"consents": [entry(purposes=[])]},
        {"consents": [entry(recipients=[])]}, {"consents": [entry(zones="some")]}, {"consents": [entry(x=1)]},
    ],
)  # fmt: skip
def test_a_malformed_record_is_counted_and_denies(change: dict[str, Any]) -> None:
    counts = Counts()
    register = Register(counts)
    register.absorb([record()])
    register.absorb([record(version=2) | change])
    assert counts.of("consent", "malformed") == 1
    verdict = register.decide("card-1234", PURPOSE, "platform", "cereals", t_s=NOON_S, now_s=NOON_S)
    # a record that does not even name its subject cannot be held against anybody
    assert verdict == "malformed" or change.get("subject") == ""


@pytest.mark.parametrize("raw", [None, 1, "x", [], {}, {"subject": 3}, {"subject": ["a"]}])
def test_rubbish_is_counted_and_changes_nothing(raw: Any) -> None:
    counts = Counts()
    register = Register(counts)
    register.absorb([record()])
    assert register.absorb([raw]) == set()
    assert counts.of("consent", "malformed") == 1
    assert register.admits("card-1234", NOON_S)


def test_identity_claimed_by_two_subjects_identifies_nobody() -> None:
    counts = Counts()
    register = Register(counts)
    register.absorb([record("anna", identities=["vehicle:golf"]), record("ben", identities=["vehicle:golf"])])
    assert register.subject_of("vehicle:golf", NOON_S) is None
    assert counts.of("identity", "ambiguous") == 1
    register.absorb([record("ben", identities=[], version=2)])
    assert register.subject_of("vehicle:golf", NOON_S) == "anna"


def test_identities_are_compared_in_lower_case() -> None:
    register = Register(Counts())
    register.absorb([record(identities=["Vehicle:Anna/Golf"])])
    assert register.subject_of("vehicle:anna/golf", NOON_S) == "card-1234"


def test_a_complete_set_drops_who_is_not_in_it() -> None:
    register = Register(Counts())
    register.absorb(
        [record("anna", identities=["mac:1"]), record("ben", identities=["mac:2"])], complete=True
    )
    assert register.absorb([record("ben", identities=["mac:2"])], complete=True) == {"anna"}
    assert register.subject_of("mac:1", NOON_S) is None
    assert not register.admits("anna", NOON_S)


@pytest.mark.parametrize(
    ("consents", "t_s", "admitted"),
    [
        ([entry()], NOON_S, True),
        ([entry()], NOON_S + 400 * DAY, False),
        ([WITHDRAWN], NOON_S, False),
        ([entry(record_id="x", status="ConsentRefused"), entry()], NOON_S, False),  # a tie
        (
            [entry(record_id="x", status="ConsentRefused", event_time="2025-11-01T00:00:00Z"), entry()],
            NOON_S,
            True,
        ),
    ],
)
def test_admission(consents: list[dict[str, Any]], t_s: float, admitted: bool) -> None:
    register = Register(Counts())
    register.absorb([record("card-1234", *consents)])
    assert register.admits("card-1234", t_s) is admitted


# --- any order, any repetition ---

MOMENTS = [f"2025-12-{day:02}T00:00:00Z" for day in (1, 5, 10)]


def random_word(rng: random.Random) -> Any:
    """A record of one of two subjects: good, broken, or an erasure."""
    said = record(
        rng.choice(["anna", "ben"]),
        *(
            entry(record_id=rng.choice(["c-1", "c-2"]), version=rng.randint(1, 3), event_time=rng.choice(MOMENTS),
                  status=rng.choice(["ConsentGiven", "ConsentGiven", "ConsentWithdrawn"]))
            for _ in range(rng.randint(1, 2))
        ),
        version=rng.randint(1, 5),
        identities=rng.sample(["mac:1", "mac:2", "vehicle:golf"], 2),
    )  # fmt: skip
    kind = rng.random()
    if kind < 0.15:
        return said | {"consents": "broken"}
    if kind < 0.3:
        return {
            "subject": said["subject"],
            "version": said["version"],
            "erased": True,
            "event_time": MOMENTS[1],
        }
    return said


def state(words: list[Any]) -> list[Any]:
    """Everything that can be asked of a register that heard these words."""
    register = Register(Counts())
    for word in words:
        register.absorb([word], t_s=NOON_S)
    subjects, identities = ["anna", "ben"], ["mac:1", "mac:2", "vehicle:golf"]
    decided = [register.decide(s, PURPOSE, "platform", "cereals", t_s=NOON_S, now_s=NOON_S) for s in subjects]
    owned = [register.subject_of(i, NOON_S) for i in identities]
    return [
        *decided,
        *owned,
        *(register.record_of(s) for s in subjects),
        *(register.admits(s, NOON_S) for s in subjects),
    ]


def test_a_thousand_permutations_of_a_feed_end_in_one_state() -> None:
    rng = random.Random(7)
    for _ in range(40):
        words = [random_word(rng) for _ in range(8)]
        expected = state(words)
        for _ in range(25):
            assert state(rng.sample(words, len(words)) + rng.choices(words, k=3)) == expected, words


def test_a_set_told_as_a_whole_again_changes_nothing_and_is_not_read_again() -> None:
    whole = [record(f"card-{n}", identities=[f"mac:{n}"]) for n in range(2_000)]
    register = Register(Counts())
    began_s = time.process_time()
    assert len(register.absorb(whole, complete=True)) == 2_000
    first_s = time.process_time() - began_s
    assert all(register.admits(f"card-{n}", NOON_S) for n in range(2_000))
    again = copy.deepcopy(whole)
    began_s = time.process_time()
    assert register.absorb(again, complete=True) == set()
    assert time.process_time() - began_s < first_s / 4  # a tenth, measured
    again[7]["consents"][0]["status"] = "ConsentWithdrawn"
    again[8] |= {"version": True}
    assert register.absorb(again, complete=True) == {"card-7", "card-8"}
    assert not register.admits("card-7", NOON_S)
    assert not register.admits("card-8", NOON_S)
    assert "card-8" in register.absorb(whole, complete=True), "a doubt lasts until the next set"
    assert register.admits("card-8", NOON_S)
    assert not register.admits("card-7", NOON_S), "two contents of one version are a tie"


def test_an_old_grant_after_an_erasure_stays_dead() -> None:
    erased = {"subject": "card-1234", "version": 5, "erased": True, "event_time": "2025-12-10T00:00:00Z"}
    register = Register(Counts(), subject_key=lambda s: s.encode()[::-1])
    register.absorb([record(version=4), erased, record(version=3), record(version=5)])
    assert not register.admits("card-1234", NOON_S)
    assert register.record_of("card-1234") is None
    register.absorb([record(version=6)])  # enrolled anew, and the consents are those from before
    assert register.decide("card-1234", PURPOSE, "platform", "x", t_s=NOON_S, now_s=NOON_S) == "withdrawn"
    register.absorb([record("card-1234", entry(version=2, event_time="2025-12-11T00:00:00Z"), version=7)])
    assert register.admits("card-1234", NOON_S)


def test_a_bar_of_an_earlier_run_holds_before_and_after_the_record_comes() -> None:
    bar = Bar(version=4, event_time_s=NOON_S - DAY, until_s=NOON_S + 90 * DAY)
    for order in ("before", "after"):
        register = Register(Counts())
        if order == "after":
            register.absorb([record(version=4)])
        register.bar(b"card-1234", bar)
        register.absorb([record(version=4), record(version=5)])
        assert register.decide("card-1234", PURPOSE, "platform", "x", t_s=NOON_S, now_s=NOON_S) == "withdrawn"
        register.absorb([record("card-1234", entry(version=2, event_time="2025-12-22T00:00:00Z"), version=6)])
        assert register.admits("card-1234", NOON_S)


# --- shared cars, deny-list, age ---

GOLF = "vehicle:anna/golf"


@pytest.mark.parametrize(
    ("owners", "drives", "subject", "counted"),
    [
        (["anna"], [], "anna", ""),
        (["anna", "ben"], [], None, "ambiguous"),
        (["anna", "ben"], [("ben", None)], "ben", ""),
        (["anna", "ben"], [("ben", NOON_S + 1)], "ben", ""),
        (["anna", "ben"], [("ben", NOON_S)], None, "ambiguous"),  # until is over
        (["anna", "ben"], [("ben", None), ("anna", None)], "anna", ""),
        (["anna", "ben"], [("ben", None), (None, None)], None, "driven_by_another"),
        (["anna", "ben"], [("carl", None)], None, "driven_by_another"),
        (["anna"], [("ben", None)], None, "driven_by_another"),  # her car, and somebody else at the wheel
        ([], [("anna", None)], None, ""),
    ],
)
def test_who_a_car_stands_for(
    owners: list[str], drives: list[tuple[str | None, float | None]], subject: str | None, counted: str
) -> None:
    counts = Counts()
    register = Register(counts)
    register.absorb([record(owner, identities=[GOLF]) for owner in owners])
    for driver, until_s in drives:
        register.drives(DriverSignal(NOON_S, "anna/golf", driver, until_s))
    assert register.subject_of(GOLF, NOON_S) == subject
    assert counts.by_room().get("identity", {}) == ({counted: 1} if counted else {})


@pytest.mark.parametrize(("listed", "tracked", "verdict"), [
    (["card-1234"], True, "deny_listed"),
    (["ibeacon:E2C56DB5-DFFB-48D2-B060-D0F5A71096E0:1:17"], False, "yes"),  # the tag is staff's, not the person
    (["card-9"], True, "yes"),
])  # fmt: skip
def test_a_deny_list_beats_any_consent(listed: list[str], tracked: bool, verdict: str) -> None:
    register = Register(Counts())
    register.absorb([record()])
    assert register.deny(listed) == (set() if listed == ["card-9"] else {"card-1234"})
    assert (register.subject_of(record()["identities"][0], NOON_S) is not None) is tracked
    found = register.decide("card-1234", PURPOSE, "platform", "x", t_s=NOON_S, now_s=NOON_S)
    assert ("yes" if isinstance(found, Permit) else found) == verdict
    assert register.admits("card-1234", NOON_S) is (verdict == "yes")


@pytest.mark.parametrize(("age", "purpose", "profiling", "verdict"), [
    (None, "dpv:PersonalisedBenefits", False, "yes"), (None, "dpv:PersonalisedBenefits", True, "age"),
    ("adult", "dpv:PersonalisedBenefits", True, "yes"), ("minor", "dpv:PersonalisedBenefits", False, "age"),
    ("unknown", "dpv:DirectMarketing", False, "age"), ("minor", "dpv:ServiceProvision", False, "yes"),
    ("minor", "dpv:ServiceProvision", True, "age"), ("unknown", "dpv:ServiceProvision", True, "age"),
])  # fmt: skip
def test_nobody_of_unknown_age_is_profiled(
    age: str | None, purpose: str, profiling: bool, verdict: str
) -> None:
    register = Register(Counts(), asks={(purpose, "platform"): profiling})
    register.absorb([record("card-1234", entry(purposes=[purpose])) | ({"age": age} if age else {})])
    found = register.decide("card-1234", purpose, "platform", "x", t_s=NOON_S, now_s=NOON_S)
    assert ("yes" if isinstance(found, Permit) else found) == verdict


def test_nobody_is_tracked_for_what_the_settings_do_not_ask() -> None:
    register = Register(Counts(), asks={("dpv:ServiceProvision", "parking"): False})
    register.absorb([record()])
    assert not register.admits("card-1234", NOON_S)
    assert register.decide("card-1234", PURPOSE, "platform", "x", t_s=NOON_S, now_s=NOON_S) == "no_purpose"


# --- how far the feed and the clock are believed ---


@pytest.mark.parametrize(
    ("states", "trusted", "now_s", "doubt"),
    [
        ([], True, NOON_S, "never_confirmed"),
        ([(NOON_S, NOON_S, "")], True, NOON_S + 3599, None),
        ([(NOON_S, NOON_S, "")], True, NOON_S + 3600, "stale"),
        (
            [(NOON_S, NOON_S + DAY, "")],
            True,
            NOON_S + 3600,
            "stale",
        ),  # a manifest from the future buys nothing
        ([(NOON_S, NOON_S, ""), (NOON_S + 9, None, "unmatched")], True, NOON_S + 10, "unmatched"),
        ([(NOON_S, None, "unmatched"), (NOON_S + 9, NOON_S + 9, "")], True, NOON_S + 10, None),
        ([(NOON_S, NOON_S, "")], False, NOON_S, "clock"),
        ([(NOON_S, NOON_S, "")], True, float("nan"), "stale"),
    ],
)
def test_doubt_about_everybody(
    states: list[tuple[float, float | None, Any]], trusted: bool, now_s: float, doubt: str | None
) -> None:
    register = Register(Counts(), max_age_s=3600.0)
    register.absorb([record()])
    for t_s, confirmed_s, why in states:
        register.confirm(FeedState(t_s, confirmed_s, why))
    register.trust_clock(trusted)
    assert register.doubt(now_s) == doubt
    if now_s < float("inf"):
        verdict = register.decide("card-1234", PURPOSE, "platform", "x", t_s=NOON_S, now_s=now_s)
        assert (None if isinstance(verdict, Permit) else verdict) == doubt


@pytest.mark.parametrize("moments_s", [(float("nan"), NOON_S), (NOON_S, float("nan"))])
def test_no_time_at_all_denies(moments_s: tuple[float, float]) -> None:
    assert answer([record()], moments_s=moments_s) == "expired"


@pytest.mark.parametrize(
    "raw", [{"subject": "\ud800", "version": 1}, {"subject": "\ud800", "version": 1, "erased": True}]
)
def test_a_reference_that_is_no_text_denies_and_stops_nothing(raw: Any) -> None:
    register = Register(Counts(), subject_key=Keys(bytes(32)).subject_key)
    register.absorb([record(), raw])
    assert register.admits("card-1234", NOON_S)
    assert not register.admits("\ud800", NOON_S)
