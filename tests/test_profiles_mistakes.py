"""Mistakes in a profile: what an operator reads, with file, line, column and key. Old text, new text, words."""

from __future__ import annotations

from pathlib import Path

import pytest
from profile_files import CAR, ITEMS, PARTS, RAW, RUUVI, TAGS, problems


@pytest.mark.parametrize(
    ("text", "old", "new", "problem"),
    [
        (RUUVI, "length:", "lenght:", "3:45: match.lenght: unknown key; did you mean length?"),
        (RUUVI, "source: Ruuvi, data format 5 (RAWv2)\n", "", "1:1: missing key 'source'"),
        (RUUVI, '"05"', "0599", "3:39: match.starts: expected text, got 599; put it in quotes"),
        (RUUVI, '"05"', '"5"',
         "3:39: match.starts: expected pairs of hex digits in quotes, ? for any digit, got '5'"),
        (RUUVI, "0x0499", "ruuvi", "3:23: match.manufacturer: expected a company id such as 0x004c, or any"),
        (RUUVI, "manufacturer: 0x0499, ", "", "3:8: match: expected one of manufacturer, service"),
        (RUUVI, "i16be", "i16", "5:30: fields.temperature_c.as: expected u8, i8, u16be, i16le ("),
        (RUUVI, "at: 1,", "at: -1,", "5:23: fields.temperature_c.at: must be at least 0, got -1"),
        (RUUVI, "at: 13,", "at: 23,",
         "6:15: fields.battery_mv: ends at byte 25, beyond the shortest payload of 24 bytes"),
        (RUUVI, "[5, 15]", "[5, 16]", "6:15: fields.battery_mv: bits: expected first and last of 0 to 15"),
        (RUUVI, "[-40, 85]", "[85, -40]", "5:74: fields.temperature_c.range: expected the lower bound first"),
        (RUUVI, "expect: out_of_range", "expect: out_of_rnage",
         "12:72: vectors.2.expect: 'out_of_rnage' is no outcome; did you mean out_of_range?"),
        (RUUVI, "temperature_c: 24.3", "temperature_c: 24.4",
         "8:5: vectors.0: the vector fails: temperature_c: expected 24.4, got 24.3"),
        (RUUVI, "{temperature_c: null", "{temperatur_c: null",
         "10:5: vectors.1: the vector fails: gives no temperatur_c; did you mean temperature_c?"),
        (RUUVI, "expect: too_short", "expect: null, retain: true", "13:36: vectors.3.retain: unknown key"),
        (CAR, "speed_kmh", "speed_mps", "8:14: fields.speed_mps: neither part of a fix nor of the identity"),
        (CAR, "unit: m/s", "unit: ms",
         "8:30: fields.speed_kmh.unit: expected unit: km/h or m/s or knots or mph"),
        (CAR, "  lat_deg: {path: pos.lat, unit: deg}\n", "",
         "6:3: fields: missing key 'lat_deg': a fix has one"),
        (CAR, '"vehicle:{car}"', '"vehicle:{kar}"',
         "10:11: identity: there is no kar here; did you mean car?"),
        (CAR, '"vehicle:{car}"', '"ibeacon:{car}"', "10:11: identity: expected an identity that begins with"),
        (CAR, '"vehicle:{car}"', '"auto:{car}"',
         "10:11: identity: an identity begins with one of irk:, eid:"),
        (CAR, "cars/{car}", "cars/#",
         "3:16: match.topic: the level '#' is neither plain text nor one {name}"),
        (CAR, "path: v,", "path: pos,", "8:21: fields.speed_kmh.path: pos is read as a value here"),
        (CAR, "unit: ms}", "unit: min}", "9:24: time.unit: expected s, ms or iso8601, got 'min'"),
        (CAR, "gives: fix", "gives: fixes",
         "4:8: gives: expected fix or sighting, got 'fixes'; did you mean fix?"),
        (CAR, "cars/7\n", "car/7\n", "12:5: vectors.0: the vector fails: expected 1, got nothing (not_mine)"),
        (CAR, "source:", "verified: false\nsource:", "1:1: verified: false needs a note"),
        (CAR, "path: v,", "path: .,", "8:21: fields.speed_kmh.path: . is the whole payload of a part"),
        (CAR, "time:", "assemble: {within: 1s}\ntime:", "9:11: assemble: there are no parts to put together"),
        (CAR, "time:", 'claims: {id: "{kar}"}\ntime:', "9:14: claims.id: {kar} is no part of the topic"),
        (CAR, "time:", "claims: {id: car}\ntime:", "9:14: claims.id: expected {names} of topic parts, as in {receiver}"),
        (PARTS, "parts:", 'claims: {id: "{car}"}\nparts:', "5:9: claims: values that come one by one name nobody"),
        (PARTS, "pos/lon:", '"pos/{x}":', "7:3: parts.pos/{x}: a part is named by plain topic levels"),
        (PARTS, "within: 2s", "within: soon",
         "9:20: assemble.within: expected a duration such as 2s or 10min"),
        (PARTS, "lon_deg:", "lat_deg:", "6:3: parts: missing key 'lon_deg': a fix has one"),
        (PARTS, "D: true", "D: yes", "8:47: parts.gear.ignition.values: ignition is true or false"),
        (PARTS, "unit: deg", "unit: km", "6:34: parts.lat.lat_deg.unit: expected unit: deg"),
        (PARTS, "lat_deg:", "latitude:",
         "6:19: parts.lat.latitude: neither part of a fix nor of the identity"),
        (PARTS, '{car}"}', '{car}", where: {a: 1}}', "3:40: match.where: the topics of the parts say what"),
        (PARTS, "ago: 1.5s", "ago: 3s",
         "12:5: vectors.0: the vector fails: expected 1, got nothing (matched)"),
        (TAGS, "where: {kind: 1}", "where: {kid: 1}",
         "8:18: frames.short.where.kid: there is no field kid here; did"),
        (TAGS, "where: {kind: [2, 3]}", "where: {kind: [1, 3]}",
         "13:3: frames.long: could claim what frames.short (line 5) claims"),
        (TAGS, 'starts: "10"', 'starts: "0"',
         "22:13: frames.list.starts: expected pairs of hex digits in quotes, ?"),
        (TAGS, "match: {service: 0xfff0}", 'match: {service: 0xfff0, starts: "00"}',
         "3:34: match.starts: stands in"),
        (TAGS, "vectors:", 'identity: "tag:a:{b}"\nvectors:', "32:11: identity: stands in the frames"),
        (TAGS, "until: -1, head: id", "until: -1, head: length",
         "23:39: frames.list.objects.head: expected id, length_id"),
        (TAGS, "tag: [-12, -8], ", "",
         "27:13: frames.sealed.sealed: aes-ccm has a tag and a nonce, nothing else"),
        (TAGS, "text: [1, 12]", "text: [1, 40]",
         "27:33: frames.sealed.sealed.text: reaches beyond the shortest"),
        (TAGS, 'as: aes-ccm, text: [1, 12], tag: [-12, -8], nonce: [address, "aabb", [-8, 0]]',
         "as: eid, text: [1, 9]",
         "28:14: frames.sealed.objects: eid is not opened here: there are no objects to read"),
        (TAGS, "0x01: {battery_pct: {as: u8}}", "0x101: {battery_pct: {as: u8}}",
         "30:10: objects.257: the id of an"),
        (TAGS, "{word: {as: text8}}", "{word: {as: text}}",
         "31:21: objects.2.word.as: text has no end here; use text8"),
        (TAGS, "number: {at: 2, as: u16be}", "number: {at: 2, as: text8}",
         "11:27: frames.short.fields.number.as: text8 is"),
        (TAGS, "within: [1, 255]", "within: [1, 255], values: {1: a}",
         "20:14: frames.long.fields.moved: expected one of"),
        (TAGS, "number: {at: 2, as: u16be}", 'number: {at: 2, as: "hex:2", scale: 2}',
         "11:15: frames.short.fields.number: hex:2 is no number: it has no scale"),
        (RAW, 'starts: "aa"', 'starts: "a"',
         "3:42: match.starts: expected pairs of hex digits in quotes, got 'a'"),
        (RAW, "encoding: binary\n", "", "3:42: match.starts: is for binary payloads"),
        (RAW, "repeat: count", "repeat: cuont",
         "9:13: layout.2.repeat: no cuont has been read before this; did you mean count?"),
        (RAW, "{name: count, as: u8}", "{name: count, as: u9}", "8:23: layout.1.as: expected u8, i8"),
        (RAW, "{name: address, as: mac}", "{name: adress, as: mac}",
         "11:16: layout.2.each.0.name: adress is of no use"),
        (RAW, "{skip: 1}", "{skip: 1, name: x}", "7:5: layout.0: expected one of name, skip, repeat"),
        (RAW, "encoding: binary", "encoding: binary\nitems: true",
         "6:8: items: a binary payload repeats in its layout"),
        (RAW, 'bytes: "aa01', 'payload: "x", bytes: "aa01',
         "14:5: vectors.0: expected one of payload, bytes"),
        (ITEMS, "items: beacons\n", "",
         "7:20: fields.rssi_dbm.path: /rssi begins at the root, and the payload"),
        (ITEMS, "path: id", "path: id.",
         "7:19: fields.address.path: expected the names of members with single dots"),
        (ITEMS, "path: /rssi", "path: 'a[b].c'", "8:20: fields.rssi_dbm.path: expected the names of members"),
        (ITEMS, "{path: id}", "{unit: m}",
         "7:12: fields.address: expected a path, or a default that always holds"),
        (ITEMS, "items/{receiver}", "items/{receiver:uuid}",
         "3:16: match.topic: the level '{receiver:uuid}' is neither"),
        (ITEMS, "vectors:", 'state: {topic: "items/{receiver}/up", alive: {path: ., values: {up: yes}}}\nvectors:',
         "9:64: state.alive.values: alive is true or false"),
        (ITEMS, "vectors:", 'state: {topic: "items/{who}/up", alive: {path: .}}\nvectors:',
         "9:16: state.topic: one level has to be {receiver}"),
        (ITEMS, "vectors:", 'state: {topic: "items/{receiver}", alive: {path: .}}\nvectors:',
         "9:16: state.topic: what is heard comes on this topic too"),
        (ITEMS, "vectors:", 'state: {topic: "items/{receiver}/up"}\nvectors:',
         "9:8: state: expected alive, or every when any message there says so"),
        (ITEMS, "vectors:", 'state: {topic: "items/{receiver}/up", every: often}\nvectors:',
         "9:46: state.every: expected a duration such as 2s"),
        (ITEMS, "vectors:", 'state: {topic: "items/{receiver}/up", every: {path: n, unit: h}}\nvectors:',
         "9:62: state.every.unit: expected unit: s or ms, got 'h'"),
        (CAR, "vectors:", 'state: {topic: "cars/{receiver}/up", alive: {path: .}}\nvectors:',
         "11:8: state: only receivers say that they are alive"),
        (PARTS, "vectors:", 'state: {topic: "metrics/{receiver}/up", alive: {path: .}}\nvectors:',
         "11:8: state: stands in the parts"),
        (TAGS, 'as: aes-ccm, text: [1, 12], tag: [-12, -8], nonce: [address, "aabb", [-8, 0]]',
         "as: other, counter: [1, 5]", "27:13: frames.sealed.sealed: only aes-ccm has a counter or aad"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_place(
    tmp_path: Path, text: str, old: str, new: str, problem: str
) -> None:
    assert old in text
    said = problems(tmp_path, wrong=text.replace(old, new, 1))
    assert any(p.startswith(f"profiles/wrong.yaml:{problem}") for p in said), said


def test_profiles_that_could_claim_the_same_payload(tmp_path: Path) -> None:
    def ble(name: str, match: str, data: str = "beac00000000") -> str:
        vector = f'{{data: "{data}", company: 1, expect: {{}}}}'
        return f"profile: {name}\nsource: x\nmatch: {{{match}}}\nvectors: [{vector}]\n"

    said = problems(
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
    assert said == [
        "profiles/b.yaml:3:1: match: could claim what a (profiles/a.yaml:3) claims",
        "profiles/c.yaml:3:1: match: could claim what b (profiles/b.yaml:3) claims",
        "profiles/g.yaml:3:1: match: could claim what car (profiles/f.yaml:3) claims",
        "profiles/i.yaml:1:10: profile: profiles/f.yaml:1 has this name already",
    ]


def test_all_files_are_read_before_anything_is_said(tmp_path: Path) -> None:
    said = problems(
        tmp_path, a="profile: [", b=RUUVI.replace("at: 1,", "at: x,"), c=CAR.replace("unit: deg", "unit: °")
    )
    assert [p.split(":")[0] for p in said] == [
        "profiles/a.yaml",
        "profiles/b.yaml",
        "profiles/c.yaml",
        "profiles/c.yaml",
    ]


def test_a_folder_without_profiles(tmp_path: Path) -> None:
    assert problems(tmp_path)[0].endswith("no profiles (*.yaml) here")
