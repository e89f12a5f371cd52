"""What a car's fixes mean at a fence (DESIGN §3.1): a square of 100 m from (0, 0) to (100, 100).

A fix is `t x y` in seconds and metres; unless said, accuracy is 8 m and the speed follows from the positions.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from core_words import T0, assert_order, degrees, disc, fixes, play, shop, square, standing, told, yard

from gateway.core import Core
from gateway.core.judgement import side_probability
from gateway.model import EVIDENCE_KEYS, Arrival, Fix, Observation, SiteMap

COMES = """
    0  -90 50 30kmh
    4  -50 50 30kmh
    8  -20 50 20kmh
    12  10 50 12kmh
    16  25 50 8kmh
"""
PARKS = COMES + "20 35 50 4kmh \n 24 40 50 0kmh \n 28 40 50 0kmh \n"

STORIES = [
    # title, fixes, until, events
    ("parks, falls silent, is lost after 12 h", PARKS, 50_000, ["12 entering park", "20 entered park", "43228 left park (lost)"]),
    ("parks and drives away", PARKS + "300 40 50 \n 310 -10 50 \n 315 -60 50", 400, ["12 entering park", "20 entered park", "315 left park"]),
    ("just outside for a while is still inside", PARKS + "300 -10 50 0kmh \n 330 -12 50 0kmh", 900, ["12 entering park", "20 entered park"]),
    ("just beyond the margin twice is outside", PARKS + "300 -25 50 0kmh \n 330 -25 50 0kmh", 900, ["12 entering park", "20 entered park", "330 left park"]),
    ("drives through", "0 -90 50 \n 5 -30 50 \n 10 30 50 \n 15 90 50 \n 20 150 50", 400, ["10 entering park", "20 passed park"]),
    ("only the line cuts: passed comes alone", "0 -90 50 \n 30 230 50", 400, ["30 passed park"]),
    ("fixes 121 s apart make no line", "0 -90 50 \n 121 230 50", 400, []),
    ("an inaccurate fix makes no line", "0 -90 50 70m \n 30 230 50", 400, []),
    ("over 200 km/h makes no line", "0 -990 50 \n 10 230 50", 400, []),
    ("the line passes beside", "0 -90 -20 \n 30 230 -20", 400, []),
    ("silent inside, last fix fast", "0 -90 50 \n 5 -30 50 \n 10 30 50", 400, ["10 entering park", "130 passed park (silence)"]),
    ("silent inside, last fix slow", COMES, 400, ["12 entering park", "136 entered park (silence)"]),
    ("silent outside, no longer slow", COMES + "20 -5 50 8kmh", 400, ["12 entering park", "140 passed park (silence)"]),
    ("ignition off decides at once: slow", "0 -60 50 30kmh \n 5 -20 50 20kmh \n 10 10 50 5kmh off", 400, ["10 entering park", "10 entered park (ignition_off)"]),
    ("ignition off decides at once: fast", "0 -60 50 30kmh \n 5 -20 50 30kmh \n 10 10 50 30kmh off", 400, ["10 entering park", "10 passed park (ignition_off)"]),
    ("ignition off in motion is told once", "0 -60 50 40kmh off\n 5 -10 50 40kmh off\n 10 40 50 40kmh off\n 15 90 50 40kmh off", 400, ["10 entering park", "10 passed park (ignition_off)"]),
    ("first knowledge inside, stands", "0 40 50 0kmh \n 10 40 50 0kmh", 400, ["10 entered park (already_inside)"]),
    ("first knowledge inside, drives off", "0 40 50 \n 5 -20 50 \n 10 -80 50", 400, []),
    ("after 10 minutes without a fix it is first knowledge again", "0 -90 50 \n 601 40 50 0kmh \n 611 40 50 0kmh", 900, ["611 entered park (already_inside)"]),
    ("a stay goes on over hours of silence", PARKS + "9000 40 50 0kmh \n 9010 -90 50", 9100, ["12 entering park", "20 entered park", "9010 left park"]),
    ("retained as first knowledge says nothing", "0 40 50 0kmh retained", 400, []),
    ("stale as first knowledge says nothing", "0 40 50 0kmh received=130 \n 10 40 50 0kmh received=131", 400, []),
    ("stale fixes give what happened, but no entering", "0 -90 50 \n 300 -90 50 \n 320 40 50 0kmh received=500 \n 340 40 50 0kmh received=501 \n 400 -90 50 received=541",
     900, ["340 entered park told=501", "400 left park told=541"]),
    ("a stale line", "0 -90 50 \n 30 230 50 received=200", 400, ["30 passed park told=200"]),
    ("a late fix between two outside was a crossing", "0 -90 50 \n 125 40 190 \n 100 40 50 received=126", 400, ["100 passed park told=126"]),
    ("a late fix takes nothing back", PARKS + "22 -90 50 received=29", 400, ["12 entering park", "20 entered park"]),
    ("a late fix with ignition off closes an open entering", COMES + "14 18 50 0kmh off received=17", 400, ["12 entering park", "14 entered park told=17 (ignition_off)"]),
    ("one jump neither enters", "0 -390 50 \n 5 -390 50 \n 6 40 50 \n 7 -390 50", 400, []),
    ("nor leaves", PARKS + "29 -500 50 \n 30 40 50 0kmh", 400, ["12 entering park", "20 entered park"]),
    ("a coarse fix neither", PARKS + "60 -300 50 150m", 400, ["12 entering park", "20 entered park"]),
    ("two fixes that agree are no jump", PARKS + "29 -500 50 \n 30 -505 50", 400, ["12 entering park", "20 entered park", "30 left park"]),
    ("slow traffic crosses", "\n".join(f"{t} {-60 + 5 * t} 12 18kmh" for t in range(45)), 400, ["12 entering park", "38 passed park"]),
    ("shallow inside beside the road is noise", "\n".join(f"{t} {-60 + 12 * t} 2 43kmh" for t in range(20)), 400, []),
    ("shallow, but heading inward", "0 50 -60 \n 3 50 -30 \n 6 50 -9 \n 8 50 2 \n 12 50 40 \n 17 50 130", 400, ["8 entering park", "17 passed park"]),
    ("a red light a little inside is no arrival", "0 -90 -3 40kmh \n 3 -50 -3 40kmh \n" + "\n".join(f"{t} 40 2 0kmh" for t in range(9, 40)) + "\n 43 100 -3 40kmh \n 47 160 -9 40kmh", 100, ["21 entering park", "47 passed park"]),
    ("one fix far beyond the margin is outside", PARKS + "300 -27 50 0kmh \n 310 10 50 0kmh", 400, ["12 entering park", "20 entered park", "300 left park", "310 entering park"]),
    ("one inaccurate fix far away is not", PARKS + "300 -90 50 0kmh 80m", 400, ["12 entering park", "20 entered park"]),
    ("a red light beside the fence", "\n".join(f"{t} 50 -6 0kmh" for t in range(60)), 400, []),
]  # fmt: skip


@pytest.mark.parametrize(
    ("fixes_", "until", "expected"), [s[1:] for s in STORIES], ids=[s[0] for s in STORIES]
)
def test_story(fixes_: str, until: float, expected: list[str]) -> None:
    events = play(yard(square()), fixes(fixes_), until)
    assert told(events, reasons=True) == expected
    assert_order(events)
    assert all(e.evidence.keys() <= EVIDENCE_KEYS for e in events)


TURNS_IN = (
    "0 -120 -6 \n 2 -95 -6 \n 4 -72 -6 \n 6 -50 -6 \n 8 -30 -6 \n 10 -14 -6 \n 12 -4 -6 \n"
    + "\n".join(f"{13 + t} 0.5 {-4 + 3 * t}" for t in range(12))
)
CREEPS = "\n".join(f"{t} 50 {-60 + 3 * t}" for t in range(36))


@pytest.mark.parametrize(
    ("way", "expected"),
    [(TURNS_IN, ["15 entering park", "18 entered park"]), (CREEPS, ["20 entering park"])],
    ids=["turns in and creeps", "creeps straight on"],
)
def test_a_turn_tells_an_arrival_from_slow_traffic_before_the_car_stands(
    way: str, expected: list[str]
) -> None:
    park = square(x=-20)
    assert told(play(yard(park), fixes(way))) == expected


@pytest.mark.parametrize(
    ("arrival", "expected"),
    [
        (Arrival(), ["12 entering park", "20 entered park"]),
        (Arrival(confirm_s=10), ["12 entering park", "28 entered park"]),
        (Arrival(slow_kmh=3), ["12 entering park", "24 entered park"]),
        (Arrival(leave_m=60), ["12 entering park", "20 entered park"]),
        (Arrival(leave_m=5), ["12 entering park", "20 entered park", "40 left park"]),
    ],
)
def test_a_fence_may_say_what_arriving_means(arrival: Arrival, expected: list[str]) -> None:
    park = msgspec.structs.replace(square(), arrival=arrival)
    assert told(play(yard(park), fixes(PARKS + "40 -15 50 0kmh"))) == expected


def test_dwell_runs_from_the_first_fix_inside_and_needs_no_signal() -> None:
    events = play(yard(square(dwell=[5, 60, 120])), fixes(PARKS), 600)
    assert told(events) == ["12 entering park", "20 entered park", "20 dwelled park", "72 dwelled park", "132 dwelled park"]  # fmt: skip
    assert [e.threshold_s for e in events if e.change == "dwelled"] == [5, 60, 120]
    assert {e.since_s - T0 for e in events} == {12}


def test_dwell_of_a_stay_ends_with_the_fix_outside_or_the_last_evidence() -> None:
    away = play(yard(square(dwell=[60])), fixes(PARKS + "300 -90 50"), 400)[-1]
    lost = play(yard(square(dwell=[60])), fixes(PARKS), 50_000)[-1]
    assert (away.change, away.dwell_s) == ("left", 288)
    assert (lost.change, lost.dwell_s) == ("left", 60)  # last seen after 16 s, but 60 s were announced


def test_thresholds_that_stale_fixes_do_not_cover_wait_for_what_may_still_come() -> None:
    backlog = (
        "0 -90 50 \n 320 40 50 0kmh received=900 \n 340 40 50 0kmh received=900 \n 400 -90 50 received=902"
    )
    events = play(yard(square(dwell=[10, 70])), fixes(backlog), 2000)
    assert told(events) == [
        "340 entered park told=900",
        "340 dwelled park told=900",
        "400 left park told=902",
    ]


APPROACHES = [
    ("ring crossed", {"ring": 300}, "0 -400 50 \n 10 -290 50 \n 20 -150 50", ["10 approaching park"]),
    ("first heard inside the ring", {"ring": 300}, "0 -200 50 \n 10 -150 50", []),
    ("told once until beyond 1.5 rings", {"ring": 100}, "0 -150 50 \n 10 -90 50 \n 20 -140 50 \n 30 -90 50", ["10 approaching park"]),
    ("again beyond 1.5 rings", {"ring": 100}, "0 -150 50 \n 10 -90 50 \n 20 -160 50 \n 30 -90 50", ["10 approaching park", "30 approaching park"]),
    ("again after 10 minutes", {"ring": 100}, "0 -150 50 \n 10 -90 50 \n 20 -140 50 \n 300 -140 50 \n 620 -90 50", ["10 approaching park", "620 approaching park"]),
    ("by the time left", {"eta": 30}, "0 -600 50 \n 10 -440 50 \n 20 -320 50", ["10 approaching park"]),
    ("away", {"eta": 60}, "0 -300 50 \n 10 -450 50", []),
    ("stale", {"ring": 300}, "0 -400 50 \n 10 -290 50 received=200", []),
]  # fmt: skip


@pytest.mark.parametrize(
    ("fence", "fixes_", "expected"), [a[1:] for a in APPROACHES], ids=[a[0] for a in APPROACHES]
)
def test_approaching(fence: dict[str, Any], fixes_: str, expected: list[str]) -> None:
    assert told(play(yard(square(**fence)), fixes(fixes_))) == expected


def test_fences_are_independent_and_may_overlap() -> None:
    site = yard(square(), disc("pump", 40, 50, 15))
    events = play(site, fixes(PARKS), 200)
    assert told(events) == ["12 entering park", "16 entering pump", "20 entered park", "24 entered pump"]


BAD = [
    ("invalid", {"lat_deg": math.nan}),
    ("invalid", {"lat_deg": 91.0}),
    ("invalid", {"lon_deg": 181.0}),
    ("invalid", {"lat_deg": 0.0, "lon_deg": 0.0}),
    ("invalid", {"fix_t_s": T0 + 4_294_967_296}),
    ("invalid", {"fix_t_s": math.inf}),
    ("invalid", {"t_s": math.nan}),
    ("coarse", {"accuracy_m": 101.0}),
    ("too_late", {"fix_t_s": T0 - 31}),
    ("implausible", {"lat_deg": 51.9}),
    ("duplicate", {}),
]


@pytest.mark.parametrize(("reason", "change"), BAD, ids=[f"{r}-{i}" for i, (r, _) in enumerate(BAD)])
def test_a_bad_fix_is_counted_by_reason_and_changes_nothing(reason: str, change: dict[str, float]) -> None:
    lat, lon = degrees(40, 50)
    good = Fix(T0, T0, "vehicle:car", lat, lon, 8.0, subject="anna")
    bad = Fix(T0, T0, "vehicle:car", lat, lon, 8.0, subject="anna")
    for key, value in change.items():
        setattr(bad, key, value)
    core = Core(yard(square()))
    core.observe_one(good)
    assert core.observe_one(bad) == []
    assert core.rejected == {reason: 1}


def test_two_cars_of_one_subject_make_one_stay() -> None:
    anna = fixes(PARKS) + fixes("50 -90 50 \n 60 30 50 \n 65 40 50 0kmh \n 75 40 50 0kmh", device="van")
    gone = fixes("200 -90 50") + fixes("260 -90 50", device="van")
    events = play(yard(square()), anna + gone, 300)
    assert told(events) == ["12 entering park", "20 entered park", "260 left park"]


def test_an_entering_of_two_cars_is_closed_once() -> None:
    pairs = zip(
        fixes("0 -90 50 \n 5 -30 50 \n 10 30 50 \n 15 90 50 \n 20 150 50"),
        fixes("0 -95 50 \n 5 -35 50 \n 10 25 50 \n 15 85 50 \n 20 145 50", device="van"),
        strict=True,
    )
    assert told(play(yard(square()), [f for pair in pairs for f in pair], 300)) == ["10 entering park", "20 passed park"]  # fmt: skip


def test_floor_and_fence_may_hold_at_once() -> None:
    site = shop()
    site = SiteMap("both", zones=site.zones, receivers=site.receivers, fences=(square(),))
    observations: list[Observation] = [*fixes(PARKS), *standing("wine", 30, 40)]
    events = play(site, observations)
    assert {e.zone for e in events if e.change == "entered"} == {"park", "wine"}


def test_every_event_of_an_open_stay_carries_it() -> None:
    events = play(yard(square(dwell=[60])), fixes(PARKS + "300 -90 50"), 400)
    stays = [e.stay for e in events]
    assert [(s.phase, s.entered_s, s.announced_s) if s else None for s in stays] == [
        ("entering", None, 0),
        ("inside", T0 + 20, 0),
        ("inside", T0 + 20, 60),
        None,
    ]
    assert all(s is None or s.devices == ("vehicle:car",) for s in stays)
    assert all(a.emitted_s <= b.emitted_s for a, b in pairwise(events))


def test_the_side_of_the_border_is_as_sure_as_a_normal_error_leaves_it() -> None:
    """The accuracy holds 68 % of fixes: 1.51 standard deviations of an axis."""
    for tenths in range(-200, 201):
        depth_m = tenths / 10
        exact = min(0.5 + 0.5 * math.erf(abs(depth_m) * 1.51 / 8 / math.sqrt(2)), 0.999)
        assert side_probability(depth_m, 8) == pytest.approx(exact, abs=1e-7)
        assert 0.5 <= side_probability(depth_m, 8) <= 0.999
