"""What a configuration says that is allowed and hardly meant: warnings, beside the problems of the settings.

Problems keep a gateway from starting; warnings do not. Both point at the line.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gateway.errors import Problem
from gateway.review.consents import consent_warnings
from gateway.review.fences import fence_warnings
from gateway.review.purposes import purpose_warnings
from gateway.review.zones import zone_warnings
from gateway.settings import Look, OwnLook, SiteLook

__all__ = ["warnings"]


def warnings(directory: Path, found: Look) -> list[Problem]:
    """Of all files, sorted by place; also of the right parts of files that have problems."""
    return sorted({*_warnings(directory, *found)})


def _warnings(directory: Path, site: SiteLook, own: OwnLook) -> Iterator[Problem]:
    if site.rest is not None and site.rest.model is not None:
        yield from zone_warnings(site.rest, site.rest.model, site.map)
        yield from fence_warnings(site.rest, site.rest.model, site.shapes)
    yield from purpose_warnings(own, site.rest.model if site.rest else None)
    if own.rest is not None and own.rest.model is not None:
        yield from consent_warnings(directory, own.rest, own.rest.model, site)
