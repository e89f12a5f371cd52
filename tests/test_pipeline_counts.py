"""Counts the whole way: signals in, `presence.counted.v1` out, the same wherever the input is split."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
from consents import NOON_S, entry, record
from releases import stored

from gateway import assembly
from gateway.assembly import Assembly
from gateway.consent import Keys, Release
from gateway.counts import Counts
from gateway.model import ConsentSignal, FeedState, Sighting, Signal
from gateway.outbox import Outbox, Transaction
from gateway.pipeline import Outcome
from gateway.sinks import Delivery
from gateway.sinks.cloudevents import encode
from gateway.sinks.courier import Courier

COUNT = "dpv:ServiceUsageAnalytics"
PEOPLE = 40
W = 900.0
TAG = "ibeacon:e2c56db5-dffb-48d2-b060-d0f5a71096e0:1:{}"
ADV = "0201061aff4c000215e2c56db5dffb48d2b060d0f5a71096e00001{:04x}c5"


@pytest.fixture
def shop(tmp_path: Path) -> Assembly:
    (tmp_path / "site.yaml").write_text(
        "site: {id: s, name: S, timezone: UTC}\n"
        "devices: {default_class: store_tag}\n"
        "floors:\n"
        "  - id: g\n"
        "    bounds: [[0, 0], [30, 10]]\n"
        "    zones: [{id: cereals, kind: shelf, at: [3, 5]}, {id: dairy, kind: shelf, at: [27, 5]}]\n"
        "receivers: [{id: pi-01, floor: g, at: [3, 5]}, {id: pi-02, floor: g, at: [27, 5]}]\n"
    )
    (tmp_path / "gateway.yaml").write_text(
        "gateway: {id: gw, state_dir: state}\n"
        "brokers: {b: {host: localhost}}\n"
        "recipients:\n"
        "  platform: {via: b, purposes: {'dpv:PersonalisedBenefits': {legal_basis: l, fields: [zone]}}}\n"
        f"counts: [{{recipient: platform, purpose: '{COUNT}', legal_basis: l, zones: [cereals, dairy], k: 3}}]\n"
        "consent: {feed: {file: consent.yaml}}\n"
    )
    (tmp_path / "consent.yaml").write_text("[]\n")
    return assembly.assemble(assembly.read_configuration(tmp_path), Keys(bytes(32)))


def consented(n: int, **changes: Any) -> dict[str, Any]:
    """To being counted, and to nothing else: no event of this person leaves."""
    return record(f"card-{n}", entry(purposes=[COUNT]), identities=[TAG.format(n)]) | changes


def enrolment() -> ConsentSignal:
    return ConsentSignal(NOON_S, tuple(consented(n) for n in range(PEOPLE)), complete=True)


def visits(seed: int = 1) -> list[Signal]:
    """An hour of people (and ten strangers) who stand before one of two shelves for half a minute to ten."""
    chance = random.Random(seed)
    signals: list[Signal] = []
    for n in range(PEOPLE + 10):
        adv, address = bytes.fromhex(ADV.format(n)), f"c3:00:00:25:ef:{n:02x}"
        for _ in range(2):
            t_s = NOON_S + chance.uniform(1, 3000)
            near = chance.choice(["pi-01", "pi-02"])
            for _ in range(chance.randint(30, 600) // 2):
                signals.append(Sighting(t_s, near, address, "random", chance.gauss(-48, 2), adv))
                t_s += 2.0
    return sorted(signals, key=lambda signal: signal.t_s)


def counts_of(outcomes: list[Outcome]) -> list[Release]:
    return [release for outcome in outcomes for release in outcome.releases if release.change == "counted"]


def told(release: Release) -> tuple[str, int, dict[str, int]]:
    """(zone, number of the window, sample)"""
    data = msgspec.json.decode(release.body)["data"]
    return data["zone"]["id"], round((release.t_s - NOON_S) / W), data["sample"]


def fed(
    shop: Assembly, signals: list[Signal], cuts: list[int], idle: random.Random | None = None
) -> list[Release]:
    outcomes = [shop.pipeline.feed([enrolment()])]
    for first, last in zip([0, *cuts], [*cuts, len(signals)], strict=True):
        outcomes.append(shop.pipeline.feed(signals[first:last]))
        if idle is not None and last < len(signals):
            outcomes.append(shop.pipeline.advance(idle.uniform(signals[last - 1].t_s, signals[last].t_s)))
    outcomes.append(shop.pipeline.advance(NOON_S + 6 * W))
    return [release for outcome in outcomes for release in outcome.releases]


def test_counts_are_the_same_wherever_the_input_is_split(shop: Assembly, tmp_path: Path) -> None:
    signals = visits()
    whole = fed(shop, signals, [])
    assert {release.change for release in whole} == {"counted"}  # nobody agreed to more
    assert [told(release)[:2] for release in whole] == [
        (zone, window) for window in (1, 2, 3, 4) for zone in ("cereals", "dairy")
    ]
    for release in whole:
        assert all(n and n % 3 == 0 for n in told(release)[2].values())
    bodies = [release.body for release in whole]
    configuration = assembly.read_configuration(tmp_path)
    for seed in range(2):
        chance = random.Random(seed)
        cuts = sorted(chance.sample(range(1, len(signals)), 300))
        other = assembly.assemble(configuration, Keys(bytes(32)))
        assert [release.body for release in fed(other, signals, cuts, chance)] == bodies


def standing(people: range, start_s: float, end_s: float) -> list[Signal]:
    """People before the cereals from one moment to the other."""
    return [
        Sighting(
            start_s + t, "pi-01", f"c3:00:00:25:ef:{n:02x}", "random", -48.0, bytes.fromhex(ADV.format(n))
        )
        for t in range(0, int(end_s - start_s), 2)
        for n in people
    ]


@pytest.mark.parametrize(
    ("word", "footfall"),
    [
        (None, [3, 3]),
        (ConsentSignal(NOON_S + 500, (consented(1, version=2, consents=[]),)), []),
        (ConsentSignal(NOON_S + W + 500, (consented(1, version=2, consents=[]),)), [3]),
        (ConsentSignal(NOON_S + 500, ({"subject": "card-1", "version": 2},)), []),
        (FeedState(NOON_S + 500, None, "unmatched"), [3, 3]),  # a file needs no confirmation
    ],
    ids=["all agree", "withdrawn in the first window", "in the second", "a record without consents", "doubt"],
)
def test_a_word_within_a_window(shop: Assembly, word: Signal | None, footfall: list[int]) -> None:
    """Three people stand there for two windows; with one of them fewer nothing is told."""
    signals = standing(range(3), NOON_S + 60, NOON_S + 2 * W - 60)
    if word is not None:
        signals = sorted([*signals, word], key=lambda signal: signal.t_s)
    outcomes = [
        shop.pipeline.feed([enrolment()]),
        shop.pipeline.feed(signals),
        shop.pipeline.advance(NOON_S + 4 * W),
    ]
    assert [told(release)[2]["footfall"] for release in counts_of(outcomes)] == footfall


def test_the_end_of_a_window_is_a_deadline(shop: Assembly) -> None:
    shop.pipeline.feed([enrolment(), *standing(range(3), NOON_S + 60, NOON_S + W - 1)])
    deadlines = []
    while (deadline_s := shop.pipeline.next_deadline()) is not None and deadline_s < NOON_S + 3 * W:
        deadlines.append(deadline_s)
        if counts_of([shop.pipeline.advance(deadline_s)]):
            break
    assert deadlines[-1] == NOON_S + W


class Listener:
    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    async def ready(self) -> int:
        return 1

    async def send(self, delivery: Delivery) -> None:
        self.events.append(msgspec.json.decode(encode(delivery, "/sites/s/gateways/gw", "platform")))

    def drop(self) -> None:
        """Nothing is kept under way."""


async def test_a_count_goes_through_outbox_and_courier_and_no_withdrawal_reaches_it(
    shop: Assembly, tmp_path: Path
) -> None:
    outcomes = [
        shop.pipeline.feed([enrolment(), *standing(range(4), NOON_S + 60, NOON_S + W + 60)]),
        shop.pipeline.feed(
            [ConsentSignal(NOON_S + W + 90, tuple(consented(n, version=2, consents=[]) for n in range(4)))]
        ),
    ]
    (count,) = counts_of(outcomes)
    assert len(outcomes[1].withdrawn) == 4
    listener = Listener()
    async with Outbox(tmp_path / "o.sqlite", ["platform"], commit_delay_s=0.001, counts=Counts()) as outbox:
        await stored(outbox, Transaction([count]))
        await outbox.purge(outcomes[1].withdrawn)
        courier = Courier("platform", "puback", sink=listener, outbox=outbox, screen=shop.screen,
                          clock=lambda: NOON_S + W + 100, counts=Counts())  # fmt: skip
        running = asyncio.create_task(courier.run())
        async with asyncio.timeout(60):
            while (await outbox.backlog())["platform"]:  # noqa: ASYNC110 - the disk knows
                await asyncio.sleep(0.01)
        running.cancel()
    (event,) = listener.events
    assert (event["type"], event["data"]["sample"]) == (
        "presence.counted.v1",
        {"footfall": 3, "occupancy": 3},
    )
    assert event.keys().isdisjoint({"subject", "consentid", "expirytime"})
