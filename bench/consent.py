"""What a decision of the consent filter costs, and what it costs to take 100,000 records in.

The peer is an empty Python call with as many arguments, timed in turn in the same run: ratios hold on any
machine, times do not. `python bench/consent.py`
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import msgspec

from gateway.consent import Keys, Policy, Purpose, Recipient, Register
from gateway.consent.register import Permit
from gateway.counts import Counts
from gateway.model import CHANGES

NOON_S = 1_766_404_800.0
SUBJECTS, RECIPIENTS, RECORDS = 10_000, 5, 100_000
TERMS = ["dpv:PersonalisedBenefits", "dpv:ServiceProvision"]


def record(n: int) -> dict[str, Any]:
    return {
        "subject": f"card-{n}",
        "version": 1 + n % 7,
        "identities": [f"mac:c3:00:00:{n >> 16:02x}:{n >> 8 & 255:02x}:{n & 255:02x}", f"vehicle:car-{n}"],
        "consents": [
            {"record_id": f"c-{n}-{k}", "version": 1, "status": "ConsentGiven", "purposes": [TERMS[k]],
             "recipients": [f"partner-{(n + i) % RECIPIENTS}" for i in range(3)],
             "zones": "all" if n % 2 else ["cereals", "dairy"], "event_time": "2025-12-01T00:00:00Z",
             "valid_until": "2026-12-01T00:00:00Z", "notice": "door-2025-11"}
            for k in range(2)
        ],
    }  # fmt: skip


def empty(subject: str, purpose: str, recipient: str, zone: str, *, t_s: float, now_s: float) -> None:
    pass


def cpu_s(work: Callable[[], Any]) -> float:
    began_s = time.process_time()
    work()
    return time.process_time() - began_s


def main() -> None:
    every = frozenset(CHANGES)
    purposes = tuple(Purpose(term, "eu-gdpr:A6-1-a", every, frozenset(["zone"])) for term in TERMS)
    policy = Policy("s", "g", tuple(Recipient(f"partner-{n}", purposes) for n in range(RECIPIENTS)))
    register = Register(Counts(), asks=policy.asks, subject_key=Keys(bytes(32)).subject_key)
    feed = [record(n) for n in range(RECORDS)]
    absorbing_s = cpu_s(lambda: register.absorb(feed, t_s=NOON_S))
    print(f"{RECORDS:,} records absorbed in {absorbing_s:.1f} s of CPU")
    again = msgspec.json.decode(msgspec.json.encode(feed))
    again_s = cpu_s(lambda: register.absorb(again, complete=True, t_s=NOON_S))
    print(f"the same {RECORDS:,}, told as a whole once more: {again_s:.1f} s")

    rng = random.Random(1)
    questions = [
        (
            f"card-{rng.randrange(SUBJECTS)}",
            rng.choice(TERMS),
            f"partner-{rng.randrange(RECIPIENTS)}",
            "cereals",
        )
        for _ in range(200_000)
    ]

    def ask(answer: Callable[..., Any]) -> None:
        for subject, purpose, recipient, zone in questions:
            answer(subject, purpose, recipient, zone, t_s=NOON_S, now_s=NOON_S)

    for _ in range(2):  # warm: every answer has been worked out once
        ask(register.decide)
    permitted = sum(isinstance(register.decide(*q, t_s=NOON_S, now_s=NOON_S), Permit) for q in questions)
    decide_s = call_s = loop_s = float("inf")
    for _ in range(7):
        call_s = min(call_s, cpu_s(lambda: ask(empty)))
        decide_s = min(decide_s, cpu_s(lambda: ask(register.decide)))
        loop_s = min(loop_s, cpu_s(lambda: [None for _ in questions]))
    each = 1e9 / len(questions)
    ratio = (decide_s - loop_s) / (call_s - loop_s)
    print(
        f"a decision for one recipient: {decide_s * each:.0f} ns, {ratio:.1f} empty calls of "
        f"{call_s * each:.0f} ns ({permitted * 100 // len(questions)} % permitted)"
    )


if __name__ == "__main__":
    main()
