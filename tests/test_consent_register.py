"""Deny by default: the register answers yes for one state of affairs only, whatever the order of the feed."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from consents import DAY, NOON_S, PURPOSE, entry, record

from gateway.consent.register import Permit, Register
from gateway.counts import Counts

WITHDRAWN = entry(version=2, status="ConsentWithdrawn", event_time="2025-12-10T00:00:00Z")


def answer(records: list[Any], *, purpose: str = PURPOSE, recipient: str = "platform", zone: str = "cereals",
           moments_s: tuple[float, ...] = (NOON_S,)) -> str:  # fmt: skip
    register = Register(Counts())
    register.absorb(records)
    verdict = register.decide("card-1234", purpose, recipient, zone, moments_s)
    return "yes" if isinstance(verdict, Permit) else verdict


@pytest.mark.parametrize(
    ("said", "question", "expected"),
    [
        ([record()], {}, "yes"),
        ([record("card-1234", entry(status="RenewedConsentGiven"))], {}, "yes"),
        ([], {}, "not_enrolled"),
        ([record("card-1234", entry(status="ConsentRefused"))], {}, "not_given"),
        ([record("card-1234", entry(status="ConsentUnknown"))], {}, "not_given"),
        ([record("card-1234", entry(status="consentgiven"))], {}, "not_given"),
        ([record("card-1234", entry(status="Whatever"))], {}, "not_given"),
        ([record("card-1234", WITHDRAWN)], {}, "not_given"),
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
                                             event_time="2025-12-10T00:00:00Z"))], {}, "not_given"),
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
    "a withdrawal": ([record(), record("card-1234", WITHDRAWN, version=2)], "not_given"),
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
    verdict = register.decide("card-1234", PURPOSE, "platform", "cereals", (NOON_S,))
    # a record that does not even name its subject cannot be held against anybody
    assert verdict == "tie" or change.get("subject") == ""


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
    assert register.subject_of("vehicle:golf") is None
    assert counts.of("identity", "ambiguous") == 1
    register.absorb([record("ben", identities=[], version=2)])
    assert register.subject_of("vehicle:golf") == "anna"


def test_identities_are_compared_in_lower_case() -> None:
    register = Register(Counts())
    register.absorb([record(identities=["Vehicle:Anna/Golf"])])
    assert register.subject_of("vehicle:anna/golf") == "card-1234"


def test_a_complete_set_drops_who_is_not_in_it() -> None:
    register = Register(Counts())
    register.absorb(
        [record("anna", identities=["mac:1"]), record("ben", identities=["mac:2"])], complete=True
    )
    assert register.absorb([record("ben", identities=["mac:2"])], complete=True) == {"anna"}
    assert register.subject_of("mac:1") is None
    assert not register.admits("anna", NOON_S)


@pytest.mark.parametrize(
    ("consents", "t_s", "admitted"),
    [
        ([entry()], NOON_S, True),
        ([entry()], NOON_S + 400 * DAY, False),
        ([WITHDRAWN], NOON_S, False),
        ([entry(record_id="x", status="ConsentRefused"), entry()], NOON_S, True),
    ],
)
def test_admission(consents: list[dict[str, Any]], t_s: float, admitted: bool) -> None:
    register = Register(Counts())
    register.absorb([record("card-1234", *consents)])
    assert register.admits("card-1234", t_s) is admitted
