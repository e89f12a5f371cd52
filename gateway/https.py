"""A client for a place that is asked again and again, with certificates that may change in between."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import httpx

Tls = Callable[[], ssl.SSLContext]
"""Asked before each request; another context than the last one opens a new connection."""


class Visits:
    """Use as async context manager, for one request at a time: no redirects, no proxies, one connection."""

    def __init__(self, tls: Tls, *, silence_s: float, connect_s: float) -> None:
        self._tls = tls
        self._silence_s, self._connect_s = silence_s, connect_s
        self._client: httpx.AsyncClient | None = None
        self._context: ssl.SSLContext | None = None

    async def __aenter__(self) -> Self:
        logging.getLogger("httpx").setLevel(logging.WARNING)  # it would log every address
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def client(self) -> httpx.AsyncClient:
        """For the next request."""
        import httpx  # noqa: PLC0415 - loaded only where there is such a place

        context = self._tls()
        if self._client is None or context is not self._context:
            if self._client is not None:
                await self._client.aclose()
            self._context = context
            self._client = httpx.AsyncClient(
                verify=context,
                timeout=httpx.Timeout(self._silence_s, connect=self._connect_s),
                limits=httpx.Limits(max_connections=1),
                follow_redirects=False,
                trust_env=False,
            )
        return self._client
