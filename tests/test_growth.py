"""Run for years and forgotten: nothing of a gateway is longer after months than it was before.

Every table that the pipeline leads to is counted, by whatever name, while an open world goes by: guests enrol and
are gone, withdrawn or erased the next day, consents are given anew under other ids, phones change their address,
strangers pass, receivers, beacons and cars that nobody knows are heard, shared cars change hands, the map gets
another zone. Caches are made small, so that they are full long before.
"""

from __future__ import annotations

import gc
import random
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from census import tables
from consent_feeds import Ear, erasure, manifest, payload
from consents import DAY, NOON_S, PURPOSE, entry, record
from daemons import SETTINGS, SITE, TAG, advertisement, arrival, raw
from ears import IBEACON, listening, until
from fake_bluez import FakeBluez
from strangers import KINDS, an_address, stranger

from gateway import assembly, pipeline, recordings
from gateway.assembly import Assembly
from gateway.consent import Keys, drivers, holdings, pages
from gateway.consent.pages import PagedFeed
from gateway.counts import Counts
from gateway.identity import garbage, identification, resolvable
from gateway.identity.aes import encryption
from gateway.model import (
    ConsentSignal,
    DriverSignal,
    FeedState,
    Message,
    ObjectionSignal,
    Sighting,
    Signal,
    SiteMap,
)
from gateway.outbox import Outbox
from gateway.profiles import ble, profiles
from gateway.profiles.telemetry import TelemetryMemory
from gateway.sweep import Sweep

SHOWN, COUNTED = "dpv:ServiceOptimisation", "dpv:ServiceUsageAnalytics"
MORE_SETTINGS = f"""\
identity_keys: keys.yaml
page: {{token: token, shows: {{purpose: '{SHOWN}', legal_basis: l}}}}
counts: [{{recipient: platform, purpose: '{COUNTED}', legal_basis: l, zones: [cereals], k: 3}}]
"""
IRK = bytes(range(16))
Change = Callable[[SiteMap, int], SiteMap]
REMEMBERED_D, SETTLED_D, SPAN_D = 18, 20, 15
"""Days for which erasures are remembered here; after `SETTLED_D` as many go as come."""
CACHES = {
    "ResolvableAddresses._foreign": 8, "Garbage._addresses": 16,
    "Garbage._families": 8, "BleIndex._known": 8, "BleIndex._addresses": 8, "Ownership._drives": 4,
    "TelemetryMemory._tags": 16, "Profiles._topics": 2 * 8, "Profiles._quick": 8,
}  # fmt: skip
"""Made small: their bounds. Some are emptied when they are full. A topic counts twice: with who reads it."""
CHANCE = 5
"""Entries that a table may have more by chance of what is there at the moment."""


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Assembly:
    for place, name, size in [
        (resolvable, "REMEMBERED", 8), (garbage, "ADDRESSES", 16), (garbage, "FAMILIES", 8),
        (ble, "CACHED", 8), (profiles, "CACHED_TOPICS", 8), (drivers, "MAX_DRIVEN", 4),
    ]:  # fmt: skip
        monkeypatch.setattr(place, name, size)
    for place in (holdings, pipeline):
        monkeypatch.setattr(place, "KEPT_S", REMEMBERED_D * DAY)
    monkeypatch.setattr(identification, "TelemetryMemory", partial(TelemetryMemory, tags=16))
    settings = SETTINGS.replace("PORT", "1883").replace("STATE", str(tmp_path / "state"))
    files = {
        "site.yaml": SITE,
        "gateway.yaml": settings + MORE_SETTINGS,
        "consent.yaml": "[]",
        "token": "the-token-of-this-test",
        "keys.yaml": f"irk: {{phone: '{IRK.hex()}'}}",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text + "\n")
        (tmp_path / name).chmod(0o600)
    return assembly.assemble(assembly.read_configuration(tmp_path), Keys(bytes(32)))


