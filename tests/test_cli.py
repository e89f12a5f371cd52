"""The command line as an operator meets it: a table of commands, exit codes and the words that answer."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from test_identity_resolvable import IRK, address

from gateway.cli import main
from gateway.recording import read

ROOT = Path(__file__).parent.parent
MAP = """\
site: {id: s, name: S, timezone: UTC}
floors:
  - id: g
    bounds: [[0, 0], [30, 10]]
    zones: [{id: left, kind: shelf, at: [3, 5]}, {id: right, kind: shelf, at: [27, 5]}]
receivers: [{id: r1, floor: g, at: [3, 5]}, {id: r2, floor: g, at: [27, 5]}]
fences:
  - {id: park, kind: car_park, polygon: [[50.0, 7.0], [50.002, 7.0], [50.002, 7.003], [50.0, 7.003]]}
"""


def gateway(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A recording with a map beside it and nothing else."""
    config = tmp_path / "config"
    config.mkdir()
    (config / "site.yaml").write_text(MAP)
    made = gateway(
        "simulate", "store", "--config", config, "--out", tmp_path / "walk.jsonl", "--minutes", "5"
    )
    assert made.exit_code == 0, made.output
    return tmp_path


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "config" / "demo", tmp_path / "config")
    gateway("simulate", "demo", "--config", tmp_path / "config", "--out", tmp_path / "demo.jsonl.gz")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--help"], 0, "Commands:"),
        (["--version"], 0, "core: "),
        (["check", ROOT / "config" / "store"], 0, "no problem. 8 zones, 4 receivers"),
        (["check", "nowhere"], 2, "does not exist"),
        (
            ["simulate", "store", "--config", ROOT / "config" / "store", "--out", "x.jsonl", "--will"],
            2,
            "--dead",
        ),
        (["run"], 2, "Missing option '--config'"),
        (["profiles", "test"], 0, "vectors pass"),
        (["profiles", "list"], 0, "owntracks/+/+"),
        (["profiles", "list"], 0, "receivers' state: tele/+/LWT"),
        (["schema"], 0, '"$schema"'),
        (["frobnicate"], 2, "No such command"),
    ],
)
def test_commands(arguments: list[str | Path], code: int, words: str) -> None:
    result = gateway(*arguments)
    assert (result.exit_code, words in result.output) == (code, True), result.output


def test_a_survey_reads_the_profiles_of_the_map_too(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "config" / "demo", tmp_path / "config")
    shipped = (ROOT / "firmware_profiles" / "traccar.yaml").read_text()
    (tmp_path / "config" / "profiles").mkdir()
    own = shipped.replace("profile: traccar", "profile: lorries").replace(
        "topic: positions", "topic: lorries/1"
    )
    (tmp_path / "config" / "profiles" / "lorries.yaml").write_text(own)
    position = {"latitude": 50.9, "longitude": 6.9, "fixTime": "2026-03-01T09:00:00Z"}
    said = json.dumps({"position": position, "device": {"uniqueId": "7"}})
    line = {"t": 1772355601.0, "mqtt": {"topic": "lorries/1", "payload": said, "retain": False}}
    (tmp_path / "day.jsonl").write_text(json.dumps(line) + "\n")
    result = gateway("replay", tmp_path / "day.jsonl", "--config", tmp_path / "config", "--all-devices")
    assert '"profiles.lorries":{"matched":1}' in result.stderr


def test_a_map_alone_is_enough_for_a_survey(place: Path) -> None:
    result = gateway("replay", place / "walk.jsonl", "--all-devices", "--stage", "presence")
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert {
        "t",
        "emitted",
        "subject",
        "zone",
        "change",
        "since",
        "dwell_s",
        "confidence",
        "evidence",
    } <= lines[0].keys()
    assert {line["zone"] for line in lines} == {"left", "right"}
    assert all(line["subject"].startswith("ibeacon:") for line in lines)
    assert all(("threshold_s" in line) == (line["change"] == "dwelled") for line in lines)
    assert json.loads(result.stderr)["profiles.ibeacon"]["matched"] > 100


@pytest.mark.parametrize(
    ("keys", "mode", "resolved", "words"),
    [
        (f'irk: {{anna-phone: "{IRK.hex()}"}}', 0o600, True, ""),
        (f'irk: {{anna-phone: "{IRK.hex()}"}}', 0o644, False, "no identity keys are used: gateway.yaml:1:1"),
        ("irk: {anna-phone: x}", 0o600, False, "no identity keys are used"),
        (None, 0, False, ""),
    ],
    ids=["a file", "open to others", "a mistake", "no settings"],
)
def test_a_survey_knows_phones_by_the_keys_of_the_settings(
    tmp_path: Path, keys: str | None, mode: int, resolved: bool, words: str
) -> None:
    (tmp_path / "site.yaml").write_text(MAP)
    if keys is not None:
        (tmp_path / "keys.yaml").write_text(keys)
        (tmp_path / "keys.yaml").chmod(mode)
        settings = "gateway: {id: g, state_dir: state}\nidentity_keys: keys.yaml\n"
        (tmp_path / "gateway.yaml").write_text(f"{settings}consent: {{feed: {{file: consent.yaml}}}}\n")
    ble = {"receiver": "r1", "address": address(1), "address_type": "random", "rssi": -45, "adv": ""}
    lines = (json.dumps({"t": 1772355601.0 + n / 4, "ble": ble}) for n in range(40))
    (tmp_path / "day.jsonl").write_text("\n".join(lines))
    result = gateway("replay", tmp_path / "day.jsonl", "--config", tmp_path, "--all-devices")
    assert result.exit_code == 0
    assert ("irk:anna-phone" in result.stdout) == resolved
    assert words in result.stderr
    assert IRK.hex() not in result.stderr


