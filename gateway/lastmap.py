"""The last map that could be used, kept in the state directory for a start with one that cannot.

Only what is drawn is kept: site.yaml, calibration.yaml and outlines. Settings and consents never are: who may
know what is only ever what their own files say now.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from gateway.assembly import Configuration, read_configuration
from gateway.durable import replace_whole
from gateway.errors import ConfigError, Problem
from gateway.profiles import profiles_of
from gateway.settings import look

NAME = "last-map.json"
MAP_FILES = ("site.yaml", "calibration.yaml")
OUTLINES = "*.geojson"
MOST_BYTES = 16 << 20

_log = logging.getLogger("gateway.map")


def map_files(directory: Path) -> list[Path]:
    """Those of a configuration's files that are the map."""
    there = [directory / name for name in MAP_FILES if (directory / name).is_file()]
    return there + sorted(directory.glob(OUTLINES))


def keep(state_dir: Path, directory: Path) -> None:
    """Remember the map of this directory, which is right. A disk that refuses is told and no more."""
    try:
        there = map_files(directory)
        if sum(path.stat().st_size for path in there) > MOST_BYTES:
            _log.warning("the map was not kept for a start without one: more than 16 MiB")
            return
        files = {path.name: path.read_bytes() for path in there}
        data = msgspec.json.encode(files)
        if not (state_dir / NAME).exists() or (state_dir / NAME).read_bytes() != data:
            replace_whole(state_dir / NAME, data)
    except OSError as error:
        _log.warning("the map was not kept for a start without one: %s", error.strerror)


def read_or_last(directory: Path, tell: Callable[[str], None]) -> Configuration:
    """The configuration; where nothing but its map has problems, with the last map instead, which is told.

    ConfigError with every problem of every file where that is not so, or no map was kept.
    """
    try:
        return read_configuration(directory)
    except ConfigError as error:
        configuration = _with_last(directory, error.problems)
        if configuration is None:
            raise
    for problem in configuration.map_problems:
        tell(str(problem))
    tell(f"the map has problems and is not used; this is the map of {configuration.map_of}, the last without")
    return configuration


def _with_last(directory: Path, problems: tuple[Problem, ...]) -> Configuration | None:
    if {problem.file for problem in problems} - {str(directory / name) for name in MAP_FILES}:
        return None
    profiles = profiles_of(directory)
    own = look(directory, profiles=profiles.subscribable).own.settings
    if own is None:
        return None
    kept = own.gateway.state_dir / NAME
    try:
        files = msgspec.json.decode(kept.read_bytes(), type=dict[str, bytes])
        when = datetime.fromtimestamp(kept.stat().st_mtime, UTC)
    except (OSError, msgspec.DecodeError):
        return None
    with tempfile.TemporaryDirectory(prefix="gateway-map-") as beside:
        for name, content in files.items():
            (Path(beside) / Path(name).name).write_bytes(content)
        found = look(directory, profiles=profiles.subscribable, map_directory=Path(beside))
        try:
            configuration = read_configuration(directory, profiles=profiles, found=found)
        except ConfigError:
            return None
    configuration.map_problems = list(problems)
    configuration.map_of = f"{when:%Y-%m-%d %H:%M} UTC"
    return configuration
