"""What `gateway simulate` and `gateway demo` play: a store, drives, or both with a cast of known people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Literal

import msgspec

from gateway.model import SiteMap
from gateway.sim import drives, store
from gateway.sim.drives import Car
from gateway.sim.recorded import Entry, by_time
from gateway.sim.store import SHOPPERS_UUID, Shopper
from gateway.sim.truth import Truth, truth_of

Scene = Literal["store", "drives", "demo"]

START_S: Final = 1_766_390_400.0
"""2025-12-22T08:00:00Z"""
DEMO_S: Final = 780.0
"""Until everybody has left."""
LAST_CAR_S: Final = 900.0


def play(
    scene: Scene, site: SiteMap, *, start_s: float = START_S, duration_s: float = 1800.0, seed: int = 1
) -> Iterator[Entry]:
    """ValueError when the map lacks what the scene needs. `demo` has a length of its own: `DEMO_S`."""
    match scene:
        case "store":
            return store.simulate(site, start_s=start_s, duration_s=duration_s, seed=seed)
        case "drives":
            return street(site, start_s=start_s, duration_s=duration_s, seed=seed)[0]
        case "demo":
            return demo(site, start_s=start_s, seed=seed)


def street(
    site: SiteMap,
    *,
    start_s: float = START_S,
    duration_s: float = 1800.0,
    seed: int = 1,
    every_s: float = 90.0,
    interval_s: Sequence[float] = (1.0,),
    late: float = 0.0,
) -> tuple[Iterator[Entry], Iterator[Truth]]:
    """Cars of all kinds with the errors of a street, and what they really did. ValueError without a fence.

    `every_s`: between two departures; `interval_s`: each car reports at one of these; `late`: this share of
    the fixes comes late. The recording goes on until the last car has arrived.
    """
    model = msgspec.structs.replace(drives.STREET, late=late)
    cars = drives.traffic(
        site, start_s=start_s, duration_s=duration_s, seed=seed, every_s=every_s, interval_s=interval_s
    )
    entries = drives.simulate(
        site, start_s=start_s, duration_s=duration_s + LAST_CAR_S, seed=seed, cars=cars, model=model
    )
    return entries, truth_of(site, cars, seed, model)


def demo(site: SiteMap, *, start_s: float = START_S, seed: int = 1) -> Iterator[Entry]:
    """Some minutes at the shop of config/demo, with the people of its consent.yaml.

    Anna parks, shops and drives home; Ben and Finn shop; Clara cuts across the car park; Dora, who withdrew
    her consent, parks and shops; Emil, whom nobody knows, drives past.
    """
    cars = [
        Car("clara/zoe", "through", start_s + 5.0),
        Car("anna/golf", "visit", start_s + 25.0, stay_s=560.0),
        Car("dora/polo", "visit", start_s + 60.0, stay_s=420.0),
        Car("emil/van", "past", start_s + 200.0),
    ]
    shoppers = [
        Shopper(_phone(1002), start_s + 20.0, ("coffee", "honey", "sweets", "checkout")),
        Shopper(_phone(1001), start_s + 130.0, ("cereals", "coffee", "cheese", "checkout")),
        Shopper(_phone(1004), start_s + 150.0, ("honey", "wine", "checkout")),
        Shopper(_phone(1005), start_s + 430.0, ("wine", "sweets", "cereals", "checkout")),
    ]
    return by_time(
        store.simulate(site, start_s=start_s, duration_s=DEMO_S, seed=seed, shoppers=shoppers),
        drives.simulate(site, start_s=start_s, duration_s=DEMO_S, seed=seed, cars=cars),
    )


def _phone(minor: int) -> str:
    return f"ibeacon:{SHOPPERS_UUID}:1:{minor}"
