"""A replay that holds late fixes back says the same whatever the order in which they came in."""

from __future__ import annotations

from typing import Any

from core_words import T0, assert_order, degrees, disc, fixes, shop, square, standing, told, yard
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.core import Core, Holding
from gateway.model import Fix, Observation, Presence

SITE = yard(square(dwell=[10, 60], ring=150), disc("pump", 60, 50, 20))
END_S = T0 + 100_000


def heard(observations: list[Any], delays_s: list[float]) -> list[Presence]:
    """Each fix so much later than it was; what is heard at one time, in any order."""
    late = [replace(o, t_s=o.t_s + d) for o, d in zip(observations, delays_s, strict=True)]
    core = Holding(SITE)
    return core.observe(sorted(late, key=lambda o: o.t_s)) + core.advance(END_S)


@st.composite
def _drive(draw: st.DrawFn) -> list[Fix]:
    t_s, out = T0, []
    for _ in range(draw(st.integers(0, 25))):
        t_s += draw(st.sampled_from([0.0, 1.0, 3.0, 5.0, 20.0, 125.0]))
        lat, lon = degrees(draw(st.integers(-8, 12)) * 15, draw(st.integers(2, 6)) * 10)
        speed_kmh = draw(st.sampled_from([None, 0.0, 5.0, 40.0]))
        device = draw(st.sampled_from(["vehicle:car", "vehicle:van"]))
        out.append(
            Fix(t_s, t_s, device, lat, lon, draw(st.sampled_from([None, 8.0])), speed_kmh, subject="anna")
        )
    return out


@settings(max_examples=200, deadline=None, derandomize=True)
@given(_drive(), st.data())
def test_any_order_within_the_window_gives_identical_events(drive: list[Fix], data: st.DataObject) -> None:
    delays_s = data.draw(st.lists(st.floats(0, 29.5), min_size=len(drive), max_size=len(drive)))
    events = heard(drive, delays_s)
    assert events == heard(drive, [0.0] * len(drive))
    assert_order(events)


PARKS = "0 -90 50 30kmh \n 4 -50 50 30kmh \n 8 -20 50 20kmh \n 12 20 50 8kmh \n 16 25 50 2kmh \n 20 25 50 0kmh \n 24 25 50 0kmh"


def test_newest_first_is_told_as_it_was_but_half_a_minute_later() -> None:
    drive: list[Observation] = list(fixes(PARKS))
    live = Core(yard(square()))
    at_once = live.observe(drive) + live.advance(T0 + 50)
    backwards = [replace(f, t_s=T0 + 24 + i / 10) for i, f in enumerate(reversed(fixes(PARKS)))]
    core = Holding(yard(square()))
    held = core.observe(backwards) + core.advance(T0 + 50)
    assert [line.split(" told=")[0] for line in told(held)] == told(at_once)
    assert [h.emitted_s - a.emitted_s for h, a in zip(held, at_once, strict=True)] == [30.0] * len(held)
    assert [e.change for e in held].count("entered") == 1


def test_what_comes_later_than_that_is_as_late_as_live() -> None:
    core = Holding(SITE)
    core.observe(list(fixes(PARKS)))
    core.advance(T0 + 100)
    assert core.observe_one(replace(fixes(PARKS)[0], t_s=T0 + 100)) == []
    assert core.rejected == {"duplicate": 1}


def test_radio_does_not_wait() -> None:
    readings = list(standing("milk", 0, 40))
    shop_ = shop()
    assert Holding(shop_).observe(readings) == Core(shop_).observe(readings) != []


def test_a_withdrawn_subject_is_not_held() -> None:
    core = Holding(SITE)
    core.observe(list(fixes(PARKS)))
    core.forget("anna")
    assert core.advance(END_S) == []
    assert core.next_deadline() is None
