"""The simulators, and what they write."""

from __future__ import annotations

import itertools
import json
import math
import statistics
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from gateway import recording
from gateway.counts import Counts
from gateway.model import Anchor, Circle, Fence, Fix, Message, ReceiverState, Sighting, SiteMap, Zone
from gateway.profiles import load_profiles
from gateway.settings import load_site
from gateway.sim import air, drives, lots, scenes, store
from gateway.sim.air import Air, Phone, Step
from gateway.sim.drives import Car, DriveModel
from gateway.sim.recorded import Entry, Label, line, signals, write
from gateway.sim.store import Shopper

DEMO = Path(__file__).parent.parent / "config" / "demo"
SITE = load_site(DEMO)
T0 = 1_766_390_400.0
ME = "ibeacon:5f3a9c1e-8b7d-4c52-9e60-2d4f81a7b3c6:1:9"
LAT, LON = (50.9412, 50.9418), (6.9582, 6.9594)
"""The demo's car park."""


def shop(*shoppers: Shopper, seed: int = 1, foreign: int = 0, site: SiteMap = SITE) -> list[Entry]:
    scene = store.simulate(site, start_s=T0, duration_s=240, seed=seed, shoppers=shoppers, foreign=foreign)
    return list(scene)


def drive(*cars: Car, seed: int = 1, site: SiteMap = SITE, model: DriveModel | None = None) -> list[Fix]:
    scene = drives.simulate(site, start_s=T0, duration_s=900, seed=seed, cars=cars, model=model)
    profiles, counts = load_profiles(), Counts()
    found = [
        item
        for message in signals(scene)
        if isinstance(message, Message)
        for item in profiles.read(message, counts)
    ]
    return [item for item in found if isinstance(item, Fix)]


def sightings(entries: list[Entry]) -> list[Sighting]:
    profiles, counts = load_profiles(), Counts()
    found = [item for e in entries if isinstance(e, Message) for item in profiles.read(e, counts)]
    return [item for item in found if isinstance(item, Sighting)]


# --- scenes ---


@pytest.mark.parametrize("scene", ["store", "drives", "demo"])
def test_a_scene_is_the_same_for_the_same_seed_and_in_order(scene: scenes.Scene) -> None:
    def lines(seed: int) -> list[bytes]:
        return [
            line(e) for e in itertools.islice(scenes.play(scene, SITE, duration_s=300.0, seed=seed), 2000)
        ]

    entries = list(itertools.islice(scenes.play(scene, SITE, duration_s=300.0), 2000))
    assert len(entries) > 50
    assert all(a.t_s <= b.t_s for a, b in itertools.pairwise(entries))
    assert lines(1) == lines(1) != lines(2)


def test_every_message_of_the_demo_is_understood_by_the_shipped_profiles() -> None:
    profiles, counts = load_profiles(), Counts()
    found = [profiles.read(m, counts) for m in signals(scenes.demo(SITE)) if isinstance(m, Message)]
    assert all(found)
    assert {outcome for room in counts.by_room().values() for outcome in room} == {"matched"}


@pytest.mark.parametrize("name", ["scene.jsonl", "scene.jsonl.gz"])
def test_a_written_scene_reads_back_as_its_signals(tmp_path: Path, name: str) -> None:
    entries = shop(Shopper(ME, T0, ("wine",)))
    assert write(entries, tmp_path / name) == len(entries)
    expected = [msgspec.structs.replace(s, t_s=round(s.t_s, 3)) for s in signals(entries)]
    assert list(recording.read(tmp_path / name)) == expected


def test_a_label_is_a_line_of_its_own() -> None:
    assert json.loads(line(Label(T0 + 0.25, ME, None))) == {
        "t": T0 + 0.25,
        "label": {"device": ME, "zone": None},
    }


# --- the store ---


def test_labels_tell_where_a_shopper_stands() -> None:
    labels = [e for e in shop(Shopper(ME, T0 + 3, ("wine", "checkout"))) if isinstance(e, Label)]
    assert [label.zone for label in labels] == ["wine", None, "checkout", None]
    assert all(label.device == ME for label in labels)


def test_the_receiver_over_the_shelf_hears_it_best() -> None:
    entries = shop(Shopper(ME, T0, ("coffee",)))
    arrived, left = (e.t_s for e in entries if isinstance(e, Label))
    standing = [s for s in sightings(entries) if arrived + 1 < s.t_s < left]
    by_receiver = {r.id: [s.rssi_dbm for s in standing if s.receiver == r.id] for r in SITE.receivers}
    level = {name: statistics.median(heard) for name, heard in by_receiver.items() if heard}
    assert max(level, key=lambda name: level[name]) == "rx-2"
    assert all(-100 < rssi_dbm < -30 for heard in by_receiver.values() for rssi_dbm in heard)


