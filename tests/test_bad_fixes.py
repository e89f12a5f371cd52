"""A bad fix is counted by its reason and dropped, on its whole way to the core; nothing is raised."""

import json

import pytest

from gateway.assembly import tracker
from gateway.counts import Counts
from gateway.identity import EveryDevice
from gateway.model import Circle, Fence, Message, SiteMap
from gateway.profiles import load_profiles

T = 1_766_397_600.0
SITE = SiteMap(
    "koeln-01",
    fences=(
        Fence(
            "car-park",
            "car_park",
            "Car park",
            polygons=((((50.9412, 6.9582), (50.9419, 6.9582), (50.9419, 6.9597), (50.9412, 6.9597)),),),
        ),
        Fence("pump", "pump", "Pump", circle=Circle(50.9411, 6.9590, 15.0)),
    ),
)
PROFILES = load_profiles()
FIX = {"_type": "location", "lat": 50.9415, "lon": 6.9590, "tst": T}
YEAR_2106 = 4_294_967_295
"""The last second that 32 bits hold."""


def counted(said: list[tuple[float, dict[str, object]]]) -> dict[str, dict[str, int]]:
    """What became of OwnTracks messages sent so many seconds after T."""
    counts = Counts()
    track = tracker(SITE, PROFILES, EveryDevice(), counts)
    for at_s, members in said:
        payload = json.dumps({**FIX, **members}).encode()
        track.take(Message(T + at_s, "owntracks/anna/golf", payload))
    return track.counted().by_room()


@pytest.mark.parametrize(
    ("members", "room", "reason"),
    [
        ({"lat": float("nan")}, "profiles.owntracks", "not_finite"),
        ({"lon": float("-inf")}, "profiles.owntracks", "not_finite"),
        ({"lat": "NaN"}, "profiles.owntracks", "not_finite"),
        ({"lat": 90.001}, "profiles.owntracks", "out_of_range"),
        ({"lat": -91}, "profiles.owntracks", "out_of_range"),
        ({"lon": 180.5}, "profiles.owntracks", "out_of_range"),
        ({"lat": 0, "lon": 0}, "profiles.owntracks", "null_island"),
        ({"lat": "0.0", "lon": -0.0}, "profiles.owntracks", "null_island"),
        ({"lat": 6.9590, "lon": 50.9415}, "identity", "swapped"),
        ({"tst": YEAR_2106}, "profiles.owntracks", "out_of_range"),
        ({"tst": T + 86_401}, "profiles.owntracks", "future"),
        ({"tst": 0}, "profiles.owntracks", "out_of_range"),
        ({"tst": T * 1000}, "profiles.owntracks", "out_of_range"),
        ({"tst": None}, "profiles.owntracks", "malformed"),
        ({"lat": None}, "profiles.owntracks", "malformed"),
    ],
)
def test_one_bad_fix(members: dict[str, object], room: str, reason: str) -> None:
    counts = counted([(0.0, members)])
    assert counts[room][reason] == 1
    assert "matched" not in counts.get("profiles.owntracks", {}) or room == "identity"


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"lat": 0, "lon": 6.9590},  # on the equator is somewhere
        {"lat": 52.52, "lon": 13.40},  # far away, and swapped far away too
        {"tst": T + 86_400},
    ],
)
def test_a_fix_that_is_only_unusual_is_none(members: dict[str, object]) -> None:
    counts = counted([(0.0, members)])
    assert counts["profiles.owntracks"] == {"matched": 1}
    assert counts["identity"] == {"enrolled": 1}


def test_time_going_backwards() -> None:
    times_s = [T, T - 10, T - 3_600, T + 3]
    counts = counted([(float(n), {"tst": t_s}) for n, t_s in enumerate(times_s)])
    assert counts["profiles.owntracks"] == {"matched": 4}
    assert counts["core"]["too_late"] == 1


OVMS = "ovms/anna/golf/metric/v/p/"


@pytest.mark.parametrize(
    ("tail", "payload", "reason"),
    [
        ("latitude", b"NaN", "not_finite"),
        ("latitude", b"1e999", "not_finite"),
        ("latitude", b"90.5", "out_of_range"),
        ("longitude", b"-181", "out_of_range"),
        ("latitude", b"north", "malformed"),
        ("latitude", b"\xff", "not_utf8"),
        ("latitude", b"[1]", "malformed"),
        ("gpstime", b"4294967295", "out_of_range"),
        ("gpstime", b"%d" % (T + 90_000), "future"),
        ("gpsspeed", b"{" * 60_000, "malformed"),
        ("gpsspeed", b"9" * 70_000, "oversized"),
    ],
)
def test_one_bad_part(tail: str, payload: bytes, reason: str) -> None:
    counts = Counts()
    track = tracker(SITE, PROFILES, EveryDevice(), counts)
    track.take(Message(T, OVMS + tail, payload))
    assert counts.by_room() == {"profiles.ovms": {reason: 1}}


def test_halves_of_nowhere_and_swapped_halves() -> None:
    counts = Counts()
    track = tracker(SITE, PROFILES, EveryDevice(), counts)
    for at_s, lat, lon in ((0.0, b"0", b"0"), (10.0, b"6.9590", b"50.9415")):
        track.take(Message(T + at_s, OVMS + "latitude", lat))
        track.take(Message(T + at_s, OVMS + "longitude", lon))
    assert counts.of("profiles.ovms", "null_island") == 1
    assert counts.of("identity", "swapped") == 1


class Nobody:
    def subject_of(self, identity: str, t_s: float) -> str | None:  # noqa: ARG002
        return None

    def admits(self, subject: str, t_s: float) -> bool:  # noqa: ARG002
        return False


def test_of_an_unknown_vehicle_not_even_half_a_position_is_kept() -> None:
    counts = Counts()
    track = tracker(SITE, PROFILES, Nobody(), counts)
    track.take(Message(T, OVMS + "latitude", b"50.9415"))
    track.take(Message(T + 60.0, OVMS + "longitude", b"6.9590"))
    assert counts.by_room() == {"identity": {"unknown": 2}, "profiles.ovms": {"matched": 2}}


def test_a_car_that_sends_in_parts_arrives() -> None:
    track = tracker(SITE, PROFILES, EveryDevice(), Counts())
    changes = []
    for second in range(180):
        lat_deg = max(50.9500 - second * 0.0001, 50.9415) + second % 2 * 1e-6
        for at_s, tail, payload in (
            (0.00, "gpsspeed", "40" if lat_deg > 50.9416 else "0"),
            (0.01, "latitude", str(lat_deg)),
            (0.02, "longitude", str(6.9590 + second % 2 * 1e-6)),
        ):
            message = Message(T + second + at_s, OVMS + tail, payload.encode())
            changes += [(p.zone, p.change, p.evidence.get("time_source")) for p in track.take(message)]
    assert ("car-park", "entering", "reception") in changes
    assert [change for zone, change, _ in changes if zone == "car-park"] == ["entering", "entered"]
