"""What the documents say must be so: verbs, exit codes, profiles, files, and the error message of the README."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.assembly import read_configuration
from gateway.errors import ConfigError
from gateway.model import CHANGES
from gateway.profiles import load_profiles
from gateway.reference import command_reference
from gateway.settings.reference import keys, settings_reference

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_command_reference_is_current() -> None:
    assert (ROOT / "docs" / "cli.md").read_text() == command_reference(), "run scripts/generate-docs"


def test_the_settings_reference_is_current() -> None:
    assert (ROOT / "docs" / "settings.md").read_text() == settings_reference(), "run scripts/generate-docs"


def test_every_key_says_what_it_means() -> None:
    silent = [
        f"{file}: {section}.{key}"
        for file, section, key, said in keys()
        if not said.replace("Left out: all.", "all").strip()
    ]
    assert silent == []


def test_every_exit_code_of_the_program_is_in_the_command_reference() -> None:
    named = set(re.findall(r"^\| (\d+) \|", (ROOT / "docs" / "cli.md").read_text(), re.MULTILINE))
    used = {"0", "2"}  # of Python and of click
    for source in (ROOT / "gateway").rglob("*.py"):
        used |= set(re.findall(r"^EXIT_\w+ = (\d+)", source.read_text(), re.MULTILINE))
    assert named == used


def test_links_between_documents_lead_somewhere() -> None:
    for document in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_every_change_is_described() -> None:
    events = (ROOT / "docs" / "events.md").read_text()
    assert [change for change in CHANGES if f"| `{change}` |" not in events] == []


def test_every_shipped_profile_names_its_source_and_shows_its_layout() -> None:
    for name in load_profiles().names:
        text = (ROOT / "firmware_profiles" / f"{name}.yaml").read_text()
        assert text.startswith("#"), f"{name}: the layout comes first, as a comment"
        assert "\nsource:" in text, name


@pytest.mark.parametrize("example", ["store", "demo"])
def test_examples_pass_the_check(example: str) -> None:
    configuration = read_configuration(ROOT / "config" / example)
    assert configuration.consent_records


def test_the_message_in_the_readme_is_the_one_that_is_printed(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "config" / "store", tmp_path / "store")
    path = tmp_path / "store" / "site.yaml"
    shown = re.search(r"^```\n(site\.yaml:14:.*?)```", README, re.DOTALL | re.MULTILINE)
    assert shown is not None
    lines = path.read_text().splitlines()
    lines[13] = shown[1].splitlines()[1].removeprefix("    ")
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(ConfigError) as caught:
        read_configuration(tmp_path / "store")
    (problem,) = caught.value.problems
    assert problem.with_caret().removeprefix(f"{tmp_path}/store/") == shown[1].rstrip("\n")


def test_help_is_there_for_every_verb_and_quick() -> None:
    done = subprocess.run([sys.executable, "-X", "importtime", "-m", "gateway", "--help"], capture_output=True,
                          text=True, check=True)  # fmt: skip
    assert "Commands:" in done.stdout
    assert "pydantic" not in done.stderr, "--help loads what only the verbs need"
