"""What an editor knows of the YAML files: generated, current, offline, and in agreement with `gateway check`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from gateway.editor import keys
from gateway.located import load
from gateway.settings.restarts import SITE_KEYS
from gateway.settings.schemas import waits
from gateway.verbs.schema import every_schema

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "config" / "schema"
EXAMPLES = sorted((ROOT / "config").glob("*/*.yaml"))
KINDS = {
    "site.yaml": "site",
    "gateway.yaml": "gateway",
    "consent.yaml": "consent",
    "calibration.yaml": "calibration",
    "deny.yaml": "deny",
    "keys.yaml": "identity-keys",
}


def schema(kind: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"{kind}.schema.json").read_text())
    return found


def test_they_are_current() -> None:
    checked_in = {path.name: path.read_text("utf-8") for path in FOLDER.glob("*.json")}
    assert checked_in == every_schema(), "run gateway schema --out config/schema"


def test_there_is_one_for_every_kind_of_file() -> None:
    assert {f"{kind}.schema.json" for kind in [*KINDS.values(), "profile"]} == every_schema().keys()
    for text in every_schema().values():
        Draft202012Validator.check_schema(json.loads(text))
        assert not re.search(r'"\$ref": "(?!#)', text), "an editor would have to ask the network"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: f"{p.parent.name}-{p.name}")
def test_every_example_names_its_schema_and_obeys_it(path: Path) -> None:
    first = path.read_text().splitlines()[0]
    named = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)
    assert named is not None
    assert (path.parent / named[1]).resolve() == FOLDER / f"{KINDS[path.name]}.schema.json"
    found = Draft202012Validator(schema(KINDS[path.name])).iter_errors(load(path, top=None).data)
    assert [error.message for error in found] == []


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        ("site", {"site": {"id": "s"}, "flors": []}),
        ("site", {"site": {"id": "a/b"}}),
        ("site", {"site": {"id": "s"}, "floors": [{"id": "g", "zones": [{"id": "z", "kind": "shelve"}]}]}),
        ("site", {"site": {"id": "s"}, "floors": [{"id": "g", "zones": [{"id": "z", "kind": "shelf", "dwell": ["15"]}]}]}),
        ("gateway", {"gateway": {"id": "g"}, "brokers": {"a": {"host": "a", "prot": 1883}}}),
        ("gateway", {"gateway": {"id": "g"}, "consent": {"feed": {"file": 7}}}),
        ("consent", [{"subject": "a", "version": 0}]),
        ("consent", {"subject": "a", "version": 1}),
        ("deny", [""]),
        ("identity-keys", {"irk": {"anna": "abc"}}),
        ("identity-keys", {"eid": {"t": {"key": "0" * 32}}}),
        ("calibration", {"links": []}),
    ],
)  # fmt: skip
def test_mistakes_are_underlined(kind: str, wrong: Any) -> None:
    assert list(Draft202012Validator(schema(kind)).iter_errors(wrong))


def marked(kind: str) -> tuple[set[str], set[str]]:
    """Keys that wait for a restart, and all keys: the section's name and the key."""
    found = schema(kind)
    parts = {"": found, **found.get("$defs", {})}
    keys = {
        (name, key): value
        for name, part in parts.items()
        for key, value in part.get("properties", {}).items()
    }
    return (
        {f"{name}.{key}" for (name, key), value in keys.items() if waits(value)},
        {f"{name}.{key}" for name, key in keys},
    )


def test_keys_that_wait_for_a_restart_are_marked() -> None:
    waits, _ = marked("site")
    assert waits == {f"Site.{key.removeprefix('site.')}" for key in SITE_KEYS}
    waits, every = marked("gateway")
    assert waits == every
    for kind in ("consent", "deny", "calibration", "identity-keys"):
        assert marked(kind)[0] == set()


def test_what_a_key_means_is_shown_in_its_unit() -> None:
    described = [
        v for v in schema("gateway")["$defs"]["Gateway"]["properties"].values() if "description" in v
    ]
    assert len(described) >= 5
    assert "pseudonym" in schema("gateway")["$defs"]["Gateway"]["properties"]["epoch"]["description"]


@pytest.mark.parametrize("kind", [*KINDS.values(), "profile"])
def test_a_default_is_what_somebody_would_write(kind: str) -> None:
    """An editor writes it where the key is chosen: no `null`, nothing empty, nothing in another unit."""
    whole = schema(kind)
    for name, key in keys(whole):
        assert "title" not in key, "the key's own name in other letters"
        if "default" in key:
            assert key["default"] not in (None, "", [], {}), name
            errors = Draft202012Validator(key | {"$defs": whole.get("$defs", {})}).iter_errors(key["default"])
            assert [error.message for error in errors] == [], name
