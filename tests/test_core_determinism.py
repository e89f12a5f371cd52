"""The same observations give the same events, wherever the input is split and whatever is asked in between."""

from __future__ import annotations

from typing import Any

from core_words import T0, assert_order, degrees, disc, shop, square, standing
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.core import Core
from gateway.model import EVIDENCE_KEYS, Fix, Observation, Presence, Reading, SiteMap

SITE = SiteMap(
    "both",
    zones=shop(dwell=[5, 20], leave_after=10).zones,
    receivers=shop().receivers,
    fences=(square(dwell=[10, 100], ring=150, eta=20), disc("pump", 60, 50, 20)),
)
SUBJECTS = st.sampled_from(["anna", "bob"])
PAUSES = st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0, 5.0, 30.0, 119.0, 121.0, 700.0])
READINGS = st.builds(
    Reading,
    t_s=PAUSES,
    subject=SUBJECTS,
    device=st.sampled_from(["tag", "phone"]),
    link=st.sampled_from(["pi-milk", "pi-eggs", "pi-bread", "pi-wine", "pi-nowhere"]),
    rssi_dbm=st.sampled_from([-55.0, -65.0, -75.0, -90.0, 127.0]),
)
PLACES = st.tuples(st.integers(-8, 12), st.integers(2, 6)).map(lambda p: degrees(p[0] * 20, p[1] * 10))


@st.composite
def _fix(draw: st.DrawFn) -> Fix:
    lat, lon = draw(PLACES)
    return Fix(
        t_s=draw(PAUSES),
        fix_t_s=-draw(st.sampled_from([0.0, 0.0, 0.0, 0.5, 10.0, 29.0, 60.0, 300.0, -7.0])),
        device=draw(st.sampled_from(["vehicle:car", "vehicle:van"])),
        lat_deg=lat,
        lon_deg=lon,
        accuracy_m=draw(st.sampled_from([None, 3.0, 8.0, 60.0, 300.0])),
        speed_kmh=draw(st.sampled_from([None, 0.0, 5.0, 50.0])),
        ignition=draw(st.sampled_from([None, None, True, False])),
        retained=draw(st.integers(0, 9)) == 0,
        subject=draw(SUBJECTS),
    )


@st.composite
def observed(draw: st.DrawFn) -> list[Observation]:
    """Random signals one after another; the pauses between them are added up."""
    t_s, out = T0, []
    for item in draw(st.lists(st.one_of(READINGS, _fix()), max_size=60)):
        t_s += item.t_s
        changes: dict[str, Any] = {"t_s": t_s}
        if isinstance(item, Fix):
            changes["fix_t_s"] = t_s + item.fix_t_s
        out.append(type(item)(**{f: changes.get(f, getattr(item, f)) for f in item.__struct_fields__}))
    return out


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
    core.observe([replace(r, t_s=T0 + 100) for r in standing("milk", 0, 1)])
    events = core.observe_one(Reading(T0, "anna", "tag", "pi-milk", -60.0)) + core.advance(T0 + 101)
    assert events
    assert all(e.t_s == T0 + 101 for e in events)
