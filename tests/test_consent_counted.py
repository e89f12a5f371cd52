"""A count on its way out: the event, its id, what stops it, and who can never be in it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from consents import NOON_S, entry, record

from gateway.consent import ConsentScreen, Keys, Policy, Register, Release
from gateway.consent.footfall import Footfall, Publication
from gateway.consent.policy import Counting
from gateway.consent.register import Permit
from gateway.core import Core
from gateway.counts import Counts
from gateway.identity import Identification
from gateway.model import Anchor, Circle, Fence, Message, Presence, Sighting, Signal, SiteMap, Zone
from gateway.pipeline import Tracker
from gateway.profiles import load_profiles
from gateway.sinks import Delivery
from gateway.sinks.cloudevents import change_of, encode

COUNT = "dpv:ServiceUsageAnalytics"
COUNTING = Counting("platform", COUNT, "eu-gdpr:A6-1-a", ("car-park", "cereals"))
PUBLICATION = Publication("platform", COUNT, "cereals", NOON_S, NOON_S + 900, 10, 30, 20)


def screen(*countings: Counting) -> ConsentScreen:
    policy = Policy("koeln-01", "pi-01", (), zone_facts={"cereals": ("shelf", "Müsli")}, counted=countings)
    return ConsentScreen(policy, Register(Counts()), Keys(bytes(range(32))), Counts())


def body(release: Release) -> dict[str, Any]:
    decoded: dict[str, Any] = msgspec.json.decode(release.body)
    return decoded


def test_the_event_names_nobody() -> None:
    release = screen(COUNTING).counted(PUBLICATION)
    assert body(release) == {
        "specversion": "1.0",
        "id": release.id,
        "source": "/sites/koeln-01/gateways/pi-01",
        "type": "presence.counted.v1",
        "time": "2025-12-22T12:15:00.000Z",
        "datacontenttype": "application/json",
        "dataschema": "urn:presence:counted:v1",
        "recipient": "platform",
        "purpose": COUNT,
        "policyversion": body(release)["policyversion"],
        "data": {
            "zone": {"id": "cereals", "kind": "shelf", "name": "Müsli"},
            "since": "2025-12-22T12:00:00.000Z",
            "sample": {"footfall": 30, "occupancy": 20},
            "k": 10,
        },
    }
    assert (release.subject_key, release.expires_s) == (b"", None)
    delivery = Delivery(release, 1, "g", NOON_S, historical=False)
    assert change_of(delivery) == "counted"
    assert b'"sequence":"00000000000000000001"' in encode(delivery, "s", "platform")


def test_an_occupancy_below_k_is_not_told() -> None:
    told = screen(COUNTING).counted(msgspec.structs.replace(PUBLICATION, occupancy=0))
    assert body(told)["data"]["sample"] == {"footfall": 30}


def test_the_same_count_has_the_same_id_and_every_other_another() -> None:
    others: list[dict[str, Any]] = [
        {"zone": "car-park"},
        {"recipient": "insurer"},
        {"t_s": NOON_S + 1800},
        {"since_s": NOON_S - 900},
    ]
    changes: list[dict[str, Any]] = [{}, *others]
    ids = [screen().counted(msgspec.structs.replace(PUBLICATION, **change)).id for change in changes]
    assert len(set(ids)) == len(ids)
    assert screen().counted(PUBLICATION).id == ids[0]


@pytest.mark.parametrize(
    ("then", "leaves"),
    [
        (COUNTING, True),
        (msgspec.structs.replace(COUNTING, k=5), True),  # 30 is a multiple of 5 too
        (msgspec.structs.replace(COUNTING, k=20), False),  # what waits was told more exactly than that
        (msgspec.structs.replace(COUNTING, zones=("car-park",)), False),
        (msgspec.structs.replace(COUNTING, purpose="dpv:Marketing"), False),
        (msgspec.structs.replace(COUNTING, recipient="insurer"), False),
        (None, False),
    ],
)
def test_at_send_time_the_settings_are_asked_again(then: Counting | None, leaves: bool) -> None:
    stored = screen(COUNTING).counted(PUBLICATION)
    verdict = screen(*[then] if then else []).counted_again(stored, NOON_S + 1000)
    assert isinstance(verdict, Release) == leaves
    if isinstance(verdict, Release):
        assert verdict.body == stored.body
    else:
        assert verdict == "withdrawn"


def test_the_policy_version_changes_with_what_is_counted() -> None:
    variants = [(), (COUNTING,), (msgspec.structs.replace(COUNTING, k=20),),
                (msgspec.structs.replace(COUNTING, window_s=60.0),), (COUNTING, COUNTING)]  # fmt: skip
    versions = [Policy("s", "g", (), counted=variant).version for variant in variants]
    assert len(set(versions)) == len(versions)


# --- who is in it ---

TAG = "ibeacon:e2c56db5-dffb-48d2-b060-d0f5a71096e0:1:{}"
ADV = "0201061aff4c000215e2c56db5dffb48d2b060d0f5a71096e00001{:04x}c5"
SITE = SiteMap(
    "s",
    zones=(Zone("cereals", "shelf", "Cereals", "g", at=(3.0, 4.0)),),
    receivers=(Anchor("pi-01", "g", (3.0, 4.0, 2.4)),),
    fences=(Fence("car-park", "car_park", "Car park", circle=Circle(50.9, 6.9, 60.0)),),
)


def heard() -> list[Signal]:
    """For ten minutes: 20 tags at the shelf and 20 cars in the car park."""
    signals: list[Signal] = []
    for t in range(0, 600, 2):
        for n in range(20):
            payload = {
                "_type": "location",
                "lat": 50.9,
                "lon": 6.9,
                "tst": int(NOON_S) + t,
                "acc": 5,
                "vel": 0,
            }
            adv = bytes.fromhex(ADV.format(n))
            signals.append(Sighting(NOON_S + t, "pi-01", f"c3:00:00:25:ef:{n:02x}", "random", -50.0, adv))
            signals.append(Message(NOON_S + t, f"owntracks/u/{n}", msgspec.json.encode(payload)))
    return signals


def consented(n: int, **changes: Any) -> dict[str, Any]:
    return record(
        f"card-{n}", entry(purposes=[COUNT], **changes), identities=[TAG.format(n), f"vehicle:u/{n}"]
    )


def test_only_who_is_enrolled_and_consents_to_being_counted_is_in_the_sample() -> None:
    """Of twenty, nine are unknown: they are not in the count, and nor is a car that two people claim, nor who
    consented to something else, for somebody else, elsewhere, no more, or not until the end.
    """
    records = [
        *(consented(n) for n in range(5)),
        consented(5, recipients=["insurer"]),
        consented(6, zones=["checkout"]),
        consented(7, status="ConsentWithdrawn"),
        consented(8, event_time="2025-12-22T12:05:00Z"),  # of before nothing is known
        consented(9, valid_until="2025-12-22T12:10:00Z"),
        record("card-10", entry(), identities=[TAG.format(10), "vehicle:u/10"]),
        consented(11) | {"identities": ["vehicle:u/0"]},  # card-0 claims it as well
    ]
    counts = Counts()
    counting = msgspec.structs.replace(COUNTING, k=1)
    policy = Policy("s", "g", (), counted=(counting,))
    register = Register(counts, asks=policy.asks)
    register.absorb(records, complete=True)

    def may_count(subject: str, purpose: str, recipient: str, zone: str, *moments_s: float) -> bool:
        t_s, now_s = moments_s
        verdict = register.decide(subject, purpose, recipient, zone, t_s=t_s, now_s=now_s)
        return isinstance(verdict, Permit)

    footfall = Footfall([counting], may_count)
    footfall.due(NOON_S)
    profiles = load_profiles().select(["owntracks"], "s")
    tracker = Tracker(Identification(SITE, profiles, register, counts), Core(SITE), counts)
    presences: list[Presence] = []
    for signal in heard():
        presences += tracker.take(signal)
    presences += tracker.advance(NOON_S + 900)
    assert {p.subject for p in presences if p.zone == "cereals"} >= {"card-0", "card-6", "card-8"}
    for presence in presences:
        footfall.take(presence)
    told = {p.zone: (p.footfall, p.occupancy) for p in footfall.due(NOON_S + 900)}
    # card-0 to card-4 and card-8; tags fall silent and are gone, cars are parked; the car of card-0 is nobody's
    assert told == {"cereals": (6, 0), "car-park": (5, 5)}
