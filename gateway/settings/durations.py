"""Durations as an operator writes them: a number and its unit."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, WithJsonSchema

UNITS_S: Final = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_SPELLED: Final = {
    **dict.fromkeys(["ms", "msec"], "ms"),
    **dict.fromkeys(["s", "sec", "secs", "second", "seconds"], "s"),
    **dict.fromkeys(["m", "min", "mins", "minute", "minutes"], "min"),
    **dict.fromkeys(["h", "hr", "hrs", "hour", "hours"], "h"),
    **dict.fromkeys(["d", "day", "days"], "d"),
}
"""Units as people write them, by the one that is read."""
LONGEST_S: Final = 3660 * 86400.0
_PATTERN: Final = r"^[0-9]+(\.[0-9]+)?(ms|s|min|h|d)$"


def seconds(text: Any) -> float:
    """Seconds (> 0) of `15s`, `500ms`, `2min`, `1h`, `30d`; ValueError otherwise, and beyond ten years."""
    units = "ms, s, min, h or d"
    if isinstance(text, int | float) and not isinstance(text, bool):
        raise ValueError(f"expected a duration; write a unit after {text:g} ({units})")
    if isinstance(text, str) and re.fullmatch(r"[0-9]+(\.[0-9]+)?", text, re.ASCII):
        raise ValueError(f"expected a duration; write a unit after {text} ({units})")
    match = re.fullmatch(_PATTERN, text, re.ASCII) if isinstance(text, str) else None
    if match is None:
        hint = _meant(text) if isinstance(text, str) else ""
        raise ValueError(f"expected a duration such as 15s or 2min (units {units}){hint}")
    duration_s = float(text.removesuffix(match[2])) * UNITS_S[match[2]]
    if not 0 < duration_s <= LONGEST_S:
        raise ValueError("expected a duration of more than 0 and at most ten years")
    return duration_s


def _meant(text: str) -> str:
    """How a number and its unit would be written that stand there in another way."""
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]+)\s*", text, re.ASCII)
    unit = _SPELLED.get(found[2].lower()) if found else None
    return f"; did you mean {found[1]}{unit}?" if found and unit else ""


def step_s(text: Any) -> float:
    """As `seconds`, up to a day, and 0 (`0`, `0s`, …) for no step at all."""
    if text == 0 and not isinstance(text, bool):
        return 0.0
    if isinstance(text, str) and re.fullmatch(r"0+(\.0+)?(ms|s|min|h|d)", text, re.ASCII):
        return 0.0
    duration_s = seconds(text)
    if duration_s > UNITS_S["d"]:
        raise ValueError("expected a step of at most 1d")
    return duration_s


Duration = Annotated[
    float,
    BeforeValidator(seconds),
    WithJsonSchema({"type": "string", "pattern": _PATTERN, "examples": ["15s", "2min", "30d"]}),
]
"""In a model: seconds. In YAML: a number with its unit."""

Step = Annotated[
    float,
    BeforeValidator(step_s),
    WithJsonSchema({"anyOf": [{"const": 0}, {"type": "string", "pattern": _PATTERN}]}),
]
"""What times are rounded down to; 0: they are not."""
