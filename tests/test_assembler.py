"""Fixes from parts: which latitude goes with which longitude, what goes with them, and for how long."""

import random
from pathlib import Path

import pytest

from gateway import recording
from gateway.consent import Register
from gateway.counts import Counts
from gateway.identity import Identification
from gateway.model import Fix, Message, SiteMap
from gateway.profiles import Assembler, Part, load_profiles
from gateway.recorder import NamedDevices, Recorder

T = 1_766_397_600.0
Said = tuple[float, str, float | bool | None]
"""Seconds after T, member, value."""


def part(at_s: float, name: str, value: object, *, device: str = "vehicle:1", retained: bool = False) -> Part:
    return Part(T + at_s, "profiles.car", device, {name: value}, retained, 2.0, 60.0, "card-1")


def whole(at_s: float, lat: float, lon: float, *, retained: bool = False) -> Part:
    known = {"lat_deg": lat, "lon_deg": lon}
    return Part(T + at_s, "profiles.car", "vehicle:1", known, retained, 2.0, 60.0, "card-1")


def heard(said: list[Said]) -> tuple[list[tuple[float, float, float]], dict[str, int]]:
    """Fixes as (seconds after T, latitude, longitude), and the counts a minute after the last part."""
    counts = Counts()
    assembler = Assembler(counts)
    fixes = [assembler.take(part(*one)) for one in said]
    assembler.take(part(said[-1][0] + 61.0, "speed_kmh", 0.0, device="vehicle:other"))
    found = [(round(f.t_s - T, 3), f.lat_deg, f.lon_deg) for f in fixes if f is not None]
    return found, counts.by_room().get("profiles.car", {})


@pytest.mark.parametrize(
    ("said", "fixes", "unpaired"),
    [
        # A pair is a fix, whichever half comes first.
        ([(0, "lat_deg", 50.0), (0.01, "lon_deg", 7.0)], [(0.01, 50.0, 7.0)], 0),
        ([(0, "lon_deg", 7.0), (0.01, "lat_deg", 50.0)], [(0.01, 50.0, 7.0)], 0),
        # Two seconds apart is a pair, more is none.
        ([(0, "lat_deg", 50.0), (2.0, "lon_deg", 7.0)], [(2.0, 50.0, 7.0)], 0),
        ([(0, "lat_deg", 50.0), (2.1, "lon_deg", 7.0)], [], 2),
        ([(0, "lat_deg", 50.0)], [], 1),
        # At one position a second each is used once, and no corner is cut between two of them.
        (
            [(0, "lat_deg", 50.0), (0.1, "lon_deg", 7.0), (1.0, "lat_deg", 50.1), (1.1, "lon_deg", 7.1)],
            [(0.1, 50.0, 7.0), (1.1, 50.1, 7.1)],
            0,
        ),
        # The second longitude is lost: its latitude waits in vain.
        (
            [
                (0, "lat_deg", 50.0),
                (0.1, "lon_deg", 7.0),
                (1.0, "lat_deg", 50.1),
                (2.0, "lat_deg", 50.2),
                (2.1, "lon_deg", 7.2),
            ],
            [(0.1, 50.0, 7.0), (2.1, 50.2, 7.2)],
            1,
        ),
        # The second latitude is lost: one fix is mixed, then the nearer halves find each other again.
        (
            [
                (0, "lat_deg", 50.0),
                (0.1, "lon_deg", 7.0),
                (1.1, "lon_deg", 7.1),
                (2.0, "lat_deg", 50.2),
                (2.1, "lon_deg", 7.2),
                (3.0, "lat_deg", 50.3),
                (3.1, "lon_deg", 7.3),
            ],
            [(0.1, 50.0, 7.0), (2.0, 50.2, 7.1), (2.1, 50.2, 7.2), (3.1, 50.3, 7.3)],
            0,
        ),
    ],
)
def test_halves_find_each_other(
    said: list[Said], fixes: list[tuple[float, float, float]], unpaired: int
) -> None:
    found, counts = heard(said)
    assert found == fixes
    assert counts == ({"unpaired": unpaired} if unpaired else {})


@pytest.mark.parametrize(
    ("before", "member", "value"),
    [
        ((-60.0, "speed_kmh", 36.0), "speed_kmh", 36.0),
        ((-60.1, "speed_kmh", 36.0), "speed_kmh", None),
        ((-1.0, "speed_kmh", -1.0), "speed_kmh", None),
        ((-1.0, "heading_deg", 360.0), "heading_deg", 0.0),
        ((-1.0, "accuracy_m", 0.0), "accuracy_m", None),
        ((-30.0, "ignition", False), "ignition", False),
        ((-1.0, "ignition", None), "ignition", None),
    ],
)
def test_what_was_last_known_goes_with_the_position(before: Said, member: str, value: object) -> None:
    assembler = Assembler(Counts())
    for one in (before, (-0.1, "lat_deg", 50.0)):
        assert assembler.take(part(*one)) is None
    fix = assembler.take(part(0.0, "lon_deg", 7.0))
    assert fix is not None
    assert getattr(fix, member) == value


