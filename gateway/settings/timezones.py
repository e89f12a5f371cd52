"""IANA time zone names."""

from __future__ import annotations

from typing import Annotated, Final
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator

from gateway.located import did_you_mean

_HOW: Final = "; it is called after a large city of its country"


def _known(name: str) -> str:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        known = available_timezones()
        # A system without a time zone database cannot judge a name.
        if known or "/" not in name:
            raise ValueError(f"unknown time zone '{name}'{_HOW}{did_you_mean(name, known)}") from None
    return name


Timezone = Annotated[str, AfterValidator(_known)]
