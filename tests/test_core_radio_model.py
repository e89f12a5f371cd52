"""What the belief makes of spots, offsets, a calibration and the ground outside (DESIGN §5.1)."""

from __future__ import annotations

import pytest
from core_words import T0, play, shop, standing, told
from msgspec.structs import replace

from gateway.core import Core
from gateway.core.belief import OFFSET_SD_MIN_DB, Beliefs
from gateway.core.cells import cells, moves, unzoned
from gateway.core.listening import Ears
from gateway.core.propagation import OUTSIDE, radio_map
from gateway.core.trust import confidence
from gateway.model import Anchor, Calibration, LinkModel, Reading, SiteMap, Spot, Zone

LINKS = ("pi-milk", "pi-eggs", "pi-bread", "pi-wine")


def learned(*zones: str, outside: bool = False) -> SiteMap:
    """The shop, walked in these shelves: 60 dBm below the own receiver, 12 dB weaker a shelf."""
    names = [link.removeprefix("pi-") for link in LINKS]
    spots = [
        Spot(zone, tuple(LinkModel(-60.0 - 12 * abs(names.index(zone) - i), 3.0, 0.95) for i in range(4)))
        for zone in zones
    ]
    if outside:
        spots.append(Spot(OUTSIDE, tuple(LinkModel(mu, 4.0, 0.9) for mu in (-96.0, -84.0, -72.0, -60.0))))
    return replace(shop(), calibration=Calibration(LINKS, tuple(spots)))


def test_a_calibrated_and_a_guessed_zone_never_compete() -> None:
    """Nobody walked `wine`: it is no zone of the model, and somebody there is not forced into `bread`."""
    site = learned("milk", "eggs", "bread", outside=True)
    assert radio_map(site).zones == ("milk", "eggs", "bread", OUTSIDE)
    assert [e.zone for e in play(site, standing("wine", 0, 40), 100)] == []
    assert [e.zone for e in play(site, standing("bread", 0, 9), 10)] == ["bread"]


def test_a_zone_that_left_the_map_leaves_its_calibration_behind() -> None:
    site = learned("milk", "eggs", "bread")
    smaller = replace(site, zones=tuple(z for z in site.zones if z.id != "bread"))
    assert radio_map(smaller).zones == ("milk", "eggs", OUTSIDE)


NO_ZONE_LEFT = [
    ("no zone has a place, and nobody has walked yet", replace(shop(), zones=tuple(replace(z, at=None) for z in shop().zones))),
    ("fences only", replace(shop(), zones=())),
    ("all that was walked has left the map", replace(learned("milk", "eggs"), zones=shop().zones[2:])),
    ("the same with walked ground outside", replace(learned("milk", "eggs", outside=True), zones=shop().zones[2:])),
]  # fmt: skip


@pytest.mark.parametrize("site", [s[1] for s in NO_ZONE_LEFT], ids=[s[0] for s in NO_ZONE_LEFT])
def test_a_map_that_leaves_no_zone_to_believe_in_is_heard_in_silence(site: SiteMap) -> None:
    core = Core(site)
    assert core.observe(standing("bread", 0, 30)) == core.advance(T0 + 100) == []
    assert core.rejected == {}
    core.replace_site(learned("milk", "eggs", "bread"))
    assert [e.zone for e in core.observe(standing("bread", 101, 110))] == ["bread"]


def between(start: float, end: float) -> list[Reading]:
    """Somewhat nearer to bread than to eggs, by eight decibels."""
    heard = {"pi-milk": -80.0, "pi-eggs": -72.5, "pi-bread": -64.5, "pi-wine": -79.0}
    times = [T0 + start + 0.25 + i / 2 for i in range(int((end - start) * 2))]
    return [Reading(t_s, "anna", "tag", link, dbm) for t_s in times for link, dbm in heard.items()]


