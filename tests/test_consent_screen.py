"""The screen: what each recipient gets of a presence, and that nothing else can make a Release."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from consents import DAY, NOON_S, PURPOSE, entry, record

from gateway.consent import ConsentScreen, Keys, Policy, Purpose, Recipient, Register, Release
from gateway.consent.rounding import Rounding
from gateway.counts import Counts
from gateway.errors import SealError
from gateway.model import CHANGES, FIELDS, Presence

OFFERS, PARKING = "dpv:PersonalisedBenefits", "dpv:ServiceProvision"
PLATFORM = Recipient(
    "platform",
    (Purpose(OFFERS, "eu-gdpr:A6-1-a", frozenset(CHANGES), frozenset(["zone", "since", "dwell_s", "confidence"])),),
)  # fmt: skip
PARTNER = Recipient(
    "parking",
    (Purpose(PARKING, "eu-gdpr:A6-1-a", frozenset(["entered", "left"]), frozenset(["zone", "since", "dwell_s"]),
             frozenset(["car-park"])),),
)  # fmt: skip
KEYS = Keys(bytes(range(32)))


def presence(**changes: Any) -> Presence:
    facts: dict[str, Any] = {
        "t_s": NOON_S + 12.345678,
        "emitted_s": NOON_S + 12.5,
        "subject": "card-1234",
        "zone": "cereals",
        "change": "entered",
        "since_s": NOON_S + 2.0,
        "dwell_s": 10.345678,
        "confidence": 0.8333333,
        "evidence": {"receiver": "pi-01", "rssi_dbm": -61.5},
    }
    return Presence(**(facts | changes))


def screen(*records: Any, recipients: tuple[Recipient, ...] = (PLATFORM, PARTNER), counts: Counts | None = None,
           keys: Keys = KEYS) -> ConsentScreen:  # fmt: skip
    counts = counts or Counts()
    register = Register(counts)
    made = ConsentScreen(
        Policy("koeln-01", "pi-01", recipients, zone_facts={"cereals": ("shelf", "Müsli")}),
        register,
        keys,
        counts,
    )
    made.know(register.absorb(list(records)))
    return made


def body(release: Release) -> dict[str, Any]:
    decoded: dict[str, Any] = msgspec.json.decode(release.body)
    return decoded


BOTH = record("card-1234", entry(), entry(record_id="c-2", purposes=[PARKING], recipients=["parking"]))


def test_the_platform_gets_its_reference_and_the_listed_fields_only() -> None:
    (release,) = screen(record()).releases(presence())
    assert body(release) == {
        "specversion": "1.0",
        "id": release.id,
        "source": "/sites/koeln-01/gateways/pi-01",
        "type": "presence.entered.v1",
        "subject": "card-1234",
        "time": "2025-12-22T12:00:12.346Z",
        "datacontenttype": "application/json",
        "dataschema": "urn:presence:entered:v1",
        "recipient": "platform",
        "purpose": OFFERS,
        "consentid": "c-1",
        "policyversion": body(release)["policyversion"],
        "expirytime": "2026-12-01T00:00:00.000Z",
        "data": {
            "zone": {"id": "cereals", "kind": "shelf", "name": "Müsli"},
            "since": "2025-12-22T12:00:02.000Z",
            "dwell_s": 10.346,
            "confidence": 0.833,
        },
    }


def test_a_partner_gets_a_pseudonym_minutes_and_no_consent_id() -> None:
    _, release = screen(BOTH).releases(presence(zone="car-park", dwell_s=130.0, change="left"))
    said = body(release)
    assert release.recipient == said["recipient"] == "parking"
    assert said["time"] == "2025-12-22T12:00:00.000Z"
    assert said["data"] == {
        "zone": {"id": "car-park", "kind": "", "name": ""},
        "since": "2025-12-22T12:00:00.000Z",
        "dwell_s": 120,
    }
    assert b"card-1234" not in release.body
    assert b"c-2" not in release.body


@pytest.mark.parametrize(
    ("records", "what", "recipients"),
    [
        ([], {}, []),
        ([record()], {}, ["platform"]),
        ([BOTH], {}, ["platform"]),  # the partner may see the car park only
        ([BOTH], {"zone": "car-park"}, ["platform", "parking"]),
        ([BOTH], {"zone": "car-park", "change": "dwelled", "threshold_s": 15.0}, ["platform"]),
        ([record("card-1234", entry(status="ConsentWithdrawn"))], {}, []),
        ([record()], {"t_s": NOON_S - 60 * DAY}, []),  # before the consent was given
        ([record()], {"emitted_s": NOON_S + 400 * DAY}, []),  # too late to say it now
        ([record("somebody-else")], {}, []),
    ],
)
def test_who_gets_what(records: list[Any], what: dict[str, Any], recipients: list[str]) -> None:
    assert [r.recipient for r in screen(*records).releases(presence(**what))] == recipients


def test_one_release_for_each_recipient_by_the_first_permitted_purpose() -> None:
    wide = Purpose(
        "dpv:Marketing", "eu-gdpr:A6-1-a", frozenset(CHANGES), frozenset(["zone", "evidence.rssi_dbm"])
    )
    two = Recipient("platform", (wide, PLATFORM.purposes[0]))
    (release,) = screen(record(), recipients=(two,)).releases(presence())
    assert release.purpose == PURPOSE  # the first has no consent
    both = record("card-1234", entry(purposes=[PURPOSE, "dpv:Marketing"]))
    (release,) = screen(both, recipients=(two,)).releases(presence())
    assert body(release)["data"].keys() == {"zone", "evidence"}


@pytest.mark.parametrize(
    ("fields", "evidence"),
    [
        (["zone", "dwell_s"], None),
        (["zone", "evidence.rssi_dbm"], {"rssi_dbm": -61.5}),
        (
            ["evidence.rssi_dbm", "evidence.late"],
            {"rssi_dbm": -61.5},
        ),  # what the event does not have stays out
        (["evidence"], None),  # the whole of it cannot be listed
        (FIELDS, {"receiver": "pi-01", "rssi_dbm": -61.5}),
    ],
)
def test_evidence_leaves_key_by_key(fields: list[str], evidence: dict[str, Any] | None) -> None:
    told = screen(record(), recipients=(recipient("platform", fields),)).releases(presence())
    assert body(told[0])["data"].get("evidence") == evidence


def test_a_key_that_is_new_in_the_core_stays_inside_until_it_is_listed() -> None:
    seen = presence(evidence={"rssi_dbm": -61.5, "gait": "limping"})
    told = screen(record(), recipients=(recipient("platform", FIELDS),)).releases(seen)
    assert body(told[0])["data"]["evidence"] == {"rssi_dbm": -61.5}


def recipient(name: str, fields: Iterable[str] = FIELDS, rounding: Rounding | None = None) -> Recipient:
    purpose = Purpose(OFFERS, "eu-gdpr:A6-1-a", frozenset(CHANGES), frozenset(fields), rounding=rounding)
    return Recipient(name, (purpose,))


@pytest.mark.parametrize(
    ("name", "rounding", "time", "facts"),
    [
        ("platform", None, "12:00:12.346", ("12:00:02.000", 130.346, 0.833)),
        ("parking", None, "12:00:00.000", ("12:00:00.000", 120.0, 0.8)),
        ("parking", Rounding(0, 0), "12:00:12.346", ("12:00:02.000", 130.346, 0.8)),
        ("parking", Rounding(3600, 0), "12:00:00.000", ("12:00:00.000", 130.346, 0.8)),
        ("parking", Rounding(0, 300), "12:00:12.346", ("12:00:02.000", 0.0, 0.8)),
        ("platform", Rounding(10, 15), "12:00:10.000", ("12:00:00.000", 120.0, 0.833)),
        ("platform", Rounding(86_400, 60), "00:00:00.000", ("00:00:00.000", 120.0, 0.833)),
    ],
)
def test_times_are_rounded_down_as_the_purpose_says(
    name: str, rounding: Rounding | None, time: str, facts: tuple[str, float, float]
) -> None:
    consented = record("card-1234", entry(recipients=[name]))
    made = screen(consented, recipients=(recipient(name, rounding=rounding),))
    said = body(made.releases(presence(dwell_s=130.345678))[0])
    assert said["time"] == f"2025-12-22T{time}Z"
    data = said["data"]
    assert (data["since"][11:-1], data["dwell_s"], data["confidence"]) == facts


@pytest.mark.parametrize(
    ("then", "time", "data"),
    [
        (recipient("platform"), "12:00:12.346", {"dwell_s": 10.346, "rssi_dbm": -61.5}),
        (recipient("platform", ["dwell_s"]), "12:00:12.346", {"dwell_s": 10.346}),
        (recipient("platform", ["evidence.late"]), "12:00:12.346", {}),
        (recipient("platform", ["evidence.rssi_dbm"]), "12:00:12.346", {"rssi_dbm": -61.5}),
        (recipient("platform", ["dwell_s"], Rounding(60, 10)), "12:00:00.000", {"dwell_s": 10.0}),
    ],
)
def test_what_waits_is_sent_as_the_settings_say_by_then(
    then: Recipient, time: str, data: dict[str, Any]
) -> None:
    first = recipient("platform", ["dwell_s", "evidence.rssi_dbm"])
    (stored,) = screen(record(), recipients=(first,)).releases(presence())
    sent = screen(record(), recipients=(then,)).again(stored, NOON_S + 60)
    assert isinstance(sent, Release)
    assert body(sent)["time"] == f"2025-12-22T{time}Z"
    told = body(sent)["data"]
    assert told | told.pop("evidence", {}) == data


@pytest.mark.parametrize(
    ("recipients", "step_s"),
    [
        ([recipient("platform")], 0),
        ([recipient("platform", rounding=Rounding(3600, 0))], 0),
        ([recipient("parking")], 60),
        ([recipient("parking", rounding=Rounding(300, 0))], 300),
        ([recipient("parking", rounding=Rounding(0, 0))], 0),
    ],
)
def test_partners_learn_as_coarsely_when_an_event_was_stored(
    recipients: list[Recipient], step_s: float
) -> None:
    made = screen(recipients=tuple(recipients))
    expected = NOON_S + 777.7 if step_s == 0 else (NOON_S + 777.7) // step_s * step_s
    assert made.recorded_s(recipients[0].name, NOON_S + 777.7) == expected


@pytest.mark.parametrize(
    ("valid_until", "at_platform", "at_a_partner"),
    [
        (None, None, "2026-01-21T00:00:00.000Z"),  # an epoch, from the beginning of the day
        ("2027-12-01T10:11:12Z", "2027-12-01T10:11:12.000Z", "2026-01-21T00:00:00.000Z"),
        ("2026-01-20T10:11:12Z", "2026-01-20T10:11:12.000Z", "2025-12-23T00:00:00.000Z"),  # the day
        ("2025-12-22T23:11:12Z", "2025-12-22T23:11:12.000Z", "2025-12-22T13:00:00.000Z"),  # the hour
        ("2025-12-22T12:11:12Z", "2025-12-22T12:11:12.000Z", "2025-12-22T12:01:00.000Z"),  # the minute
        ("2025-12-22T12:00:40Z", "2025-12-22T12:00:40.000Z", "2025-12-22T12:00:40.000Z"),
    ],
)
def test_a_partner_learns_only_roughly_when_a_consent_ends(
    valid_until: str | None, at_platform: str | None, at_a_partner: str
) -> None:
    consented = record("card-1234", entry(recipients=["platform", "parking"], valid_until=valid_until))
    both = screen(consented, recipients=(recipient("platform"), recipient("parking")))
    told = [body(release).get("expirytime") for release in both.releases(presence())]
    assert told == [at_platform, at_a_partner]


def test_a_consent_has_another_id_with_each_pseudonym() -> None:
    made = screen(BOTH)
    epoch_s = 30 * 86_400.0
    said = [body(made.releases(presence(zone="car-park", since_s=since_s))[1])
            for since_s in (NOON_S, NOON_S + epoch_s)]  # fmt: skip
    assert said[0]["subject"] != said[1]["subject"]
    assert said[0]["consentid"] != said[1]["consentid"]


def test_the_policy_version_changes_with_everything_that_decides() -> None:
    def version(*recipients: Recipient) -> str:
        return Policy("koeln-01", "pi-01", recipients).version

    variants = [recipient("parking"), recipient("insurer"), recipient("parking", ["zone"]),
                recipient("parking", FIELDS[:-1]), recipient("parking", rounding=Rounding(0, 60)),
                recipient("parking", rounding=Rounding(60, 0)), recipient("platform")]  # fmt: skip
    versions = [version(variant) for variant in variants]
    assert len(set(versions)) == len(versions)
    assert version(recipient("parking", rounding=Rounding(60, 60))) == version(recipient("parking"))


def test_ids_are_the_same_for_the_same_event_and_differ_in_everything_else() -> None:
    base: dict[str, Any] = {"zone": "car-park", "t_s": NOON_S + 1.0}
    variants: list[dict[str, Any]] = [{}, {"t_s": NOON_S + 1.001}, {"zone": "pump"}, {"change": "left"}, {"subject": "card-9"},
                {"change": "dwelled", "threshold_s": 15.0}, {"change": "dwelled", "threshold_s": 45.0}]  # fmt: skip
    records = [BOTH, record("card-9", entry(), identities=[])]

    def ids() -> list[str]:
        return [r.id for v in variants for r in screen(*records).releases(presence(**(base | v)))]

    assert ids() == ids()
    assert len(set(ids())) == len(ids()) == 10  # two recipients where the partner may see it
    assert all(i[14] == "8" and i[19] in "89ab" for i in ids())  # UUIDv8, RFC 9562
    other = screen(*records, keys=Keys(bytes(32))).releases(presence(**base))
    assert other[0].id not in ids()


def test_a_pseudonym_lasts_for_the_epoch_of_the_stay() -> None:
    day_s = 86_400.0
    made = screen(BOTH)

    def name(since_s: float) -> str:
        return str(body(made.releases(presence(zone="car-park", since_s=since_s))[1])["subject"])

    epoch_s = 30 * day_s
    start_s = NOON_S // epoch_s * epoch_s
    assert name(start_s) == name(start_s + epoch_s - 1) != name(start_s + epoch_s)


@pytest.mark.parametrize(
    ("then", "now_s", "expected"),
    [
        ([BOTH], NOON_S + 60, "released"),
        ([BOTH], NOON_S + 400 * DAY, "expired"),
        (
            [record("card-1234", entry(version=2, status="ConsentWithdrawn"), version=2)],
            NOON_S + 60,
            "withdrawn",
        ),
        ([], NOON_S + 60, "withdrawn"),
    ],
)
def test_at_send_time_it_is_asked_again(then: list[Any], now_s: float, expected: str) -> None:
    (stored, *_) = screen(BOTH).releases(presence())
    verdict = screen(*then).again(stored, now_s)
    assert ("released" if isinstance(verdict, Release) else verdict) == expected
    if isinstance(verdict, Release):
        assert verdict.body == stored.body


def test_denials_are_counted_by_reason_and_name_nobody() -> None:
    counts = Counts()
    screen(record("card-1234", entry(status="ConsentRefused")), counts=counts).releases(presence())
    assert counts.by_room()["consent"] == {"denied_no_purpose": 1, "denied_refused": 1}


def test_a_release_is_made_in_the_consent_room_only() -> None:
    with pytest.raises(SealError):
        Release(object(), recipient="x", id="x", subject_key=b"", purpose="x", zone="x", change="x", t_s=0,
                expires_s=None, body=b"")  # fmt: skip
    package = Path(__file__).parent.parent / "gateway"
    for path in package.rglob("*.py"):
        names = {n.id for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Name)}
        assert path.parent.name == "consent" or "_SEAL" not in names, f"{path} uses the consent room's seal"
