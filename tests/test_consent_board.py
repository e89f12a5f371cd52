"""Who may be shown on the operator's page: a story of presences, and what is shown to whom when."""

from __future__ import annotations

import pytest

from gateway.consent.board import KEPT_S, LINES, Board, Line
from gateway.consent.policy import Showing
from gateway.model import Change, OpenStay, Presence

SHOWN = Showing("dpv:ServiceOptimisation", "eu-gdpr:A6-1-a")


def presence(t_s: float, subject: str, zone: str, change: Change, dwell_s: float = 0.0) -> Presence:
    return Presence(t_s, t_s, subject, zone, change, t_s - dwell_s, dwell_s, 0.9, {})


def board(*shown: str, since_s: float = 0.0) -> Board:
    """Who is in `shown` agrees from `since_s` on."""
    return Board(SHOWN, lambda subject, _zone, t_s, now_s: subject in shown and min(t_s, now_s) >= since_s)


STORY = [
    presence(10, "anna", "park", "entering"),
    presence(12, "anna", "park", "entered"),
    presence(20, "ben", "milk", "entered"),
    presence(25, "anna", "milk", "entered"),
    presence(40, "ben", "milk", "dwelled", 20),
    presence(50, "anna", "milk", "left", 25),
]


@pytest.mark.parametrize(
    ("shown", "until", "counts"),
    [
        (("anna", "ben"), 1, {}),
        (("anna", "ben"), 2, {"park": 1}),
        (("anna", "ben"), 4, {"park": 1, "milk": 2}),
        (("anna", "ben"), 6, {"park": 1, "milk": 1}),
        (("ben",), 4, {"milk": 1}),
        ((), 4, {}),
    ],
    ids=["entering is not being there", "entered", "two", "one left", "only who agrees", "nobody agrees"],
)
def test_counts(shown: tuple[str, ...], until: int, counts: dict[str, int]) -> None:
    found = board(*shown)
    for event in STORY[:until]:
        found.take(event)
    assert found.counts(60) == counts


def test_the_ticker_is_newest_first_and_has_only_who_agrees() -> None:
    found = board("anna")
    for event in STORY:
        found.take(event)
    assert [(line.t_s, line.zone, line.change) for line in found.ticker(60, 3)] == [
        (50, "milk", "left"), (25, "milk", "entered"), (12, "park", "entered"),
    ]  # fmt: skip


def test_a_journey_is_oldest_first() -> None:
    found = board("anna", "ben")
    for event in STORY:
        found.take(event)
    assert found.journey("ben", 60) == [
        Line(20, "ben", "milk", "entered", 0), Line(40, "ben", "milk", "dwelled", 20),
    ]  # fmt: skip
    assert found.journey("clara", 60) == []


def test_who_agreed_later_was_not_there_before() -> None:
    found = board("anna", since_s=30)
    for event in STORY:
        found.take(event)
    assert [line.t_s for line in found.journey("anna", 60)] == [50]
    assert found.counts(60) == {"park": 1}


def test_a_withdrawal_takes_everything_away() -> None:
    found = board("anna", "ben")
    for event in STORY:
        found.take(event)
    found.forget("anna")
    assert (found.counts(60), found.journey("anna", 60)) == ({"milk": 1}, [])
    assert {line.subject for line in found.ticker(60, 100)} == {"ben"}


def test_who_no_longer_agrees_is_gone_from_what_was_shown() -> None:
    agreed = {"anna"}
    found = Board(SHOWN, lambda subject, *_: subject in agreed)
    for event in STORY[:4]:
        found.take(event)
    agreed.clear()
    assert (found.counts(60), found.ticker(60, 10), found.journey("anna", 60)) == ({}, [], [])


def test_open_stays_of_before_a_restart_are_counted() -> None:
    def stay(subject: str, phase: str) -> OpenStay:
        return OpenStay(subject, "park", phase, 5, 6, 9, 0, 0.9, True, ("vehicle:x",))  # type: ignore[arg-type]

    found = board("anna", "ben")
    found.resume([stay("anna", "inside"), stay("ben", "entering")])
    assert found.counts(60) == {"park": 1}


def test_what_is_old_or_too_much_is_gone() -> None:
    found = board("anna")
    found.take(STORY[0])
    assert found.journey("anna", 10 + KEPT_S + 1) == []
    for n in range(LINES + 10):
        found.take(presence(20 + n / 100, "anna", "milk", "entered"))
    assert len(found.journey("anna", 80)) == LINES


def test_without_a_purpose_nothing_is_kept() -> None:
    found = Board(None, lambda *_: True)
    for event in STORY:
        found.take(event)
    found.resume([OpenStay("anna", "park", "inside", 5, 6, 9, 0, 0.9, True, ())])
    assert (found.counts(60), found.ticker(60, 9), found.journey("anna", 60)) == ({}, [], [])
