"""docs/operator.md is typed off: its files are written, its commands run, and what they print is what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

DOCUMENT = (Path(__file__).parent.parent / "docs" / "operator.md").read_text()
GATEWAY = f"{sys.executable} -m gateway"
QUICK = ("mkdir ", "sed ", "cp ", "gateway schema ", "gateway check ")
"""What needs no broker and no recording; the rest is held by tests of its own."""


def files() -> dict[str, str]:
    """Name → content of each YAML file that is shown."""
    return dict(re.findall(r"\*\*(shop/\w+\.yaml)\*\*[^`]*```yaml\n(.*?)```", DOCUMENT, re.DOTALL))


def commands() -> Iterator[tuple[str, str]]:
    """Each command and what is printed below it."""
    for block in re.findall(r"```console\n(.*?)```", DOCUMENT, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, printed = part.partition("\n")
            yield command, printed


def test_every_step_prints_what_the_document_says(tmp_path: Path) -> None:
    assert set(files()) == {"shop/site.yaml", "shop/gateway.yaml", "shop/consent.yaml"}
    ran = []
    for command, printed in commands():
        if not command.startswith(QUICK):
            continue
        done = subprocess.run(
            ["bash", "-c", re.sub(r"^gateway ", f"{GATEWAY} ", command)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stderr + done.stdout == printed, command
        ran.append(command.split()[0])
        if command.startswith("mkdir"):
            for name, content in files().items():
                (tmp_path / name).write_text(content)
    assert ran.count("gateway") >= 4
    assert ran.count("sed") >= 4


def test_every_command_is_a_verb() -> None:
    for command, _ in commands():
        if command.startswith("gateway "):
            verb = command.split()[1]
            done = subprocess.run([*GATEWAY.split(), verb, "--help"], capture_output=True, check=False)
            assert done.returncode == 0, verb
