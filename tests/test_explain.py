"""Why something was said of one subject: read from the core without touching it, as JSON and as a story."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import shutil
import sys
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
from click.testing import CliRunner, Result
from core_words import T0, fixes, shop, square, standing, yard
from daemons import TAG, Place, consent, heard, platform, raw, sender, until

from gateway.cli import main
from gateway.core import Core
from gateway.explanation import Explanation
from gateway.model import Observation, Presence

ROOT = Path(__file__).parent.parent
ANNA = "anna"


# --- the core ---


def arriving() -> list[Observation]:
    return list(fixes("0 -90 50 50kmh \n 4 -30 50 50kmh \n 8 20 50 20kmh \n 12 40 50 0kmh \n 30 40 50 0kmh"))


def shopping() -> list[Observation]:
    return sorted(standing("bread", 0, 9) + standing("eggs", 9, 30), key=lambda reading: reading.t_s)


@pytest.mark.parametrize("what", ["radio", "fences"])
def test_asking_changes_nothing(what: str) -> None:
    """After every observation: the same events and the same state to the byte as without a question."""
    site, observations = (shop(), shopping()) if what == "radio" else (yard(square()), arriving())

    def run(*, asks: bool) -> tuple[list[Presence], bytes]:
        core, events = Core(site), []
        for observation in observations:
            events += core.observe_one(observation)
            if asks:
                core.explain(ANNA)
                core.explain("nobody")
        events += core.advance(T0 + 200)
        return events, core.snapshot()

    assert run(asks=True) == run(asks=False)
    assert run(asks=True)[0]


def test_of_a_device_by_radio() -> None:
    core = Core(shop())
    core.observe(standing("bread", 0, 9))
    story = core.explain(ANNA)
    (device,) = story.radio
    assert device.heard[0].link == "pi-bread"
    assert [h.rssi_dbm for h in device.heard] == sorted((h.rssi_dbm for h in device.heard), reverse=True)
    assert next(iter(device.beliefs)) == device.holds == "bread"
    assert sum(device.beliefs.values()) == pytest.approx(1.0, abs=1e-5)
    assert device.leaves_s is not None
    assert {stay.zone for stay in story.stays} >= {"bread"}
    assert core.explain("nobody") == msgspec.structs.replace(story, radio=[], driven=[], stays=[])
    core.forget(ANNA)
    assert core.explain(ANNA).radio == []


def test_of_a_vehicle() -> None:
    core, seen = Core(yard(square())), []
    for observation in arriving():
        core.observe_one(observation)
        (vehicle,) = core.explain(ANNA).driven
        seen += [visit.state for visit in vehicle.visits]
    assert seen[0] == "entering"
    assert seen[-1] == "inside"
    (stay,) = core.explain(ANNA).stays
    assert (stay.zone, stay.phase) == ("park", "inside")


# --- a recording ---


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("day")
    shutil.copytree(ROOT / "config" / "demo", folder / "config")
    recording = folder / "day.jsonl.gz"
    made = CliRunner().invoke(
        main, ["simulate", "demo", "--config", str(folder / "config"), "--out", str(recording)]
    )
    assert made.exit_code == 0
    return folder


def replay(day: Path, *options: str) -> Result:
    result = CliRunner().invoke(main, ["replay", str(day / "day.jsonl.gz"), *options])
    assert result.exit_code == 0, result.output
    return result


def test_the_state_at_a_time_as_a_story(day: Path) -> None:
    said = replay(day, "--explain", "card-1001", "--at", "09:02:30").stdout
    for line in (
        r"card-1001 at 09:02:30 on 2025-12-22 \(Europe/Berlin\)",
        r"  said at 09:0\d:\d\d: entered car-park, confidence \d+%",
        r"    said to be in cereals; given up at 09:02:\d\d unless it is heard there",
        r"    car-park: inside; the fix lies \d+ m inside \(\d+% sure\); silence decides at 21:02:\d\d",
        r"  parking-operator for dpv:ServiceProvision: yes everywhere, by consent demo-anna-parking",
    ):
        assert re.search(f"^{line}$", said, re.MULTILINE), line
    assert said == replay(day, "--explain", "card-1001", "--at", "2025-12-22T08:02:30Z").stdout


def test_each_event_with_what_it_came_of_and_who_was_told(day: Path) -> None:
    """The events and their recipients are those of the plain run."""
    lines = replay(day, "--explain", "card-1001", "--json").stdout.splitlines()
    explained = [msgspec.json.decode(line, type=Explanation) for line in lines]
    presences = map(json.loads, replay(day, "--stage", "presence").stdout.splitlines())
    assert [e.event for e in explained] == [p for p in presences if p["subject"] == "card-1001"]
    released = [json.loads(line) for line in replay(day).stdout.splitlines()]
    to_platform = [r for r in released if r["recipient"] == "platform" and r["subject"] == "card-1001"]
    assert len([e for e in explained if "platform" in (e.told or ())]) == len(to_platform) > 0
    to_partner = [e.event["zone"] for e in explained if e.event and "parking-operator" in (e.told or ())]
    assert set(to_partner) == {"car-park"}
    entered = next(
        e for e in explained if e.event and (e.event["zone"], e.event["change"]) == ("cereals", "entered")
    )
    assert next(iter(entered.core.radio[0].beliefs)) == "cereals"
    assert entered.event is not None
    assert entered.t_s == entered.event["emitted"]


def test_what_comes_after_the_last_line_says_so(day: Path, tmp_path: Path) -> None:
    """A recording that is cut off, or still being written: a stay that ends by silence may have gone on."""
    lines = gzip.decompress((day / "day.jsonl.gz").read_bytes()).splitlines(keepends=True)
    cut = tmp_path / "cut.jsonl"
    until_s = datetime.fromisoformat("2025-12-22T08:02:30Z").timestamp()
    cut.write_bytes(b"".join(line for line in lines if json.loads(line)["t"] <= until_s))
    config = str(day / "config")
    told = CliRunner().invoke(main, ["replay", str(cut), "--config", config, "--explain", "card-1001"]).stdout
    last_s = max(json.loads(line)["t"] for line in cut.read_bytes().splitlines())
    ends = f"the recording ends at {datetime.fromtimestamp(last_s, ZoneInfo('Europe/Berlin')):%H:%M:%S}"
    after = [story for story in told.split("\n\n") if ends in story]
    assert after
    assert all(" left " in story or " dwelled " in story for story in after)
    assert ends not in told.split("\n\n")[0]
    assert "by this map and these settings told: " in told


@pytest.mark.parametrize(
    ("moment", "began"), [("08:00:00", True), ("2025-12-21T09:02:30Z", True), ("23:59:00", False)]
)
def test_a_time_before_the_recording_is_an_error(day: Path, moment: str, began: bool) -> None:
    result = CliRunner().invoke(
        main,
        [
            "replay",
            str(day / "day.jsonl.gz"),
            "--config",
            str(day / "config"),
            "--explain",
            "card-1001",
            "--at",
            moment,
        ],
    )
    assert result.exit_code == (1 if began else 0)
    assert ("--at: the recording begins at 2025-12-22 09:0" in result.output) is began


def test_who_withdrew_is_not_explained(day: Path) -> None:
    """The demo's subject without a usable consent: nothing was kept, so there is nothing to tell."""
    records = json.loads(json.dumps(msgspec.yaml.decode((day / "config" / "consent.yaml").read_bytes())))
    (nobody,) = [r["subject"] for r in records if all(c["status"] != "ConsentGiven" for c in r["consents"])][
        :1
    ]
    said = replay(day, "--explain", nobody, "--at", "09:05:00")
    assert "nothing is remembered of ibeacon:" in said.stdout
    assert "signals came of devices that nobody enrolled" in said.stdout
    assert "no (" in said.stdout
    assert "no event of" in said.stderr


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--explain", "card-1001", "--all-devices"], 2, "--explain goes without"),
        (["--explain", "card-1001", "--stage", "presence"], 2, "no --stage and no --speed"),
        (["--explain", "card-1001", "--speed", "10"], 2, "no --stage and no --speed"),
        (["--at", "09:00:00"], 2, "--at goes with --explain"),
        (["--explain", "card-1001", "--at", "noon"], 1, "--at: expected 09:30:00"),
    ],
)
def test_what_makes_no_sense(day: Path, options: list[str], code: int, words: str) -> None:
    result = CliRunner().invoke(main, ["replay", str(day / "day.jsonl.gz"), *options])
    assert (result.exit_code, words in result.output) == (code, True), result.output


