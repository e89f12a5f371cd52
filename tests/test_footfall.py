"""How many were in a zone: who is in the sample, in which window, and what is said of it."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from gateway.consent.footfall import Footfall, MayCount, Publication, published
from gateway.consent.policy import Counting
from gateway.model import Change, OpenStay, Presence

T = 1_766_404_800.0  # 2025-12-22T12:00:00Z, the edge of a window
MIN = 60.0
W = 15 * MIN

Step = tuple[float, str, str, str]
"""Minutes after T, subject, change, zone."""


def counting(*zones: str, recipient: str = "platform", window_s: float = W, k: int = 3) -> Counting:
    return Counting(recipient, "dpv:Count", "eu-gdpr:A6-1-a", zones or ("hall",), window_s, k)


def presence(minute: float, subject: str, change: Change, zone: str, *, decided: float = 0.0) -> Presence:
    """`decided`: minutes between the event and its emission."""
    t_s = T + minute * MIN
    return Presence(t_s, t_s + decided * MIN, subject, zone, change, t_s, 0.0, 0.9, {})


def stays(zone: str, *spans: tuple[float, float | None], first: int = 1) -> list[Presence]:
    """One subject (`s1`, `s2`, …) for each span of minutes; None: stays for good."""
    told = []
    for number, (came, went) in enumerate(spans, first):
        told.append(presence(came, f"s{number}", "entered", zone))
        if went is not None:
            told.append(presence(went, f"s{number}", "left", zone))
    return told


def counted(
    presences: Sequence[Presence],
    minute: float,
    *countings: Counting,
    may_count: MayCount = lambda *_: True,
    since: float = 0.0,
) -> list[Publication]:
    footfall = Footfall(countings or (counting(),), may_count)
    footfall.due(T + since * MIN)
    for one in sorted(presences, key=lambda p: p.emitted_s):
        footfall.take(one)
    return footfall.due(T + minute * MIN)


def told(publications: Sequence[Publication]) -> list[tuple[str, float, int, int]]:
    """(zone, minute of the window's end, footfall, occupancy)"""
    return [(p.zone, (p.t_s - T) / MIN, p.footfall, p.occupancy) for p in publications]


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([], []),
        ([(1, 2)], []),  # below k: nothing is said
        ([(1, 2)] * 2, []),
        ([(1, 2)] * 3, [("hall", 15, 3, 0)]),  # gone by the end: no occupancy
        ([(1, None)] * 3, [("hall", 15, 3, 3)]),
        ([(1, None)] * 5, [("hall", 15, 3, 3)]),  # rounded down
        ([(1, None)] * 6, [("hall", 15, 6, 6)]),
        ([(1, 2)] * 3 + [(3, None)] * 3, [("hall", 15, 6, 3)]),
        ([(14.99, None)] * 3, [("hall", 15, 3, 3)]),
        ([(15, None)] * 3, []),  # the end of a window belongs to the next
    ],
)
def test_one_window(spans: list[tuple[float, float | None]], expected: list[object]) -> None:
    assert told(counted(stays("hall", *spans), 15)) == expected


