"""The lock file of the Pi install, the list of parts that goes with it, and how an audit is told."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
LOCK = (ROOT / "systemd/requirements.lock").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
ENTRY = re.compile(r"^(\S+)==(\S+) [^\n]*\\\n(?: +--hash=sha256:[0-9a-f]{64}(?: \\)?\n)+", re.MULTILINE)
LOCKED = dict(ENTRY.findall(LOCK))


def test_every_release_is_pinned_and_has_its_hashes() -> None:
    assert list(LOCKED) == re.findall(r"^([^#\s=]+)", LOCK, re.MULTILINE)


@pytest.mark.parametrize("wanted", PROJECT["project"]["dependencies"] + PROJECT["build-system"]["requires"])
def test_what_the_gateway_asks_for_is_locked(wanted: str) -> None:
    """The whole of it, what those ask for too, is compared by scripts/supply-chain."""
    asked = Requirement(wanted)
    name = re.sub(r"[-_.]+", "-", asked.name).lower()
    assert asked.specifier.contains(LOCKED[name])


def test_the_list_of_parts_is_that_of_the_lock_file() -> None:
    parts = json.loads((ROOT / "docs/sbom.cdx.json").read_text())
    assert parts["bomFormat"] == "CycloneDX"
    assert {part["name"]: part["version"] for part in parts["components"]} == LOCKED
    assert all(part["externalReferences"][0]["hashes"] for part in parts["components"])


CLEAN: dict[str, Any] = {"name": "good", "version": "1.0", "vulns": []}
FLAWED = {"name": "bad", "version": "1.0", "vulns": [{"id": "CVE-2026-1", "fix_versions": ["1.1"]}]}
UNASKED = {"name": "unseen", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("releases", "code", "said"),
    [
        ([CLEAN], 0, "audit: nothing is known against 1 releases\n"),
        ([CLEAN, FLAWED], 1, "audit: bad 1.0: CVE-2026-1, fixed in 1.1\n"),
        ([CLEAN, UNASKED], 0, "audit: NOT DONE for 1 of 2 releases: nobody could be asked\n"),
        (None, 0, "audit: NOT DONE: nobody could be asked\n"),
    ],
)
def test_an_audit_that_could_not_ask_is_no_pass(
    tmp_path: Path, releases: list[dict[str, Any]] | None, code: int, said: str
) -> None:
    file = tmp_path / "audit.json"
    if releases is not None:
        file.write_text(json.dumps({"dependencies": releases}))
    told = subprocess.run(
        [sys.executable, ROOT / "scripts/audited.py", file], capture_output=True, text=True, check=False
    )
    assert (told.returncode, told.stdout) == (code, said)
