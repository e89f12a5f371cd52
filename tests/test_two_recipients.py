"""Two partners who put together what each receives: what joins a person's events, and what does not.

Everything goes the whole way: records, screen, outbox, couriers, and the JSON that a partner reads.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import shoppers
from consents import DAY, record
from core_words import LAT0, LON0, degrees, fixes, square
from releases import stored
from shoppers import MIDNIGHT_S, recipient

from gateway.consent.bars import OPEN, Withdrawal
from gateway.consent.rounding import partner_expiry_s, rounded_down
from gateway.core import Core
from gateway.counts import Counts
from gateway.model import EVIDENCE_KEYS, FIELDS, Presence, SiteMap
from gateway.outbox import Outbox, Transaction
from gateway.sinks import Delivery
from gateway.sinks.cloudevents import encode
from gateway.sinks.courier import Courier

Event = dict[str, Any]
Output = dict[str, list[tuple[str, Event]]]
"""By partner: who it was, and what the partner received."""
PARTNERS = ("parking", "insurer")
PRIVACY = (Path(__file__).parent.parent / "docs" / "privacy.md").read_text()


class Listener:
    """What one recipient has received, as it was on the wire."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.events: list[Event] = []

    async def ready(self) -> int:
        return 1

    def drop(self) -> None:
        raise AssertionError("nothing is under way when a word comes")

    async def send(self, delivery: Delivery) -> None:
        self.events.append(msgspec.json.decode(encode(delivery, "/sites/s/gateways/g", self.name)))

    def presences(self) -> list[Event]:
        return [event for event in self.events if event["type"] != "presence.removed.v1"]

    def tombstones(self) -> list[Event]:
        return [event for event in self.events if event["type"] == "presence.removed.v1"]


class Heard(msgspec.Struct):
    listeners: dict[str, Listener]
    who: dict[tuple[str, str], str]
    """(recipient, its pseudonym) → subject: the truth that the partners do not have."""


SUBJECTS, DAYS = 150, 3
WITHDRAWN = [f"card-{number}" for number in range(0, 60, 10)]


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Heard:
    """Both partners hear of the car park and the checkout; at the end some withdraw with events queued."""
    return asyncio.run(_listen(tmp_path_factory.mktemp("wire")))


async def _listen(directory: Path) -> Heard:
    names = ["platform", *PARTNERS]
    screen, register = shoppers.screen([recipient(name) for name in names], shoppers.consents(SUBJECTS))
    happened = shoppers.presences(shoppers.visits(SUBJECTS, DAYS, a_month=20))
    now_s = MIDNIGHT_S
    listeners = {name: Listener(name) for name in names}
    who = {}
    counts = Counts()
    path = directory / "outbox.sqlite"
    async with Outbox(path, names, commit_delay_s=0.001, counts=counts, clock=lambda: now_s) as outbox:
        couriers = [Courier(name, "puback", sink=listener, outbox=outbox, screen=screen, clock=lambda: now_s,
                            counts=counts) for name, listener in listeners.items()]  # fmt: skip
        for presence in happened:
            now_s = presence.emitted_s + 0.05
            releases = screen.releases(presence)
            for release in releases:
                who[release.recipient, msgspec.json.decode(release.body)["subject"]] = presence.subject
            await stored(outbox, Transaction(releases))
        for subject in WITHDRAWN:
            now_s += 600
            screen.know(register.absorb([record(subject, version=2, consents=[])]))
            await outbox.purge([Withdrawal(subject, screen.subject_key(subject), OPEN)])
        running = [asyncio.create_task(courier.run()) for courier in couriers]
        async with asyncio.timeout(60):
            while any((await outbox.backlog()).values()):  # noqa: ASYNC110 - the disk knows
                await asyncio.sleep(0.01)
        for task in running:
            task.cancel()
    return Heard(listeners, who)


def values(events: Iterable[Event], key: str) -> set[Any]:
    return {event.get(key) for event in events}


def joined(heard: Heard, value_of: Callable[[Event], Any]) -> float:
    """Share of the subjects known to both partners who are joined by a value that neither partner has seen
    of anybody else: found, and right.
    """
    seen = {}
    for name in PARTNERS:
        by_value = defaultdict(set)
        for event in heard.listeners[name].presences():
            by_value[value_of(event)].add(event["subject"])
        seen[name] = {value: next(iter(who)) for value, who in by_value.items() if len(who) == 1}
    a, b = PARTNERS
    found = {
        heard.who[a, seen[a][value]]
        for value in seen[a].keys() & seen[b].keys()
        if heard.who[a, seen[a][value]] == heard.who[b, seen[b][value]]
    }
    return len(found) / len(known_to_both(heard))


def known_to_both(heard: Heard) -> set[str]:
    a, b = ({s for (name, _), s in heard.who.items() if name == partner} for partner in PARTNERS)
    return a & b - set(WITHDRAWN)


