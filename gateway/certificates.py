"""Certificates that change while the program runs: each connection takes the files as they are then."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable

from gateway.errors import GatewayError

_log = logging.getLogger("gateway.certificates")


class Certificates:
    """Callable: the context for the next connection. While the files cannot serve, that of the last ones."""

    def __init__(self, of: str, read: Callable[[], ssl.SSLContext]) -> None:
        """`of`: whose they are, for the log. Raises what `read` raises: at first there must be some."""
        self._of, self._read = of, read
        self._last = read()
        self._said = ""

    def __call__(self) -> ssl.SSLContext:
        """A certificate and its key are two files: between the two writes they do not go together."""
        try:
            self._last = self._read()
            self._said = ""
        except (OSError, GatewayError) as error:  # ssl.SSLError is an OSError
            if str(error) != self._said:
                self._said = str(error)
                _log.error("%s: the certificates cannot be used, those from before are: %s", self._of, error)
        return self._last