def enrolled(day: int) -> list[dict[str, Any]]:
    """Two that stay, each with a consent of a new id, three guests of today, and what is left of yesterday's."""

    def given(subject: str, *identities: str, version: int = 1, **changes: Any) -> dict[str, Any]:
        entries = [
            entry(record_id=f"{subject}/{purpose}/{version}", purposes=[purpose], recipients=[to]) | changes
            for purpose, to in ((PURPOSE, "platform"), (SHOWN, "operator"), (COUNTED, "platform"))
        ]
        return record(subject, *entries, version=version, identities=list(identities))

    open_end: dict[str, Any] = {"valid_until": None}
    return [
        given("anna", TAG.format(n=1), "irk:phone", version=day + 1, **open_end),
        given("ben", TAG.format(n=2), "vehicle:fleet/shared", version=day + 1, **open_end),
        *(given(f"guest-{day}-{n}", TAG.format(n=3 + n), f"vehicle:fleet/{day}-{n}", **open_end) for n in range(3)),
        given(f"guest-{day - 1}-1", TAG.format(n=9), version=2, status="ConsentWithdrawn"),
        record(f"guest-{day - 1}-2", version=2, erased=True, identities=[], consents=[]),
    ]  # fmt: skip


def a_day(day: int, rng: random.Random) -> Iterator[Signal]:
    noon_s = NOON_S + day * DAY
    yield ConsentSignal(noon_s, tuple(enrolled(day)), complete=True)
    yield DriverSignal(noon_s, "fleet/shared", "ben", noon_s + 3_600)
    yield DriverSignal(noon_s, f"fleet/{day}-1", f"guest-{day}-1")
    prand = (0x400000 | day).to_bytes(3, "big")
    private = (prand + resolvable.ah(encryption(IRK), prand)).hex(":")
    for n, (t_s, lat, speed_kmh) in enumerate([*arrival(noon_s + 60)][::4]):
        receiver = "pi-01" if n < 5 else "pi-02"
        heard = [raw(tag, -48, f"c3:00:00:00:{day:02x}:{tag:02x}") for tag in (1, 2, 3, 4, 5)]
        heard += [stranger(rng, kind=kind) for kind in KINDS]
        heard.append(raw(1, -50, private) | {"adv": "02010a0aff4c001005" + "00" * 5})
        heard.append(raw(0, -60, "c3:00:00:00:00:00") | {"adv": advertisement(rng.getrandbits(16))})
        for one in heard:
            yield Sighting(t_s, receiver, one["address"], "random", one["rssi"], bytes.fromhex(one["adv"]))
        if n % 3 == 0:
            yield Sighting(
                t_s, f"pi-{rng.getrandbits(32)}", an_address(rng), "random", -60.0, b"\x02\x01\x06"
            )
        for car in ("shared", f"{day}-0", f"{day}-1", f"unknown-{rng.getrandbits(32)}"):
            said = f'{{"_type":"location","tst":{t_s},"lat":{lat},"lon":7.0015,"acc":5,"vel":{speed_kmh}}}'
            yield Message(t_s, f"owntracks/fleet/{car}", said.encode())
    yield ObjectionSignal(noon_s + 600, f"guest-{day}-0", erase=day % 2 == 0)


def other_zone(site: SiteMap, day: int) -> SiteMap:
    """Every belief begins anew."""
    offer = msgspec.structs.replace(site.zones[0], id=f"offer-{day}", at=(15.0, 5.0))
    return msgspec.structs.replace(site, zones=(*site.zones[:2], offer))


def other_fence(site: SiteMap, day: int) -> SiteMap:
    """What is heard by radio goes on as it was."""
    pump = msgspec.structs.replace(site.fences[0], id=f"pump-{day}")
    return msgspec.structs.replace(site, fences=(site.fences[0], pump))


def live(store: Assembly, day: int, rng: random.Random, change: Change) -> Iterator[None]:
    """One day and the night behind it, in which everybody is gone; stops at the end of each."""
    running, night_s = store.pipeline, NOON_S + day * DAY + 12 * 3_600
    for signal in a_day(day, rng):
        running.feed([signal])
    yield
    store.site = change(store.site, day)
    running.replace_site(store.site, assembly.zone_facts(store.site))
    running.advance(night_s)
    store.tally.due(night_s)
    yield