def test_who_has_just_come_moves_on_only_when_that_is_nearly_certain() -> None:
    """The same seconds between two shelves: of one who stood long it is told three seconds sooner."""

    def waits_s(stood_s: float) -> float:
        events = play(
            learned("milk", "eggs", "bread", "wine"),
            standing("eggs", 0, stood_s) + between(stood_s, stood_s + 20),
            100,
        )
        return next(e.emitted_s for e in events if (e.zone, e.change) == ("bread", "entered")) - T0 - stood_s

    assert (waits_s(30), waits_s(2)) == (2, 5)


@pytest.mark.parametrize(("device_class", "loudness_db", "zone"), [
    ("phone", 0, "bread"), ("phone", -20, "bread"), ("phone", 15, "bread"), ("store_tag", 0, "bread"),
])  # fmt: skip
def test_a_phone_may_be_louder_than_the_one_that_calibrated(
    device_class: str, loudness_db: float, zone: str
) -> None:
    site = replace(learned("milk", "eggs", "bread"), device_class=device_class)
    loud = [
        Reading(r.t_s, r.subject, r.device, r.link, r.rssi_dbm + loudness_db) for r in standing("bread", 0, 9)
    ]
    assert [e.zone for e in play(site, loud, 10)] == [zone]


def test_an_offset_is_learned_and_stays() -> None:
    model, ears = Beliefs(radio_map(learned("milk", "eggs", "bread", "wine")), "phone"), Ears(4)
    model.clear(0, T0)
    ears.clear(0, T0)
    for second in range(200):
        for i in range(4):
            ears.hear(0, i, -75.0 - 12 * abs(2 - i), T0 + second + 0.5)
        assert model.step(0, ears, T0 + second + 1.0) == 4
    offset_db, variance_db2 = model.offset(0)
    assert offset_db == pytest.approx(-15.0, abs=1.0)
    assert variance_db2 == OFFSET_SD_MIN_DB**2
    assert sum(model.by_zone(0)) == pytest.approx(1.0)


def test_a_store_tag_has_no_offset() -> None:
    model, ears = Beliefs(radio_map(learned("milk", "eggs")), "store_tag"), Ears(4)
    model.clear(0, T0)
    ears.clear(0, T0)
    ears.hear(0, 0, -80.0, T0)
    model.step(0, ears, T0 + 1.0)
    assert model.offset(0) == (0.0, 0.0)


def test_beliefs_by_spot_and_by_zone_agree() -> None:
    model = Beliefs(radio_map(shop()), "phone")
    model.clear(0, T0)
    assert model.by_zone(0) == pytest.approx([0.2] * 5)
    odds = [0.4, 0.3, 0.2, 0.05, 0.05]
    model.spread(0, odds)
    assert model.by_zone(0) == pytest.approx(odds)
    assert model.top == 0
    assert (model.p, model.next_p) == pytest.approx((0.4, 0.3))


@pytest.mark.parametrize(("interval_s", "worth"), [(0.25, 1.0), (1.0, 0.25), (0.1, 2.0), (8.0, 0.25)])
def test_silence_counts_by_how_often_the_device_advertises(interval_s: float, worth: float) -> None:
    """The walk advertised four times a second; a phone that does so once gives a fourth of the chances."""
    site = learned("milk", "eggs")
    assert site.calibration is not None
    walked = replace(site.calibration, interval_s=0.25)
    beliefs = []
    for factor, calibration in ((1.0, walked), (worth, site.calibration)):
        spots = tuple(
            replace(s, links=tuple(replace(m, p_hear=1 - (1 - m.p_hear) ** factor) for m in s.links))
            for s in calibration.spots
        )
        if factor == 1.0:
            spots = calibration.spots
        model = Beliefs(radio_map(replace(site, calibration=replace(calibration, spots=spots))), "store_tag")
        ears = Ears(4)
        model.clear(0, T0)
        ears.clear(0, T0)
        for k in range(400):
            ears.hear(0, 0, -66.0, T0 + k * interval_s)
        model.step(0, ears, T0 + 399 * interval_s + 0.01)
        beliefs.append(model.by_zone(0)[:2])
    assert beliefs[0][0] / beliefs[0][1] == pytest.approx(beliefs[1][0] / beliefs[1][1], rel=0.02)