def test_phones_of_strangers_have_resolvable_addresses_and_no_enrolled_identity() -> None:
    profiles, counts = load_profiles(), Counts()
    heard = sightings(shop(Shopper(ME, T0), foreign=12))
    own = {s.address for s in heard if profiles.identities(s, counts) == (ME,)}
    strange = {s.address for s in heard} - own
    assert len(own) == 1
    assert len(strange) > 5
    assert {s.address_type for s in heard} == {"random"}
    assert all(int(address[:2], 16) >> 6 == 0b11 for address in own)
    assert all(int(address[:2], 16) >> 6 == 0b01 for address in strange)


def test_one_shopper_more_changes_nothing_for_the_others() -> None:
    other = Shopper("ibeacon:5f3a9c1e-8b7d-4c52-9e60-2d4f81a7b3c6:1:10", T0 + 5)

    def of_me(entries: list[Entry]) -> list[tuple[str, float]]:
        adv = air.ibeacon(ME)
        return [(s.receiver, s.rssi_dbm) for s in sightings(entries) if s.adv == adv]

    assert of_me(shop(Shopper(ME, T0))) == of_me(shop(Shopper(ME, T0), other))


def test_a_store_without_a_place_is_refused() -> None:
    with pytest.raises(ValueError, match="zones and receivers with a place"):
        store.simulate(SiteMap("s", zones=(Zone("z", "shelf", "z", "g"),)), start_s=T0, duration_s=9, seed=1)


# --- the air ---

RECEIVER = Anchor("rx", "g", (0.0, 0.0, 1.1))
STILL = Air(shadowing_sd_db=0, power_sd_db=0, body_db=0, rician_k=1e9, loss=0, sensitivity_dbm=-100)


@pytest.mark.parametrize(
    ("x_m", "facing", "loss_db"),
    [
        (0.3, math.pi, 0.0),  # nearer than one metre counts as one
        (1.0, math.pi, 0.0),
        (10.0, math.pi, 26.0),  # 10 n dB a decade
        (10.0, 0.0, 34.0),  # the body between
        (10.0, math.pi / 2, 30.0),
    ],
)
def test_path_loss(x_m: float, facing: float, loss_db: float) -> None:
    assert air.path_loss_db(RECEIVER, Step(0.0, x_m, 0.0), facing, Air()) == pytest.approx(loss_db)


def stand_still(air_: Air, x_m: float = 5.0, for_s: float = 2000.0) -> list[int]:
    phone = Phone("c0:00:00:00:00:01", b"", 1.0, [Step(0.0, x_m, 0.0), Step(for_s, x_m, 0.0)])
    return [heard.rssi_dbm for heard in air.heard(Random(1), phone, air.Site([RECEIVER]), air_)]


@pytest.mark.parametrize(
    ("air_", "share", "spread_db"),
    [
        (STILL, 1.0, (0.0, 0.0)),
        (msgspec.structs.replace(STILL, loss=0.25), 0.75, (0.0, 0.0)),
        (msgspec.structs.replace(STILL, rician_k=4.0), 1.0, (2.5, 4.5)),
        (msgspec.structs.replace(STILL, sensitivity_dbm=-60), 0.0, None),
    ],
    ids=["still", "loss", "fading", "deaf"],
)
def test_what_is_heard_of_a_phone_that_stands_still(
    air_: Air, share: float, spread_db: tuple[float, float] | None
) -> None:
    heard = stand_still(air_)
    assert len(heard) / 1990 == pytest.approx(share, abs=0.04)
    if spread_db is not None:
        assert spread_db[0] <= statistics.pstdev(heard) <= spread_db[1]


def test_shadowing_belongs_to_a_place_and_is_forgotten_with_distance() -> None:
    shadowed = msgspec.structs.replace(STILL, shadowing_sd_db=6.0, exponent=0.0)
    assert statistics.pstdev(stand_still(shadowed)) == 0
    far = Phone("", b"", 0.5, [Step(0.0, 0.0, 0.0), Step(2000.0, 2000.0, 0.0)])
    level = [heard.rssi_dbm for heard in air.heard(Random(1), far, air.Site([RECEIVER]), shadowed)]
    assert statistics.pstdev(level) == pytest.approx(6.0, rel=0.15)
    near, away = ([b - a for a, b in zip(level, level[n:], strict=False)] for n in (1, 20))
    assert statistics.pstdev(near) < 0.6 * statistics.pstdev(away)


# --- drives ---


