"""Radio devices in rows: one form or the other, one a call or in batches, the same bits."""

from __future__ import annotations

import importlib
import math
import random
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import PlainSources
from core_words import T0, changed, shop
from msgspec.structs import replace

from gateway.core import Core, crowd
from gateway.core.agenda import Agenda
from gateway.core.clones import apart_m, is_cloned, reach_m
from gateway.core.health import Health
from gateway.core.listening import Ears, decay
from gateway.core.moving import Threshold
from gateway.core.propagation import OUTSIDE, radio_map
from gateway.model import Anchor, Calibration, LinkModel, Presence, Reading, SiteMap, Spot

LINKS = ("pi-milk", "pi-eggs", "pi-bread", "pi-wine")


def walked(device_class: str) -> SiteMap:
    """Two spots a shelf, and ground outside beyond the wine."""
    spots = [
        Spot(zone, tuple(LinkModel(-58.0 - 11 * abs(i - j) - lower, 3.5, 0.9) for j in range(4)))
        for i, zone in enumerate(("milk", "eggs", "bread"))
        for lower in (0.0, 5.0)
    ]
    spots.append(Spot(OUTSIDE, tuple(LinkModel(-97.0 + 12 * j, 6.0, 0.7) for j in range(4))))
    learned = Calibration(LINKS, tuple(spots), 0.5, 0.25)
    return replace(shop(dwell=[5.0, 20.0]), calibration=learned, device_class=device_class)


def crowded(seconds: int = 90, devices: int = 20) -> list[Reading]:
    """Tags that wander, stop, fall silent and come back; some sentinels among what is heard of them."""
    rng, out = random.Random(5), []
    place = [rng.uniform(0.0, 3.0) for _ in range(devices)]
    for tenth in range(seconds * 10):
        k = rng.randrange(devices)
        if rng.random() < 0.05:
            place[k] = rng.uniform(0.0, 4.5)
        if (tenth // 300 + k) % 3 == 0:
            continue
        for j, link in enumerate(LINKS):
            rssi_dbm = round(rng.gauss(-58.0 - 11 * abs(place[k] - j), 4.0))
            if rssi_dbm > -92 and rng.random() < 0.9:
                heard = 127.0 if rng.random() < 0.01 else float(rssi_dbm)
                out.append(Reading(T0 + tenth / 10 + j / 1000, f"s{k // 2}", f"d{k}", link, heard))
    return out


@pytest.fixture(name="plain")
def plain_core() -> Iterator[Any]:
    """The core from its source, whether it is installed compiled or not."""
    installed = {name: module for name, module in sys.modules.items() if name.startswith("gateway.core")}
    for name in installed:
        del sys.modules[name]
    sys.meta_path.insert(0, finder := PlainSources())
    try:
        yield importlib.import_module("gateway.core")
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if name.startswith("gateway.core")]:
            del sys.modules[name]
        sys.modules.update(installed)


@pytest.mark.parametrize(
    "site", [shop([5.0]), walked("phone"), walked("store_tag")], ids=["map", "phone", "tag"]
)
def test_plain_and_installed_give_the_same_bits(plain: Any, site: SiteMap) -> None:
    assert sys.modules["gateway.core.crowd"].__file__ != crowd.__file__ or crowd.__file__.endswith(".py")
    ours, theirs, readings = Core(site), plain.Core(site), crowded()
    told = [repr(e) for e in ours.observe(readings)]
    assert len(told) > 20
    assert told == [repr(e) for e in theirs.observe(readings)]
    assert ours.snapshot() == theirs.snapshot()


def one_by_one(core: Core, readings: list[Reading]) -> list[Presence]:
    return [event for reading in readings for event in core.observe_one(reading)]


@pytest.mark.parametrize("size", [1, 7, 256])
def test_batches_do_not_matter(size: int) -> None:
    readings = crowded()
    alone, batched = Core(walked("phone")), Core(walked("phone"))
    events = one_by_one(alone, readings)
    parts = [batched.observe(readings[i : i + size]) for i in range(0, len(readings), size)]
    assert [event for part in parts for event in part] == events
    assert batched.snapshot() == alone.snapshot()


