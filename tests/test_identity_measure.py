"""Other people's vectors of private addresses and ephemeral ids."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.counts import Counts
from gateway.identity.ephemeral import EphemeralIds
from gateway.identity.resolvable import ResolvableAddresses
from gateway.settings.identity_keys import EphemeralKey

ADVERTS = Path(os.environ.get("GATEWAY_MEASURE_DIR", "/nonexistent")) / "data" / "adverts"
pytestmark = [
    pytest.mark.measure,
    pytest.mark.skipif(not ADVERTS.is_dir(), reason="GATEWAY_MEASURE_DIR names no measuring data"),
]


def vectors(name: str) -> Iterator[dict[str, Any]]:
    yield from map(json.loads, (ADVERTS / name).read_text().splitlines())


def test_private_addresses() -> None:
    wrong = [
        vector
        for vector in vectors("rpa.jsonl")
        if bool(
            ResolvableAddresses({"k": bytes.fromhex(vector["irk"])}, Counts()).resolve(
                vector["address"].lower(), "random", 0.0
            )
        )
        != vector["expect"]["resolves"]
    ]
    assert wrong == []


def test_ephemeral_ids() -> None:
    wrong, tried = [], 0
    for vector in vectors("eddystone_eid.jsonl"):
        if "identity_key" not in vector:
            continue
        tried += 1
        key = EphemeralKey(
            bytes.fromhex(vector["identity_key"]),
            vector["rotation_exponent"],
            vector["beacon_time_s"],
            1000.0,
        )
        if (
            EphemeralIds({"k": key}, Counts()).resolve(bytes.fromhex(vector["expect"]["eid"]), 1000.0)
            != "eid:k"
        ):
            wrong.append(vector)
    assert tried >= 5
    assert wrong == []
