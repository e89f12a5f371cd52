"""When a broker that hangs up without a word is taken to have found one publication too large, and when not."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from gateway.mqtt_suspects import PROMPT_S, Suspects, UnderWay

SIZES = {"small": 600, "large": 2_000, "huge": 9_000}


@dataclass
class Break:
    under_way: str
    """Names of `SIZES`, or an event of its own size (`e1`: 700 bytes)."""
    after_s: float = 0.01
    acknowledged: str = ""
    """Before it, on the same connection."""


def size(name: str) -> int:
    return SIZES.get(name, 700)


X = Break("large")
CASES = [
    # what happens, whether one goes at a time then, size that is found
    ([X], False, None),
    ([X, X], True, None),
    ([X, X, X], True, None),
    ([X, X, X, X], False, 2_000),
    ([Break("e1 large e2"), Break("large e2"), X, X], False, 2_000),
    ([Break("e1 large e2")] * 9, True, None),  # never alone: nobody knows which
    ([X, X, X, Break("e1")], False, None),  # another one: it begins anew
    ([X, X, X, Break("")], False, None),  # nothing was under way: the line
    ([X, X, X, Break("large", acknowledged="huge")], False, None),  # larger ones pass
    ([X, X, X, Break("large", acknowledged="large")], False, None),  # it has passed itself
    ([X, X, X, Break("large", acknowledged="small e1")], False, 2_000),
    ([Break("large", after_s=2 * PROMPT_S)] * 9, False, None),  # a line that dies
    ([Break("e1", acknowledged="e2")] * 9, False, None),  # as large as what passes
]


@pytest.mark.parametrize(("breaks", "one_by_one", "found"), CASES)
def test_suspects(breaks: list[Break], one_by_one: bool, found: int | None) -> None:
    suspects, said = Suspects(), []
    for each in breaks:
        for name in each.acknowledged.split():
            suspects.acknowledged(size(name))
        under_way = [UnderWay(hash(name), size(name), 100.0) for name in each.under_way.split()]
        said.append(suspects.broken(under_way, 100.0 + each.after_s))
    assert said == [None] * (len(breaks) - 1) + [found]
    assert suspects.go_one_by_one is one_by_one


def test_whether_anything_is_suspected_any_more() -> None:
    suspects = Suspects()
    suspects.broken([UnderWay(1, 600, 0.0), UnderWay(2, 900, 0.0)], 0.0)
    assert [suspects.acknowledged(n) for n in (500, 600, 700, 900)] == [False, False, False, True]
