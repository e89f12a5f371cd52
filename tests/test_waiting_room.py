"""While the feed or the clock is in doubt presences wait, each doubt for its time: a car arrives in the doubt, and
the doubt passes in time or too late."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from daemons import SETTINGS, SITE, arrival, consent

from gateway import assembly
from gateway.consent import Keys
from gateway.model import (
    ClockTrust,
    ConsentSignal,
    DriverSignal,
    FeedState,
    Message,
    Presence,
    Signal,
    StayClosed,
)
from gateway.pipeline import Outcome, Pipeline

T0_S = 1_766_404_800.0
PARKED_S = T0_S + 40
CONFIRMED = FeedState(T0_S, T0_S)


def made(folder: Path) -> Pipeline:
    folder.mkdir(exist_ok=True)
    (folder / "site.yaml").write_text(SITE)
    settings = SETTINGS.replace("PORT", "1883").replace("STATE", str(folder / "state"))
    (folder / "gateway.yaml").write_text(settings.replace("{file: consent.yaml}", "{mqtt: local}"))
    return assembly.assemble(assembly.read_configuration(folder), Keys(bytes(32))).pipeline


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    return made(tmp_path)


def enrolled(*subjects: str, **changes: Any) -> ConsentSignal:
    return ConsentSignal(T0_S, tuple(consent(s, "vehicle:fleet/golf", **changes) for s in subjects))


def drive() -> list[Signal]:
    found: list[Signal] = []
    for t_s, lat, speed_kmh in arrival(T0_S):
        said = {"_type": "location", "tst": round(t_s), "lat": lat, "lon": 7.0015, "acc": 5, "vel": speed_kmh}
        found.append(Message(t_s, "owntracks/fleet/golf", msgspec.json.encode(said)))
    return found


def changes(*outcomes: Outcome) -> list[str]:
    return [release.change for outcome in outcomes for release in outcome.releases]


ARRIVED = ["entering", "entered", "dwelled"]
FIRST_WORD_S, LAST_WORD_S = T0_S + 10, PARKED_S
"""Between these the car's presences are emitted."""


@pytest.mark.parametrize(
    ("doubt", "passes_s", "released"),
    [
        (ClockTrust(T0_S, False), FIRST_WORD_S + 599, ARRIVED),
        (ClockTrust(T0_S, False), LAST_WORD_S + 601, []),
        (FeedState(T0_S, None, "unmatched"), FIRST_WORD_S + 59, ARRIVED),
        (FeedState(T0_S, None, "unmatched"), LAST_WORD_S + 61, []),
        (FeedState(T0_S, None, "never_confirmed"), FIRST_WORD_S + 59, ARRIVED),
        (FeedState(T0_S, None, "never_confirmed"), LAST_WORD_S + 61, []),
        (FeedState(T0_S, T0_S - 3_601), LAST_WORD_S + 1, []),  # older than max_age: nothing waits
    ],
)
def test_each_doubt_has_its_time(
    pipeline: Pipeline, doubt: Signal, passes_s: float, released: list[str]
) -> None:
    pipeline.feed([CONFIRMED, enrolled("anna"), doubt])
    assert changes(pipeline.feed(drive())) == []
    passed = ClockTrust(passes_s, True) if isinstance(doubt, ClockTrust) else FeedState(passes_s, passes_s)
    assert changes(pipeline.feed([passed])) == released
    assert changes(pipeline.feed([passed])) == []


@pytest.mark.parametrize("passes_s", [FIRST_WORD_S + 55, FIRST_WORD_S + 63, LAST_WORD_S + 61])
def test_the_same_events_wherever_the_input_is_split(tmp_path: Path, passes_s: float) -> None:
    signals = [
        CONFIRMED,
        enrolled("anna"),
        FeedState(T0_S, None, "unmatched"),
        *drive(),
        FeedState(passes_s, passes_s),
    ]
    bodies = []
    for size in (1, 2, 7, len(signals)):
        split = made(tmp_path / str(size))
        outcomes = [split.feed(signals[i : i + size]) for i in range(0, len(signals), size)]
        bodies.append([release.body for outcome in outcomes for release in outcome.releases])
    assert bodies.count(bodies[0]) == len(bodies)


def test_withdrawn_while_it_waits(pipeline: Pipeline) -> None:
    pipeline.feed([CONFIRMED, enrolled("anna"), FeedState(T0_S, None, "unmatched"), *drive()])
    word = enrolled("anna", status="ConsentWithdrawn")
    record = word.records[0] | {"version": 2}
    outcome = pipeline.feed([ConsentSignal(PARKED_S, (record,)), FeedState(PARKED_S, PARKED_S)])
    assert changes(outcome) == []
    assert [withdrawal.subject for withdrawal in outcome.withdrawn] == ["anna"]


def test_a_stay_resumes_when_the_feed_names_its_subject(pipeline: Pipeline, tmp_path: Path) -> None:
    """Of whom it never names, the row goes when the feed is confirmed, and what is queued goes with it."""
    before = pipeline.feed([CONFIRMED, enrolled("anna"), *drive()])
    *_, stay = [row for row in before.stays if not isinstance(row, StayClosed)]
    lost = msgspec.structs.replace(stay, subject="zoe")
    again = made(tmp_path / "again")
    outcome = again.resume([stay, lost], PARKED_S, [b"key-of-zoe"])
    assert (changes(outcome), outcome.stays, outcome.withdrawn) == ([], [], [])
    again.feed([msgspec.structs.replace(enrolled("anna"), t_s=PARKED_S)])
    outcome = again.feed([FeedState(PARKED_S + 1, PARKED_S + 1)])
    assert [row for row in outcome.stays if isinstance(row, StayClosed)] == [StayClosed("zoe", "car-park")]
    assert [withdrawal.key for withdrawal in outcome.withdrawn] == [b"key-of-zoe"]
    assert again.devices_of("anna") == ["vehicle:fleet/golf"]
    assert again.devices_of("zoe") == []


def test_another_driver_ends_the_stay_of_the_one_and_begins_the_others(pipeline: Pipeline) -> None:
    pipeline.feed([CONFIRMED, enrolled("anna", "ben")])
    pipeline.feed([DriverSignal(T0_S, "fleet/golf", "anna")])
    arrived = pipeline.feed(drive())
    assert changes(arrived) == ARRIVED
    seen: list[Presence] = []
    pipeline.watch = seen.append
    changed = pipeline.feed([DriverSignal(PARKED_S, "fleet/golf", "ben")])
    assert [msgspec.json.decode(r.body)["subject"] for r in changed.releases] == ["anna"]
    assert changes(changed) == ["left"]
    assert [presence.evidence.get("reason") for presence in seen] == ["driver"]
    again = pipeline.feed(
        [
            msgspec.structs.replace(
                message,
                t_s=message.t_s + 60,
                payload=message.payload.replace(b'"tst":%d' % message.t_s, b'"tst":%d' % (message.t_s + 60)),
            )
            for message in drive()
            if isinstance(message, Message)
        ]
    )
    assert changes(again)[:2] == ["entering", "entered"]
    assert {msgspec.json.decode(r.body)["subject"] for r in again.releases} == {"ben"}
