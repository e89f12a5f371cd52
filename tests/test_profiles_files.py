"""Profile files: what may stand in one, and what an operator reads when it is wrong."""

from pathlib import Path

import pytest

from gateway.counts import Counts
from gateway.errors import ConfigError
from gateway.model import Sighting
from gateway.profiles import load_profiles, shipped_directory

RUUVI = """\
profile: ruuvi-rawv2
source: Ruuvi, data format 5 (RAWv2)
match: {manufacturer: 0x0499, starts: "05", length: 24}
fields:
  temperature_c: {at: 1, as: i16be, scale: 0.005, absent: -32768, range: [-40, 85]}
  battery_mv: {at: 13, as: u16be, bits: [5, 15], offset: 1600, absent: 2047}
vectors:
  - data: "0512FC5394C37C0004FFFC040CAC364200CDCBB8334C884F"
    expect: {temperature_c: 24.3, battery_mv: 2977}
  - data: "058000FFFFFFFF800080008000FFFFFFFFFFFFFFFFFFFFFF"
    expect: {temperature_c: null, battery_mv: null}
  - {data: "057FFFFFFEFFFE7FFF7FFF7FFFFFDEFEFFFECBB8334C884F", expect: out_of_range}
  - {data: "0512FC", expect: too_short}
  - {data: "03291A1ECE1EFC18F94202CA0B53", expect: null}
"""
CAR = """\
profile: car
source: Example Ltd, car telemetry
match: {topic: "cars/{car}", where: {kind: fix}}
gives: fix
fields:
  lat_deg: {path: pos.lat, unit: deg}
  lon_deg: {path: pos.lon, unit: deg}
  speed_kmh: {path: v, unit: m/s}
time: {path: ms, unit: ms}
identity: "vehicle:{car}"
vectors:
  - topic: cars/7
    payload: {"kind": "fix", "pos": {"lat": 50, "lon": 7}, "v": 10, "ms": 1700000000500}
    expect: {device: "vehicle:7", speed_kmh: 36, fix_t_s: 1700000000.5, lat_deg: 50}
"""
PARTS = """\
profile: parts
source: Example Ltd, car telemetry
match: {topic: "metrics/{car}"}
gives: fix
parts:
  lat: {lat_deg: {path: ., unit: deg}}
  pos/lon: {lon_deg: {path: ., unit: deg}}
  gear: {ignition: {path: [., value], values: {D: true, P: false}}}
assemble: {within: 2s, keep: 1min}
identity: "vehicle:{car}"
vectors:
  - topic: metrics/7/pos/lon
    payload: "7"
    before: [{topic: metrics/7/lat, payload: "50", ago: 1.5s}]
    expect: {device: "vehicle:7", lat_deg: 50, lon_deg: 7}
"""


def written(tmp_path: Path, **files: str) -> Path:
    folder = tmp_path / "profiles"
    folder.mkdir()
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