# --- the running gateway ---


ENROLLED = (consent(ANNA, TAG.format(n=1)),)


async def why(place: Place, *options: str) -> tuple[int, str]:
    done = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "why", ANNA, "--config", str(place.config), *options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await asyncio.wait_for(done.communicate(), 30)
    return done.returncode or 0, out.decode()


@pytest.mark.timeout(90)
async def test_a_running_gateway_explains_itself(place: Place) -> None:
    assert (await why(place))[0] == 1
    async with place.daemon() as daemon, platform(place) as at, sender(place) as s:
        await daemon.ready()

        async def stand() -> None:
            while True:
                await heard(s, "pi-01", raw(1, -45))
                await asyncio.sleep(0.1)

        task = asyncio.create_task(stand())
        await until(lambda: "entered" in at.zone_changes("cereals"))
        code, text = await why(place)
        assert code == 0
        assert "heard by: pi-01 -45 dBm" in text
        assert "said to be in cereals" in text
        assert "platform for dpv:PersonalisedBenefits: yes everywhere, by consent anna/c-1" in text
        _, line = await why(place, "--json")
        found = msgspec.json.decode(line, type=Explanation)
        assert next(iter(found.core.radio[0].beliefs)) == "cereals"
        task.cancel()
        await daemon.stop()
        assert ANNA not in daemon.said()
