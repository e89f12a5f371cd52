"""The YAML files in an editor, by the language server that VS Code's YAML extension runs: completion and red
underlines, offline. scripts/test-editor installs the server."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest

pytest.importorskip("pygls", reason="no language server here: scripts/test-editor installs it")

from language_server import ROOT, SERVER, Editor, an_editor

pytestmark = [
    pytest.mark.editor,
    pytest.mark.skipif(
        not SERVER.exists(), reason="no language server here: scripts/test-editor installs it"
    ),
]
EXAMPLES = sorted((ROOT / "config").glob("*/*.yaml"))
SCHEMA = "# yaml-language-server: $schema={}.schema.json\n"


@pytest.fixture
async def editor() -> AsyncIterator[Editor]:
    async with an_editor(ROOT / "config/schema") as opened:
        yield opened


@pytest.mark.parametrize(
    ("kind", "text", "proposed"),
    [
        ("site", "|", {
            "site": "site:\n  id: \n  timezone: UTC",
            "floors": "floors:\n  - id: ",
            "receivers": "receivers:\n  - id: \n    floor: ",
            "fences": "fences:\n  - id: \n    kind: ",
        }),
        ("site", "fences:\n  - id: car-park\n    kind: |", {"car_park": "car_park", "drive_through": "drive_through"}),
        ("site", "fences:\n  - id: car-park\n    dwell: [|]", {"15s": "15s", "2min": "2min"}),
        ("site", "floors:\n  - id: ground\n    zones:\n      - id: dairy\n        |", {"kind": "kind: ", "leave_after": "leave_after: "}),
        ("gateway", "|", {"audit": "audit:\n  window: 15min\n  max_mb: 16\n  keep: 90d", "page": "page:\n  listen: 127.0.0.1:8780"}),
        ("gateway", "brokers:\n  store:\n    subscribe:\n      - |", {"shelly-blu-gateway": "shelly-blu-gateway"}),
        ("gateway", "recipients:\n  platform:\n    purposes:\n      dpv:Purpose:\n        fields: [|]", {"dwell_s": "dwell_s"}),
        ("consent", "- subject: a\n  consents:\n    - status: |", {"ConsentGiven": "ConsentGiven", "ConsentWithdrawn": "ConsentWithdrawn"}),
        ("profile", "|", {"profile": "profile: "}),
    ],
)  # fmt: skip
async def test_an_editor_proposes(editor: Editor, kind: str, text: str, proposed: dict[str, str]) -> None:
    found = await editor.proposals(SCHEMA.format(kind) + text + "\n")
    assert found.items() >= proposed.items()


async def test_an_editor_proposes_nothing_empty(editor: Editor) -> None:
    """A key whose default is nothing leaves the place for its value free."""
    for kind in ("site", "gateway"):
        written = (await editor.proposals(SCHEMA.format(kind) + "|\n")).values()
        assert [text for text in written if re.search(r"null|\[\]|\{\}|: *\"\"|^\w+$", text)] == []


@pytest.mark.parametrize(
    ("kind", "text", "underlined"),
    [
        ("site", "site: {id: a}\nflors: []", ["3:1: Property flors is not allowed."]),
        ("site", "site: {id: a}\nfences: [{id: f, kind: car_prak}]", ["3:24: Value is not accepted. Valid values: \"car_park\", \"drive_through\", "]),
        ("site", "site: {id: a}\nfences: [{id: f, kind: car_park, dwell: [15]}]", ['3:42: Incorrect type. Expected "string".']),
        ("site", "fences: []", ['2:1: Missing property "site".']),
        ("gateway", "gateway: {id: pi-01}\noutbox: {max_mb: 1}", ["3:18: Value is below the minimum of 8."]),
        ("gateway", "gateway: {id: pi-01}\nrecipients: {a: {purposes: {dpv:P: {legal_basis: b, fields: [dwel]}}}}", ["3:62: Value is not accepted. Valid values: \"zone\", \"since\", "]),
        ("consent", "- {subject: a, version: one}", ['2:25: Incorrect type. Expected "integer".']),
    ],
)  # fmt: skip
async def test_an_editor_underlines(editor: Editor, kind: str, text: str, underlined: list[str]) -> None:
    found = await editor.underlined(SCHEMA.format(kind) + text + "\n")
    assert [line[: len(start)] for line, start in zip(found, underlined, strict=True)] == underlined


@pytest.mark.parametrize(
    ("name", "text"),
    [(f"{path.parent.name}-{path.name}", path.read_text()) for path in EXAMPLES],
)
async def test_an_editor_underlines_nothing_in_an_example(editor: Editor, name: str, text: str) -> None:
    assert await editor.underlined(re.sub(r"\$schema=\S*/", "$schema=", text)) == [], name
