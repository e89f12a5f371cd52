"""Simulated drives and their truth: what each kind of car does at a fence, and what its phone says of it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from gateway.model import Circle, Fence, Message, SiteMap
from gateway.sim import scenes
from gateway.sim.drives import STREET, Car, DriveModel, lots_of, reports, simulate, traffic
from gateway.sim.lots import Lot
from gateway.sim.truth import Truth, truth_of
from gateway.verbs import simulate as session

T0 = 1_766_390_400.0
RING = ((50.9412, 6.9582), (50.9419, 6.9582), (50.9419, 6.9597), (50.9412, 6.9597))
PARK = Fence("park", "car_park", "Park", polygons=((RING,),))
PUMP = Fence("pump", "pump", "Pump", circle=Circle(50.9411, 6.9590, 15.0))
SITE = SiteMap("s", fences=(PUMP, PARK))


def at_the_park(car: Car, model: DriveModel = STREET) -> list[Truth]:
    return [t for t in truth_of(SITE, [car], 1, model) if t.zone == "park"]


@pytest.mark.parametrize(
    ("car", "classes", "went_on"),
    [
        (Car("a/visit", "visit", T0, stay_s=240.0), ["visit"], True),
        (Car("a/queue", "visit", T0, stay_s=240.0, wait_s=60.0), ["visit"], True),
        (Car("a/stays", "visit", T0, stay_s=240.0, stays=True), ["visit"], False),
        (Car("a/drop", "drop_off", T0, stay_s=40.0), ["short_stop"], True),
        (Car("a/through", "through", T0), ["pass_through"], True),
        (Car("a/past", "past", T0), ["untouched"], False),
        (Car("a/slow", "slow", T0), ["untouched"], False),
        (Car("a/light", "light", T0, wait_s=45.0), ["untouched"], False),
    ],
)
def test_what_each_kind_of_car_really_does(car: Car, classes: list[str], went_on: bool) -> None:
    stays = at_the_park(car)
    assert [stay.classed for stay in stays] == classes
    assert [stay.went_on for stay in stays] == [went_on] * len(stays)
    assert all((stay.t_in is None) == (stay.classed == "untouched") for stay in stays)


def test_a_visit_lasts_as_long_as_the_car_stands_and_the_way_in_and_out() -> None:
    (stay,) = at_the_park(Car("a/visit", "visit", T0, stay_s=240.0))
    assert stay.t_in is not None
    assert stay.t_out is not None
    assert 240 < stay.t_out - stay.t_in < 330


def test_errors_of_the_street() -> None:
    model = msgspec.structs.replace(STREET, outliers=0.1, lost=0.2, late=0.1)
    car = Car("a/visit", "visit", T0, stay_s=60.0, reports_speed=False)
    lots = lots_of(SITE)
    calm, wild = (reports(car, lots, 1, m) for m in (DriveModel(), model))
    said = [json.loads(report.message.payload) for report in wild]
    accuracies = Counter(location["acc"] for location in said)
    assert 0.7 < len(wild) / len(calm) < 0.9
    assert set(accuracies) == {5, 90}
    assert 0.05 < accuracies[90] / len(said) < 0.2
    assert all("vel" not in location for location in said)
    late = sum(report.message.t_s - report.fix_s > 5 for report in wild)
    assert 0.05 < late / len(wild) < 0.2
    received = [report.message.t_s for report in wild]
    assert received == sorted(received)


def test_several_rates_and_every_kind_come() -> None:
    cars = traffic(SITE, start_s=T0, duration_s=36_000, seed=3, every_s=60, interval_s=(1.0, 5.0, 30.0))
    assert {car.interval_s for car in cars} == {1.0, 5.0, 30.0}
    assert {car.kind for car in cars} == {"visit", "drop_off", "through", "past", "slow", "light"}
    assert {car.fence for car in cars} == {"park", "pump"}


def test_the_same_seed_gives_the_same_recording_in_order_of_reception() -> None:
    first, again, other = (
        list(scenes.street(SITE, duration_s=600, seed=seed, late=0.1)[0]) for seed in (1, 1, 2)
    )
    assert first == again != other
    assert [entry.t_s for entry in first] == sorted(entry.t_s for entry in first)
    assert all(isinstance(entry, Message) for entry in first)


def test_a_lot_knows_its_own_metres() -> None:
    lot = Lot(PARK)
    assert lot.length_m == pytest.approx(105.1, abs=0.2)
    assert lot.depth_m == pytest.approx(77.8, abs=0.2)
    x_m, y_m = lot.metres(lot.degrees(12.0, 34.0))
    assert (x_m, y_m) == pytest.approx((12.0, 34.0), abs=0.01)
    assert lot.contains(12.0, 34.0)
    assert not lot.contains(12.0, -1.0)
    assert lot.border_m(12.0, 34.0) == pytest.approx(34.0, abs=0.1)


def test_recording_and_truth_are_written_side_by_side(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(
        "site: {id: s, name: S, timezone: UTC}\n"
        f"fences: [{{id: park, kind: car_park, polygon: {[list(corner) for corner in RING]}}}]\n"
    )
    out, truth = tmp_path / "cars.jsonl", tmp_path / "truth.jsonl"
    session.write_drives(
        tmp_path, out, truth=truth, seed=1, minutes=10, every_s=60, interval_s=(1.0,), late=0.0
    )
    lines = [json.loads(line) for line in truth.read_text().splitlines()]
    assert {"device", "zone", "t_in", "t_out", "class", "went_on"} == lines[0].keys()
    devices = {json.loads(line)["mqtt"]["topic"].split("/")[2] for line in out.read_text().splitlines()}
    assert {line["device"] for line in lines} <= devices


def test_cars_come_to_their_own_fence() -> None:
    car = Car("a/b", "visit", T0, stay_s=240.0, fence="pump")
    assert ("pump", "visit") in {(t.zone, t.classed) for t in truth_of(SITE, [car], 1, STREET)}
    entries = simulate(SITE, start_s=T0, duration_s=60, seed=1, cars=[Car("a/b", "past", T0, fence="pump")])
    assert 30 < len(list(entries)) <= 60
