"""Consents over HTTP: the transport of `PagedFeed`.

`GET <url>?after=CURSOR` until a page is complete, then again after the interval. What the server sends is
bounded before it is in memory; redirects are not followed, so that a token goes nowhere else.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from gateway.consent.pages import MAX_PAGE_BYTES, PagedFeed, PageError
from gateway.credentials import SecretUnusableError
from gateway.errors import GatewayError
from gateway.https import Tls, Visits
from gateway.lanes import Lanes
from gateway.links import Link, full_jitter, retry_after_s
from gateway.model import ConsentSignal, Signal
from gateway.sources import Clock

if TYPE_CHECKING:
    import httpx

CONNECT_S: Final = 10.0
SILENCE_S: Final = 30.0
PAGE_S: Final = 180.0
"""For one page altogether: a server that drips is given up."""
MAX_ETAG_CHARS: Final = 256
AHEAD: Final = 1_000
"""Signals in the control lane above which a page waits."""
BREATH_S: Final = 0.02
CURSOR_UNKNOWN: Final = frozenset({400, 404, 410, 422})
"""Answers that, given to a cursor, mean that reading begins anew."""

_log = logging.getLogger("gateway.sources")


class RefusedPageError(GatewayError):
    """The server answered something else than a page, in words for an operator."""

    def __init__(self, words: str, retry_after_s: float = 0.0) -> None:
        super().__init__(words)
        self.retry_after_s = retry_after_s


class Place(Struct, frozen=True):
    """Where the feed is and how to be let in."""

    url: str
    interval_s: float
    tls: Tls
    token: Callable[[], str] | None = None
    """Read for each request, so that it can be changed; SecretUnusableError."""


class ConsentHttp:
    def __init__(self, place: Place, feed: PagedFeed, lanes: Lanes, clock: Clock) -> None:
        self.link = Link("consent http")
        self._place, self._feed = place, feed
        self._lanes, self._clock = lanes, clock
        self._etag: tuple[str, str] | None = None
        """Of a complete page with nothing in it, and the cursor that it was asked with."""

    async def run(self) -> None:
        import httpx  # noqa: PLC0415 - loaded only where there is such a feed

        self._lanes.control(self._feed.start(self._clock()))
        pauses = full_jitter()
        async with Visits(self._place.tls, silence_s=SILENCE_S, connect_s=CONNECT_S) as visits:
            while True:
                try:
                    async with asyncio.timeout(PAGE_S):
                        body, asked_s = await self._ask(await visits.client())
                    is_complete = await self._absorb(body, asked_s)
                except (httpx.HTTPError, GatewayError, TimeoutError) as error:
                    self.link.down(f"{_words(error)}; trying again")
                    retry_after_s = error.retry_after_s if isinstance(error, RefusedPageError) else 0.0
                    await asyncio.sleep(retry_after_s + next(pauses))
                    continue
                self.link.up()
                pauses = full_jitter()
                if is_complete:  # not all gateways of a chain at once
                    await asyncio.sleep(self._place.interval_s * random.uniform(0.9, 1.1))  # noqa: S311

    async def _ask(self, client: httpx.AsyncClient) -> tuple[bytes | None, float]:
        """The next page, None when nothing is new; and when it was asked for. RefusedPageError."""
        import httpx  # noqa: PLC0415

        cursor = self._feed.cursor
        url = httpx.URL(self._place.url)
        if cursor is not None:
            url = url.copy_set_param("after", cursor)
        asked_s = self._clock()
        async with client.stream("GET", url, headers=self._headers(cursor)) as response:
            if response.status_code == httpx.codes.NOT_MODIFIED and self._etag is not None:
                return None, asked_s
            if response.status_code != httpx.codes.OK:
                raise self._refusal(response, cursor)
            body = await _bounded(response)
            self._remember(cursor, response.headers.get("etag"))
            return body, asked_s

    def _headers(self, cursor: str | None) -> dict[str, str]:
        # Compressed, a small answer could be a big one.
        headers = {"accept": "application/json", "accept-encoding": "identity"}
        if self._place.token is not None:
            headers["authorization"] = f"Bearer {self._place.token()}"
        if self._etag is not None and self._etag[0] == cursor:
            headers["if-none-match"] = self._etag[1]
        else:
            self._etag = None
        return headers

    def _remember(self, cursor: str | None, etag: str | None) -> None:
        is_usable = etag is not None and etag.isascii() and len(etag) <= MAX_ETAG_CHARS
        self._etag = (cursor, etag) if cursor is not None and etag is not None and is_usable else None

    async def _absorb(self, body: bytes | None, asked_s: float) -> bool:
        """Hand everything on; whether nothing more follows for now. PageError."""
        feed = self._feed
        if body is None:
            self._tell([feed.confirm(asked_s, self._clock())])
            return True
        try:
            page = feed.read(body)
            for records in feed.records(page):
                self._tell([ConsentSignal(self._clock(), records)])
                while self._lanes.control_waiting > AHEAD:  # noqa: ASYNC110 - the lane does not tell
                    await asyncio.sleep(BREATH_S)
                await asyncio.sleep(0)
            was_at = feed.cursor
            self._tell(feed.finish(page, asked_s, self._clock()))
        except PageError:
            self._etag = None
            raise
        if page.cursor != was_at or not page.complete:
            self._etag = None  # it was another question's
        return page.complete

    def _refusal(self, response: httpx.Response, cursor: str | None) -> RefusedPageError:
        status = response.status_code
        if cursor is not None and status in CURSOR_UNKNOWN:
            self._feed.start_again()
            return RefusedPageError(f"HTTP {status}: the cursor is unknown, reading all of them again")
        if 300 <= status < 400:
            return RefusedPageError(f"HTTP {status}: redirects are not followed; give the address itself")
        if status in (401, 403):
            return RefusedPageError(f"HTTP {status}: token or client certificate refused")
        return RefusedPageError(f"HTTP {status}", retry_after_s(response.headers.get("retry-after")))

    def _tell(self, signals: Iterable[Signal]) -> None:
        for signal in signals:
            self._lanes.control(signal)


async def _bounded(response: httpx.Response) -> bytes:
    """The body as it came over the wire. RefusedPageError above the limit, before it is in memory."""
    too_big = RefusedPageError(f"a page has more than {MAX_PAGE_BYTES >> 20} MiB; send smaller ones")
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise RefusedPageError("the answer is compressed, which was not asked for")
    if int(response.headers.get("content-length", "0")) > MAX_PAGE_BYTES:  # httpx has checked its form
        raise too_big
    body = bytearray()
    async for chunk in response.aiter_raw():
        if len(body) + len(chunk) > MAX_PAGE_BYTES:
            raise too_big
        body += chunk
    return bytes(body)


def _words(error: BaseException) -> str:
    if isinstance(error, PageError | RefusedPageError | SecretUnusableError):
        return str(error)
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
