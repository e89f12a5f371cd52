"""The filter against an oracle of twenty lines that shares no code with it, and against corrupted records."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import pytest
from consents import DAY, NOON_S, PURPOSE, entry, record

from gateway.consent.register import Permit, Register
from gateway.counts import Counts

PURPOSES = [PURPOSE, "dpv:ServiceProvision", "dpv:FraudPrevention"]
RECIPIENTS = ["platform", "insurer", "parking"]
ZONES = ["cereals", "dairy", "car-park"]
STATUSES = ["ConsentGiven"] * 5 + ["RenewedConsentGiven", "ConsentWithdrawn", "ConsentRevoked", "Agreed"]
ASKS = {
    (p, r): p == "dpv:FraudPrevention" for p in PURPOSES for r in RECIPIENTS if (p, r) != (PURPOSE, "parking")
}


def rfc3339(t_s: float) -> str:
    return datetime.fromtimestamp(t_s, UTC).isoformat()


def oracle(
    said: list[dict[str, Any]], purpose: str, recipient: str, zone: str, moments_s: tuple[float, float]
) -> bool:
    """Whether it may leave, by the words of the design and in no hurry."""
    erased = max((r["version"] for r in said if r.get("erased")), default=0)
    erased_s = max((seconds(r["event_time"]) for r in said if r.get("erased")), default=float("-inf"))
    alive = [r for r in said if not r.get("erased") and r["version"] > erased]
    newest = max((r["version"] for r in alive), default=0)
    distinct = [r for i, r in enumerate(alive) if r["version"] == newest and r not in alive[:i]]
    if len(distinct) != 1 or (purpose, recipient) not in ASKS:
        return False
    if purpose == "dpv:FraudPrevention" and distinct[0].get("age") != "adult":
        return False
    if purpose == PURPOSE and distinct[0].get("age") in ("minor", "unknown"):
        return False
    concerning = [
        c for c in distinct[0]["consents"] if purpose in c["purposes"] and recipient in c["recipients"]
    ]
    deciding = [c for c in concerning if c["event_time"] == max(x["event_time"] for x in concerning)]
    if not deciding or any(c != deciding[0] for c in deciding):
        return False
    c = deciding[0]
    seen = [x for r in alive for x in r["consents"] if x["record_id"] == c["record_id"]]
    same = [x for x in seen if x["version"] >= c["version"]]
    until_s = seconds(c["valid_until"]) if c["valid_until"] else float("inf")
    return (
        all(x == c for x in same)
        and c["status"] in ("ConsentGiven", "RenewedConsentGiven")
        and all(seconds(c["event_time"]) <= t_s < until_s for t_s in moments_s)
        and seconds(c["event_time"]) > erased_s
        and (c["zones"] == "all" or zone in c["zones"])
    )


def seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def some(rng: random.Random, items: list[str]) -> list[str]:
    return rng.sample(items, rng.randint(1, len(items)))


def random_entry(rng: random.Random) -> dict[str, Any]:
    from_s = NOON_S + rng.choice([-3, -2, -1, 1]) * DAY
    return {
        "record_id": rng.choice(["c-1", "c-2"]),
        "version": rng.randint(1, 3),
        "status": rng.choice(STATUSES),
        "purposes": some(rng, PURPOSES),
        "recipients": some(rng, RECIPIENTS),
        "zones": rng.choice(["all", some(rng, ZONES)]),
        "event_time": rfc3339(from_s),
        "valid_until": rng.choice([None, rfc3339(from_s + rng.choice([1, 2, 5]) * DAY)]),
    }


def random_record(rng: random.Random) -> dict[str, Any]:
    version = rng.randint(1, 3)
    if rng.random() < 0.08:
        moment = rfc3339(NOON_S - rng.choice([1, 2, 3]) * DAY)
        return {"subject": "anna", "version": version, "erased": True, "event_time": moment}
    said = {
        "subject": "anna",
        "version": version,
        "consents": [random_entry(rng) for _ in range(rng.randint(1, 2))],
    }
    return said | ({} if rng.random() < 0.7 else {"age": rng.choice(["adult", "minor", "unknown"])})


def questions(policies: int, seed: int) -> int:
    """Pairs on which both agree; each policy is asked a hundred questions."""
    rng = random.Random(seed)
    agreed = permitted = 0
    for _ in range(policies):
        said = [random_record(rng) for _ in range(rng.choice([1, 1, 1, 2, 3]))]
        register = Register(Counts(), asks=ASKS)
        register.absorb(said)
        for _ in range(100):
            question = (rng.choice(PURPOSES), rng.choice(RECIPIENTS), rng.choice(ZONES))
            moments_s = (NOON_S + rng.uniform(-4, 5) * DAY, NOON_S + rng.uniform(-1, 5) * DAY)
            verdict = register.decide("anna", *question, t_s=moments_s[0], now_s=moments_s[1])
            expected = oracle(said, *question, moments_s)
            assert isinstance(verdict, Permit) is expected, (said, question, moments_s, verdict)
            agreed, permitted = agreed + 1, permitted + expected
    assert permitted > agreed / 50  # else it asks nothing but the obvious
    return agreed


def test_the_filter_agrees_with_the_oracle() -> None:
    assert questions(300, seed=1) == 30_000


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_filter_agrees_with_the_oracle_a_million_times() -> None:
    assert questions(10_000, seed=2) == 1_000_000


# --- a record that was damaged on its way ---

WHOLE = record("anna", entry(zones=["cereals"]), age="adult")
CORRUPTIONS: list[Any] = [
    None, True, False, 0, -1, 1.5, "", "x", "1", [], [1], [""], {}, {"a": 1}, float("nan"), 2**80, "x" * 129,
    "ConsentWithdrawn", "2025-13-40T00:00:00Z", "2025-12-01", "1764547200", 1764547200, ["all"], "ALL", [["cereals"]],
]  # fmt: skip


def is_harmless(key: str, value: Any) -> bool:
    """With this value it is another good record: no end, another notice, name, tag or version."""
    if key in ("notice", "identities", "record_id"):
        return True
    if key in ("version",) and type(value) is int and value >= 1:
        return True
    return value is None and key in ("valid_until", "age")


@pytest.mark.parametrize("key", [*WHOLE, *(f"consents.0.{key}" for key in WHOLE["consents"][0])])
def test_a_record_with_one_field_corrupted_denies(key: str) -> None:
    last = key.rpartition(".")[2]
    for value in [c for c in CORRUPTIONS if not is_harmless(last, c)]:
        damaged = record("anna", entry(zones=["cereals"]), age="adult")
        target = damaged["consents"][0] if "." in key else damaged
        if target[last] == value and type(target[last]) is type(value):
            continue
        target[last] = value
        # Also where the good one is held: it must not pass for the same words again. Without its subject it is nobody's.
        for held in [[], [WHOLE]] if key != "subject" else [[]]:
            register = Register(Counts(), asks=ASKS)
            register.absorb(held)
            register.absorb([damaged])
            verdict = register.decide("anna", PURPOSE, "platform", "cereals", t_s=NOON_S, now_s=NOON_S)
            assert not isinstance(verdict, Permit), (key, value, bool(held))


@pytest.mark.parametrize("key", [k for k in WHOLE["consents"][0] if k not in ("valid_until", "notice")])
def test_a_consent_without_one_of_its_fields_denies(key: str) -> None:
    damaged = record("anna", {k: v for k, v in entry().items() if k != key})
    register = Register(Counts())
    register.absorb([damaged])
    verdict = register.decide("anna", PURPOSE, "platform", "cereals", t_s=NOON_S, now_s=NOON_S)
    assert verdict == "not_enrolled"
