"""Where a secret lies, and whether only its owner can read it: one rule for every secret of this program."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from gateway.errors import GatewayError

CREDENTIAL: Final = "credential:"
FROM_DIRECTORY: Final = "gateway"
"""What LoadCredential= of the unit calls its directory."""
RENEWED: Final = "credentials"
"""Folder of the runtime directory, written by systemd/renew-credentials."""
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class SecretUnusableError(GatewayError):
    """A secret is not there, or others can read it. The message names the file, never what is in it."""


class NotThereError(SecretUnusableError):
    """There is no such file on this machine."""


class NotOursError(SecretUnusableError):
    """It may serve another user, such as the one that the service runs as; this one cannot tell."""


def locate(secret: str, environ: Mapping[str, str] | None = None) -> Path:
    """The file that holds `credential:NAME` of the service's systemd unit, or `secret` as a path.

    What a reload of the unit has renewed goes first; then what systemd copied at the start (systemd.exec(5),
    CREDENTIALS_DIRECTORY): one by one, or as a directory, whose files come as `gateway_NAME`.
    SecretUnusableError for a credential when systemd passed none.
    """
    if not secret.startswith(CREDENTIAL):
        return Path(secret)
    environ = os.environ if environ is None else environ
    name = secret.removeprefix(CREDENTIAL)
    directory = _directory(environ)
    if directory is None:
        text = f"{secret}: systemd passed no credentials; the unit needs LoadCredential={name}"
        raise SecretUnusableError(text)
    candidates = [directory / name, directory / f"{FROM_DIRECTORY}_{name}"]
    if runtime := environ.get("RUNTIME_DIRECTORY"):
        candidates.insert(0, Path(runtime) / RENEWED / name)
    return next((path for path in candidates if path.exists()), directory / name)


def guarded(secret: str, environ: Mapping[str, str] | None = None) -> Path:
    """As `locate`, of an ordinary file that only its owner, root or this user, may read.

    Credentials are guarded by systemd itself. SecretUnusableError says what would help.
    """
    path = locate(secret, environ)
    try:
        status = path.stat()
    except OSError as error:
        raise _unreadable(path, error) from None
    if not stat.S_ISREG(status.st_mode):
        raise SecretUnusableError(f"{path} is not an ordinary file")
    if path.parent == _directory(environ):
        return path
    if status.st_mode & _OTHERS:
        raise SecretUnusableError(
            f"{path} is open to others (mode {status.st_mode & 0o777:04o}); chmod 0600 it"
        )
    owners = {0, os.geteuid()}
    if os.geteuid() == 0:  # root also works on the state of a service, whose user owns the directory too
        owners.add(path.parent.stat().st_uid)
    if status.st_uid not in owners:
        raise NotOursError(f"{path} belongs to another user; chown it to root or to the gateway's")
    return path


def read(secret: str, environ: Mapping[str, str] | None = None) -> bytes:
    """What `guarded` finds. SecretUnusableError where it cannot be read."""
    path = guarded(secret, environ)
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> SecretUnusableError:
    kinds = {FileNotFoundError: NotThereError, PermissionError: NotOursError}
    return kinds.get(type(error), SecretUnusableError)(f"cannot read {path}: {error.strerror}")


def _directory(environ: Mapping[str, str] | None) -> Path | None:
    name = (os.environ if environ is None else environ).get("CREDENTIALS_DIRECTORY")
    return Path(name) if name else None