def test_rows_are_used_again_and_nothing_of_the_last_device_is_left() -> None:
    readings = crowded(30)
    used, fresh = Core(walked("phone")), Core(walked("phone"))
    used.observe(crowded(10))
    for k in range(10):
        used.forget(f"s{k}")
    later = [changed(r, t_s=r.t_s + 1000.0) for r in readings]
    assert used.observe(later) == fresh.observe(later)


def test_state_of_a_device_fits() -> None:
    """Sixteen zones of three spots each and sixteen receivers, in bytes."""
    links = tuple(f"r{k}" for k in range(16))
    spot = tuple(LinkModel(-60.0, 3.0, 0.9) for _ in links)
    zones = tuple(replace(shop().zones[2], id=f"z{k}", part_of=None) for k in range(16))
    learned = Calibration(links, tuple(Spot(zone.id, spot) for zone in zones for _ in range(3)))
    site = SiteMap("s", zones=zones, receivers=tuple(Anchor(r, "ground") for r in links), calibration=learned)
    devices = crowd.Crowd(
        site, radio_map(site), Health(links), Agenda(), threshold=Threshold(0.8, 0.99), reject=lambda _: None
    )
    assert 0 < devices.nbytes <= 384


@pytest.mark.parametrize("x", [0.0, -1e-9, -0.1, -1.0, -7.3, -39.99])
def test_decay_is_the_exponential(x: float) -> None:
    assert decay(x) == pytest.approx(math.exp(x), rel=1e-15)
    assert decay(-41.0) == 0.0


def test_links_are_heard_in_32_bits_over_days() -> None:
    ears = Ears(2)
    ears.clear(0, T0)
    for hour in range(100):
        ears.hear(0, 0, -60.0, T0 + 3600.0 * hour + 0.25)
    now_s = T0 + 3600.0 * 99 + 0.5
    assert ears.heard_s(0, 0) == T0 + 3600.0 * 99 + 0.25
    assert ears.heard(0, now_s) == [(0, -60.0)]
    assert ears.heard(0, now_s + 10.0) == []


APART = [
    # metres between two receivers, dBm at both, seconds between the readings: two devices?
    (40.0, -60.0, -60.0, 0.0, True),
    (40.0, -60.0, -73.0, 0.0, False),  # too weak to be looked at
    (40.0, -60.0, -60.0, 20.0, False),  # it may have gone there
    (10.0, -60.0, -60.0, 0.0, False),
]


@pytest.mark.parametrize(("way_m", "a_dbm", "b_dbm", "gap_s", "cloned"), APART)
def test_two_strong_links(way_m: float, a_dbm: float, b_dbm: float, gap_s: float, cloned: bool) -> None:
    a, b = Anchor("a", "g", (0.0, 0.0, 2.4)), Anchor("b", "g", (way_m, 0.0, 2.4))
    assert is_cloned([(a, a_dbm, T0), (b, b_dbm, T0 + gap_s)]) is cloned


def test_a_third_that_is_stronger_shows_a_loud_device() -> None:
    a, b, between = (Anchor(name, "g", (x, 0.0, 2.4)) for name, x in (("a", 0.0), ("b", 20.0), ("c", 10.0)))
    ends = [(a, -55.0, T0), (b, -54.0, T0)]
    assert is_cloned(ends)
    assert is_cloned([*ends, (between, -60.0, T0)])
    assert not is_cloned([*ends, (between, -42.0, T0)])


def test_reach_and_distance() -> None:
    here, lost = Anchor("a", "g", (0.0, 0.0, 2.4)), Anchor("b", "g")
    assert apart_m(here, lost) == 0.0, "nothing can be said without a place"
    assert apart_m(here, Anchor("c", "up", (3.0, 4.0, 2.4))) == pytest.approx(15.0)
    assert reach_m(-30.0) == 1.0
    assert reach_m(-66.0) == pytest.approx(10.0)