@pytest.mark.parametrize(
    ("said", "time_source", "fix_s"),
    [
        ([(0.0, "lat_deg", 50.0), (0.1, "lon_deg", 7.0)], "reception", 0.1),
        ([(0.0, "fix_t_s", T - 3), (0.1, "lat_deg", 50.0), (0.2, "lon_deg", 7.0)], "device", -3.0),
        # Too old, or of the position before.
        ([(-3.0, "fix_t_s", T - 3), (0.1, "lat_deg", 50.0), (0.2, "lon_deg", 7.0)], "reception", 0.2),
        (
            [
                (0.0, "lat_deg", 50.0),
                (0.1, "lon_deg", 7.0),
                (0.2, "fix_t_s", T - 1),
                (1.0, "lat_deg", 50.1),
                (1.1, "lon_deg", 7.1),
            ],
            "reception",
            1.1,
        ),
    ],
)
def test_the_time_of_the_device_or_of_the_reception(said: list[Said], time_source: str, fix_s: float) -> None:
    assembler = Assembler(Counts())
    fixes = [fix for one in said if (fix := assembler.take(part(*one)))]
    assert fixes[-1].time_source == time_source
    assert fixes[-1].fix_t_s - T == pytest.approx(fix_s, abs=1e-3)


@pytest.mark.parametrize(
    ("lat_retained", "lon_retained", "retained"),
    [(False, False, False), (True, False, True), (False, True, True), (True, True, True)],
)
def test_a_retained_half_makes_a_retained_fix(
    *, lat_retained: bool, lon_retained: bool, retained: bool
) -> None:
    assembler = Assembler(Counts())
    assembler.take(part(0.0, "speed_kmh", 36.0, retained=True))
    assembler.take(part(0.1, "lat_deg", 50.0, retained=lat_retained))
    fix = assembler.take(part(0.2, "lon_deg", 7.0, retained=lon_retained))
    assert fix is not None
    assert fix.retained is retained
    assert fix.speed_kmh == (36.0 if retained else None)  # of unknown age: not for a live position


def test_a_position_in_one_message_is_not_said_twice_by_its_halves() -> None:
    counts = Counts()
    assembler = Assembler(counts)
    said = [part(0.0, "lat_deg", 50.0), part(0.0, "lon_deg", 7.0), whole(0.1, 50.0, 7.0)]
    said += [part(1.0, "lat_deg", 50.1), whole(1.1, 50.1, 7.1), part(1.2, "lon_deg", 7.1)]
    fixes = [assembler.take(one) for one in said]
    assert [(f.lat_deg, f.lon_deg) for f in fixes if f] == [(50.0, 7.0), (50.1, 7.1)]
    assert counts.by_room() == {"profiles.car": {"superseded": 3}}


def test_null_island_in_two_halves() -> None:
    _, counts = heard([(0.0, "lat_deg", 0.0), (0.1, "lon_deg", 0.0)])
    assert counts == {"null_island": 1}


def test_room_is_bounded_and_the_one_silent_for_longest_goes() -> None:
    counts = Counts()
    assembler = Assembler(counts, vehicles=2)
    for n, device in enumerate(["a", "b", "a", "c"]):
        assembler.take(part(n / 10, "lat_deg", 50.0, device=device))
    assert assembler.take(part(0.5, "lon_deg", 7.0, device="a")) is not None
    assert assembler.take(part(0.6, "lon_deg", 7.0, device="b")) is None
    assert counts.of("profiles.car", "evicted") == 2


def test_what_is_forgotten_makes_no_fix() -> None:
    assembler = Assembler(Counts())
    assembler.take(part(0.0, "lat_deg", 50.0))
    assembler.forget("card-2")
    assert assembler.take(part(0.1, "lon_deg", 7.0)) is not None
    assembler.take(part(1.0, "lat_deg", 50.0))
    assembler.forget("card-1")
    assert assembler.take(part(1.1, "lon_deg", 7.0)) is None


def test_vehicles_do_not_mix_and_the_same_parts_give_the_same_fixes() -> None:
    rng, said = random.Random(8), []
    for second in range(300):
        for device in ("vehicle:1", "vehicle:2", "vehicle:3"):
            for name in ("lat_deg", "lon_deg", "speed_kmh"):
                if rng.random() < 0.9:
                    value = float(second % 90) if name != "speed_kmh" else 30.0
                    said.append(part(second + rng.random() / 2, name, value, device=device))
    said.sort(key=lambda p: p.t_s)

    def fixes(parts: list[Part]) -> list[Fix]:
        assembler = Assembler(Counts())
        return [fix for one in parts if (fix := assembler.take(one))]

    together = fixes(said)
    assert together == fixes(said)
    assert len(together) > 600
    for device in ("vehicle:1", "vehicle:2", "vehicle:3"):
        alone = fixes([one for one in said if one.device == device])
        assert [fix for fix in together if fix.device == device] == alone


def test_a_recording_keeps_the_parts_of_named_vehicles_and_of_no_other(tmp_path: Path) -> None:
    identification = Identification(
        SiteMap("s"), load_profiles(), NamedDevices(["vehicle:anna/golf"], Register(Counts())), Counts()
    )
    said = [
        Message(T, f"ovms/{vehicle}/metric/v/p/{name}", b"7.5", retain=False)
        for vehicle in ("anna/golf", "otto/polo")
        for name in ("latitude", "longitude", "gpsspeed", "odometer")
    ]
    path = tmp_path / "drive.jsonl"
    with Recorder(path, identification, max_bytes=10_000) as recorder:
        for message in said:
            recorder.take(message)
    assert list(recording.read(path)) == said[:3]
