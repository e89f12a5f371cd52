"""Recipients behind HTTP: events as batches of CloudEvents, whose answer is the acknowledgement.

CloudEvents 1.0.2, HTTP protocol binding §3.3 (batched content mode). Each webhook has its own connection.
It does not try again by itself: the courier does, and asks the consents again before.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NoReturn

from msgspec import Struct

from gateway import __version__
from gateway.credentials import SecretUnusableError
from gateway.errors import NotConnectedError, RefusedError, TooLargeError
from gateway.https import Tls, Visits
from gateway.links import SLOWEST_S, SLOWLY_S, Link, discard_unsent, retry_after_s, slow_jitter
from gateway.sinks import Delivery, cloudevents
from gateway.sinks.signing import signed_headers

if TYPE_CHECKING:
    import httpx

CONTENT_TYPE: Final = "application/cloudevents-batch+json"
MAX_BATCH: Final = 100
MAX_BATCH_BYTES: Final = 256 * 1024
MAX_ANSWER_BYTES: Final = 64 * 1024
"""Of an answer that is read, and thrown away, for the sake of the connection."""
CONNECT_S: Final = 10.0
ANSWER_S = 30.0
"""For one batch altogether, from the connection to the answer."""
AGAIN: Final = frozenset({408, 425, 429})

_REASONS: Final = {
    400: "the partner does not understand it",
    401: "the partner does not accept the signature or the client certificate",
    403: "the partner does not accept the signature or the client certificate",
    404: "there is nothing at this address",
    410: "the partner says that this address is gone for good; take the recipient out, or give it a new one",
    413: "one event is too large for the partner",
    415: "the partner does not take application/cloudevents-batch+json",
}


class Partner(Struct, frozen=True):
    """Where events are posted, and how they are signed."""

    recipient: str
    url: str
    tls: Tls
    keys: Callable[[], list[bytes]]
    """Read for each batch, so that they can be changed; SecretUnusableError."""


class _Waiting(Struct, frozen=True):
    id: str
    body: bytes
    confirmed: asyncio.Future[None]


class WebhookSink:
    """One recipient's address. Work is done by `run`; `send` waits for its answer."""

    def __init__(self, partner: Partner, source: str) -> None:
        self.link = Link(f"webhook {partner.recipient}")
        self._partner = partner
        self._source = source
        self._waiting: list[_Waiting] = []
        self._wanted = asyncio.Event()
        self._most = MAX_BATCH
        self._posting: asyncio.Task[None] | None = None
        self._sockets: list[Any] = []
        self._not_before_s = 0.0
        self._pauses = slow_jitter(SLOWLY_S, SLOWEST_S)

    async def run(self) -> NoReturn:
        async with Visits(self._partner.tls, silence_s=ANSWER_S, connect_s=CONNECT_S) as visits:
            while True:
                await self._wanted.wait()
                batch = self._next_batch()
                if not batch:
                    self._wanted.clear()
                    continue
                self._posting = asyncio.create_task(self._post(visits, batch))
                try:
                    await asyncio.wait({self._posting})
                finally:
                    self._posting.cancel()
                self._answer(batch, self._posting)

    async def ready(self) -> int:
        """There is no connection to wait for, only the moment before which the partner is left in peace."""
        await asyncio.sleep(max(0.0, self._not_before_s - time.monotonic()))
        return 1

    async def send(self, delivery: Delivery) -> None:
        confirmed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        body = cloudevents.encode(delivery, self._source, self._partner.recipient)
        self._waiting.append(_Waiting(delivery.content.id, body, confirmed))
        self._wanted.set()
        await confirmed

    def drop(self) -> None:
        """Whatever waits or is under way is not sent; the kernel throws away what it has not sent yet."""
        waiting, self._waiting = self._waiting, []
        _fail(waiting, NotConnectedError("broken on purpose, for a withdrawal"))
        if self._posting is None or self._posting.done():
            return
        for opened in self._sockets:
            discard_unsent(opened)
        self._posting.cancel()

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        size = 0
        while self._waiting and len(batch) < self._most:
            size += len(self._waiting[0].body)
            if batch and size > MAX_BATCH_BYTES:
                break
            batch.append(self._waiting.pop(0))
        return [waiting for waiting in batch if not waiting.confirmed.done()]

    async def _post(self, visits: Visits, batch: Sequence[_Waiting]) -> None:
        """Returns when the partner has them. NotConnectedError or RefusedError when it has not."""
        body = b"[" + b",".join(waiting.body for waiting in batch) + b"]"
        same = hashlib.sha256("\n".join(waiting.id for waiting in batch).encode()).hexdigest()[:32]
        headers = signed_headers(self._partner.keys(), same, int(time.time()), body)
        headers |= {
            "content-type": CONTENT_TYPE,
            "accept-encoding": "identity",
            "user-agent": f"presence-gateway/{__version__}",
        }
        client = await visits.client()
        async with (
            asyncio.timeout(ANSWER_S),
            client.stream(
                "POST", self._partner.url, content=body, headers=headers, extensions={"trace": self._traced}
            ) as response,
        ):
            if not response.is_success:
                raise self._refusal(response, len(batch))
            read = 0
            async for chunk in response.aiter_raw():
                read += len(chunk)
                if read > MAX_ANSWER_BYTES:
                    return

    async def _traced(self, event: str, info: dict[str, Any]) -> None:
        """httpcore's word of what it does: where the socket is."""
        if event == "connection.connect_tcp.complete":
            self._sockets = [info["return_value"].get_extra_info("socket")]

    def _refusal(self, response: httpx.Response, events: int) -> NotConnectedError | RefusedError:
        status = response.status_code
        if status == 413 and events == 1:
            return TooLargeError(f"HTTP 413: {_REASONS[413]}")
        if status == 413 and events > 1:
            self._most = max(1, events // 2)
            return NotConnectedError(f"HTTP 413: {events} events are too large, {self._most} are tried")
        if status in AGAIN or status >= 500:
            self._leave_in_peace(retry_after_s(response.headers.get("retry-after")))
            return NotConnectedError(f"HTTP {status}")
        if 300 <= status < 400:
            return RefusedError(f"HTTP {status}: redirects are not followed; give the address itself")
        return RefusedError(f"HTTP {status}: {_REASONS.get(status, 'the partner refuses it')}")

    def _leave_in_peace(self, pause_s: float) -> None:
        self._not_before_s = time.monotonic() + pause_s

    def _answer(self, batch: Sequence[_Waiting], posting: asyncio.Task[None]) -> None:
        """Tells whoever waits what came of it."""
        if posting.cancelled():
            _fail(batch, NotConnectedError("broken on purpose, for a withdrawal"))
            return
        error = posting.exception()
        if error is None:
            self.link.up()
            self._pauses = slow_jitter(SLOWLY_S, SLOWEST_S)
            for waiting in batch:
                if not waiting.confirmed.done():
                    waiting.confirmed.set_result(None)
            return
        said = error if isinstance(error, NotConnectedError | RefusedError) else _in_words(error)
        rest, self._waiting = self._waiting, []  # behind one that failed: they come again in their order
        if isinstance(said, TooLargeError):  # it is not kept, the next may well fit
            self._most = MAX_BATCH
            _fail(batch, said)
            _fail(rest, NotConnectedError(str(said)))
            return
        if isinstance(said, RefusedError):
            self._leave_in_peace(next(self._pauses))
        self.link.down(f"{said}; kept and tried again")
        _fail([*batch, *rest], said)


def _in_words(error: BaseException) -> NotConnectedError | RefusedError:
    """Of what can go wrong on the way; anything else is raised."""
    import httpx  # noqa: PLC0415

    if isinstance(error, SecretUnusableError):
        return RefusedError(str(error))
    if isinstance(error, TimeoutError):
        return NotConnectedError(f"no answer within {ANSWER_S:g} s")
    if isinstance(error, httpx.HTTPError):
        return NotConnectedError(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
    raise error


def _fail(batch: Sequence[_Waiting], error: NotConnectedError | RefusedError) -> None:
    for waiting in batch:
        if not waiting.confirmed.done():
            waiting.confirmed.set_exception(error)
