"""A consent feed over HTTP as a pure object (DESIGN §6.3): pages in, signals out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec import Struct

from gateway.consent.feed import ROOM, FeedSignal
from gateway.consent.holding import MAX_BYTES, MAX_RECORDS
from gateway.consent.payloads import denials, open_record, read_again
from gateway.consent.signature import Signers
from gateway.counts import Counts
from gateway.errors import GatewayError
from gateway.model import ConsentSignal, FeedState

MAX_PAGE_BYTES: Final = 16 << 20
MAX_CURSOR_CHARS: Final = 1024
CHUNK: Final = 50
"""Records in one signal: the pipeline takes no break within one."""


class PageError(GatewayError):
    """A page that cannot be used, in words for an operator; nothing of it was believed."""


class Page(Struct, frozen=True):
    records: list[msgspec.Raw]
    cursor: str
    complete: bool
    """Nothing more follows for now."""


class PagedFeed:
    """Nothing is raised on bad records: they are counted in room `consent_feed` as those over MQTT are.

    Records act as they come. What was read from the beginning to a complete page is all there is: who is
    enrolled and not in it is enrolled no longer.
    """

    def __init__(self, site: str, counts: Counts, signers: Signers | None = None) -> None:
        self.address = f"consent/v1/{site}/"
        self.cursor: str | None = None
        """Where to go on; None: from the beginning."""
        self._counts = counts
        self._signers = signers
        self._enrolled: set[str] = set()
        """Every subject that was handed on and not erased since."""
        self._fresh: dict[str, bool] | None = {}
        """Those since the beginning; None: what comes now is only what has changed."""
        self._payloads: list[tuple[bytes, bool]] = []
        """Records since the beginning, should they have to be handed on as a whole; True: has a fault."""
        self._bytes = 0
        self._is_full = False
        self._has_denied = False
        """Denials were handed on that only a set told as a whole can take back."""

    def start(self, t_s: float) -> FeedState:
        """Before anything came: nothing can be believed."""
        return FeedState(t_s, None, "never_confirmed")

    def start_again(self) -> None:
        """The cursor is of no use any more: read from the beginning."""
        self.cursor = None
        self._fresh, self._payloads, self._bytes, self._is_full = {}, [], 0, False

    def read(self, body: bytes) -> Page:
        """PageError for anything but a page that leads on."""
        try:
            page = msgspec.json.decode(body, type=Page)
        except (msgspec.DecodeError, ValueError, RecursionError):
            self._count("page_broken")
            raise PageError("what came is no page {records, cursor, complete}") from None
        if len(page.cursor) > MAX_CURSOR_CHARS:
            self._count("page_broken")
            raise PageError(f"its cursor has more than {MAX_CURSOR_CHARS} characters")
        if not page.complete and not page.records and page.cursor == self.cursor:
            self._count("page_stuck")
            raise PageError("its pages lead nowhere: nothing in it, not complete, and the same cursor")
        return page

    def records(self, page: Page) -> Iterator[tuple[Any, ...]]:
        """What the page hands on, in the order in which it stands there; of unusable records their denial.

        PageError behind them when one was among the changes: whose record it was, and when it counts no
        longer, can only be told by reading everything again.
        """
        chunk: list[Any] = []
        for raw in page.records:
            chunk += self._take(bytes(raw))
            if len(chunk) >= CHUNK:
                yield tuple(chunk)
                chunk = []
        if chunk:
            yield tuple(chunk)
        if self._has_denied and self._fresh is None:
            self.start_again()
            raise PageError("a changed record cannot be used: reading all of them again")

    def finish(self, page: Page, asked_s: float, t_s: float) -> list[FeedSignal]:
        """All records of the page are handed on; `asked_s`: when it was asked for.

        PageError when there are more to come than a gateway holds.
        """
        if self._is_full and not page.complete:
            raise PageError("there are more records than a gateway holds")
        self.cursor = page.cursor
        if not page.complete:
            return []
        told: list[FeedSignal] = []
        if self._fresh is not None:
            gone = self._enrolled - self._fresh.keys()
            if gone or self._has_denied:
                self._count("complete")
                told.append(ConsentSignal(t_s, tuple(self._all_records()), complete=True))
            self._enrolled = {subject for subject, enrols in self._fresh.items() if enrols}
            self._fresh, self._payloads, self._has_denied = None, [], False
        return [*told, self.confirm(asked_s, t_s)]

    def confirm(self, asked_s: float, t_s: float) -> FeedState:
        """The server says that there is nothing more than what is held."""
        if self._is_full:
            return FeedState(t_s, None, "unmatched")
        self._count("matched")
        return FeedState(t_s, min(asked_s, t_s))

    def _take(self, payload: bytes) -> list[Any]:
        opened = open_record(payload, self.address, None, self._signers)
        told = denials(opened) if opened.fault else [opened.value]
        is_erasure = not opened.fault and opened.value.get("erased") is True
        if not opened.fault and not self._has_room(opened.subjects[0], len(payload), is_erasure=is_erasure):
            self._is_full = True
            self._count("too_many")
            return []
        self._count(opened.fault or "record")
        self._has_denied = self._has_denied or bool(opened.fault)
        if self._fresh is not None and told:
            self._payloads.append((payload, bool(opened.fault)))
            self._bytes += len(payload)
        for subject in () if opened.fault else opened.subjects:
            (self._enrolled.discard if is_erasure else self._enrolled.add)(subject)
            if self._fresh is not None:
                self._fresh[subject] = not is_erasure
        return told

    def _has_room(self, subject: str, size: int, *, is_erasure: bool) -> bool:
        if self._fresh is None:
            return is_erasure or subject in self._enrolled or len(self._enrolled) < MAX_RECORDS
        return len(self._payloads) < MAX_RECORDS and self._bytes + size <= MAX_BYTES

    def _all_records(self) -> Iterator[Any]:
        for payload, is_faulty in self._payloads:
            if is_faulty:
                yield from denials(open_record(payload, self.address, None, self._signers))
            else:
                yield read_again(payload)

    def _count(self, outcome: str) -> None:
        self._counts.count(ROOM, outcome)
