"""What was heard a moment ago is known again for seconds, and not longer."""

from __future__ import annotations

import pytest

from gateway import recent
from gateway.recent import STRANGER_S, Recent


@pytest.mark.parametrize(
    ("put_s", "looked_s", "known"),
    [
        (0.0, 0.0, True),
        (0.0, STRANGER_S - 1, True),
        (0.0, STRANGER_S + 1, True),
        (0.0, 2 * STRANGER_S + 1, False),
        (STRANGER_S - 1, STRANGER_S + 1, True),
        (1_000.0, 900.0, False),  # the clock was set back
    ],
)
def test_it_is_known_for_half_a_minute_at_most(put_s: float, looked_s: float, known: bool) -> None:
    heard: Recent[str, int] = Recent()
    heard.put("another", 0, put_s - put_s % STRANGER_S)
    heard.put("this", 1, put_s)
    heard.fade(looked_s)
    assert (heard.get("this") is not None) is known
    heard.put("another", 0, looked_s + 2 * STRANGER_S)
    assert heard.get("this") is None
    assert len(heard) == 1


def test_a_flood_finds_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "MOST", 100)
    heard: Recent[int, int] = Recent()
    for n in range(10_000):
        heard.put(n, n, n / 1000)
        assert len(heard) <= 200
    assert heard.get(9_999) == 9_999


def test_what_is_put_again_stays() -> None:
    heard: Recent[str, int] = Recent()
    for second in range(1_000):
        heard.put("this", second, float(second))
        assert heard.get("this") == second
    heard.clear()
    assert len(heard) == 0