def test_without_settings_only_a_survey_is_possible(place: Path) -> None:
    result = gateway("replay", place / "walk.jsonl", "--stage", "presence")
    assert result.exit_code == 1
    assert "gateway.yaml" in result.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--all-devices", "--stage", "release"], "stops before consent"),
        (["--speed", "fast"], "--speed is a factor above 0 or max"),
        (["--config", "elsewhere"], "does not exist"),
        (["--tail", "-1"], "not in the range"),
    ],
)
def test_usage(place: Path, options: list[str], words: str) -> None:
    result = gateway("replay", place / "walk.jsonl", *options)
    assert (result.exit_code, words in result.stderr) == (2, True), result.stderr


def test_releases_and_presence_of_the_demo(demo: Path) -> None:
    out = demo / "out.jsonl"
    assert gateway("replay", demo / "demo.jsonl.gz", "--out", out).exit_code == 0
    events = [json.loads(line) for line in out.read_text().splitlines()]
    assert {e["recipient"] for e in events} == {"platform", "parking-operator"}
    assert not any(e["subject"] == "card-1004" for e in events)  # who withdrew
    presence = gateway("replay", demo / "demo.jsonl.gz", "--stage", "presence")
    lines = [json.loads(line) for line in presence.stdout.splitlines()]
    assert not any(line["subject"] == "card-1004" for line in lines)
    assert len(lines) > len([e for e in events if e["recipient"] == "platform"]) > 75


def test_a_broken_recording_is_named(demo: Path) -> None:
    path = demo / "broken.jsonl"
    path.write_text('{"t":1,"clock":{"step_s":0}}\n{"t":')
    result = gateway("replay", path)
    assert result.exit_code == 1
    assert "gateway: broken.jsonl:2: " in result.stderr


def test_check_names_every_problem(place: Path) -> None:
    (place / "config" / "site.yaml").write_text(MAP.replace("kind: car_park", "kind: carpark"))
    result = gateway("check", place / "config")
    assert result.exit_code == 1
    assert "fences.park.kind" in result.stderr
    assert "did you mean car_park?" in result.stderr
    assert "gateway.yaml" in result.stderr


@pytest.mark.parametrize(
    ("consent", "words"),
    [
        ("{feed: {file: consent.yaml}}", "consent records in consent.yaml."),
        ("{feed: {mqtt: local}}", "consents over MQTT from local."),
        ("{feed: {http: {url: 'http://[::1]:80/c'}}}", "consents over HTTP from http://[::1]:80/c."),
        ("{feed: {mqtt: local}, signed_by: [none.pem]}", "none.pem:1:1: cannot be read"),
    ],
)
def test_check_says_where_consents_come_from(demo: Path, consent: str, words: str) -> None:
    path = demo / "config" / "gateway.yaml"
    path.write_text(re.sub(r"(?m)^consent:.*$", f"consent: {consent}", path.read_text()))
    result = gateway("check", demo / "config")
    assert words in result.output
    assert result.exit_code == ("none.pem" in words)


def test_record_needs_a_new_file(demo: Path) -> None:
    path = demo / "there.jsonl"
    path.write_text("precious")
    result = gateway("record", "--config", demo / "config", "--out", path)
    assert result.exit_code == 1
    assert "never written over" in result.stderr
    assert path.read_text() == "precious"


def test_drives_come_with_their_truth(place: Path) -> None:
    out, truth = place / "cars.jsonl.gz", place / "truth.jsonl"
    result = gateway("simulate", "drives", "--config", place / "config", "--out", out, "--truth", truth,
                     "--minutes", "10", "--interval", "1", "--interval", "5")  # fmt: skip
    assert result.exit_code == 0, result.output
    assert len(list(read(out))) > 100
    assert len(truth.read_text().splitlines()) == 6


@pytest.mark.parametrize(
    ("insurer", "words"),
    [
        (
            "zones: [car-park]",
            "parking-partner and insurer may both hear of car-park; by zone and time alone",
        ),
        ("zones: all", "parking-partner and insurer may both hear of car-park; by zone and time alone"),
        ("zones: [pump]", "may both hear of car-park and pump; by zone"),  # the one lies in the other
        ("zones: [cereals]", ""),
    ],
)
def test_check_warns_of_two_partners_in_one_zone(tmp_path: Path, insurer: str, words: str) -> None:
    """The platform knows the person anyway and is no partner; the store example has one, so it says nothing."""
    shutil.copytree(ROOT / "config" / "store", tmp_path / "config")
    path = tmp_path / "config" / "gateway.yaml"
    purpose = f"{{legal_basis: eu-gdpr:A6-1-a, fields: [zone], {insurer}}}"
    more = f"  insurer: {{via: central, purposes: {{dpv:RiskAssessment: {purpose}}}}}\n\nconsent:"
    path.write_text(path.read_text().replace("\nconsent:", more))
    result = gateway("check", tmp_path / "config")
    assert result.exit_code == 0, result.output
    assert words in result.stderr
    assert ("may both hear" in result.stderr) == bool(words)
