"""The examples of docs/profiles.md load, hold their vectors, and fail as shown there."""

import re
from pathlib import Path

import pytest

from gateway.errors import ConfigError
from gateway.profiles import load_profiles
from gateway.profiles.outcome import Outcome
from gateway.profiles.schema_mqtt import UNITS

TEXT = (Path(__file__).parent.parent / "docs" / "profiles.md").read_text()
EXAMPLES = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
MESSAGES = re.findall(r"```\n(profiles/trolley-tag\.yaml:(\d+):.*?)```", TEXT, re.DOTALL)


def folder_with(tmp_path: Path, text: str) -> Path:
    folder = tmp_path / "profiles"
    folder.mkdir()
    (folder / "trolley-tag.yaml").write_text(text)
    return folder


@pytest.mark.parametrize("example", EXAMPLES, ids=["tag", "vehicle"])
def test_an_example_is_a_profile(tmp_path: Path, example: str) -> None:
    assert len(load_profiles(own=folder_with(tmp_path, example)).names) == len(load_profiles().names) + 1


@pytest.mark.parametrize(("message", "line"), MESSAGES, ids=["misspelt", "vector"])
def test_a_mistake_is_told_as_shown(tmp_path: Path, message: str, line: str) -> None:
    lines = EXAMPLES[0].splitlines()
    lines[int(line) - 1] = message.splitlines()[1].removeprefix("    ")
    with pytest.raises(ConfigError) as caught:
        load_profiles(own=folder_with(tmp_path, "\n".join(lines) + "\n"))
    assert [problem.with_caret() for problem in caught.value.problems] == [message.rstrip("\n")]


def test_every_outcome_of_a_radio_profile_and_every_unit_is_described() -> None:
    radio = ("matched", "not_mine", "too_short", "bad_checksum", "out_of_range", "needs_key")
    assert {outcome.value for outcome in Outcome} >= set(radio)
    assert [word for word in radio if f"| `{word}` |" not in TEXT] == []
    units = {unit for units in UNITS.values() for unit in units}
    listed = re.search(r"Units: (.*?)\.\n", TEXT, re.DOTALL)
    assert listed is not None
    assert units - set(re.split(r"[,;\s]+", listed[1])) == set()


def test_every_shipped_profile_names_its_schema() -> None:
    for path in (Path(__file__).parent.parent / "firmware_profiles").glob("*.yaml"):
        first = path.read_text().splitlines()[0]
        assert first == "# yaml-language-server: $schema=../config/schema/profile.schema.json", path.name