def inside(fix: Fix) -> bool:
    return LAT[0] <= fix.lat_deg <= LAT[1] and LON[0] <= fix.lon_deg <= LON[1]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_visit_comes_in_slowly_parks_falls_silent_and_leaves(seed: int) -> None:
    fixes = drive(Car("anna/golf", "visit", T0, stay_s=300.0), seed=seed)
    gaps = [b.t_s - a.t_s for a, b in itertools.pairwise(fixes)]
    silent = gaps.index(max(gaps))
    assert {fix.device for fix in fixes} == {"vehicle:anna/golf"}
    assert not inside(fixes[0])
    assert not inside(fixes[-1])
    assert inside(fixes[silent])
    assert fixes[silent].speed_kmh == 0
    assert 255 < gaps[silent] < 265


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_through_has_fixes_inside_and_never_slows_down(seed: int) -> None:
    fixes = drive(Car("clara/zoe", "through", T0), seed=seed)
    assert 5 <= sum(inside(fix) for fix in fixes) <= 15
    assert min(fix.speed_kmh or 0 for fix in fixes) > 25


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_past_has_none_inside(seed: int) -> None:
    assert not any(inside(fix) for fix in drive(Car("emil/van", "past", T0), seed=seed))


def test_position_errors_have_the_size_they_are_said_to_have_and_change_slowly() -> None:
    car = Car("anna/golf", "past", T0)
    noisy, exact = drive(car), drive(car, model=DriveModel(noise_m=0.0))
    north_m = [(a.lat_deg - b.lat_deg) * lots.EARTH_M_PER_DEG for a, b in zip(noisy, exact, strict=True)]
    assert 0.5 < statistics.pstdev(north_m) < 6.0
    steps_m = [abs(b - a) for a, b in itertools.pairwise(north_m)]
    assert statistics.mean(steps_m) < 0.4 * DriveModel().noise_m


def test_a_circle_serves_as_a_car_park_and_no_fence_is_refused() -> None:
    fence = Fence("pump", "pump", "Pump", circle=Circle(50.94, 6.95, 40.0))
    fixes = drive(Car("anna/golf", "visit", T0), site=SiteMap("s", fences=(fence,)))
    parked = min(fixes, key=lambda fix: fix.speed_kmh or 0)
    assert math.hypot(parked.lat_deg - 50.94, (parked.lon_deg - 6.95) * 0.63) * 111_195 < 45
    with pytest.raises(ValueError, match="need a fence"):
        drives.simulate(SiteMap("s"), start_s=T0, duration_s=60, seed=1)


def played(**options: Any) -> list[Entry]:
    return list(
        store.simulate(SITE, start_s=T0, duration_s=240, seed=4, foreign=0, trouble=store.Trouble(**options))
    )


def readings_of(entries: list[Entry], receiver: str) -> list[Sighting]:
    return [s for s in sightings(entries) if s.receiver == receiver]


def test_a_dead_receiver_is_silent_in_the_second_half_and_may_say_so() -> None:
    dead = SITE.receivers[0].id
    for will in (False, True):
        entries = played(dead=(dead,), will=will)
        assert readings_of(entries, dead)
        assert all(s.t_s <= T0 + 122 for s in readings_of(entries, dead))
        wills = [e for e in entries if isinstance(e, ReceiverState)]
        assert wills == ([ReceiverState(T0 + 120, dead, False)] if will else [])
    with pytest.raises(ValueError, match="no receiver 'pi-nowhere' with a place"):
        played(dead=("pi-nowhere",))


def test_drift_makes_each_receiver_louder_or_softer_and_nothing_else() -> None:
    before, after = sightings(played()), sightings(played(drift_db=6.0))
    level = [
        statistics.mean(s.rssi_dbm for s in heard if s.receiver == SITE.receivers[1].id)
        for heard in (before, after)
    ]
    assert abs(level[0] - level[1]) > 0.5


def test_people_outside_are_labelled_so_and_heard_faintly() -> None:
    entries = played(outside=3)
    labels = [
        e
        for e in entries
        if isinstance(e, Label) and e.device.startswith(f"ibeacon:{store.SHOPPERS_UUID}:2:")
    ]
    assert [label.zone for label in labels] == [None] * 3
    adverts = {air.ibeacon(label.device) for label in labels}
    heard = [s.rssi_dbm for s in sightings(entries) if s.adv in adverts]
    assert heard
    assert max(heard) < max(s.rssi_dbm for s in sightings(entries))


def test_a_calibration_walk_stands_in_every_zone() -> None:
    entries = list(store.calibration_walk(SITE, start_s=T0, stand_s=20, seed=1))
    stands = [e for e in entries if isinstance(e, Label)]
    parents = {zone.part_of for zone in SITE.zones}
    wanted = {zone.id for zone in SITE.zones if zone.id not in parents and (zone.at or zone.polygon)}
    assert {label.zone for label in stands if label.zone} == wanted
