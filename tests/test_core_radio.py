"""What a device's adverts mean on a floor (DESIGN §3.1, §5.1): four shelves in a row, a receiver above each.

`milk` and `eggs` are parts of the `dairy` aisle. Readings come every half second, the last a quarter before the end.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from core_words import T0, assert_order, changed, play, shop, standing, told

from gateway.core import Core
from gateway.core.cells import centroid
from gateway.core.health import Health
from gateway.core.loss import hearing_probability, path_loss_db
from gateway.core.propagation import OUTSIDE, radio_map
from gateway.model import EVIDENCE_KEYS, Anchor, Hearing, Presence, Reading, SiteMap, Zone

STORIES: list[tuple[str, list[Reading], list[str]]] = [
    (
        "comes, stands, falls silent: 20 s after the last reading",
        standing("bread", 0, 30),
        ["1 entered bread", "11 dwelled bread", "49.75 left bread (silence)"],
    ),
    (
        "a pause shorter than leave_after is no leaving",
        standing("bread", 0, 10) + standing("bread", 25, 30),
        ["1 entered bread", "11 dwelled bread", "49.75 left bread (silence)"],
    ),
    (
        "a move is left and entered at one time; the parent ends with its last part",
        standing("eggs", 0, 10) + standing("bread", 10, 18),
        [
            "1 entered dairy",
            "1 entered eggs",
            "11 dwelled eggs",
            "12 left dairy (move)",
            "12 left eggs (move)",
            "12 entered bread",
            "22 dwelled bread",
            "37.75 left bread (silence)",
        ],
    ),
    (
        "a move between two parts is no event of the parent",
        standing("milk", 0, 10) + standing("eggs", 10, 18),
        [
            "1 entered dairy",
            "1 entered milk",
            "11 dwelled milk",
            "12 left milk (move)",
            "12 entered eggs",
            "22 dwelled eggs",
            "31 dwelled dairy",
            "37.75 left dairy (silence)",
            "37.75 left eggs (silence)",
        ],
    ),
    (
        "the first device enters, the last leaves",
        sorted(
            standing("bread", 0, 9) + standing("bread", 5, 30, device="phone"),
            key=lambda r: (r.t_s, r.device),
        ),
        ["1 entered bread", "11 dwelled bread", "49.75 left bread (silence)"],
    ),
    (
        "two devices may hold two zones",
        sorted(
            standing("bread", 0, 9) + standing("wine", 0, 9, device="phone"), key=lambda r: (r.t_s, r.device)
        ),
        [
            "1 entered wine",
            "1 entered bread",
            "11 dwelled bread",
            "11 dwelled wine",
            "28.75 left bread (silence)",
            "28.75 left wine (silence)",
        ],
    ),
]


@pytest.mark.parametrize(("readings", "expected"), [s[1:] for s in STORIES], ids=[s[0] for s in STORIES])
def test_story(readings: list[Reading], expected: list[str]) -> None:
    events = play(shop(dwell=[10]), readings, 200)
    assert told(events, reasons=True) == expected
    assert_order(events)
    assert all(e.evidence.keys() <= EVIDENCE_KEYS for e in events)


def faint(start: float, end: float, links: Sequence[str] = ("pi-milk", "pi-eggs", "pi-bread", "pi-wine")) -> list[Reading]:  # fmt: skip
    """Adverts every half second, equally weak at all receivers."""
    times = [T0 + start + 0.25 + i / 2 for i in range(int((end - start) * 2))]
    return [Reading(t_s, "anna", "tag", link, -99.0) for t_s in times for link in links]


def test_outside_for_leave_after_ends_a_stay_from_the_start_of_the_run() -> None:
    events = play(shop(), standing("bread", 0, 9) + faint(9, 60), 60)
    entered, left = events
    assert (entered.change, left.change, left.evidence["reason"]) == ("entered", "left", "outside")
    assert 20 < left.t_s - T0 - 9 < 40
    assert left.emitted_s == left.t_s


def test_somebody_beside_the_shop_is_not_forced_into_a_zone() -> None:
    assert play(shop(), faint(0, 60), 200) == []


def test_dwell_of_a_stay_ends_with_the_last_evidence_but_covers_what_was_announced() -> None:
    short = play(shop(), standing("bread", 0, 9), 60)[-1]
    announced = play(shop(dwell=[25]), standing("bread", 0, 9), 60)[-1]
    assert (short.change, short.dwell_s, announced.dwell_s) == ("left", 7.75, 25)


def test_a_dead_receiver_is_no_evidence_of_absence() -> None:
    """Standing below a receiver that has died: its last will keeps the stay where it is."""
    first, later = standing("bread", 0, 9), standing("bread", 9, 40, deaf="bread")

    def confidence(*, last_will: bool) -> float:
        core = Core(shop(dwell=[35]))
        core.observe(first)
        if last_will:
            core.receiver_alive("pi-bread", False, T0 + 9)
        return next(e.confidence for e in core.observe(later) if e.change == "dwelled")

    assert confidence(last_will=True) > confidence(last_will=False)


HEALTH: list[tuple[str, list[str], float, set[str]]] = [
    # who hears once a second for 400 s after all have heard at 0, judged at, dead
    ("two witnesses, after five minutes", ["b", "c"], 301, {"a"}),
    ("not before", ["b", "c"], 300, set()),
    ("one witness is not enough", ["b"], 400, set()),
    ("silence everywhere is night", [], 400, set()),
]


@pytest.mark.parametrize(("hearing", "at", "dead"), [h[1:] for h in HEALTH], ids=[h[0] for h in HEALTH])
def test_a_receiver_is_dead_by_silence_only_while_two_others_hear(
    hearing: list[str], at: int, dead: set[str]
) -> None:
    health = Health(["a", "b", "c"])
    for receiver in "abc":
        health.heard(receiver, T0)
    for second in range(at):
        for receiver in hearing:
            health.heard(receiver, T0 + second)
    assert health.dead(T0 + at) == dead


def test_a_receiver_that_is_seldom_heard_is_given_ten_of_its_gaps() -> None:
    health = Health(["a", "b", "c"])
    for second in range(0, 7201):
        health.heard("b", T0 + second)
        health.heard("c", T0 + second)
        if second % 60 == 0:
            health.heard("a", T0 + second)
    for second in range(7201, 7800):
        health.heard("b", T0 + second)
        health.heard("c", T0 + second)
    assert health.dead(T0 + 7700) == set()
    assert health.dead(T0 + 7799.9) == {"a"}


def test_a_word_from_a_dead_receiver_revives_it() -> None:
    health = Health(["a"])
    health.alive("a", False, T0)
    assert health.dead(T0 + 1) == {"a"}
    health.heard("a", T0 + 2)
    assert health.dead(T0 + 3) == set()


def test_a_receiver_that_hears_strangers_lives() -> None:
    core = Core(shop())
    core.observe([Hearing(T0, "pi-milk"), Hearing(T0 + 9, "pi-milk"), Hearing(T0 + 9, "pi-nowhere")])
    ears = msgspec.msgpack.decode(core.snapshot())["ears"]
    assert {name: ear["heard_s"] for name, ear in ears.items() if ear["heard_s"]} == {"pi-milk": T0 + 9}


@pytest.mark.parametrize("rssi_dbm", [127, -127, 0, 20, float("nan")])
def test_a_sentinel_is_no_signal_strength(rssi_dbm: float) -> None:
    core = Core(shop())
    assert core.observe_one(Reading(T0, "anna", "tag", "pi-milk", rssi_dbm)) == []
    assert core.rejected == {"bad_rssi": 1}
    assert core.next_deadline() is None


def test_links_that_are_not_in_the_map_are_counted_and_those_without_a_place_ignored() -> None:
    site = shop()
    site = SiteMap("shop", zones=site.zones, receivers=(*site.receivers, Anchor("pi-cellar", "ground")))
    core = Core(site)
    core.observe([Reading(T0, "anna", "tag", link, -60.0) for link in ("pi-nowhere", "pi-cellar")])
    assert core.rejected == {"unknown_link": 1}
    assert core.receiver_alive("pi-nowhere", True, T0) == []
    assert core.rejected == {"unknown_link": 2}


CLONES = [
    # dBm at one end of the shop, dBm at the other 24 m away: a copy?
    ("below both at once", -58.0, -60.0, True),
    ("loud in the middle", -76.0, -76.0, False),
    ("below one, and heard faintly at the other", -58.0, -88.0, False),
    ("a loud phone: strong at one, fair at the other", -50.0, -74.0, False),
]


@pytest.mark.parametrize(("near", "far", "cloned"), [c[1:] for c in CLONES], ids=[c[0] for c in CLONES])
def test_a_tag_cannot_be_at_two_ends_at_once(near: float, far: float, cloned: bool) -> None:
    times = [T0 + 0.25 + i / 2 for i in range(40)]
    links = (("pi-milk", near), ("pi-wine", far))
    core = Core(shop(dwell=[5]))
    events = core.observe([Reading(t, "anna", "tag", link, dbm) for t in times for link, dbm in links])
    assert core.rejected == ({"cloned": 1} if cloned else {})
    flagged = [e for e in events if e.change == "entered" and e.evidence.get("implausible")]
    assert bool(flagged) == (cloned and any(e.change == "entered" for e in events))


def test_a_few_seconds_at_two_ends_are_marked_and_not_counted() -> None:
    times = [T0 + 0.25 + i / 2 for i in range(12)]
    links = (("pi-milk", -58.0), ("pi-wine", -60.0))
    core = Core(shop())
    core.observe([Reading(t, "anna", "tag", link, dbm) for t in times for link, dbm in links])
    assert core.rejected == {}


def test_what_a_copied_tag_claims_is_marked_and_worth_less() -> None:
    honest = play(shop(), standing("milk", 0, 20))
    both = sorted(
        standing("milk", 0, 20, deaf="wine") + [Reading(r.t_s, r.subject, r.device, "pi-wine", -66.0) for r in standing("milk", 0, 20)],
        key=lambda r: r.t_s,
    )  # fmt: skip
    copied = play(shop(), both)
    claims = [e for e in copied if e.change == "entered"]
    assert claims
    assert all(e.evidence["implausible"] is True for e in claims)
    assert claims[0].confidence < honest[0].confidence


def test_a_slow_advertiser_is_still_heard_between_its_adverts() -> None:
    """One advert in 8 s: learnt from the gaps, so that the belief is stepped through them."""
    readings = [r for r in standing("bread", 0, 400) if (r.t_s - T0) % 8 == 0.25]
    events = play(shop(leave_after=30), readings, 500)
    assert [e.change for e in events] == ["entered", "left"]


def test_a_silent_device_without_a_stay_is_forgotten() -> None:
    core = Core(shop())
    core.observe(standing("bread", 0, 9))
    core.advance(T0 + 2000)
    assert core.next_deadline() is None
    fresh = Core(shop())
    fresh.advance(T0 + 2000)
    assert len(core.snapshot()) < len(fresh.snapshot()) + 100


@pytest.mark.parametrize(
    ("distance_m", "floors", "loss_db"),
    [(0.2, 0, 0.0), (1, 0, 0.0), (10, 0, 24.0), (10, 1, 39.0), (10, 3, 47.0)],
)
def test_path_loss(distance_m: float, floors: int, loss_db: float) -> None:
    assert path_loss_db(distance_m, floors) == pytest.approx(loss_db)


def test_links_from_the_map() -> None:
    polygon = ((0.0, 0.0), (6.0, 0.0), (6.0, 1.0), (0.0, 1.0))
    zones = (
        Zone("shelf", "shelf", "shelf", "ground", polygon=polygon, part_of="aisle"),
        Zone("aisle", "aisle", "aisle", "ground"),
        Zone("nowhere", "shelf", "nowhere", "ground"),
    )
    beacon = Anchor("b", "ground", (3.0, 0.5, 2.2), tx_power_dbm=-50.0)
    model = radio_map(SiteMap("s", zones=zones, beacons=(beacon, Anchor("lost", "ground"))))
    assert (model.zones, model.links) == (("shelf", OUTSIDE), ("b",))
    near, *_, far = model.spots
    assert near.links[0].mu_dbm == pytest.approx(-56.0, abs=1)
    assert (near.zone, far.zone) == ("shelf", OUTSIDE)
    assert far.links[0].mu_dbm < near.links[0].mu_dbm


def test_hearing_probability_is_clipped() -> None:
    assert [hearing_probability(x) for x in (-200.0, -88.0, 0.0)] == [0.02, 0.5, 0.98]


def test_centroid() -> None:
    assert centroid(((2.0, 1.0), (5.0, 1.0), (5.0, 3.0), (2.0, 3.0))) == (3.5, 2.0)
    assert centroid(((1.0, 1.0), (2.0, 2.0), (3.0, 3.0))) == (2.0, 2.0)


def entered(events: list[Presence]) -> list[str]:
    return [e.zone for e in events if e.change == "entered"]


@pytest.mark.parametrize("shift_db", [-12, 0, 8])
def test_how_loud_a_phone_is_does_not_matter(shift_db: float) -> None:
    readings = [
        Reading(r.t_s, "anna", "tag", r.link, r.rssi_dbm + shift_db) for r in standing("bread", 0, 20)
    ]
    assert entered(play(shop(), readings)) == ["bread"]


def test_what_a_tag_says_of_itself_is_evidence_of_its_events() -> None:
    core, readings = Core(shop()), standing("milk", 0, 20)
    readings[0] = changed(readings[0], battery_pct=71.0)
    readings[-1] = changed(readings[-1], battery_pct=70.0, moved=True)
    events = core.observe(readings[:-1])
    taken = core.snapshot()
    core = Core(shop())
    core.restore(taken)
    events += core.observe([readings[-1], *standing("wine", 20, 40)])
    said = [(e.change, e.zone, e.evidence.get("battery_pct"), e.evidence.get("moved")) for e in events]
    assert ("entered", "milk", 71.0, None) in said
    assert ("left", "milk", 70.0, True) in said
    assert ("entered", "wine", 70.0, True) in said