def said(tmp_path: Path, **files: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_profiles(written(tmp_path, **files))
    return [str(problem) for problem in caught.value.problems]


def test_the_shipped_profiles_hold_their_vectors() -> None:
    profiles = load_profiles()
    assert set(profiles.names) == {path.stem for path in shipped_directory().glob("*.yaml")}
    assert {result.profile for result in profiles.test()} == set(profiles.names)
    assert [str(result) for result in profiles.test() if not result.passed] == []


def test_a_new_firmware_is_a_new_file(tmp_path: Path) -> None:
    profiles = load_profiles(written(tmp_path, ruuvi=RUUVI, car=CAR))
    assert profiles.names == ("car", "ruuvi-rawv2")
    adv = bytes.fromhex("1bff99040512FC5394C37C0004FFFC040CAC364200CDCBB8334C884F")
    counts = Counts()
    assert profiles.identities(Sighting(0.0, "pi", "", "", -60.0, adv), counts) == ()
    assert counts.by_room() == {"profiles.ruuvi-rawv2": {"matched": 1}}


@pytest.mark.parametrize(
    ("text", "old", "new", "problem"),
    [
        (RUUVI, "length:", "lenght:", "3:45: match.lenght: unknown key; did you mean length?"),
        (RUUVI, "source: Ruuvi, data format 5 (RAWv2)\n", "", "1:1: missing key 'source'"),
        (RUUVI, '"05"', "0599", "3:39: match.starts: expected text, got 599; put it in quotes"),
        (
            RUUVI,
            '"05"',
            '"5"',
            "3:39: match.starts: expected pairs of hex digits in quotes, ? for any digit, got '5'",
        ),
        (RUUVI, "0x0499", "ruuvi", "3:23: match.manufacturer: expected a company id such as 0x004c, or any"),
        (RUUVI, "manufacturer: 0x0499, ", "", "3:8: match: expected one of manufacturer, service"),
        (
            RUUVI,
            "i16be",
            "i16",
            "5:30: fields.temperature_c.as: expected u8, i8, u16be, i16le (",
        ),
        (RUUVI, "at: 1,", "at: -1,", "5:23: fields.temperature_c.at: must be at least 0, got -1"),
        (
            RUUVI,
            "at: 13,",
            "at: 23,",
            "6:15: fields.battery_mv: ends at byte 25, beyond the shortest payload of 24 bytes",
        ),
        (RUUVI, "[5, 15]", "[5, 16]", "6:15: fields.battery_mv: bits: expected first and last of 0 to 15"),
        (RUUVI, "[-40, 85]", "[85, -40]", "5:74: fields.temperature_c.range: expected the lower bound first"),
        (
            RUUVI,
            "expect: out_of_range",
            "expect: out_of_rnage",
            "12:72: vectors.2.expect: 'out_of_rnage' is no outcome; did you mean out_of_range?",
        ),
        (
            RUUVI,
            "temperature_c: 24.3",
            "temperature_c: 24.4",
            "8:5: vectors.0: the vector fails: temperature_c: expected 24.4, got 24.3",
        ),
        (
            RUUVI,
            "{temperature_c: null",
            "{temperatur_c: null",
            "10:5: vectors.1: the vector fails: gives no temperatur_c; did you mean temperature_c?",
        ),
        (RUUVI, "expect: too_short", "expect: null, retain: true", "13:36: vectors.3.retain: unknown key"),
        (CAR, "speed_kmh", "speed_mps", "8:14: fields.speed_mps: neither part of a fix nor of the identity"),
        (
            CAR,
            "unit: m/s",
            "unit: ms",
            "8:30: fields.speed_kmh.unit: expected unit: km/h or m/s or knots or mph",
        ),
        (
            CAR,
            "  lat_deg: {path: pos.lat, unit: deg}\n",
            "",
            "6:3: fields: missing key 'lat_deg': a fix has one",
        ),
        (
            CAR,
            '"vehicle:{car}"',
            '"vehicle:{kar}"',
            "10:11: identity: there is no kar here; did you mean car?",
        ),
        (CAR, '"vehicle:{car}"', '"ibeacon:{car}"', "10:11: identity: expected an identity that begins with"),
        (
            CAR,
            '"vehicle:{car}"',
            '"auto:{car}"',
            "10:11: identity: an identity begins with one of irk:, eid:",
        ),
        (
            CAR,
            "cars/{car}",
            "cars/#",
            "3:16: match.topic: the level '#' is neither plain text nor one {name}",
        ),
        (CAR, "path: v,", "path: pos,", "8:21: fields.speed_kmh.path: pos is read as a value here"),
        (CAR, "unit: ms}", "unit: min}", "9:24: time.unit: expected s, ms or iso8601, got 'min'"),
        (
            CAR,
            "gives: fix",
            "gives: fixes",
            "4:8: gives: expected fix or sighting, got 'fixes'; did you mean fix?",
        ),
        (CAR, "cars/7\n", "car/7\n", "12:5: vectors.0: the vector fails: expected 1, got nothing (not_mine)"),
        (CAR, "source:", "verified: false\nsource:", "1:1: verified: false needs a note"),
        (CAR, "path: v,", "path: .,", "8:21: fields.speed_kmh.path: . is the whole payload of a part"),
        (CAR, "time:", "assemble: {within: 1s}\ntime:", "9:11: assemble: there are no parts to put together"),
        (PARTS, "pos/lon:", '"pos/{x}":', "7:3: parts.pos/{x}: a part is named by plain topic levels"),
        (
            PARTS,
            "within: 2s",
            "within: soon",
            "9:20: assemble.within: expected a duration such as 2s or 10min",
        ),
        (PARTS, "lon_deg:", "lat_deg:", "6:3: parts: missing key 'lon_deg': a fix has one"),
        (PARTS, "D: true", "D: yes", "8:47: parts.gear.ignition.values: ignition is true or false"),
        (PARTS, "unit: deg", "unit: km", "6:34: parts.lat.lat_deg.unit: expected unit: deg"),
        (
            PARTS,
            "lat_deg:",
            "latitude:",
            "6:19: parts.lat.latitude: neither part of a fix nor of the identity",
        ),
        (PARTS, '{car}"}', '{car}", where: {a: 1}}', "3:40: match.where: the topics of the parts say what"),
        (
            PARTS,
            "ago: 1.5s",
            "ago: 3s",
            "12:5: vectors.0: the vector fails: expected 1, got nothing (matched)",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place(
    tmp_path: Path, text: str, old: str, new: str, problem: str
) -> None:
    problems = said(tmp_path, wrong=text.replace(old, new, 1))
    assert any(p.startswith(f"profiles/wrong.yaml:{problem}") for p in problems), problems


def test_profiles_that_could_claim_the_same_payload(tmp_path: Path) -> None:
    def ble(name: str, match: str, data: str = "beac00000000") -> str:
        vector = f'{{data: "{data}", company: 1, expect: {{}}}}'
        return f"profile: {name}\nsource: x\nmatch: {{{match}}}\nvectors: [{vector}]\n"

    problems = said(
        tmp_path,
        a=ble("a", 'manufacturer: 0x0118, starts: "beac"'),
        b=ble("b", 'manufacturer: any, starts: "be", length: 6'),
        c=ble("c", 'manufacturer: 0x0118, starts: "bead"', "bead"),
        d=ble("d", 'manufacturer: 0x0119, starts: "beac", length: 7', "beac0000000000"),
        e=ble("e", 'service: 0xfeaa, starts: "be"'),
        f=CAR,
        g=CAR.replace("profile: car", "profile: van").replace("{car}", "{van}"),
        h=CAR.replace("profile: car", "profile: bus")
        .replace("kind: fix", "kind: bus")
        .replace('"fix"', '"bus"'),
        i=CAR.replace("cars/", "vans/"),
    )
    assert problems == [
        "profiles/b.yaml:3:1: match: could claim what a (profiles/a.yaml:3) claims",
        "profiles/c.yaml:3:1: match: could claim what b (profiles/b.yaml:3) claims",
        "profiles/g.yaml:3:1: match: could claim what car (profiles/f.yaml:3) claims",
        "profiles/i.yaml:1:10: profile: profiles/f.yaml:1 has this name already",
    ]


def test_all_files_are_read_before_anything_is_said(tmp_path: Path) -> None:
    problems = said(
        tmp_path, a="profile: [", b=RUUVI.replace("at: 1,", "at: x,"), c=CAR.replace("unit: deg", "unit: °")
    )
    assert [p.split(":")[0] for p in problems] == [
        "profiles/a.yaml",
        "profiles/b.yaml",
        "profiles/c.yaml",
        "profiles/c.yaml",
    ]


def test_a_folder_without_profiles(tmp_path: Path) -> None:
    assert said(tmp_path)[0].endswith("no profiles (*.yaml) here")