@pytest.mark.parametrize(
    ("presences", "expected"),
    [
        # who stays is counted in every window
        (stays("hall", *[(1, None)] * 3), [("hall", 15, 3, 3), ("hall", 30, 3, 3), ("hall", 45, 3, 3)]),
        (stays("hall", *[(1, 16)] * 3), [("hall", 15, 3, 3), ("hall", 30, 3, 0)]),
        (stays("hall", *[(1, 15)] * 3), [("hall", 15, 3, 3), ("hall", 30, 3, 0)]),
        # a window in which nobody is has no publication
        (stays("hall", *[(1, 2)] * 3, *[(31, 32)] * 3), [("hall", 15, 3, 0), ("hall", 45, 3, 0)]),
        # the same person three times is one person
        ([p for i in range(3) for p in stays("hall", (1 + i, 1.5 + i))], []),
        (
            stays("hall", *[(1, 2)] * 3) + stays("hall", *[(3, None)] * 3),
            [("hall", 15, 3, 3), ("hall", 30, 3, 3), ("hall", 45, 3, 3)],
        ),
        # zones are counted apart
        (
            stays("hall", *[(1, 2)] * 3) + stays("yard", *[(2, 3)] * 3),
            [("hall", 15, 3, 0), ("yard", 15, 3, 0)],
        ),
        # what is no stay is not counted
        ([presence(1, f"s{i}", change, "hall") for i in range(3) for change in ("entering", "passed")], []),
        ([presence(1, f"s{i}", "approaching", "hall") for i in range(3)], []),
        # nor a zone that nobody asks for
        (stays("attic", *[(1, None)] * 3), []),
    ],
    ids=["stays", "leaves in the second", "leaves at the edge", "empty in between", "one person", "comes again",
         "two zones", "passing", "approaching", "another zone"],
)  # fmt: skip
def test_windows_side_by_side(presences: list[Presence], expected: list[object]) -> None:
    assert told(counted(presences, 45, counting("hall", "yard"))) == expected


def test_the_window_of_a_start_is_not_published() -> None:
    here = stays("hall", *[(3, None)] * 3)
    assert told(counted(here, 30, since=2)) == [("hall", 30, 3, 3)]
    assert told(counted(here, 30, since=0)) == [("hall", 15, 3, 3), ("hall", 30, 3, 3)]


def test_a_stay_from_before_a_restart_goes_on_being_counted() -> None:
    footfall = Footfall([counting()], lambda *_: True)
    open_stays = [
        OpenStay(f"s{i}", "hall", "inside", T - 60, T - 50, T, 0.0, 0.9, False, ()) for i in range(4)
    ]
    arriving = OpenStay("s9", "hall", "entering", T - 60, None, T, 0.0, 0.9, False, ())
    footfall.resume([*open_stays, arriving], T)
    assert told(footfall.due(T + W)) == [("hall", 15, 3, 3)]
    footfall.take(presence(16, "s0", "left", "hall"))
    assert told(footfall.due(T + 2 * W)) == [("hall", 30, 3, 3)]
    assert told(footfall.due(T + 3 * W)) == [("hall", 45, 3, 3)]


def test_what_comes_late_does_not_change_a_window_that_is_over() -> None:
    """Decided after the end: in the next window it counts if it goes on, and not if it was over by then."""
    late = [presence(14, f"s{i}", "entered", "hall", decided=2) for i in range(3)]
    over = [presence(14, f"s{i}", "left", "hall", decided=2.5) for i in range(3)]
    assert told(counted(late, 30)) == [("hall", 30, 3, 3)]
    assert told(counted(late + over, 30)) == []


@pytest.mark.parametrize(
    ("consented", "expected"),
    [
        ((0, 60), [("hall", 15, 3, 3), ("hall", 30, 3, 3)]),
        ((0, 15), []),  # the end of the window is not before the end of the consent
        ((5, 60), [("hall", 30, 3, 3)]),  # was there before it consented
        ((0, 20), [("hall", 15, 3, 3)]),  # no more at the end of the second window
        ((0, 14), []),
    ],
)
def test_only_with_consent_from_the_first_moment_to_the_end(
    consented: tuple[float, float], expected: list[object]
) -> None:
    """Three people; the consent of one of them holds from one minute to the other, that of the rest always."""

    def may_count(subject: str, purpose: str, recipient: str, zone: str, *moments_s: float) -> bool:
        assert (purpose, recipient, zone) == ("dpv:Count", "platform", "hall")
        from_s, until_s = (T + minute * MIN for minute in consented)
        return subject != "s1" or all(from_s <= moment_s < until_s for moment_s in moments_s)

    assert told(counted(stays("hall", *[(1, None)] * 3), 30, may_count=may_count)) == expected


def test_who_withdraws_is_in_no_window_any_more() -> None:
    footfall = Footfall([counting()], lambda *_: True)
    footfall.due(T)
    for one in stays("hall", (1, None), (2, 3), (4, None), (5, None)):
        footfall.take(one)
    footfall.forget("s2")
    assert told(footfall.due(T + W)) == [("hall", 15, 3, 3)]
    footfall.forget("s3")
    assert told(footfall.due(T + 2 * W)) == []


