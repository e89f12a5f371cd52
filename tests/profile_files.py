"""Profile files that tests write, break and read: one for each part of the language."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import ConfigError
from gateway.profiles import Profiles, load_profiles

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
TAGS = """\
profile: tags
source: Example Ltd, tags
match: {service: 0xfff0}
frames:
  short:
    starts: "0?"
    length: 4
    where: {kind: 1}
    fields:
      kind: {at: 1, as: u8, bits: [4, 7]}
      number: {at: 2, as: u16be}
    identity: "tag:example:{number}"
  long:
    starts: "0?"
    length: 4
    where: {kind: [2, 3]}
    fields:
      kind: {at: 1, as: u8, bits: [4, 7]}
      battery_pct: {at: 2, as: u8, range: [0, 100]}
      moved: {at: 3, as: u8, within: [1, 255]}
  list:
    starts: "10"
    objects: {at: 1, until: -1, head: id}
  sealed:
    starts: "11"
    length: 24
    sealed: {as: aes-ccm, text: [1, 12], tag: [-12, -8], nonce: [address, "aabb", [-8, 0]]}
    objects: {at: 0, head: id}
objects:
  0x01: {battery_pct: {as: u8}}
  0x02: {word: {as: text8}}
vectors:
  - {data: "0310002a", expect: {identity: "tag:example:42"}}
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
RAW = """\
profile: raw
source: Example Ltd, raw
match: {topic: "raw/{receiver}", starts: "aa"}
gives: sighting
encoding: binary
layout:
  - {skip: 1}
  - {name: count, as: u8}
  - repeat: count
    each:
      - {name: address, as: mac}
      - {name: rssi_dbm, as: i8}
vectors:
  - {topic: raw/pi, bytes: "aa01c3000025ef6ac4", expect: {address: "c3:00:00:25:ef:6a", rssi_dbm: -60}}
"""
ITEMS = """\
profile: items
source: Example Ltd, items
match: {topic: "items/{receiver}"}
gives: sighting
items: beacons
fields:
  address: {path: id}
  rssi_dbm: {path: /rssi, unit: dBm}
vectors:
  - {topic: items/pi, payload: {"rssi": -60, "beacons": [{"id": "c3000025ef6a"}]}, expect: {rssi_dbm: -60}}
"""


def written(folder: Path, **files: str) -> Path:
    """A folder of profiles, each named as its file."""
    folder.mkdir()
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


def loaded(tmp_path: Path, **files: str) -> Profiles:
    return load_profiles(written(tmp_path / "profiles", **files))


def problems(tmp_path: Path, **files: str) -> list[str]:
    """What an operator reads."""
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, **files)
    return [str(problem) for problem in caught.value.problems]
