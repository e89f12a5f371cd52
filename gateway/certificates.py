"""Certificates that change while the program runs: each connection takes the files as they are then."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterator
from pathlib import Path

from gateway.credentials import guarded, locate
from gateway.errors import GatewayError

_log = logging.getLogger("gateway.certificates")


class Certificates:
    """Callable: the context for the next connection, another one when a file has changed.

    While the files cannot serve, that of the last ones.
    """

    def __init__(self, of: str, *, ca: Path | None, cert: Path | None, key: str | None) -> None:
        """`of`: whose they are, for the log. `ca`: whom to believe; None: whom the system believes.
        `key`: as `credentials.locate` takes it. OSError (ssl.SSLError is one) or SecretUnusableError: there
        must be some at first."""
        self._of, self._ca, self._cert, self._key = of, ca, cert, key
        self._seen = list(self._marks())
        self._last = self._read()
        self._said = ""

    def __call__(self) -> ssl.SSLContext:
        """A certificate and its key are two files: between the two writes they do not go together."""
        try:
            marks = list(self._marks())
            if marks != self._seen:
                self._last, self._seen, self._said = self._read(), marks, ""
        except (OSError, GatewayError) as error:
            if str(error) != self._said:
                self._said = str(error)
                _log.error("%s: the certificates cannot be used, those from before are: %s", self._of, error)
        return self._last

    def _read(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self._ca)
        if self._cert is not None and self._key is not None:
            context.load_cert_chain(self._cert, guarded(self._key))
        return context

    def _marks(self) -> Iterator[tuple[Path, int, int, int]]:
        """What changes when a file is written or replaced. OSError, SecretUnusableError."""
        for path in (self._ca, self._cert, self._key and locate(self._key)):
            if path:
                status = Path(path).stat()
                yield Path(path), status.st_ino, status.st_size, status.st_mtime_ns
