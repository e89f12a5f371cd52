"""Rounding down, and how long a partner may keep an event."""

from __future__ import annotations

import math

import pytest
from consents import DAY, NOON_S
from hypothesis import given
from hypothesis import strategies as st

from gateway.consent.rounding import partner_expiry_s, rounded_down

HOUR, MIN = 3_600.0, 60.0
T = NOON_S + 12 * MIN + 34.5


@pytest.mark.parametrize(
    ("step_s", "expected"),
    [(0, T), (1, T - 0.5), (60, NOON_S + 12 * MIN), (HOUR, NOON_S), (DAY, NOON_S - 12 * HOUR)],
)
def test_rounding_down(step_s: float, expected: float) -> None:
    assert rounded_down(T, step_s) == expected


@pytest.mark.parametrize(
    ("until_s", "epoch_s", "expected"),
    [
        (math.inf, 30 * DAY, NOON_S - 12 * HOUR + 30 * DAY),
        (math.inf, DAY, NOON_S + 12 * HOUR),
        (math.inf, 2 * HOUR, NOON_S + 2 * HOUR),
        (T + 60 * DAY, 30 * DAY, NOON_S - 12 * HOUR + 30 * DAY),
        (T + 29 * DAY, 30 * DAY, NOON_S + 12 * HOUR),  # no full epoch: the end of the day
        (T + HOUR, 30 * DAY, NOON_S + HOUR),
        (T + 3 * MIN, 30 * DAY, NOON_S + 13 * MIN),
        (T + 5, 30 * DAY, T + 5),
    ],
)
def test_how_long_a_partner_may_keep_an_event(until_s: float, epoch_s: float, expected: float) -> None:
    assert partner_expiry_s(T, until_s, epoch_s) == expected


@given(st.floats(0, 4e9), st.floats(0.001, 4e8), st.floats(MIN, 400 * DAY))
def test_never_longer_than_the_consent_and_never_over_already(
    t_s: float, rest_s: float, epoch_s: float
) -> None:
    until_s = t_s + rest_s
    assert t_s < partner_expiry_s(t_s, until_s, epoch_s) <= until_s
