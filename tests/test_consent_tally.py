"""What the audit log is told: decisions as numbers, acts one by one, and nobody by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from gateway.consent import Keys
from gateway.consent.tally import Entry, Tally

MIN = 60.0
T = 1_766_404_800.0  # 2025-12-22T12:00:00Z, the edge of a window


def plain(lines: list[Entry]) -> list[dict[str, Any]]:
    decoded: list[dict[str, Any]] = msgspec.json.decode(msgspec.json.encode(lines))
    return [{key: value for key, value in line.items() if value not in ("", {})} for line in decoded]


def decisions(since: float, t: float, verdict: str, n: int, **changes: int) -> dict[str, Any]:
    return {"kind": "decisions", "t": T + t, "since": T + since, "recipient": "platform", "purpose": "dpv:X",
            "verdict": verdict, "n": n, "changes": changes}  # fmt: skip


def test_one_line_a_decision_class_and_window() -> None:
    tally = Tally()
    for t_s, change, verdict in [
        (1 * MIN, "entered", "released"),
        (2 * MIN, "left", "released"),
        (3 * MIN, "entered", "released"),
        (3 * MIN, "entered", "expired"),
        (16 * MIN, "entered", "released"),
    ]:
        tally.note("platform", "dpv:X", change, verdict, T + t_s)
    assert plain(tally.due(T + 17 * MIN)) == [
        decisions(1 * MIN, 15 * MIN, "expired", 1, entered=1),
        decisions(1 * MIN, 15 * MIN, "released", 3, entered=2, left=1),
    ]
    assert tally.due(T + 29 * MIN) == []
    assert plain(tally.due(T + 30 * MIN)) == [decisions(15 * MIN, 30 * MIN, "released", 1, entered=1)]
    assert tally.due(T + 300 * MIN) == []  # windows without a decision have no line


def test_a_moment_before_the_running_window_counts_in_it() -> None:
    tally = Tally()
    tally.note("platform", "dpv:X", "left", "released", T + 20 * MIN)
    tally.note("platform", "dpv:X", "left", "released", T + 14 * MIN)
    assert plain(tally.due(T + 30 * MIN)) == [decisions(20 * MIN, 30 * MIN, "released", 2, left=2)]


@pytest.mark.parametrize(
    ("act", "line"),
    [
        (
            lambda tally, t: tally.started("0.2.0", "8c2f6f0c9a1d", t),
            {"kind": "started", "version": "0.2.0", "policy": "8c2f6f0c9a1d"},
        ),
        (lambda tally, t: tally.feed("unmatched", t), {"kind": "feed", "doubt": "unmatched"}),
        (
            lambda tally, t: tally.carried_out("erased", bytes(15) + b"\x2a", t, {"queued": 7}),
            {"kind": "act", "act": "erased", "subject": "0" * 30 + "2a", "removed": {"queued": 7}},
        ),
        (lambda tally, t: tally.purged("expired", 12, t), {"kind": "purged", "reason": "expired", "n": 12}),
    ],
)
def test_an_act_is_due_at_once(act: Callable[[Tally, float], None], line: dict[str, Any]) -> None:
    tally = Tally()
    act(tally, T + 5)
    assert tally.next_deadline() == T + 5
    assert plain(tally.due(T + 5)) == [line | {"t": T + 5}]
    assert tally.next_deadline() is None


def test_of_the_feed_only_changes_are_told() -> None:
    tally = Tally()
    for t_s, doubt in enumerate(["", "", "unmatched", "unmatched", ""]):
        tally.feed(doubt, T + t_s)
    assert [(line.t - T, getattr(line, "doubt", None)) for line in tally.due(T + 9)] == [
        (0, ""),
        (2, "unmatched"),
        (4, ""),
    ]


def test_nothing_purged_is_no_line() -> None:
    tally = Tally()
    tally.purged("capped", 0, T)
    assert tally.due(T) == []


def test_lines_come_in_the_order_of_their_times_and_a_stop_cuts_the_window() -> None:
    tally = Tally()
    tally.started("0.2.0", "8c2f6f0c9a1d", T + 1)
    tally.note("platform", "dpv:X", "left", "released", T + 2)
    tally.purged("expired", 1, T + 16 * MIN)
    tally.note("platform", "dpv:X", "left", "zone", T + 17 * MIN)
    lines = tally.stop(T + 18 * MIN)
    assert [(line["kind"], line["t"] - T) for line in plain(lines)] == [
        ("started", 1),
        ("decisions", 15 * MIN),
        ("purged", 16 * MIN),
        ("decisions", 18 * MIN),
        ("stopped", 18 * MIN),
    ]
    assert tally.due(T + 60 * MIN) == []


def test_a_window_is_as_long_as_the_settings_say_and_due_at_its_end() -> None:
    tally = Tally(window_s=60)
    tally.note("platform", "dpv:X", "left", "released", T + 61)
    assert tally.next_deadline() == T + 120
    assert len(tally.due(T + 120)) == 1


def test_no_line_holds_a_subject() -> None:
    keys = Keys(bytes(32))
    tally = Tally()
    tally.carried_out("withdrawn", keys.subject_key("card-1234"), T)
    said = msgspec.json.encode(tally.due(T)).decode()
    assert "card-1234" not in said
    assert keys.subject_key("card-1234").hex() in said
