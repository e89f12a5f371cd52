"""The same observations give the same events, wherever the input is split and whatever is asked in between."""

from __future__ import annotations

from core_words import T0, assert_order, changed, standing
from hypothesis import given, settings
from hypothesis import strategies as st
from random_signals import SITE, observed

from gateway.core import Core
from gateway.model import EVIDENCE_KEYS, Observation, Presence, Reading


def whole(observations: list[Observation]) -> list[Presence]:
    core = Core(SITE)
    return core.observe(observations) + core.advance(T0 + 1_000_000)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(observed())
def test_order_of_changes(observations: list[Observation]) -> None:
    events = whole(observations)
    assert_order(events)
    assert [e.emitted_s for e in events] == sorted(e.emitted_s for e in events)
    for e in events:
        assert e.evidence.keys() <= EVIDENCE_KEYS
        assert all(type(v) in (str, int, float, bool) for v in e.evidence.values())
        assert (e.stay is not None) == (e.change in ("entering", "entered", "dwelled"))
    ends = {(e.subject, e.zone): e.change for e in events}
    assert not set(ends.values()) & {"entering", "entered", "dwelled"}


@settings(max_examples=150, deadline=None, derandomize=True)
@given(observed(), st.data())
def test_any_split_any_advance_any_snapshot(observations: list[Observation], data: st.DataObject) -> None:
    core, events, t_s = Core(SITE), [], T0
    for observation in observations:
        step = data.draw(st.sampled_from(["", "", "advance", "deadline", "snapshot"]))
        if step == "advance":
            t_s += (observation.t_s - t_s) * data.draw(st.sampled_from([0.0, 0.3, 1.0]))
            events += core.advance(t_s)
        elif step == "deadline":
            while (due_s := core.next_deadline()) is not None and due_s <= observation.t_s:
                events += core.advance(due_s)
        elif step == "snapshot":
            taken = core.snapshot()
            core = Core(SITE)
            core.restore(taken)
            assert core.snapshot() == taken
        events += core.observe_one(observation)
        t_s = observation.t_s
    events += core.advance(T0 + 1_000_000)
    assert events == whole(observations)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(observed())
def test_a_deadline_is_never_missed(observations: list[Observation]) -> None:
    """Between now and the next deadline nothing happens, and in the end everything is at rest."""
    core = Core(SITE)
    core.observe(observations)
    for _ in range(2000):
        due_s = core.next_deadline()
        if due_s is None:
            return
        assert core.advance(due_s - 1e-3) == []
        core.advance(due_s)
    raise AssertionError("deadlines without end")


def test_time_that_runs_backwards_is_taken_as_now() -> None:
    core = Core(SITE)
    core.observe([changed(r, t_s=T0 + 100) for r in standing("milk", 0, 1)])
    events = core.observe_one(Reading(T0, "anna", "tag", "pi-milk", -60.0)) + core.advance(T0 + 101)
    assert events
    assert all(e.t_s == T0 + 101 for e in events)
