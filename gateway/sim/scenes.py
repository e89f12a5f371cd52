"""What `gateway simulate` and `gateway demo` play: a store, drives, or both with a cast of known people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

from gateway.model import SiteMap
from gateway.sim import drives, store
from gateway.sim.drives import Car
from gateway.sim.recorded import Entry, by_time
from gateway.sim.store import SHOPPERS_UUID, Shopper

Scene = Literal["store", "drives", "demo"]

START_S: Final = 1_766_390_400.0
"""2025-12-22T08:00:00Z"""
DEMO_S: Final = 780.0
"""Until everybody has left."""


def play(
    scene: Scene, site: SiteMap, *, start_s: float = START_S, duration_s: float = 1800.0, seed: int = 1
) -> Iterator[Entry]:
    """ValueError when the map lacks what the scene needs. `demo` has a length of its own: `DEMO_S`."""
    match scene:
        case "store":
            return store.simulate(site, start_s=start_s, duration_s=duration_s, seed=seed)
        case "drives":
            return drives.simulate(site, start_s=start_s, duration_s=duration_s, seed=seed)
        case "demo":
            return demo(site, start_s=start_s, seed=seed)


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
