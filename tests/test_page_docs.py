"""Metrics and alert rules are what the documents say, and what Prometheus takes."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.status.http import BODY_BYTES, CONNECTIONS, HEADER_BYTES, REQUEST_S, STREAMS
from gateway.status.metrics import HELP
from gateway.status.vitals import STALLED_S
from gateway.status.words import WORDS

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "page.md").read_text()
RULES = ROOT / "systemd" / "prometheus" / "alerts.yml"


def rules() -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_every_metric_has_its_row_and_no_row_is_invented() -> None:
    assert set(re.findall(r"^\| `(gateway_\w+)` \|", TEXT, flags=re.MULTILINE)) == HELP.keys()


def test_metrics_are_named_as_prometheus_asks() -> None:
    """prometheus.io/docs/practices/naming: a prefix, base units, `_total` for what only rises."""
    for name in HELP:
        assert re.fullmatch(r"gateway_[a-z_]+", name), name
        assert not re.search(r"_(ms|minutes|percent|kb|mb)$", name), name


def test_the_figures_are_those_of_the_code() -> None:
    assert (
        f"At most {CONNECTIONS} connections, of which {STREAMS} streams; headers up to {HEADER_BYTES >> 10} KiB"
        in TEXT
    )
    assert f"bodies up to {BODY_BYTES >> 10} KiB, {REQUEST_S:g} s for a request" in TEXT
    assert f"after {STALLED_S:g} s without progress" in TEXT


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
def test_every_alert_asks_for_a_metric_that_there_is_and_says_what_to_do(rule: dict[str, Any]) -> None:
    named = set(re.findall(r"\b(?:gateway|process)_\w+\b", re.sub(r'"[^"]*"', "", rule["expr"])))
    assert named <= HELP.keys()
    assert named or 'up{job="gateway"}' in rule["expr"]
    assert re.fullmatch(r"\d+[mhd]", rule["for"])
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert rule["annotations"].keys() == {"summary", "description"}


def test_promtool_takes_the_rules() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not here: apt-get install prometheus")
    done = subprocess.run(
        [promtool, "check", "rules", str(RULES)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"SUCCESS: {len(rules())} rules found" in done.stdout


def test_both_languages_say_the_same_things() -> None:
    english, german = WORDS["en"], WORDS["de"]
    assert english.keys() == german.keys()
    for key in english:
        assert set(re.findall(r"\{\w+\}", english[key])) == set(re.findall(r"\{\w+\}", german[key])), key
