"""When a device moves without a calibration: how probable a zone must be, and what its own receiver says to that.

A zone has a receiver of its own where the map expects one receiver to be the strongest in this zone alone.
"""

from __future__ import annotations

import pytest
from core_words import T0, shop, standing, told

from gateway.core import Core
from gateway.core.belief import Beliefs
from gateway.core.listening import Ears
from gateway.core.moving import Threshold, own_links
from gateway.core.propagation import radio_map
from gateway.model import Anchor, SiteMap, Zone

NEEDS = [
    ("leads far: no less than the least", 40.0, 0.690),
    ("6 dB in the lead", 6.0, 0.7858),
    ("3 dB in the lead", 3.0, 0.9129),
    ("as strong as another", 0.0, 0.9677),
    ("3 dB behind", -3.0, 0.9885),
    ("not heard at all: no more than the most", -60.0, 0.9975),
]


@pytest.mark.parametrize(("lead_db", "needed"), [row[1:] for row in NEEDS], ids=[row[0] for row in NEEDS])
def test_the_lead_of_its_own_receiver_says_what_a_zone_needs(lead_db: float, needed: float) -> None:
    threshold = Threshold(0.94, 0.94, [0, -1])
    assert threshold.led(lead_db) == pytest.approx(needed, abs=1e-4)


def site(zones: dict[str, float], receivers: dict[str, float]) -> SiteMap:
    """Zones and receivers along an aisle, by metre."""
    return SiteMap(
        "shop",
        zones=tuple(Zone(z, "shelf", z, "ground", at=(x, 0.0)) for z, x in zones.items()),
        receivers=tuple(Anchor(r, "ground", (x, 0.5, 2.0)) for r, x in receivers.items()),
    )


OWN = [
    ("one each", site({"a": 0, "b": 8}, {"r": 0, "s": 8}), {"a": "r", "b": "s"}),
    ("two zones share one", site({"a": 0, "b": 3, "c": 16}, {"r": 1.5, "s": 16}), {"c": "s"}),
    ("none there", site({"a": 0, "b": 8, "c": 16}, {"r": 0, "s": 16}), {}),
    ("two at one zone: neither is the one", site({"a": 0, "b": 12}, {"r": -2, "s": 2, "t": 12}), {"b": "t"}),
]


@pytest.mark.parametrize(("shop", "own"), [row[1:] for row in OWN], ids=[row[0] for row in OWN])
def test_zones_with_a_receiver_of_their_own(shop: SiteMap, own: dict[str, str]) -> None:
    model = radio_map(shop)
    found = zip(model.zones, own_links(model), strict=True)
    assert {zone: model.links[link] for zone, link in found if link >= 0} == own


LEADS = [
    ("its receiver leads", {"pi-milk": -60.0, "pi-eggs": -72.0, "pi-wine": -80.0}, 12.0),
    ("another one leads", {"pi-milk": -70.0, "pi-eggs": -66.0}, -4.0),
    ("only another one hears", {"pi-eggs": -66.0}, -54.0),
    ("only its receiver hears", {"pi-milk": -66.0}, 54.0),
    ("nobody hears", {}, 0.0),
]


@pytest.mark.parametrize(("heard", "lead_db"), [row[1:] for row in LEADS], ids=[row[0] for row in LEADS])
def test_lead(heard: dict[str, float], lead_db: float) -> None:
    model = radio_map(shop())
    ears, beliefs = Ears(len(model.links)), Beliefs(model, "phone")
    ears.clear(0, T0)
    for link, rssi_dbm in heard.items():
        ears.hear(0, model.links.index(link), rssi_dbm, T0 + 0.5)
    own = model.links.index("pi-milk")
    assert beliefs.lead_db(own, 0, ears, T0 + 1.0) == pytest.approx(lead_db, abs=1e-3)


EXPLAINED = [
    # dead, seconds beside the eggs after nine beside the milk: what the likeliest of the other zones needs
    ("the eggs' receiver is 12 dB behind", "", 0, 0.9975),
    ("dead, it neither leads nor is behind", "pi-eggs", 0, 0.94),
    ("a second beside it, it leads by 3 dB", "", 1, 0.908),
]


@pytest.mark.parametrize(
    ("dead", "beside_s", "needed"), [row[1:] for row in EXPLAINED], ids=[row[0] for row in EXPLAINED]
)
def test_an_explanation_says_what_the_likeliest_other_zone_needs(
    dead: str, beside_s: float, needed: float
) -> None:
    core = Core(shop())
    if dead:
        core.receiver_alive(dead, False, T0)
    core.observe(standing("milk", 0, 9, deaf=dead.removeprefix("pi-")))
    core.observe(standing("eggs", 9, 9 + beside_s))
    (device,) = core.explain("anna").radio
    assert device.holds == "milk"
    assert device.needs == pytest.approx(needed, abs=1e-3)


def test_who_stands_at_a_dead_receiver_is_found_by_the_others() -> None:
    core = Core(shop())
    core.receiver_alive("pi-bread", False, T0)
    assert "entered bread" in " ".join(told(core.observe(standing("bread", 0, 30, deaf="bread"))))
