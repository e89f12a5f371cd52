"""Which tag a frame without an identity belongs to, and how long it says something."""

import pytest

from gateway.profiles.telemetry import FRESH_S, MOVED_FRESH_S, Telemetry, TelemetryMemory, telemetry_in

TAG, OTHER = "c3:00:00:25:ef:6a", "c3:00:00:25:ef:6b"


def test_a_frame_belongs_to_whoever_identified_at_its_address() -> None:
    memory = TelemetryMemory()
    memory.note(TAG, Telemetry(battery_pct=80.0), 0.0)  # nobody yet: forgotten at once
    memory.belongs(TAG, "card-1")
    assert memory.of(TAG, 1.0) == Telemetry()
    memory.note(TAG, Telemetry(battery_pct=80.0), 2.0)
    memory.note(OTHER, Telemetry(battery_pct=5.0), 2.0)
    memory.note(TAG, Telemetry(moved=True), 3.0)
    assert memory.of(TAG, 4.0) == Telemetry(battery_pct=80.0, moved=True)
    assert memory.of(OTHER, 4.0) == Telemetry()


def test_what_is_old_says_nothing() -> None:
    memory = TelemetryMemory()
    memory.belongs(TAG, "card-1")
    memory.note(TAG, Telemetry(80.0, True), 0.0)
    assert memory.of(TAG, MOVED_FRESH_S) == Telemetry(80.0, True)
    assert memory.of(TAG, MOVED_FRESH_S + 1) == Telemetry(80.0, None)
    assert memory.of(TAG, FRESH_S + 1) == Telemetry()


@pytest.mark.parametrize(
    ("counts", "moved"),
    [([66], None), ([66, 66], False), ([66, 67], True), ([254, 0], True), ([66, 67, 67], False)],
)
def test_a_count_of_movements_that_rises_is_a_movement(counts: list[int], moved: bool | None) -> None:
    memory = TelemetryMemory()
    memory.belongs(TAG, "card-1")
    for t_s, count in enumerate(counts):
        memory.note(TAG, Telemetry(motion_count=count), float(t_s))
    assert memory.of(TAG, float(len(counts))).moved is moved


def test_an_address_that_changes_hands_takes_nothing_along() -> None:
    memory = TelemetryMemory()
    memory.belongs(TAG, "card-1")
    memory.note(TAG, Telemetry(80.0), 0.0)
    memory.belongs(TAG, "card-2")
    assert memory.of(TAG, 1.0) == Telemetry()


def test_nothing_of_a_withdrawn_subject_is_kept() -> None:
    memory = TelemetryMemory()
    for address, subject in ((TAG, "card-1"), (OTHER, "card-2")):
        memory.belongs(address, subject)
        memory.note(address, Telemetry(80.0), 0.0)
    memory.forget("card-1")
    assert memory.of(TAG, 1.0) == Telemetry()
    assert memory.of(OTHER, 1.0) == Telemetry(80.0)


def test_memory_does_not_grow_with_the_addresses_heard() -> None:
    memory = TelemetryMemory(tags=2)
    memory.belongs("", "card-0")
    for i in range(5):
        memory.belongs(f"c3:00:00:00:00:0{i}", f"card-{i}")
        memory.note(f"c3:00:00:00:00:0{i}", Telemetry(float(i)), 0.0)
    kept = [i for i in range(5) if memory.of(f"c3:00:00:00:00:0{i}", 1.0).battery_pct is not None]
    assert kept == [3, 4]


@pytest.mark.parametrize(
    ("frames", "telemetry"),
    [
        ([], None),
        ([{"temperature_c": 20.0}], None),
        ([{"battery_pct": 80}, {"moved": False}], Telemetry(80.0, False)),
        ([{"battery_pct": [100, 50]}], Telemetry(50.0)),
        ([{"battery_pct": 255}, {"battery_pct": None}], None),
        ([{"moved": [False, True, None]}], Telemetry(moved=True)),
        ([{"motion_count": 7}], Telemetry(motion_count=7)),
    ],
)
def test_telemetry_of_an_advertisement(frames: list[dict[str, object]], telemetry: Telemetry | None) -> None:
    assert telemetry_in(frames) == telemetry  # type: ignore[arg-type]
