"""What outlives a restart, a withdrawal and another map (DESIGN §3.1)."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pytest
from core_words import T0, assert_order, fixes, play, shop, square, standing, told, yard

from gateway.core import Core
from gateway.model import OpenStay, Presence, SiteMap

PARKS = (
    "0 -90 50 30kmh \n 8 -20 50 20kmh \n 12 10 50 10kmh \n 20 35 50 4kmh \n 24 40 50 0kmh \n 28 40 50 0kmh \n"
)


def open_stays(events: Iterable[Presence]) -> list[OpenStay]:
    """The rows that the events leave behind, written and deleted one by one."""
    rows: dict[tuple[str, str], OpenStay] = {}
    for e in events:
        rows.pop((e.subject, e.zone), None)
        if e.stay is not None:
            rows[e.subject, e.zone] = msgspec.msgpack.decode(msgspec.msgpack.encode(e.stay), type=OpenStay)
    return list(rows.values())


def restarted(site: SiteMap, before: Iterable[Presence], at: float) -> tuple[Core, list[Presence]]:
    core = Core(site)
    return core, core.resume(open_stays(before), T0 + at)


def test_a_radio_stay_that_is_heard_again_goes_on() -> None:
    site = shop(dwell=[10, 60])
    before = play(site, standing("bread", 0, 20))
    core, events = restarted(site, before, 30)
    events += core.observe(standing("bread", 35, 70)) + core.advance(T0 + 200)
    assert told(events, reasons=True) == ["61 dwelled bread", "89.75 left bread (silence)"]
    assert {e.since_s - T0 for e in events} == {1}
    assert_order([*before, *events])


def test_a_radio_stay_that_is_not_heard_ends_as_restart() -> None:
    site = shop(dwell=[10])
    before = play(site, standing("milk", 0, 20))
    core, _ = restarted(site, before, 25)
    events = core.advance(T0 + 200)
    assert told(events, reasons=True) == ["45 left dairy (restart)", "45 left milk (restart)"]
    assert events[1].dwell_s == 10  # the highest threshold announced
    assert_order([*before, *events])


def test_no_threshold_is_announced_before_a_radio_stay_is_confirmed() -> None:
    site = shop(dwell=[30])
    before = play(site, standing("bread", 0, 20))
    core, _ = restarted(site, before, 100)
    assert told(core.advance(T0 + 300), reasons=True) == ["120 left bread (restart)"]
    core, _ = restarted(site, before, 100)
    assert told(core.observe(standing("bread", 101, 110))) == ["31 dwelled bread told=102"]


def test_a_resumed_device_found_elsewhere_moves() -> None:
    site = shop()
    before = play(site, standing("bread", 0, 20))
    core, _ = restarted(site, before, 25)
    events = core.observe(standing("wine", 26, 30))
    assert told(events, reasons=True) == ["27 left bread (move)", "27 entered wine"]


def test_a_fence_stay_goes_on_and_is_lost_12_h_after_the_last_evidence() -> None:
    site = yard(square(dwell=[60]))
    before = play(site, fixes(PARKS), 70)
    core, events = restarted(site, before, 4000)
    events += core.advance(T0 + 50_000)
    assert told(before) == ["12 entering park", "20 entered park"]
    assert told(events, reasons=True)[-1] == "43220 left park (lost)"


def test_a_fence_stay_ends_with_the_first_fix_outside() -> None:
    site = yard(square(dwell=[60]))
    before = play(site, fixes(PARKS), 100)
    core, events = restarted(site, before, 4000)
    events += core.observe(fixes("4010 -90 50"))
    assert told(events) == ["4010 left park"]
    assert_order([*before, *events])


def test_what_the_broker_kept_comes_before_thresholds_are_announced() -> None:
    """The car left after 40 s while the gateway was down for an hour: nobody dwelled for 60 s."""
    site = yard(square(dwell=[60]))
    before = play(site, fixes(PARKS))
    core, events = restarted(site, before, 3600)
    events += core.observe(fixes("52 -90 50 received=3601")) + core.advance(T0 + 9000)
    assert told(events) == ["52 left park told=3601"]


@pytest.mark.parametrize(
    ("last", "closed"), [("16 25 50 8kmh", "entered"), ("16 25 50 60kmh", "passed")], ids=["slow", "fast"]
)
def test_an_open_entering_is_closed_after_120_s_of_silence(last: str, closed: str) -> None:
    site = yard(square())
    before = play(site, fixes(f"0 -90 50 \n 12 10 50 {last.rsplit(maxsplit=1)[-1]}"))
    assert told(before) == ["12 entering park"]
    core, events = restarted(site, before, 50)
    events += core.advance(T0 + 1000)
    assert told(events, reasons=True) == [f"132 {closed} park told=170 (silence)"]


def test_a_stay_of_a_zone_that_is_gone_is_closed_at_once() -> None:
    before = play(yard(square()), fixes(PARKS))
    _, events = restarted(yard(), before, 50)
    assert told(events, reasons=True) == ["50 left park (restart)"]


def test_withdrawal_leaves_nothing() -> None:
    site = shop(dwell=[30])
    core = Core(site)
    core.observe(standing("bread", 0, 9) + standing("wine", 0, 9, subject="bob"))
    core.forget("anna")
    events = core.advance(T0 + 100)
    assert {e.subject for e in events} == {"bob"}
    assert b"anna" not in core.snapshot()


def test_another_map_keeps_zones_that_are_equal() -> None:
    core = Core(yard(square(), square("field", x=500)))
    events = core.observe(fixes(PARKS) + fixes("0 490 50 \n 12 540 50 0kmh \n 24 540 50 0kmh", device="van"))
    assert [e.zone for e in events if e.change == "entered"] == ["park", "field"]
    events = core.replace_site(yard(square(), square("field", x=500, side=200), square("new", x=-500)))
    assert told(events, reasons=True) == ["28 left field (restart)"]
    assert told(core.observe(fixes("300 -90 50"))) == ["300 left park"]


def test_a_car_in_a_new_fence_is_first_knowledge() -> None:
    core = Core(yard())
    core.observe(fixes("0 40 50 0kmh \n 10 40 50 0kmh"))
    core.replace_site(yard(square()))
    events = core.observe(fixes("20 40 50 0kmh"))
    assert told(events, reasons=True) == ["20 entered park (already_inside)"]


def test_another_floor_plan_keeps_the_belief_in_equal_zones() -> None:
    core = Core(shop())
    core.observe(sorted(standing("bread", 0, 9) + standing("eggs", 0, 9, subject="bob"), key=lambda r: r.t_s))
    new = shop()
    changed = [msgspec.structs.replace(z, name="free-range") if z.id == "eggs" else z for z in new.zones]
    site = msgspec.structs.replace(new, zones=tuple(changed))
    assert told(core.replace_site(site), reasons=True) == [
        "8.75 left dairy (restart)",
        "8.75 left eggs (restart)",
    ]
    assert told(core.advance(T0 + 12)) == ["9 entered dairy", "9 entered eggs"]
    assert told(core.advance(T0 + 60)) == [
        "28.75 left bread",
        "28.75 left dairy",
        "28.75 left eggs",
    ]


def test_who_fell_silent_before_another_map_came_is_forgotten_after_it() -> None:
    """Its row has the same number and the same deadline in both."""
    core = Core(shop())
    core.observe(standing("bread", 0, 9))
    core.advance(T0 + 60)
    new = shop()
    moved = [msgspec.structs.replace(z, at=(z.at[0] + 1, z.at[1])) if z.at else z for z in new.zones]
    core.replace_site(msgspec.structs.replace(new, zones=tuple(moved)))
    assert core.devices_of("anna")
    assert core.advance(T0 + 600) == []
    assert core.devices_of("anna") == []


@pytest.mark.parametrize("junk", [b"", b"\xc1", b"\x80", msgspec.msgpack.encode({"version": 99})])
def test_a_snapshot_that_is_none_is_refused(junk: bytes) -> None:
    with pytest.raises(ValueError, match="snapshot"):
        Core(shop()).restore(junk)


def test_a_snapshot_of_another_map_is_refused() -> None:
    with pytest.raises(ValueError, match="another map"):
        Core(shop()).restore(Core(yard(square())).snapshot())
