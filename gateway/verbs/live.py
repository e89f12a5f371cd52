"""Where the gateway of a configuration keeps its state, whatever else is wrong with its files."""

from __future__ import annotations

import os
from pathlib import Path

from gateway.errors import ConfigError
from gateway.profiles import profiles_of
from gateway.settings import GatewaySettings, load_settings


def state_directory(directory: Path) -> Path:
    """ConfigError where gateway.yaml does not say."""
    return live_settings(directory).gateway.state_dir


def live_settings(directory: Path) -> GatewaySettings:
    """ConfigError where gateway.yaml has problems."""
    try:
        profiles = profiles_of(directory).subscribable
    except ConfigError:
        profiles = profiles_of(None).subscribable
    return load_settings(directory, profiles=profiles)


def hand_over(state_dir: Path) -> None:
    """What root wrote here goes to whom the directory belongs: a service under its own user reads it next."""
    owner = state_dir.stat()
    if os.geteuid() != 0 or owner.st_uid == 0:
        return
    for path in state_dir.rglob("*"):
        if path.lstat().st_uid != owner.st_uid:
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
