"""`gateway consent …` as an operator types it, with a running gateway and without one, and the same question over
MQTT: what is said, and with which exit code."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from daemons import Place, sender, until
from mosquitto import Mosquitto
from withdrawals import gate, reads_socket, stock, verb

from gateway.mqtt import Incoming

pytestmark = pytest.mark.timeout(300)

FILE = """\
# Kept by the service desk.
- subject: anna  # asked twice
  version: 1
  identities: ["vehicle:fleet/golf"]
  consents:
    # signed on paper
    - record_id: paper-1
      version: 1
      status: ConsentGiven
      purposes: [dpv:PersonalisedBenefits]
      recipients: [platform]
      zones: all
      event_time: 2020-01-01T00:00:00Z
- subject: ben # do not touch
  version: 1
  identities: []
  consents: []
"""
GRANT = (
    "--purpose",
    "dpv:PersonalisedBenefits",
    "--recipient",
    "platform",
    "--identity",
    "vehicle:fleet/golf",
)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with Mosquitto(tmp_path / "broker") as broker:
        made = Place(tmp_path, broker)
        (made.config / "consent.yaml").write_text(FILE)
        yield made


STORY: list[tuple[tuple[str, ...], int, str]] = [
    (("show", "anna"), 0, r"anna, .*enrolled, record version 1: vehicle:fleet/golf.*paper-1: ConsentGiven"
                          r".*platform for dpv:PersonalisedBenefits: in cereals, dairy, car-park"
                          r".*queued events: 2[01] for platform"),
    (("show", "zoe"), 0, r"not enrolled on this machine.*no: not_enrolled.*queued events: none"),
    (("export", "anna"), 0, r'"subject": "anna".*"queued_events": \['),
    (("grant", "anna", "--purpose", "dpv:Nonsense", "--recipient", "platform"), 1, r"no recipient platform with"),
    (("withdraw", "anna"), 0, r"withdrawn; removed: .*2[01] queued events.*the consent file says so too"),
    (("withdraw", "anna"), 0, r"withdrawn; removed: nothing was held"),
    (("show", "anna"), 0, r"ConsentWithdrawn.*withdrawn here: consents of before are dead.*no: withdrawn"
                          r".*open stays: none.*queued events: none"),
    (("grant", "anna", *GRANT, "--notice", "desk"), 0, r"anna: granted, record id local-[0-9a-f]{16}"),
    (("show", "anna"), 0, r"platform for dpv:PersonalisedBenefits: in cereals"),
    (("erase", "anna"), 0, r"erased; removed: 1 record.*the consent file says so too"),
    (("show", "anna"), 0, r"not enrolled on this machine.*erased: consents of before are dead.*no: erased"),
    (("grant", "anna", *GRANT), 0, r"granted"),
    (("show", "anna"), 0, r"platform for dpv:PersonalisedBenefits: in cereals"),
    (("erase", "zoe"), 0, r"erased; removed: nothing was held.*the consent file did not know them"),
    (("audit", "--subject", "anna"), 0, r'"act":"shown".*"act":"withdrawn".*"act":"erased"'),
    (("audit", "--verify"), 0, r"lines from line 1, .*as they were written, none is missing; head [0-9a-f]{64}"),
    (("show",), 2, r"Missing argument 'SUBJECT'"),
]  # fmt: skip


async def told(place: Place) -> None:
    for words, code, pattern in STORY:
        found, said, complained = await verb(place, *words)
        assert re.search(pattern, said + complained, re.DOTALL), f"{words}: {said}{complained}"
        assert found == code, words
    written = (place.config / "consent.yaml").read_text()
    assert written.startswith("# Kept by the service desk.\n")
    assert "- subject: ben # do not touch\n" in written
    assert "paper-1" not in written
    assert (place.config / "consent.yaml").stat().st_mode & 0o777 == 0o644


async def test_with_a_running_gateway(place: Place) -> None:
    async with gate(place):
        await stock(place, ["anna"], 20, time.time())
        async with place.daemon() as daemon:
            await reads_socket(daemon, place.state)
            await told(place)
            assert await daemon.stop() < 15


async def test_without_one(place: Place) -> None:
    async with gate(place):
        await stock(place, ["anna"], 20, time.time())
        await told(place)


async def test_exports_and_reports_can_be_read_by_a_machine(place: Place, tmp_path: Path) -> None:
    out = tmp_path / "anna.json"
    await stock(place, ["anna"], 3, time.time())
    assert await verb(place, "export", "anna", "--out", str(out)) == (0, "", "")
    exported = json.loads(out.read_text())
    assert out.stat().st_mode & 0o777 == 0o600
    assert [e["event"]["subject"] for e in exported["queued_events"]] == ["anna"] * 3
    assert exported["record"]["identities"] == ["vehicle:fleet/golf"]
    code, _, complained = await verb(place, "export", "anna", "--out", str(out))
    assert (code, "File exists" in complained or "exists" in complained) == (1, True) or code == 2
    code, said, _ = await verb(place, "erase", "anna", "--json")
    assert code == 0
    assert json.loads(said)["removed"] == {
        "records": 1, "in_memory": 0, "open_stays": 1, "queued": 3, "recording_lines": 0,
    }  # fmt: skip
    assert set(json.loads(said)["left"].values()) == {0}


@pytest.mark.parametrize("is_running", [True, False])
async def test_a_feed_grants_and_this_machine_does_not(place: Place, is_running: bool) -> None:
    """Erasing works here at once, also while the feed has confirmed nothing."""
    await stock(place, ["anna"], 20, time.time())
    settings = place.config / "gateway.yaml"
    settings.write_text(settings.read_text().replace("{file: consent.yaml}", "{mqtt: local}"))
    async with place.daemon() as daemon:
        await reads_socket(daemon, place.state)
        if not is_running:
            await daemon.stop()
        code, _, complained = await verb(place, "grant", "anna", *GRANT)
        assert code == 1
        assert "granted where it comes from" in complained
        began_s = time.monotonic()
        code, said, complained = await verb(place, "erase", "anna")
        assert (code, complained) == (0, "")
        assert "20 queued events" in said
        assert time.monotonic() - began_s < 30


# --- the platform asks ---

BASE = "presence/v1/test/gw/platform"


@pytest.mark.parametrize(
    ("question", "is_retained", "answered"),
    [
        ({"id": "q-1", "subject": "anna"}, False, True),
        ({"id": "q-1", "subject": "zoe"}, False, True),
        ({"id": "q-1", "subject": "anna"}, True, False),
        ({"id": "a/b", "subject": "anna"}, False, False),
        ({"id": "+", "subject": "anna"}, False, False),
        ({"id": "q-1"}, False, False),
        ({"id": "q-1", "subject": ""}, False, False),
        ("nonsense", False, False),
    ],
)
async def test_the_platform_asks(place: Place, question: Any, is_retained: bool, answered: bool) -> None:
    """On its own topic, under an id of its own; anything else is counted and stays unanswered."""
    answers: dict[str, Any] = {}

    def note(incoming: Incoming) -> None:
        answers[incoming.topic] = json.loads(incoming.payload)

    async with sender(place) as s:
        s._on_message = note
        await s.subscribe([(f"{BASE}/answer/+", 1)])
        if is_retained:
            await s.publish(f"{BASE}/ask", json.dumps(question).encode(), retain=True)
        async with place.daemon() as daemon:
            await daemon.ready()
            if not is_retained:
                await s.publish(f"{BASE}/ask", json.dumps(question).encode())
            if answered:
                await until(lambda: bool(answers))
            await asyncio.sleep(0 if answered else 1)
            await daemon.stop()
    if not answered:
        assert answers == {}
        return
    assert list(answers) == [f"{BASE}/answer/q-1"]
    held = answers[f"{BASE}/answer/q-1"]
    assert held["subject"] == question["subject"]
    assert (held["record"] is not None) == (question["subject"] == "anna")