def test_each_recipient_has_a_sample_of_its_own() -> None:
    def may_count(subject: str, _purpose: str, recipient: str, *_: object) -> bool:
        return recipient == "platform" or subject != "s1"

    both = counting(), counting(recipient="insurer")
    publications = counted(stays("hall", *[(1, None)] * 3), 15, *both, may_count=may_count)
    assert [p.recipient for p in publications] == ["platform"]


def test_windows_have_the_length_of_the_settings() -> None:
    hour, quarter = counting("hall", window_s=60 * MIN), counting("yard")
    here = stays("hall", *[(1, 2)] * 3) + stays("yard", *[(1, None)] * 3)
    assert told(counted(here, 60, hour, quarter)) == [
        ("yard", 15, 3, 3), ("yard", 30, 3, 3), ("yard", 45, 3, 3), ("hall", 60, 3, 0), ("yard", 60, 3, 3),
    ]  # fmt: skip


def test_the_next_deadline_is_the_end_of_a_window_with_somebody_in_it() -> None:
    footfall = Footfall([counting()], lambda *_: True)
    assert footfall.next_deadline() is None
    footfall.due(T)
    assert footfall.next_deadline() is None
    footfall.take(presence(1, "s1", "entered", "hall"))
    assert footfall.next_deadline() == T + W
    footfall.take(presence(2, "s1", "left", "hall"))
    assert footfall.next_deadline() == T + W
    footfall.due(T + W)
    assert footfall.next_deadline() is None


def test_a_long_silence_is_bounded() -> None:
    """Windows are made up for up to a day; after a clock that jumped ten years there is nothing to be said."""
    here = stays("hall", *[(1, None)] * 3)
    assert len(counted(here, 23 * 60)) == 23 * 4
    assert counted(here, 10 * 365 * 24 * 60) == []


def test_nothing_is_counted_unless_asked() -> None:
    footfall = Footfall([], lambda *_: True)
    for one in stays("hall", *[(1, None)] * 30):
        footfall.take(one)
    assert footfall.due(T + 10 * W) == []
    assert footfall.next_deadline() is None


@pytest.mark.parametrize("seed", range(20))
def test_the_same_whenever_it_is_asked(seed: int) -> None:
    """However often `due` is asked in between, the publications are the same, and a slow count agrees."""
    chance = random.Random(seed)
    spans = [(came := chance.uniform(0, 70), came + chance.uniform(0.1, 40)) for _ in range(40)]
    presences = sorted(stays("hall", *spans), key=lambda p: p.emitted_s)
    once = counted(presences, 120)
    footfall = Footfall([counting()], lambda *_: True)
    publications = footfall.due(T)
    for one in presences:
        while chance.random() < 0.3 and (deadline_s := footfall.next_deadline()) is not None:
            if deadline_s > one.emitted_s:
                break
            publications += footfall.due(deadline_s)
        footfall.take(one)
        if chance.random() < 0.5:
            publications += footfall.due(one.emitted_s)
    publications += footfall.due(T + 120 * MIN)
    assert publications == once
    assert told(once) == _slowly(spans)


def _slowly(spans: list[tuple[float, float]]) -> list[tuple[str, float, int, int]]:
    expected = []
    for end in range(15, 121, 15):
        there = sum(came < end and went >= end - 15 for came, went in spans)
        at_end = sum(came < end <= went for came, went in spans)
        if there >= 3:
            expected.append(("hall", float(end), there // 3 * 3, at_end // 3 * 3))
    return expected


@pytest.mark.parametrize(
    ("k", "numbers"), [(3, {0: 0, 2: 0, 3: 3, 5: 3, 6: 6}), (10, {9: 0, 10: 10, 99: 90})]
)
def test_what_may_be_said_of_a_number(k: int, numbers: dict[int, int]) -> None:
    assert {n: published(n, k) for n in numbers} == numbers
