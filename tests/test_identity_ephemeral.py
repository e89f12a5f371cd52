"""Eddystone-EID: known ids, clocks that drift or stood still, replays, bounds."""

from __future__ import annotations

import pytest

from gateway.counts import Counts
from gateway.identity import ephemeral
from gateway.identity.ephemeral import EphemeralIds, ephemeral_ids
from gateway.settings.identity_keys import EphemeralKey

KEY = bytes.fromhex("000102030405060708090a0b0c0d0e0f")
OTHER = bytes.fromhex("ec0234a357c8ad05341010a60a397d9b")
T0 = 1_766_397_600.0
"""When the counter was read …"""
COUNTER = 65_280
"""… and what it showed: the value at which the specification wants beacons to start."""


@pytest.mark.parametrize(
    ("key", "exponent", "counter", "expected"),
    [
        (KEY, 12, 123456789, "afc638315dcd9977"),
        (KEY, 15, 4294967295, "2b0a5389efad8131"),
        (OTHER, 4, 1000, "9660e0b28adc1592"),
        (OTHER, 10, 65536, "4964904f577b041b"),
        (OTHER, 15, 4294967295, "04e3361172b4e193"),
    ],
)
def test_ids_of_the_reference_implementation(key: bytes, exponent: int, counter: int, expected: str) -> None:
    """google/eddystone, eddystone-eid/tools/eidtools.py."""
    quantum = counter >> exponent
    assert ephemeral_ids(key, exponent, range(quantum, quantum + 1)) == [bytes.fromhex(expected)]


@pytest.mark.parametrize("exponent", range(16))
def test_many_ids_at_once_are_the_same_as_one_by_one(exponent: int) -> None:
    first = (3 * 65536 >> exponent) - 3  # over a change of the temporary key
    one_by_one = [ephemeral_ids(KEY, exponent, range(q, q + 1))[0] for q in range(first, first + 9)]
    assert ephemeral_ids(KEY, exponent, range(first, first + 9)) == one_by_one


def shown(t_s: float, *, off_s: float = 0.0, exponent: int = 10, key: bytes = KEY) -> bytes:
    """The id on the air at `t_s` of a beacon whose counter is `off_s` ahead of what it should be."""
    quantum = int(COUNTER + t_s - T0 + off_s) >> exponent
    return ephemeral_ids(key, exponent, range(quantum, quantum + 1))[0]


def of(*names: str, exponent: int = 10) -> tuple[EphemeralIds, Counts]:
    counts = Counts()
    keys = {name: EphemeralKey(KEY, exponent, COUNTER, T0) for name in names}
    return EphemeralIds(keys, counts), counts


DAY_S = 86_400.0
YEAR_S = 365 * DAY_S


@pytest.mark.parametrize("exponent", [1, 4, 10, 15])
@pytest.mark.parametrize(
    ("after_s", "off_s", "resolves"),
    [
        (0.0, 0.0, True),
        (3600.0, 0.0, True),
        (YEAR_S, 0.0, True),
        (YEAR_S, 150e-6 * YEAR_S, True),  # as fast as the specification allows
        (YEAR_S, -150e-6 * YEAR_S, True),
        (DAY_S, -DAY_S, True),  # the battery was changed, the counter saved a day ago
        (DAY_S, 40_000.0, False),  # no clock is so fast: too far forward in any case
        (DAY_S, -3 * DAY_S, False),
    ],
)
def test_where_the_clock_may_be(exponent: int, after_s: float, off_s: float, resolves: bool) -> None:
    ids, counts = of("trolley", exponent=exponent)
    t_s = T0 + after_s
    found = ids.resolve(shown(t_s, off_s=off_s, exponent=exponent), t_s)
    assert found == ("eid:trolley" if resolves else "")
    assert counts.of("identity", "eid_resolved" if resolves else "eid_foreign") == 1


def test_drift_is_followed_far_beyond_the_window_of_a_silent_beacon() -> None:
    ids, _ = of("trolley", exponent=4)
    for hour in range(24 * 60):  # sixty days, and at the end as far off as two years allow
        t_s = T0 + hour * 3600
        off_s = 100e-6 * hour * 3600
        assert ids.resolve(shown(t_s, off_s=off_s, exponent=4), t_s) == "eid:trolley"
    assert ids._beacons[0].ahead_s == pytest.approx(COUNTER - T0 + off_s, abs=32)


def test_an_id_of_the_past_is_a_replay_while_the_beacon_is_heard() -> None:
    ids, counts = of("trolley")
    recorded = shown(T0 + 60)
    for t_s in range(0, 20_000, 100):
        assert ids.resolve(shown(T0 + t_s), T0 + t_s) == "eid:trolley"
    assert ids.resolve(recorded, T0 + 20_000) == ""
    assert counts.of("identity", "eid_replayed") == 1
    assert ids.resolve(shown(T0 + 20_001), T0 + 20_001) == "eid:trolley"


def test_a_beacon_with_a_new_battery_is_found_again_after_its_silence() -> None:
    ids, _ = of("trolley")
    assert ids.resolve(shown(T0 + 10 * DAY_S), T0 + 10 * DAY_S)
    back_s = T0 + 10 * DAY_S + 3600
    assert ids.resolve(shown(back_s, off_s=-50_000), back_s) == "eid:trolley"
    assert ids.resolve(shown(back_s + 5000, off_s=-50_000), back_s + 5000) == "eid:trolley"


def test_the_id_before_may_be_on_the_air_still() -> None:
    """The beacon changes its id at some moment within the quantum."""
    ids, _ = of("trolley")
    for t_s in range(0, 40_000, 50):
        late = shown(T0 + t_s - 1000)
        assert ids.resolve(late if t_s % 100 else shown(T0 + t_s), T0 + t_s) == "eid:trolley"


def test_a_clock_that_is_corrected_is_followed_from_then_on_at_the_second() -> None:
    ids, _ = of("trolley")
    for t_s in range(0, 20_000, 7):
        off_s = 0.0 if t_s < 5000 else -700.0
        at_s = T0 + t_s + (0.0 if t_s < 5000 else 3600.0)  # silent while its battery is changed
        assert ids.resolve(shown(at_s, off_s=off_s), at_s) == "eid:trolley"
    assert len(ids._due) == 1


def test_what_is_computed_ahead_is_bounded_and_the_nearest_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ephemeral, "MOST_IDS", 400)
    counts = Counts()
    keys = {
        f"tag-{n}": EphemeralKey(n.to_bytes(16, "big"), n % 16, COUNTER, T0 - 40 * DAY_S)
        for n in range(1, 41)
    }
    ids = EphemeralIds(keys, counts)
    for t_s in range(0, 100_000, 777):
        ids.resolve(bytes(8), T0 + t_s)
        assert len(ids._by_id) <= 400
        assert len(ids._by_id) == sum(len(b.ids) for b in ids._beacons)
        for name, key in keys.items():
            now = shown(T0 + t_s, off_s=40 * DAY_S, exponent=key.exponent, key=key.key)
            assert ids.resolve(now, T0 + t_s) == f"eid:{name}"


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 1000])
def test_what_is_no_id_of_ours(size: int) -> None:
    assert of("trolley")[0].resolve(bytes(size), T0) == ""
    assert EphemeralIds({}, Counts()).resolve(bytes(size), T0) == ""
