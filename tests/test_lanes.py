"""The lanes: order of reception, room for fixes of their own, and what goes when it is full."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.counts import Counts
from gateway.lanes import Lanes
from gateway.model import ClockStep, Message


def signal(n: int) -> Message:
    return Message(float(n), f"t/{n}", b"")


def topics(lanes: Lanes, most: int = 100) -> list[float]:
    return [a.signal.t_s for a in lanes.drain(most)]


def test_signals_leave_in_the_order_of_reception() -> None:
    lanes = Lanes(Counts())
    for n, put in enumerate([lanes.sighting, lanes.fix, lanes.control, lanes.fix, lanes.sighting]):
        put(signal(n))
    assert topics(lanes, 2) == [0, 1]
    assert topics(lanes) == [2, 3, 4]
    assert topics(lanes) == []


def test_the_oldest_sightings_go_and_are_counted_while_fixes_stay() -> None:
    counts = Counts()
    lanes = Lanes(counts, sightings=3, fixes=2)
    lanes.fix(signal(0))
    for n in range(1, 101):
        lanes.sighting(signal(n))
    assert topics(lanes) == [0, 98, 99, 100]
    assert counts.by_room() == {"lanes": {"sightings_dropped": 97}}


def weighing(n: int, size: int) -> Message:
    return Message(float(n), "t", bytes(size))


def test_sightings_are_bounded_by_their_bytes_too() -> None:
    """One message of a receiver may hold a hundred advertisements."""
    counts = Counts()
    lanes = Lanes(counts, sightings_bytes=3_500)
    lanes.fix(weighing(0, 9_000))
    for n in range(1, 11):
        lanes.sighting(weighing(n, 1_000))
    assert topics(lanes) == [0, 8, 9, 10]
    assert counts.by_room() == {"lanes": {"sightings_dropped": 7}}
    for n in range(11, 14):
        lanes.sighting(weighing(n, 1_000))
    assert topics(lanes) == [11, 12, 13], "what was taken makes room"


@pytest.mark.parametrize(
    ("most", "most_bytes", "pieces"),
    [
        (100, 1, [[0, 1], [2], [3, 4]]),
        (100, 1_000, [[0, 1], [2], [3, 4]]),
        (100, 1_001, [[0, 1, 2], [3, 4]]),
        (2, 9_999, [[0, 1], [2, 3], [4]]),
    ],
)
def test_a_batch_ends_with_enough_bytes(most: int, most_bytes: int, pieces: list[list[int]]) -> None:
    lanes = Lanes(Counts())
    lanes.fix(weighing(0, 5_000))
    lanes.sighting(weighing(1, 1_000))
    lanes.sighting(weighing(2, 1_000))
    lanes.control(ClockStep(3.0, 0.0))
    lanes.sighting(weighing(4, 1_000))
    taken = []
    while len(lanes):
        taken.append([a.signal.t_s for a in lanes.drain(most, most_bytes)])
    assert taken == pieces


def test_a_dropped_fix_is_acknowledged_so_that_the_broker_does_not_wait_for_ever() -> None:
    counts, said = Counts(), list[int]()
    lanes = Lanes(counts, fixes=2)

    def note(n: int) -> Callable[[], None]:
        return lambda: said.append(n)

    for n in range(5):
        lanes.fix(signal(n), note(n))
    assert said == [0, 1, 2]
    assert counts.of("lanes", "fixes_dropped") == 3


def test_control_is_never_dropped() -> None:
    lanes = Lanes(Counts(), sightings=1, fixes=1)
    for n in range(10_000):
        lanes.control(ClockStep(float(n), 0.0))
    assert len(topics(lanes, 20_000)) == 10_000


async def test_waiting_ends_with_a_signal_or_with_the_time() -> None:
    lanes = Lanes(Counts())
    await lanes.wait(0.01)
    assert len(lanes) == 0
    lanes.fix(signal(1))
    await lanes.wait(None)
    assert topics(lanes) == [1]
