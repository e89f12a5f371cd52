"""`gateway bench` measures what answers the same, and `gateway --version` tells which core runs."""

from __future__ import annotations

import os

import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.core.form import core_form
from gateway.core.geometry import __file__ as geometry_file
from gateway.errors import GatewayError
from gateway.verbs.bench import in_turns


def test_the_verb_prints_a_ratio_for_each_contender() -> None:
    result = CliRunner().invoke(main, ["bench", "--fences", "60", "--fixes", "500"])
    assert result.exit_code == 0, result.output
    head, *contenders, index, step = result.output.splitlines()
    assert head == f"60 fences, 500 fixes; core: {core_form()}"
    assert [line.split("  ")[1] for line in contenders] == [
        "plain Python, one fix a call", "index, one fix a call", "index, bulk",
    ]  # fmt: skip
    assert contenders[-1].endswith(" 1.0")
    assert index.startswith("index: ")
    assert step.endswith(" µs a fix")


def test_contenders_that_differ_end_the_run() -> None:
    with pytest.raises(GatewayError, match="other and one differ"):
        in_turns({"one": lambda: [(1, 2), ()], "other": lambda: ([0], [1])})


def test_the_version_tells_the_form_of_the_core() -> None:
    output = CliRunner().invoke(main, ["--version"]).output
    assert output.strip().endswith(
        "core: plain Python" if geometry_file.endswith(".py") else "core: compiled"
    )
    assert os.environ.get("GATEWAY_PURE") != "1" or "plain" in output