@pytest.mark.timeout(120)
@pytest.mark.parametrize("change", [other_zone, other_fence])
def test_nothing_is_longer_after_months_than_before(store: Assembly, change: Change) -> None:
    rng, before, after = random.Random(9), Counter[str](), Counter[str]()
    for day in range(SETTLED_D + 2 * SPAN_D):
        highest = before if day < SETTLED_D + SPAN_D else after
        for _ in live(store, day, rng, change):
            if day >= SETTLED_D and day % 5 == 0:
                highest |= tables(store)
    for cache, most in CACHES.items():
        assert most / 2 <= after[cache] <= most, cache
    grown = {table: (before[table], n) for table, n in after.items() if n > before[table] + CHANCE}
    assert not grown.keys() - CACHES.keys(), grown


def test_a_feed_over_mqtt_holds_no_more_than_the_platform_retains() -> None:
    """Guests come, and are removed or erased the next day; the erasures are removed a week later."""
    ear, retained, highest = Ear(), dict[str, bytes](), Counter[int]()
    for day in range(60):
        t_s = NOON_S + day * DAY
        news = {f"g{day}-{n}": payload(f"guest-{day}-{n}") for n in range(4)}
        news |= {f"g{day - 1}-{n}": b"" for n in range(2)}
        news |= {f"g{day - 1}-{n}": erasure(f"guest-{day - 1}-{n}", 2) for n in (2, 3) if day}
        news |= {f"g{day - 8}-{n}": b"" for n in (2, 3)}
        for key, content in news.items():
            ear.take(key, content, t_s)
            retained[key] = content
        retained = {key: content for key, content in retained.items() if content}
        ear.take("_manifest", manifest(retained, t_s), t_s)
        ear.check(t_s)
        if ear.feed.wants_renewal:
            ear.subscribe(retained, t_s)
        assert not ear.feed.in_doubt
        highest[day // 20] = max(highest[day // 20], tables(ear.feed).total())
    assert highest[2] <= highest[1] + CHANCE


def test_a_feed_over_http_that_only_tells_changes_goes_on_for_years(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many more come and are erased than a gateway holds at once."""
    monkeypatch.setattr(pages, "MAX_RECORDS", 10)
    feed, highest = PagedFeed("test", Counts()), 0
    for day in range(40):
        records = [record(f"guest-{day}", identities=[]), record(f"guest-{day - 1}", version=2, erased=True,
                                                                 identities=[], consents=[])]  # fmt: skip
        page = feed.read(msgspec.json.encode({"records": records, "cursor": f"c{day}", "complete": True}))
        assert len(list(feed.records(page))) == 1
        assert feed.finish(page, NOON_S, NOON_S)[-1] == FeedState(NOON_S, NOON_S)
        highest = max(highest, tables(feed).total())
    assert highest < 2 * 10


async def test_a_sweep_does_not_remember_recordings_that_are_gone(tmp_path: Path) -> None:
    async with Outbox(tmp_path / "o.sqlite", ["platform"], counts=Counts()) as outbox:
        sweep = Sweep(outbox, tmp_path, lambda: lambda: lambda line: [line])
        for n in range(12):
            path = tmp_path / f"{n}.jsonl"
            path.write_bytes(b"{}\n")
            recordings.enlist(tmp_path, path)
            await sweep.once()
            path.unlink()
    assert tables(sweep)["Sweep._looked_at"] == 1


async def test_strangers_that_bluez_forgets_are_forgotten_by_the_library_too(bluez: FakeBluez) -> None:
    """Several thousand phones a day pass a radio that is not set up anew for months."""
    async with listening() as ear:
        for n in range(150):
            address = f"C3:00:00:00:{n // 256:02X}:{n % 256:02X}"
            await bluez.advert(address, -60, manufacturer=IBEACON)
            await bluez.gone(address)
        await until(lambda: len(ear.heard) == 150)
        held = [o for o in gc.get_objects() if str(type(o).__module__).startswith("bleak.")]
        lengths = {f"{type(o).__name__}.{k}": len(v) for o in held for k, v in getattr(o, "__dict__", {}).items()
                   if isinstance(v, dict | list | set)}  # fmt: skip
    assert lengths["BleakScannerBlueZDBus.seen_devices"] == 0
    assert {name: n for name, n in lengths.items() if n > CHANCE} == {}
