"""The configuration: a directory with site.yaml (the map), gateway.yaml (this gateway's settings) and, once
a walk was taken, calibration.yaml."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from gateway.errors import ConfigError, Problem
from gateway.located import load as load_yaml
from gateway.model import SiteMap
from gateway.settings.calibration import calibrated
from gateway.settings.counting_checks import counting_problems
from gateway.settings.gateway import GatewaySettings, beside
from gateway.settings.gateway_checks import SPARE_ID, gateway_problems
from gateway.settings.outlines import Polygons
from gateway.settings.remains import Remains
from gateway.settings.secrets import SETTINGS_FILE
from gateway.settings.site import SiteFile, site_map
from gateway.settings.site_checks import site_problems

__all__ = [
    "GatewaySettings",
    "Look",
    "OwnLook",
    "SiteLook",
    "load",
    "load_settings",
    "load_site",
    "look",
    "problems",
    "right",
]


def load(
    directory: Path, *, profiles: Collection[str], walked: bool = True
) -> tuple[SiteMap, GatewaySettings]:
    """Both files; `profiles`: the names that `subscribe` may use; `walked`: see `load_site`. ConfigError with
    every problem of both."""
    return right(look(directory, profiles=profiles, walked=walked))


def right(both: Look) -> tuple[SiteMap, GatewaySettings]:
    """What was found, where all of it is right; else ConfigError with every problem of both."""
    if both.site.map is None or both.own.settings is None:
        raise ConfigError([*both.site.problems, *both.own.problems])
    return both.site.map, both.own.settings


def load_site(directory: Path, *, walked: bool = True) -> SiteMap:
    """The map alone (surveys, calibration, replay of presence); not `walked`: without what calibration.yaml
    says, as for a walk that replaces it. ConfigError with all its problems."""
    site = _site(directory, walked=walked)
    if site.map is None:
        raise ConfigError(site.problems)
    return site.map


def load_settings(directory: Path, *, profiles: Collection[str]) -> GatewaySettings:
    """gateway.yaml, checked against the map. ConfigError with its problems; those of the map are not told."""
    own = _own(directory, _site(directory), profiles)
    if own.settings is None:
        raise ConfigError(own.problems)
    return own.settings


def problems(directory: Path, *, profiles: Collection[str]) -> list[Problem]:
    """Every mistake in both files, sorted by place; empty when the configuration is right."""
    both = look(directory, profiles=profiles)
    return sorted([*both.site.problems, *both.own.problems])


def look(
    directory: Path, *, profiles: Collection[str], walked: bool = True, map_directory: Path | None = None
) -> Look:
    """Both files as far as they can be read, for those who have more to say of them. `map_directory`: where
    the map lies, if not there too."""
    site = _site(map_directory or directory, walked=walked)
    return Look(site, _own(directory, site, profiles))


class SiteLook(NamedTuple):
    map: SiteMap | None
    problems: list[Problem]
    zones: list[str] | None
    """Ids that the file gives, right or wrong; None: it cannot be read at all."""
    receivers: list[str] | None
    rest: Remains[SiteFile] | None
    """What of the file is right, and where it stands; None: it cannot be read at all."""
    shapes: dict[str, Polygons]
    """Of the fences that have a right one."""


class OwnLook(NamedTuple):
    settings: GatewaySettings | None
    problems: list[Problem]
    rest: Remains[GatewaySettings] | None


class Look(NamedTuple):
    site: SiteLook
    own: OwnLook


def _site(directory: Path, *, walked: bool = True) -> SiteLook:
    try:
        rest = Remains(load_yaml(directory / "site.yaml"), SiteFile, {"site": {"id": SPARE_ID}})
    except ConfigError as e:
        return SiteLook(None, list(e.problems), None, None, None, {})
    checked, shapes = site_problems(rest, directory)
    found = [*rest.problems, *checked]
    right = site_map(rest.model, shapes) if rest.model and not found else None
    if right is not None and walked:
        right, learned = calibrated(right, directory)
        found += learned
    return SiteLook(
        map=right if not found else None,
        problems=found,
        zones=[*rest.ids("floors", "zones"), *rest.ids("fences")],
        receivers=rest.ids("receivers"),
        rest=rest,
        shapes=shapes,
    )


def _own(directory: Path, site: SiteLook, profiles: Collection[str]) -> OwnLook:
    spare = {
        "gateway": {"id": SPARE_ID},
        "consent": {"feed": {"file": "consent.yaml"}},
    }
    try:
        rest = Remains(load_yaml(directory / SETTINGS_FILE), GatewaySettings, spare)
    except ConfigError as e:
        return OwnLook(None, list(e.problems), None)
    checked = gateway_problems(rest, directory, profiles=profiles, zones=site.zones, receivers=site.receivers)
    found = [*rest.problems, *checked, *counting_problems(rest, site.zones, site.map)]
    right = beside(rest.model, directory) if rest.model and not found else None
    return OwnLook(right, found, rest)
