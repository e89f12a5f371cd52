"""Which keys a running gateway takes over, and which wait for its next start.

Taken over are the map with all that is beside it (calibration.yaml, outlines in GeoJSON) and the content of
the files that gateway.yaml names for identity keys, consents and the deny-list.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from gateway.model import SiteMap
from gateway.settings.gateway import GatewaySettings

SITE_KEYS: Final = ("site.id",)
"""Of site.yaml these wait for a restart; of gateway.yaml all do."""

REREAD: Final = ("identity_keys", "Feed.file", "Consent.deny")
"""Keys of gateway.yaml that name a file whose content is taken over, by section."""


def waiting(old: tuple[SiteMap, GatewaySettings], new: tuple[SiteMap, GatewaySettings]) -> list[str]:
    """What was changed and waits: `file: dotted.key`, sorted."""
    keys = [f"gateway.yaml: {key}" for key in _changed(old[1].model_dump(), new[1].model_dump())]
    if old[0].site != new[0].site:
        keys += [f"site.yaml: {key}" for key in SITE_KEYS]
    return sorted(keys)


def _changed(old: Any, new: Any, path: str = "") -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old.keys() | new.keys():
            yield from _changed(old.get(key), new.get(key), f"{path}.{key}" if path else str(key))
    elif old != new:
        yield path
