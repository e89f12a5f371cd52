"""`gateway map`: the plan of a site as a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gateway.drawing import PLAN_WORDS, plan
from gateway.errors import GatewayError
from gateway.settings import load_site


def draw(directory: Path, out: Path | None, language: str, say: Callable[[str], None]) -> None:
    """ConfigError where site.yaml cannot serve; GatewayError where `out` is there or cannot be written."""
    svg = plan(load_site(directory), PLAN_WORDS[language])
    if out is None:
        say(svg.rstrip("\n"))
        return
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(svg)
    except FileExistsError:
        raise GatewayError(f"{out} is there already; choose another name") from None
    except OSError as error:
        raise GatewayError(f"{out}: {error.strerror}") from None
