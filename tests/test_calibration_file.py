"""calibration.yaml: written by the verb, read with the map, wrong lines named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.calibration.remarks import remarks
from gateway.cli import main
from gateway.errors import ConfigError
from gateway.settings import load_site
from gateway.settings.calibration import map_changed

SITE = """\
site: {id: shop}
floors:
  - id: ground
    zones:
      - {id: milk, kind: shelf, at: [0, 0]}
      - {id: eggs, kind: shelf, at: [8, 0]}
      - {id: wine, kind: shelf, at: [16, 0]}
receivers:
  - {id: pi-milk, floor: ground, at: [0, 0]}
  - {id: pi-eggs, floor: ground, at: [8, 0]}
  - {id: pi-wine, floor: ground, at: [16, 0]}
"""
T0 = 1_766_390_400
TAG = "ibeacon:f7826da6-4fa2-4e98-8024-bc5b71e0893e:1:1"
ADV = "0201061aff4c000215f7826da64fa24e988024bc5b71e0893e00010001c5"


def walk_lines(zones: tuple[str, ...], seconds: int = 40) -> list[str]:
    names = ("milk", "eggs", "wine")
    lines = []
    for i, zone in enumerate(zones):
        lines.append({"t": T0 + i * seconds, "label": {"device": TAG, "zone": zone}})
        for s in range(seconds):
            for j, name in enumerate(names):
                heard = {"receiver": f"pi-{name}", "address": "c2:00:00:00:00:01", "adv": ADV}
                rssi = -60 - 10 * abs(names.index(zone) - j)
                lines.append({"t": T0 + i * seconds + s + 0.3, "ble": {**heard, "rssi": rssi}})
    return [json.dumps(line) + "\n" for line in lines]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "site.yaml").write_text(SITE)
    (tmp_path / "walk.jsonl").write_text("".join(walk_lines(("milk", "eggs", "wine"))))
    return tmp_path


def calibrate(shop: Path, *more: str) -> Result:
    command = ["calibrate", "--recording", str(shop / "walk.jsonl"), "--config", str(shop), *more]
    return CliRunner().invoke(main, command)


def test_without_write_nothing_is_written(shop: Path) -> None:
    result = calibrate(shop)
    assert result.exit_code == 0, result.output
    assert "milk: 40 s, 3 receivers; told apart from eggs: " in result.stdout
    assert "nothing is written without --write" in result.stdout
    assert sorted(p.name for p in shop.iterdir()) == ["site.yaml", "walk.jsonl"]


def test_written_it_is_read_with_the_map(shop: Path) -> None:
    assert calibrate(shop, "--write").exit_code == 0
    site = load_site(shop)
    assert site.calibration is not None
    assert {spot.zone for spot in site.calibration.spots} == {"milk", "eggs", "wine"}
    assert not map_changed(site)
    text = (shop / "calibration.yaml").read_text()
    assert f"devices: [{TAG}]" in text
    assert "2025-12-22T08:01:59" in text, "when the walk ended, by the recording"


def test_written_again_it_keeps_comments_and_order(shop: Path) -> None:
    calibrate(shop, "--write")
    path = shop / "calibration.yaml"
    path.write_text(
        path.read_text().replace("  - id: eggs", "  # moved to the end wall in May\n  - id: eggs")
    )
    before = path.read_text()
    calibrate(shop, "--write")
    assert path.read_text() == before


def test_a_map_that_changed_since_is_told(shop: Path) -> None:
    calibrate(shop, "--write")
    (shop / "site.yaml").write_text(SITE.replace("at: [16, 0]}\n      ", "").replace("wine, kind: shelf, at: [16, 0]", "wine, kind: shelf, at: [20, 0]"))  # fmt: skip
    assert map_changed(load_site(shop))
    assert "the map has changed since calibration.yaml was walked" in calibrate(shop).stdout


REMARKS = [
    # what was written after the walk of milk, eggs and wine, and what is said of it
    ("site.yaml", "  - {id: pi-wine", "  - {id: pi-oil, floor: ground}\n  - {id: pi-wine", [
        "the map has changed since calibration.yaml was walked; walk again",
        "not in calibration.yaml and therefore not listened to for zones: pi-oil",
    ]),
    ("site.yaml", "      - {id: wine", "      - {id: oil, kind: shelf}\n      - {id: wine", [
        "the map has changed since calibration.yaml was walked; walk again",
        "not in calibration.yaml and therefore not reported, somebody there is outside: oil",
    ]),
    ("site.yaml", "{id: wine,", "{id: oil,", [
        "the map has changed since calibration.yaml was walked; walk again",
        "in calibration.yaml and no zones of the map any more: wine",
        "not in calibration.yaml and therefore not reported, somebody there is outside: oil",
    ]),
    ("calibration.yaml", "outside_evidence: 0.0", "outside_evidence: 0.8", [
        "calibration.yaml is of an older form: its outside_evidence favours places under `predicted`, and there "
        "are none; walk again, or move the spots of `outside` where nobody stood to `predicted`",
    ]),
    ("site.yaml", "site: {id: shop}", "site: {id: shop}", []),
]  # fmt: skip


@pytest.mark.parametrize(("file", "old", "new", "expected"), REMARKS)
def test_what_is_said_of_a_calibration_that_does_not_fit(
    shop: Path, file: str, old: str, new: str, expected: list[str]
) -> None:
    lines = walk_lines(("milk", "eggs", "wine", "wine"))
    stood = len(lines) * 3 // 4
    outside = [line.replace('"zone": "wine"', '"zone": null') for line in lines[stood:]]
    (shop / "walk.jsonl").write_text("".join(lines[:stood] + outside))
    calibrate(shop, "--write")
    path = shop / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    assert list(remarks(load_site(shop))) == expected


def test_zones_without_a_place_wait_for_a_walk(shop: Path) -> None:
    (shop / "site.yaml").write_text(SITE.replace(", at: [0, 0]}\n      -", "}\n      -"))
    said = ["not reported before a walk, as they have no place: milk"]
    assert list(remarks(load_site(shop))) == said
    replay = ["replay", str(shop / "walk.jsonl"), "--all-devices", "--config", str(shop)]
    result = CliRunner().invoke(main, replay)
    assert result.exit_code == 0, result.output
    assert result.stderr.splitlines()[0] == said[0]
    assert '"zone":"eggs"' in result.stdout
    assert '"zone":"milk"' not in result.stdout


def test_a_receiver_that_left_the_map_stops_the_gateway_and_not_a_new_walk(shop: Path) -> None:
    calibrate(shop, "--write")
    (shop / "site.yaml").write_text(SITE.replace("id: pi-wine", "id: pi-oil"))
    with pytest.raises(
        ConfigError, match=r"'pi-wine'; did you mean pi-oil\? If not, calibrate again or remove the file"
    ):
        load_site(shop)
    again = calibrate(shop, "--write")
    assert again.exit_code == 0, again.output
    assert "the map has changed since calibration.yaml was walked; this walk replaces it" in again.stdout
    learned = load_site(shop).calibration
    assert learned is not None
    assert learned.links == ("pi-milk", "pi-eggs", "pi-oil")


def test_zones_not_walked_are_named_with_what_happens_to_them(shop: Path) -> None:
    (shop / "walk.jsonl").write_text("".join(walk_lines(("milk", "eggs"))))
    output = calibrate(shop).stdout
    assert "not walked: wine." in output
    assert "they are not reported" in output


def test_zones_that_sound_alike_get_advice(shop: Path) -> None:
    lines = "".join(walk_lines(("milk", "wine"))).replace('"zone": "wine"', '"zone": "eggs"')
    (shop / "walk.jsonl").write_text(lines)
    assert "cannot be told apart" not in calibrate(shop).stdout
    alike = "".join(walk_lines(("milk", "milk"))).replace(f'{T0 + 40}, "label": {{"device": "{TAG}", "zone": "milk"', f'{T0 + 40}, "label": {{"device": "{TAG}", "zone": "eggs"')  # fmt: skip
    (shop / "walk.jsonl").write_text(alike)
    assert "eggs and milk cannot be told apart: merge them, or move a receiver" in calibrate(shop).stdout


def test_one_device_of_a_walk_can_be_named(shop: Path) -> None:
    """Two walked, the other one somewhere else; a device that is not in the recording is no walk."""
    other = [
        line.replace(TAG, TAG[:-1] + "2").replace("010001c5", "010002c5") for line in walk_lines(("wine",))
    ]
    lines = walk_lines(("milk", "eggs")) + other
    (shop / "walk.jsonl").write_text("".join(sorted(lines, key=lambda line: json.loads(line)["t"])))
    assert "wine: 40 s" in calibrate(shop).stdout
    assert "not walked: wine." in calibrate(shop, "--device", TAG).stdout
    nobody = calibrate(shop, "--device", TAG[:-1] + "9")
    assert (nobody.exit_code, "is not heard while a label says" in nobody.stderr) == (1, True)
    both = calibrate(shop, "--follow", str(shop / "walk.jsonl"))
    assert (both.exit_code, "--follow is for the guided walk" in both.stderr) == (2, True)


def test_a_recording_without_labels_is_no_walk(shop: Path) -> None:
    (shop / "walk.jsonl").write_text("".join(line for line in walk_lines(("milk",)) if "label" not in line))
    result = calibrate(shop)
    assert result.exit_code == 1
    assert "walk.jsonl: no label of the recording names a zone of the map" in result.stderr


BROKEN = [
    ("pi-wine]", "pi-whine]", "links.2: unknown receiver or beacon 'pi-whine'; did you mean pi-wine?"),
    ("device_class: phone", "device_class: fridge", "calibration.device_class: expected"),
    ("sd_db: [", "sd_db: [3.0, ", "sd_db has 4 values for 3 links"),
    ("seconds: 40", "secons: 40", "unknown key; did you mean seconds?"),
    ("p_hear: [0.9", "p_hear: [1.9", "p_hear"),
]


@pytest.mark.parametrize(("right", "wrong", "message"), BROKEN, ids=[b[1] for b in BROKEN])
def test_a_broken_file_is_named(shop: Path, right: str, wrong: str, message: str) -> None:
    calibrate(shop, "--write")
    path = shop / "calibration.yaml"
    text = path.read_text()
    assert right in text
    path.write_text(text.replace(right, wrong, 1))
    with pytest.raises(ConfigError) as caught:
        load_site(shop)
    assert any(message in str(problem) for problem in caught.value.problems), caught.value.problems


BEACON_UUID = "e2c56db5-dffb-48d2-b060-d0f5a71096e0"
PHONE = "tag:app:7f3a"
SHELVES = ("milk", "eggs", "wine")


def phone_lines(zones: tuple[str, ...], *, labels: bool, seconds: int = 40) -> str:
    """The other direction: a phone reports over MQTT how strongly it hears the beacons on the shelves."""
    lines: list[dict[str, object]] = []
    for i, zone in enumerate(zones):
        began = T0 + i * seconds
        if labels:
            lines.append({"t": began, "label": {"device": PHONE, "zone": zone}})
        for s in range(seconds):
            heard = [
                {"uuid": BEACON_UUID, "major": 1, "minor": j, "rssi": -60 - 10 * abs(SHELVES.index(zone) - j)}
                for j in range(3)
            ]
            mqtt = {"topic": f"phones/v1/shop/{PHONE}", "payload": json.dumps(heard)}
            lines.append({"t": began + s + 0.3, "mqtt": mqtt})
    return "".join(json.dumps(line) + "\n" for line in lines)


def test_a_phone_that_hears_beacons_is_calibrated_and_found_like_a_tag(tmp_path: Path) -> None:
    floors, _, _ = SITE.partition("receivers:")
    beacons = "".join(
        f'  - {{id: b-{shelf}, identity: "ibeacon:{BEACON_UUID}:1:{j}", floor: ground, at: [{8 * j}, 0]}}\n'
        for j, shelf in enumerate(SHELVES)
    )
    (tmp_path / "site.yaml").write_text(f"{floors}beacons:\n{beacons}")
    (tmp_path / "walk.jsonl").write_text(phone_lines(SHELVES, labels=True))
    walked = calibrate(tmp_path, "--write")
    assert walked.exit_code == 0, walked.output
    text = (tmp_path / "calibration.yaml").read_text()
    assert PHONE in text
    assert "links: [b-milk, b-eggs, b-wine]" in text
    (tmp_path / "monday.jsonl").write_text(phone_lines(("wine", "eggs"), labels=False))
    replay = ["replay", str(tmp_path / "monday.jsonl"), "--all-devices", "--config", str(tmp_path)]
    result = CliRunner().invoke(main, replay)
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(e["subject"], e["zone"], e["change"]) for e in events if e["change"] != "dwelled"] == [
        (PHONE, "wine", "entered"),
        (PHONE, "wine", "left"),
        (PHONE, "eggs", "entered"),
        (PHONE, "eggs", "left"),
    ]
    assert events[0]["evidence"]["receiver"] == "b-wine"


def test_a_receiver_whose_clock_is_wrong_changes_nothing(shop: Path) -> None:
    """Whatever a receiver writes beside what it heard: what counts is when it was received here."""

    def events(late_s: int) -> str:
        lines = []
        for s in range(40):
            for j, name in enumerate(SHELVES):
                stamp = T0 + s - (late_s if name == "eggs" else 0)
                item = {
                    "address": "c2:00:00:00:00:01",
                    "rssi": -60 - 10 * j,
                    "adv": ADV,
                    "time": stamp,
                    "timestamp": stamp,
                }
                mqtt = {"topic": f"receivers/v1/shop/pi-{name}", "payload": json.dumps([item])}
                lines.append(json.dumps({"t": T0 + s + 0.3, "mqtt": mqtt}) + "\n")
        (shop / "monday.jsonl").write_text("".join(lines))
        replay = ["replay", str(shop / "monday.jsonl"), "--all-devices", "--config", str(shop)]
        return CliRunner().invoke(main, replay).stdout

    assert '"zone":"milk","change":"entered"' in events(0)
    assert events(0) == events(7) == events(-7)
