"""Strangers pass by: nothing of them is kept, on disk or in memory, however many they are."""

from __future__ import annotations

import random
import tracemalloc
from pathlib import Path

import pytest
from daemons import SETTINGS, SITE, TAG, consent

from gateway import assembly
from gateway.consent import Keys
from gateway.model import ConsentSignal, Sighting

T0_S = 1_766_404_800.0


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
