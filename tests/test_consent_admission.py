"""Strangers pass by: nothing of them is kept, on disk or in memory, however many they are."""

from __future__ import annotations

import gc
import random
import re
import tracemalloc
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from daemons import SETTINGS, SITE, TAG, consent

from gateway import assembly
from gateway.consent import Keys
from gateway.model import ConsentSignal, Message, Sighting
from gateway.pipeline import Pipeline

T0_S = 1_766_404_800.0
NAMES_SOMEBODY = re.compile(
    r"([0-9a-f]{2}:){5}[0-9a-f]{2}|.*[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}.*|0201061aff4c0002.*|.*stranger-\d+.*"
)
"""An address, the UUID of a beacon, an advertisement with one, the topic or the name of a car."""


@pytest.mark.parametrize(
    "addresses", [10_000, pytest.param(100_000, marks=[pytest.mark.slow, pytest.mark.timeout(300)])]
)
def test_an_hour_of_strangers(tmp_path: Path, addresses: int) -> None:
    """Random addresses and beacons of nobody, four times each over an hour, through the pipeline: no release, no row,
    no word of them among the counts, and no more memory at the end than when the rings of recent addresses (4,096 each) are
    full."""
    (tmp_path / "site.yaml").write_text(SITE)
    (tmp_path / "consent.yaml").write_text("[]")
    settings = SETTINGS.replace("PORT", "1883").replace("STATE", str(tmp_path / "state"))
    (tmp_path / "gateway.yaml").write_text(settings)
    pipeline = assembly.assemble(assembly.read_configuration(tmp_path), Keys(bytes(32))).pipeline
    pipeline.feed([ConsentSignal(T0_S, (consent("anna", TAG.format(n=1)),), complete=True)])
    strangers = random.Random(6)
    used_bytes = []
    tracemalloc.start()
    try:
        for i in range(addresses):
            address = ":".join(f"{b:02x}" for b in strangers.randbytes(6))
            adv = bytes.fromhex("0201061aff4c000215") + strangers.randbytes(20) + b"\xc5"
            t_s = T0_S + 3_600 * i / addresses
            heard = [Sighting(t_s + k / 10, "pi-01", address, "random", -60.0, adv) for k in range(4)]
            outcome = pipeline.feed(heard)
            assert not outcome
            if i % (addresses // 5) == addresses // 5 - 1:
                used_bytes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert used_bytes[-1] < used_bytes[2] + 200_000
    counted = pipeline.counted().by_room()
    assert counted["identity"]["unknown"] == 4 * addresses
    assert len(str(counted)) < 2_000
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("keys", ["", f"irk: {{anna: {'c0ffee' * 5}00}}"], ids=["no keys", "keys of phones"])
def test_nothing_that_is_alive_names_a_stranger(tmp_path: Path, keys: str) -> None:
    """Beacons of nobody, phones whose addresses are tried with a key, cars that nobody bound: half a minute after
    the last of them no object of the process says who was there."""
    (tmp_path / "site.yaml").write_text(SITE)
    (tmp_path / "consent.yaml").write_text("[]")
    settings = SETTINGS.replace("PORT", "1883").replace("STATE", str(tmp_path / "state"))
    if keys:
        settings += "identity_keys: keys.yaml\n"
        (tmp_path / "keys.yaml").write_text(keys)
        (tmp_path / "keys.yaml").chmod(0o600)
    (tmp_path / "gateway.yaml").write_text(settings)
    pipeline = assembly.assemble(assembly.read_configuration(tmp_path), Keys(bytes(32))).pipeline
    pipeline.feed([ConsentSignal(T0_S, (consent("anna", TAG.format(n=1)),), complete=True)])
    before = set(naming(alive()))
    assert TAG.format(n=1) in before, "who is enrolled is known"
    pass_by(pipeline)
    assert set(naming(alive())) - before, "they were heard"
    pipeline.advance(T0_S + 230)
    assert set(naming(alive())) - before == set()
    assert pipeline.counted().by_room()["identity"]["unknown"] == 4_400


def pass_by(pipeline: Pipeline) -> None:
    """For 200 seconds."""
    strangers = random.Random(6)
    for n in range(2_000):
        t_s = T0_S + n / 10
        address = ":".join(f"{b:02x}" for b in (0x40 | n % 64, *strangers.randbytes(5)))  # a resolvable form
        adv = bytes.fromhex("0201061aff4c000215") + strangers.randbytes(20) + b"\xc5"
        pipeline.feed([Sighting(t_s + k / 100, "pi-01", address, "random", -60.0, adv) for k in (0, 1)])
        if n % 5 == 0:
            fix = b'{"_type":"location","lat":50.0,"lon":7.0,"tst":%d,"acc":5}' % t_s
            pipeline.feed([Message(t_s, f"owntracks/stranger-{n}/car-{n}", fix)])


def alive() -> Iterator[str]:
    """Every text and every advertisement that any object of this process holds."""
    waiting, seen = gc.get_objects(), set[int]()
    while waiting:
        for held in gc.get_referents(waiting.pop()):
            if isinstance(held, str | bytes):
                yield held if isinstance(held, str) else held.hex()
            elif isinstance(held, tuple | dict) and not gc.is_tracked(held) and id(held) not in seen:
                seen.add(id(held))
                waiting.append(held)


def naming(texts: Iterable[str]) -> Iterator[str]:
    return (text for text in texts if NAMES_SOMEBODY.fullmatch(text))
