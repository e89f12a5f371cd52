"""Which language the operator speaks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Language = Literal["en", "de"]


def language_of(environ: Mapping[str, str]) -> Language:
    """As POSIX has it (XBD 8.2): by the first of LC_ALL, LC_MESSAGES and LANG that is set. Else English."""
    said = next((environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environ.get(name)), "")
    return "de" if said.lower().replace("-", "_").split(".")[0].split("_")[0] == "de" else "en"
