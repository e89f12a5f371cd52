"""Profile files: the shipped ones, new ones, and ones that stand for another."""

from pathlib import Path

import pytest
from profile_files import CAR, ITEMS, RAW, RUUVI, loaded, written

from gateway.counts import Counts
from gateway.errors import ConfigError
from gateway.model import Sighting
from gateway.profiles import load_profiles, shipped_directory
from gateway.profiles.editor_schema import NAME, editor_schema

ROOT = Path(__file__).parent.parent


def test_the_shipped_profiles_hold_their_vectors() -> None:
    profiles = load_profiles()
    assert set(profiles.names) == {path.stem for path in shipped_directory().glob("*.yaml")}
    assert {result.profile for result in profiles.test()} == set(profiles.names)
    assert [str(result) for result in profiles.test() if not result.passed] == []


def test_a_new_firmware_is_a_new_file(tmp_path: Path) -> None:
    profiles = loaded(tmp_path, ruuvi=RUUVI, car=CAR)
    assert profiles.names == ("car", "ruuvi-rawv2")
    adv = bytes.fromhex("1bff99040512FC5394C37C0004FFFC040CAC364200CDCBB8334C884F")
    counts = Counts()
    assert profiles.identities(Sighting(0.0, "pi", "", "", -60.0, adv), counts) == ()
    assert counts.by_room() == {"profiles.ruuvi-rawv2": {"matched": 1}}


def test_profiles_of_ones_own_come_beside_the_shipped_ones(tmp_path: Path) -> None:
    own = written(tmp_path / "profiles", raw=RAW)
    profiles = load_profiles(own=own)
    assert "raw" in profiles.names
    assert "ibeacon" in profiles.names
    assert load_profiles(own=tmp_path / "nowhere").names == load_profiles().names


def test_one_of_them_may_stand_for_a_shipped_one(tmp_path: Path) -> None:
    shipped = (ROOT / "firmware_profiles" / "april-brother-v4.yaml").read_text()
    here = shipped.replace("april-brother/", "beacons/").replace(
        "source:", "replaces: april-brother-v4\nsource:", 1
    )
    profiles = load_profiles(own=written(tmp_path / "profiles", ours=here))
    assert profiles.topics("april-brother-v4") == ("beacons/+",)
    own = written(tmp_path / "others", ours=here.replace("replaces: april", "replaces: apirl"))
    with pytest.raises(ConfigError) as caught:
        load_profiles(own=own)
    assert [str(p) for p in caught.value.problems] == [
        "others/ours.yaml:6:10: profile: firmware_profiles/april-brother-v4.yaml:6 has this name already",
        "others/ours.yaml:7:11: replaces: there is no profile apirl-brother-v4; did you mean april-brother-v4?",
    ]


def test_alone_it_stands_for_nobody(tmp_path: Path) -> None:
    assert loaded(tmp_path, items=ITEMS.replace("source:", "replaces: itmes\nsource:")).names == ("items",)


def test_what_could_not_be_verified_is_said() -> None:
    profiles = load_profiles()
    assert profiles.doubt("ibeacon") == ""
    assert profiles.doubt("raddec") == "The document names no topic."


def test_the_schema_for_editors_is_current() -> None:
    assert (ROOT / "config" / "schema" / NAME).read_text() == editor_schema(), (
        "run gateway schema --out config/schema"
    )
