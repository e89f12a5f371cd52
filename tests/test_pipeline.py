"""The one way through: identification, the same events wherever the input is split, withdrawal, restart."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from consents import entry, record

from gateway import assembly, recording
from gateway.consent import Keys
from gateway.counts import Counts
from gateway.identity import EveryDevice, Identification
from gateway.model import (
    Anchor,
    ConsentSignal,
    Message,
    OpenStay,
    Reading,
    ReceiverState,
    Sighting,
    Signal,
    SiteMap,
    StayClosed,
    Zone,
)
from gateway.pipeline import Outcome, Pipeline
from gateway.profiles import load_profiles
from gateway.replay import releases
from gateway.settings import load_site
from gateway.sim import recorded, scenes

DEMO = Path(__file__).parent.parent / "config" / "demo"
TAG = "ibeacon:e2c56db5-dffb-48d2-b060-d0f5a71096e0:1:17"
ADV = bytes.fromhex("0201061aff4c000215e2c56db5dffb48d2b060d0f5a71096e000010011c5")
BEACON = "ibeacon:e2c56db5-dffb-48d2-b060-d0f5a71096e0:1:7"


# --- identification ---

SITE = SiteMap(
    "s",
    zones=(Zone("cereals", "shelf", "Cereals", "g", at=(3.0, 4.0)),),
    receivers=(Anchor("pi-01", "g", (3.0, 4.0, 2.4)),),
    beacons=(Anchor("shelf-07", "g", (3.0, 4.0, 1.0), identity=BEACON),),
)


class Some:
    """Enrols these identities, each as a subject of its own; `out` has no consent."""

    def __init__(self, *identities: str, out: str = "") -> None:
        self._identities, self._out = identities, out

    def subject_of(self, identity: str, t_s: float) -> str | None:  # noqa: ARG002
        return f"owner of {identity}" if identity in self._identities else None

    def admits(self, subject: str, t_s: float) -> bool:  # noqa: ARG002
        return subject != f"owner of {self._out}"


def sighting(
    receiver: str = "pi-01", adv: bytes = ADV, identity: str = "", address_type: str = "random"
) -> Sighting:
    return Sighting(1.0, receiver, "c3:00:00:25:ef:6a", address_type, -60.0, adv, identity)


@pytest.mark.parametrize(
    ("heard", "enrolled", "device", "link"),
    [
        (sighting(), Some(TAG), TAG, "pi-01"),
        (sighting(), Some(), None, None),
        (sighting(), Some(TAG, out=TAG), None, None),
        (sighting("pi-99"), Some(TAG), None, None),  # a receiver that is not in the map
        (sighting(adv=b""), Some("mac:c3:00:00:25:ef:6a"), None, None),  # a random address identifies nobody
        (
            sighting(adv=b"", address_type="public"),
            Some("mac:c3:00:00:25:ef:6a"),
            "mac:c3:00:00:25:ef:6a",
            "pi-01",
        ),
        # the other direction: an enrolled phone reports a fixed beacon of the map
        (sighting("irk:anna-phone", b"", BEACON), Some("irk:anna-phone"), "irk:anna-phone", "shelf-07"),
        (sighting("irk:anna-phone", b"", TAG), Some("irk:anna-phone", TAG), None, None),
    ],
)
def test_whom_a_sighting_concerns(
    heard: Sighting, enrolled: Some, device: str | None, link: str | None
) -> None:
    identification = Identification(SITE, load_profiles(), enrolled, Counts())
    ((_, observation),) = identification.heard(heard)
    if device is None:
        assert observation is None
    else:
        assert observation == Reading(1.0, f"owner of {device}", device, str(link), -60.0)


def test_a_message_of_many_names_each_by_itself() -> None:
    elements = [
        {"address": "c3:00:00:25:ef:6a", "address_type": "random", "rssi": -60, "adv": ADV.hex()},
        {"address": "c3:00:00:25:ef:6b", "address_type": "random", "rssi": -70, "adv": "0201061aff4c000215"},
    ]
    message = Message(1.0, "receivers/v1/s/pi-01", msgspec.json.encode(elements))
    counts = Counts()
    found = Identification(SITE, load_profiles().select(None, "s"), Some(TAG), counts).heard(message)
    assert [observation is not None for _, observation in found] == [True, False]
    assert counts.of("identity", "enrolled") == 1


# --- the same events, wherever the input is split ---


@pytest.fixture(scope="module")
def recorded_demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demo") / "demo.jsonl.gz"
    recorded.write(scenes.demo(load_site(DEMO)), path)
    return path


def pipeline_of(directory: Path) -> tuple[Pipeline, ConsentSignal]:
    configuration = assembly.read_configuration(directory)
    made = assembly.assemble(configuration, Keys(bytes(32)))
    return made.pipeline, ConsentSignal(0.0, tuple(configuration.consent_records), complete=True)


def plain(outcome: Outcome) -> Iterator[Any]:
    yield from (release.body for release in outcome.releases)
    yield from outcome.stays


def fed_in_pieces(signals: list[Signal], cuts: list[int], *, idle: random.Random | None = None) -> list[Any]:
    """Releases and stay rows, each kind in its order; `idle` calls `advance` between pieces now and then."""
    pipeline, enrolment = pipeline_of(DEMO)
    outcomes = [pipeline.feed([enrolment])]
    for first, last in zip([0, *cuts], [*cuts, len(signals)], strict=True):
        piece = signals[first:last]
        outcomes.append(pipeline.feed(piece))
        if idle is not None and piece and last < len(signals):
            outcomes.append(pipeline.advance(idle.uniform(piece[-1].t_s, signals[last].t_s)))
    outcomes.append(pipeline.advance(signals[-1].t_s + 300.0))
    return [body for outcome in outcomes for body in plain(outcome) if isinstance(body, bytes)] + [
        row for outcome in outcomes for row in outcome.stays
    ]


def test_one_piece_line_by_line_and_random_splits_give_identical_events(recorded_demo: Path) -> None:
    signals = list(recording.read(recorded_demo))
    whole = fed_in_pieces(signals, [])
    assert sum(isinstance(e, bytes) for e in whole) > 75
    assert fed_in_pieces(signals, list(range(1, len(signals)))) == whole
    for seed in range(3):
        chance = random.Random(seed)
        cuts = sorted(chance.sample(range(1, len(signals)), 400))
        assert fed_in_pieces(signals, cuts, idle=chance) == whole


def test_replay_gives_what_the_pipeline_gives(recorded_demo: Path) -> None:
    signals = list(recording.read(recorded_demo))
    pipeline, enrolment = pipeline_of(DEMO)
    lines: list[bytes] = []
    releases([enrolment, *signals], pipeline, tail_s=300.0, emit=lines.append)
    assert lines == [e for e in fed_in_pieces(signals, []) if isinstance(e, bytes)]


def test_there_and_back_through_a_recording_changes_nothing(recorded_demo: Path, tmp_path: Path) -> None:
    signals = list(recording.read(recorded_demo))
    again = tmp_path / "again.jsonl"
    again.write_bytes(b"".join(map(recording.format_line, signals)))
    assert list(recording.read(again)) == signals


# --- consent in the pipeline ---

HEARD = [Sighting(100.0 + n / 4, "pi-01", "c3:00:00:25:ef:6a", "random", -45.0, ADV) for n in range(80)]


def small(tmp_path: Path) -> Pipeline:
    (tmp_path / "site.yaml").write_text(
        "site: {id: s, name: S, timezone: UTC}\n"
        "devices: {default_class: store_tag}\n"
        "floors:\n"
        "  - id: g\n"
        "    bounds: [[0, 0], [30, 10]]\n"
        "    zones: [{id: cereals, kind: shelf, at: [3, 5], leave_after: 5s, dwell: []}, {id: dairy, kind: shelf, at: [27, 5]}]\n"
        "receivers: [{id: pi-01, floor: g, at: [3, 5]}, {id: pi-02, floor: g, at: [27, 5]}]\n"
    )
    (tmp_path / "gateway.yaml").write_text(
        "gateway: {id: gw, state_dir: state}\n"
        "brokers: {b: {host: localhost}}\n"
        "recipients:\n"
        "  platform: {via: b, purposes: {'dpv:PersonalisedBenefits': {legal_basis: eu-gdpr:A6-1-a, fields: [zone]}}}\n"
        "consent: {feed: {file: consent.yaml}}\n"
    )
    (tmp_path / "consent.yaml").write_text("[]\n")
    return pipeline_of(tmp_path)[0]


def enrolled(t_s: float = 0.0, **changes: Any) -> ConsentSignal:
    return ConsentSignal(t_s, (record("anna", entry(event_time="1970-01-01T00:00:00Z", **changes)),))


def changes_of(outcome: Outcome) -> list[str]:
    return [release.change for release in outcome.releases]


def test_a_stay_has_a_row_from_its_first_change_to_its_last(tmp_path: Path) -> None:
    pipeline = small(tmp_path)
    began = pipeline.feed([enrolled(), *HEARD])
    ended = pipeline.advance(200.0)
    assert changes_of(began) == ["entered"]
    assert [type(row) for row in began.stays] == [OpenStay]
    assert changes_of(ended) == ["left"]
    assert ended.stays == [StayClosed("anna", "cereals")]


def test_a_withdrawal_closes_the_row_and_says_whose_queue_to_empty(tmp_path: Path) -> None:
    pipeline = small(tmp_path)
    pipeline.feed([enrolled(), *HEARD])
    withdrawn = (record("anna", entry(status="ConsentWithdrawn", version=2), version=2),)
    outcome = pipeline.feed([ConsentSignal(121.0, withdrawn)])
    assert [w.subject for w in outcome.withdrawn] == ["anna"]
    assert outcome.stays == [StayClosed("anna", "cereals")]
    after = pipeline.feed([msgspec.structs.replace(s, t_s=s.t_s + 25) for s in HEARD])
    assert not after
    assert not pipeline.advance(1000.0)


def test_what_was_open_at_the_last_stop_is_taken_up_or_closed(tmp_path: Path) -> None:
    row = OpenStay("anna", "cereals", "inside", 50.0, 52.0, 90.0, 0.0, 0.9, False, (TAG,))
    pipeline = small(tmp_path)
    pipeline.feed([enrolled()])
    assert changes_of(pipeline.resume([row], 100.0)) == []
    assert changes_of(pipeline.advance(200.0)) == ["left"]
    stranger = small(tmp_path)  # whose consent is gone
    outcome = stranger.resume([row], 100.0)
    assert (outcome.releases, outcome.stays) == ([], [StayClosed("anna", "cereals")])
    assert not stranger.advance(200.0)


def test_consent_that_ends_during_a_stay_silences_its_end_and_removes_its_row(tmp_path: Path) -> None:
    pipeline = small(tmp_path)
    (entered,) = pipeline.feed([enrolled(valid_until="1970-01-01T00:01:50Z"), *HEARD[:40]]).releases
    assert entered.change == "entered"
    outcome = pipeline.feed(HEARD[40:])  # the consent ends at 110 s, and with it the hearing
    assert (outcome.releases, outcome.stays) == ([], [StayClosed("anna", "cereals")])


def test_every_device_is_its_own_subject_in_a_survey() -> None:
    tracker = assembly.tracker(SITE, load_profiles().select(None, "s"), EveryDevice(), Counts())
    presences = [p for s in HEARD for p in tracker.take(s)]
    assert {(p.subject, p.zone, p.change) for p in presences} == {(TAG, "cereals", "entered")}


def test_what_is_heard_is_gathered_for_the_core_and_other_signals_do_not_wait() -> None:
    """Events come with the next signal of another kind, the same ones as told at once."""
    alone, gathering = (
        assembly.tracker(SITE, load_profiles().select(None, "s"), EveryDevice(), Counts()) for _ in range(2)
    )
    expected = [p for s in HEARD for p in alone.take(s)]
    assert [p for s in HEARD for p in gathering.gather(s)] == []
    dead = ReceiverState(HEARD[-1].t_s, "nowhere", alive=False)
    assert gathering.gather(dead) == expected
    assert gathering.settle() == []
    assert gathering.next_deadline() == alone.next_deadline()