@pytest.mark.parametrize("leave_after_s", [5.0, 20.0])
def test_being_heard_outside_for_so_long_ends_a_stay(leave_after_s: float) -> None:
    site = learned("milk", "eggs", "bread", outside=True)
    zones = tuple(replace(z, leave_after_s=leave_after_s) for z in site.zones)
    events = play(replace(site, zones=zones), standing("bread", 0, 9) + standing("wine", 9, 60), 60)
    began = 10.0
    assert told(events, reasons=True)[-1] == f"{began + leave_after_s:g} left bread (outside)"


@pytest.mark.parametrize(("p", "at_least", "at_most"), [
    (0.0, 0.0, 0.0), (0.5, 0.4, 0.5), (0.7, 0.5, 0.6), (0.95, 0.7, 0.8), (1.0, 0.92, 0.97),
])  # fmt: skip
def test_confidence_claims_less_than_the_posterior_at_the_top(
    p: float, at_least: float, at_most: float
) -> None:
    assert at_least <= confidence(p) <= at_most
    assert confidence(p, calibrated=False) <= confidence(p)


def test_confidence_rises_with_the_posterior() -> None:
    values = [confidence(i / 100) for i in range(101)]
    assert values == sorted(values)


def test_a_receiver_with_a_will_is_masked_in_a_calibrated_store() -> None:
    core = Core(learned("milk", "eggs", "bread"))
    core.observe(standing("bread", 0, 9))
    core.receiver_alive("pi-bread", False, T0 + 9)
    assert core.observe(standing("bread", 9, 60, deaf="bread")) == []


def test_cells_share_the_ground_between_points() -> None:
    known, gap_m = cells(shop())
    assert gap_m == 8.0
    assert [cell.zone for cell in known] == ["milk", "eggs", "bread", "wine"]
    assert all(-4 <= x - cell.centre[0] <= 4 for cell in known[1:3] for x, _ in cell.points)
    assert sum(len(part) for part in known[0].quarters()) == len(known[0].points)


def test_a_lone_point_and_a_polygon_have_ground() -> None:
    ring = ((0.0, 0.0), (6.0, 0.0), (6.0, 1.0), (0.0, 1.0))
    site = SiteMap("s", zones=(Zone("a", "shelf", "a", "ground", polygon=ring), Zone("b", "shelf", "b", "up", at=(1, 1))))  # fmt: skip
    (polygon, point), gap_m = cells(site)
    assert gap_m == 4.0
    assert all(0 < x < 6 and 0 < y < 1 for x, y in polygon.points)
    assert max(abs(x - 1) for x, _ in point.points) <= 4.0


def test_receivers_without_a_zone_are_places_outside() -> None:
    site = replace(shop(), receivers=(*shop().receivers, Anchor("pi-store", "ground", (40.0, 0.0, 2.4))))
    known, gap_m = cells(site)
    assert [a.id for a in unzoned(site.receivers, known, gap_m)] == ["pi-store"]
    outside = [spot for spot in radio_map(site).spots if spot.zone == OUTSIDE]
    assert len(outside) == 4 + 1, "the four quarters of the ground around it, and far outside"
    strongest = [max(range(5), key=lambda r: spot.links[r].mu_dbm) for spot in outside[:4]]
    assert strongest == [4] * 4


def test_who_moves_on_goes_to_a_neighbour_first() -> None:
    known, gap_m = cells(shop())
    zones = ("milk", "eggs", "bread", "wine", OUTSIDE)
    ways = moves(zones, {c.zone: c for c in known}, gap_m, reach=3.0, least=0.01, outside=0.05)
    from_milk = [row[0] for row in ways]
    assert from_milk[1] > from_milk[2] > from_milk[3] > 0
    assert [sum(column) for column in zip(*ways, strict=True)] == pytest.approx([1.0] * 5)
