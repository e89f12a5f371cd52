"""Another map between two signals of a recorded day: nothing is lost, and what did not change goes on."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from gateway import recording
from gateway.assembly import Assembly, assemble, read_configuration, zone_facts
from gateway.cli import main
from gateway.consent import Keys
from gateway.consent.keys import KEY_BYTES
from gateway.core import Core, prepare
from gateway.model import Anchor, Circle, ConsentSignal, Fence, Signal, SiteMap, Zone

ROOT = Path(__file__).parent.parent
Events = list[dict[str, Any]]


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Signal]]:
    folder = tmp_path_factory.mktemp("day")
    shutil.copytree(ROOT / "config" / "demo", folder / "config")
    recorded = folder / "day.jsonl.gz"
    made = CliRunner().invoke(
        main, ["simulate", "demo", "--config", str(folder / "config"), "--out", str(recorded)]
    )
    assert made.exit_code == 0
    return folder / "config", list(recording.read(recorded))


def run(
    day: tuple[Path, list[Signal]], change: Callable[[SiteMap], SiteMap] | None, every: int
) -> tuple[Events, Assembly]:
    """Events in order of emission; the map is changed after each `every` signals."""
    configuration = read_configuration(day[0])
    assembly = assemble(configuration, Keys(bytes(KEY_BYTES)), confirmed=True)
    pipeline, site, events = assembly.pipeline, configuration.site, []
    records = ConsentSignal(day[1][0].t_s, tuple(configuration.consent_records), complete=True)
    for n, signal in enumerate([records, *day[1]]):
        outcomes = [pipeline.feed([signal])]
        if change is not None and n and n % every == 0:
            site = change(site)
            outcomes.append(pipeline.replace_site(site, zone_facts(site)))
        events += [json.loads(r.body) for outcome in outcomes for r in outcome.releases]
    events += [json.loads(r.body) for r in pipeline.advance(day[1][-1].t_s + 300).releases]
    return events, assembly


def same(site: SiteMap) -> SiteMap:
    return msgspec.structs.replace(site, name=site.name + "+")


def renamed(site: SiteMap) -> SiteMap:
    zones = [msgspec.structs.replace(z, name="Door") if z.id == "entrance" else z for z in site.zones]
    return msgspec.structs.replace(site, zones=tuple(zones))


def test_a_map_that_is_the_same_changes_no_event(day: tuple[Path, list[Signal]]) -> None:
    """Swapped some sixty times: the same events with the same ids, each signal counted once."""
    plain, before = run(day, None, 1)
    swapped, after = run(day, same, 100)
    assert swapped == plain
    assert after.pipeline.counted().by_room() == before.pipeline.counted().by_room()
    assert len(plain) > 50


def test_a_renamed_zone_has_its_new_name_and_the_others_their_stays(day: tuple[Path, list[Signal]]) -> None:
    plain, before = run(day, None, 1)
    swapped, after = run(day, renamed, 2000)
    others = [e for e in plain if e["data"]["zone"]["id"] != "entrance"]
    assert [e for e in swapped if e["data"]["zone"]["id"] != "entrance"] == others
    names = [e["data"]["zone"]["name"] for e in swapped if e["data"]["zone"]["id"] == "entrance"]
    assert names == sorted(names, key=["Entrance", "Door"].index)
    assert {"Entrance", "Door"} == set(names)
    assert after.pipeline.counted().by_room()["identity"] == before.pipeline.counted().by_room()["identity"]


def test_a_zone_that_moves_to_and_fro_ends_nothing_but_its_own_stays(day: tuple[Path, list[Signal]]) -> None:
    """Beliefs are carried into another radio map some sixty times, devices fall silent and are forgotten."""

    def moved(site: SiteMap) -> SiteMap:
        zones = [
            msgspec.structs.replace(z, polygon=tuple((x, y - 0.5 if y > 7 else y) for x, y in z.polygon))
            if z.id == "sweets" and z.polygon
            else z
            for z in site.zones
        ]
        return msgspec.structs.replace(site, zones=tuple(zones))

    _, before = run(day, None, 1)
    swapped, after = run(day, moved, 100)
    assert after.pipeline.counted().by_room()["identity"] == before.pipeline.counted().by_room()["identity"]
    stays: dict[tuple[str, str], list[str]] = {}
    for event in swapped:
        if event["recipient"] == "platform" and event["type"] != "presence.dwelled.v1":
            key = (event["subject"], event["data"]["zone"]["id"])
            stays.setdefault(key, []).append(event["type"].split(".")[1])
    assert len(stays) > 10
    for (_, zone), changes in stays.items():
        told = [change for change in changes if change in ("entered", "left")]
        assert told == (["entered", "left"] * len(told))[: len(told)], (zone, changes)


def test_a_swap_is_quick_once_it_is_prepared() -> None:
    """What a map of many zones takes is spent beforehand, beside the loop; no signal waits for it."""
    shelves = tuple(
        Zone(f"z{n}", "shelf", f"z{n}", "g", polygon=((x, y), (x + 3, y), (x + 3, y + 1), (x, y + 1)))
        for n in range(150)
        for x, y in [(4.0 * (n % 15), 3.0 * (n // 15))]
    )
    ears = tuple(Anchor(f"r{n}", "g", (8.0 * (n % 8), 8.0 * (n // 8), 2.4)) for n in range(32))
    fences = tuple(
        Fence(f"f{n}", "pump", f"f{n}", circle=Circle(50.9 + n / 1000, 6.9, 15)) for n in range(99)
    )
    before = SiteMap("s", zones=shelves, receivers=ears, fences=fences)
    moved = msgspec.structs.replace(ears[5], at=(9.0, 9.0, 2.4))
    after = msgspec.structs.replace(before, receivers=(*ears[:5], moved, *ears[6:]))
    core = Core(before)
    began_s = time.thread_time()
    prepare(after)
    prepared_s = time.thread_time()
    core.replace_site(after)
    assert time.thread_time() - prepared_s < (prepared_s - began_s) / 5