# --- what never joins ---


@pytest.mark.parametrize("key", ["id", "subject", "consentid"])
def test_no_reference_is_the_same_at_two_recipients(heard: Heard, key: str) -> None:
    seen = [values(listener.presences(), key) for listener in heard.listeners.values()]
    assert all(len(one) > 50 for one in seen)
    assert len(set().union(*seen)) == sum(map(len, seen))


@pytest.mark.parametrize("key", ["source", "generation", "policyversion", "purpose", "specversion"])
def test_what_is_the_same_at_both_is_the_same_for_everybody(heard: Heard, key: str) -> None:
    for name in PARTNERS:
        assert len(values(heard.listeners[name].presences(), key)) == 1


def test_tombstones_have_ids_of_their_own_and_no_finer_times(heard: Heard) -> None:
    a, b = (heard.listeners[name].tombstones() for name in PARTNERS)
    assert a
    assert b
    assert not values(a, "id") & values(b, "id")
    for stone in a + b:
        assert stone["time"].endswith(":00.000Z")
        assert stone["recordedtime"].endswith(":00.000Z")
        assert stone["data"].keys() == {"ranges", "reason"}


def test_a_sequence_says_no_more_than_chance_where_consents_differ(heard: Heard) -> None:
    """Each recipient counts its own events. The same number at both is the same event by chance only, as long
    as the partners do not receive exactly the same events.
    """
    a, b = (
        {e["sequence"]: heard.who[n, e["subject"]] for e in heard.listeners[n].presences()} for n in PARTNERS
    )
    both = a.keys() & b.keys()
    assert len(both) > 200
    same = sum(a[number] == b[number] for number in both)
    assert same / len(both) < 0.1


def test_partners_see_no_time_finer_than_their_step(heard: Heard) -> None:
    for name in PARTNERS:
        for event in heard.listeners[name].presences():
            for moment in (event["time"], event["recordedtime"], event["data"]["since"]):
                assert moment.endswith(":00.000Z"), event
            assert event["data"]["dwell_s"] % 60 == 0
    assert any(not e["recordedtime"].endswith(":00.000Z") for e in heard.listeners["platform"].presences())


def test_the_end_of_a_consent_does_not_join(heard: Heard) -> None:
    """Everybody's consent ends at another moment: exact, or to the day, it would give most of them away."""
    shares = {
        "exact": _joined_by_expiry(heard, lambda until_s, _: until_s),
        "rounded down to the day": _joined_by_expiry(heard, lambda until_s, _: rounded_down(until_s, DAY)),
        "as it is": _joined_by_expiry(heard, lambda until_s, t_s: partner_expiry_s(t_s, until_s, 30 * DAY)),
    }
    print("the end of the consent joins:", {name: f"{share:.0%}" for name, share in shares.items()})
    assert shares["exact"] > 0.95
    to_the_day = f"rounded down to the day it still joins {100 * shares['rounded down to the day']:.0f} %"
    assert to_the_day in " ".join(PRIVACY.split())
    assert shares["as it is"] == pytest.approx(joined(heard, lambda event: event["expirytime"]))
    assert shares["as it is"] < 0.02


def _joined_by_expiry(heard: Heard, expiry_of: Callable[[float, float], float]) -> float:
    until = {r["subject"]: datetime.fromisoformat(r["consents"][0]["valid_until"]).timestamp()
             for r in shoppers.consents(SUBJECTS)}  # fmt: skip

    def value_of(event: Event) -> float:
        subject = heard.who[event["recipient"], event["subject"]]
        return expiry_of(until[subject], datetime.fromisoformat(event["time"]).timestamp())

    return joined(heard, value_of)


def test_no_coordinate_leaves() -> None:
    """Of all that the core knows of a drive, every field listed for the platform: no place but the zone's id."""
    words = {word for key in EVIDENCE_KEYS for word in key.split("_")}
    assert not words & {"lat", "latitude", "lon", "lng", "longitude", "x", "y", "at", "position"}
    core = Core(SiteMap("s", fences=(square("park", 0, 0, 100, dwell=[30]),)))
    told: list[Presence] = []
    drive = "\n".join(
        f"{t} {max(-300 + 12 * t, -300) if t < 28 else 30 + 0.1 * (t - 28)} 40" for t in range(120)
    )
    for fix in fixes(drive):
        told += core.observe_one(fix)
    told += core.advance(told[-1].t_s + 60)
    assert {presence.change for presence in told} >= {"entered", "dwelled"}
    screen, _ = shoppers.screen([_all_fields("platform")], [record("anna")])
    bodies = b"".join(release.body for presence in told for release in screen.releases(presence))
    assert b'"evidence"' in bodies
    lat, lon = degrees(30, 40)
    for number in (lat, lon, LAT0, LON0):
        assert f"{number:.3f}".encode() not in bodies
        assert f"{number:.2f}".encode() not in bodies


