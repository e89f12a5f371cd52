"""Where the gateway of a configuration keeps its state, whatever else is wrong with its files."""

from __future__ import annotations

from pathlib import Path

from gateway.errors import ConfigError
from gateway.profiles import profiles_of
from gateway.settings import load_settings


def state_directory(directory: Path) -> Path:
    """ConfigError where gateway.yaml does not say."""
    try:
        profiles = profiles_of(directory).subscribable
    except ConfigError:
        profiles = profiles_of(None).subscribable
    return load_settings(directory, profiles=profiles).gateway.state_dir
