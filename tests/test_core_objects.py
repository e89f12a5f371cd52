"""The core says the same as plain objects (bench/objects): arrays, rows and compiled code change nothing.

The objects are the vehicle step as one would write it first; they share the model and the rules' numbers with
nobody. Floats are equal to the last bit.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
from core_words import T0
from hypothesis import given, settings
from random_signals import SITE, observed

from gateway.core import Core
from gateway.model import Fix, Observation, Presence, SiteMap
from gateway.sim.town import town, traffic

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def objects() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        yield importlib.import_module("bench.objects")


@settings(max_examples=300, deadline=None, derandomize=True)
@given(observed())
def test_random_fixes(objects: Any, observations: list[Observation]) -> None:
    fixes = [o for o in observations if isinstance(o, Fix)]
    core, plain = Core(SiteMap("yard", fences=SITE.fences)), objects.Objects(SITE.fences)
    assert core.observe(fixes) == plain.observe(fixes)
    assert core.rejected == plain.rejected
    assert core.advance(T0 + 1_000_000) == plain.advance(T0 + 1_000_000)


def test_a_town_full_of_cars(objects: Any) -> None:
    fences = town(100)
    fixes = traffic(fences, cars=40, seconds=150)
    events: list[Presence] = Core(SiteMap("town", fences=fences)).observe(fixes)
    assert events == objects.Objects(fences).observe(fixes)
    assert {e.change for e in events} == {"entering", "entered", "passed", "dwelled", "left"}


def test_a_pair_costs_no_more_than_it_must(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    step = importlib.import_module("bench.step")
    table = Core(SiteMap("yard", fences=SITE.fences)).table
    assert step.row_nbytes(table.pairs) <= 40
    assert step.row_nbytes(table.records) <= 72