def _all_fields(name: str) -> Any:
    (purpose,) = recipient(name).purposes
    return msgspec.structs.replace(
        recipient(name), purposes=(msgspec.structs.replace(purpose, fields=frozenset(FIELDS)),)
    )


# --- how far zone and rounded time join ---


def linked(step_s: float, zones: tuple[str, str], *, subjects: int, epoch_s: float) -> tuple[float, float]:
    """(share of one partner's events that only one person of the other fits, and rightly; share of
    pseudonyms joined by all of a month's output that bears them). `zones`: where the first and the second partner hear of people.

    The attacker knows the shop: who is seen at the checkout is in the car park. For each pseudonym of one
    partner it takes the pseudonym of the other that fits the most of its visits.
    """
    names = dict(zip(PARTNERS, zones, strict=True))
    told = [recipient(name, frozenset([zone]), step_s) for name, zone in names.items()]
    screen, _ = shoppers.screen(told, shoppers.consents(subjects), epoch_s)
    output: Output = {name: [] for name in PARTNERS}
    for presence in shoppers.presences(shoppers.visits(subjects, days=30)):
        for release in screen.releases(presence):
            output[release.recipient].append((presence.subject, msgspec.json.decode(release.body)))
    attack = _same_place if zones[0] == zones[1] else _on_the_way
    return attack(output, step_s)


def _same_place(output: Output, _step_s: float) -> tuple[float, float]:
    def mark(event: Event) -> tuple[str, str, float]:
        return event["type"], event["time"], event["data"]["dwell_s"]

    others = defaultdict(list)
    for _, event in output["insurer"]:
        others[mark(event)].append(event["subject"])
    fits = {id(event): others.get(mark(event), []) for _, event in output["parking"]}
    return _score(output, fits)


def _on_the_way(output: Output, step_s: float) -> tuple[float, float]:
    def t_s(event: Event) -> float:
        return datetime.fromisoformat(event["time"]).timestamp()

    at_checkout = sorted((t_s(event), event["subject"]) for _, event in output["insurer"])
    fits: dict[int, list[str]] = {}
    for _, event in output["parking"]:
        if event["type"] == "presence.left.v1":
            end_s, begin_s = t_s(event) + step_s, t_s(event) - event["data"]["dwell_s"] - step_s
            fits[id(event)] = [name for seen_s, name in at_checkout if begin_s <= seen_s <= end_s]
    return _score(output, fits)


def _score(output: Output, fits: dict[int, list[str]]) -> tuple[float, float]:
    truth = {name: {event["subject"]: who for who, event in events} for name, events in output.items()}
    both = set(truth["parking"].values()) & set(truth["insurer"].values())
    right = alone = 0
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    for subject, event in output["parking"]:
        if id(event) not in fits or subject not in both:
            continue
        candidates = set(fits[id(event)])
        alone += 1
        right += len(candidates) == 1 and truth["insurer"][next(iter(candidates))] == subject
        votes[event["subject"]].update(candidates)
    found = 0
    for pseudonym, counted in votes.items():
        best = counted.most_common(2)
        clear = best and (len(best) == 1 or best[0][1] > best[1][1])
        found += bool(clear) and truth["insurer"][best[0][0]] == truth["parking"][pseudonym]
    return right / alone, found / len(votes)


SAME, APART = ("car-park", "car-park"), ("car-park", "checkout")


@pytest.mark.parametrize(
    ("zones", "step_s", "epoch_s", "row"),
    [
        (SAME, 60, 30 * DAY, "| the same zone | 1 min | 30 days | 98 % | 100 % |"),
        (SAME, 3600, 30 * DAY, "| the same zone | 1 h | 30 days | 20 % | 84 % |"),
        (SAME, 60, DAY, "| the same zone | 1 min | 1 day | 98 % | 100 % |"),
        (APART, 60, 30 * DAY, "| car park and checkout | 1 min | 30 days | 25 % | 75 % |"),
        (APART, 3600, 30 * DAY, "| car park and checkout | 1 h | 30 days | 1 % | 64 % |"),
        (APART, 60, DAY, "| car park and checkout | 1 min | 1 day | 25 % | 25 % |"),
    ],
)
def test_how_far_zone_and_rounded_time_join(
    zones: tuple[str, str], step_s: float, epoch_s: float, row: str
) -> None:
    """A shop with 300 people in the programme, four visits a month each: the figures of docs/privacy.md.

    They are no promise but a warning: pseudonyms alone do not keep two partners apart.
    """
    events, people = linked(step_s, zones, subjects=300, epoch_s=epoch_s)
    print(f"{zones[0]} and {zones[1]}, {step_s:g} s, epoch {epoch_s / DAY:g} d: one event alone {events:.0%}, "
          f"with all of an epoch {people:.0%}")  # fmt: skip
    assert row.endswith(f"| {100 * events:.0f} % | {100 * people:.0f} % |")
    assert row in PRIVACY
