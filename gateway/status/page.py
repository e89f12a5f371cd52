"""Which path gives what: the page, its stream, one journey, metrics and health."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from importlib.resources import files
from typing import Any, Final

import msgspec

from gateway.consent.board import Line
from gateway.consent.records import is_reference
from gateway.drawing import STYLE
from gateway.status import metrics, render
from gateway.status.http import Answer, Asked, Gate
from gateway.status.vitals import Lookout, Vitals
from gateway.status.words import ENGLISH, WORDS, language_of

STREAM_S: Final = 1.0
BEAT_S: Final = 15.0
"""A stream in which nothing changes says so, that both ends know of each other."""
HTML: Final = "text/html; charset=utf-8"
_ICON: Final = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">'
    b'<circle cx="8" cy="8" r="7" fill="#0b57d0"/>'
    b'<circle cx="8" cy="8" r="3" fill="#fff"/></svg>'
)

Journey = Callable[[str], Awaitable[Sequence[Line]]]


class Page:
    """`serve` answers one request. `journey` asks the desk, which tells the audit log."""

    def __init__(self, lookout: Lookout, gate: Gate, journey: Journey) -> None:
        self._lookout = lookout
        self._gate = gate
        self._journey = journey
        self._is_shown = lookout.assembly.settings.page.shows is not None
        self._has_journeys = gate.token is not None and self._is_shown
        self._sheets: dict[str, render.Sheet] = {}
        static = files("gateway.status")
        style = static.joinpath("page.css").read_text("utf-8") + STYLE
        self._files = {
            "/page.css": Answer(200, style.encode(), "text/css; charset=utf-8"),
            "/page.js": Answer(
                200, static.joinpath("page.js").read_bytes(), "text/javascript; charset=utf-8"
            ),
            "/icon.svg": Answer(200, _ICON, "image/svg+xml"),
        }
        self._newest: tuple[float, Vitals] | None = None

    async def serve(self, asked: Asked) -> Answer:
        if asked.path == "/journey" and asked.method == "POST":
            return await self._asked_journey(asked)
        if asked.method not in ("GET", "HEAD"):
            return Answer(405, b"Only GET here.\n", headers={"allow": "GET, HEAD"})
        if asked.path in self._files:
            return self._files[asked.path]
        match asked.path:
            case "/":
                sheet = await self._sheet(asked)
                said = render.page(await self._recent(), sheet, self._version(sheet))
                return Answer(200, said.encode(), HTML)
            case "/events":
                return Answer(200, content_type="text/event-stream", stream=self._stream(asked))
            case "/metrics":
                said_bytes = metrics.exposition(self._lookout, await self._recent())
                return Answer(200, said_bytes, metrics.CONTENT_TYPE)
            case "/healthz":
                stalled = self._lookout.is_stalled
                return Answer(503, b"stalled\n") if stalled else Answer(200, b"ok\n")
            case "/readyz":
                return self._ready(render.why_unready(await self._recent(), ENGLISH), asked)
            case _:
                return Answer(404, b"There is nothing here.\n")

    def _ready(self, reasons: list[str], asked: Asked) -> Answer:
        """Why not is for those who may see the page."""
        if not reasons:
            return Answer(200, b"ready\n")
        told = ": " + "; ".join(reasons) if self._gate.admits(asked) else ""
        return Answer(503, f"not ready{told}\n".encode())

    async def _asked_journey(self, asked: Asked) -> Answer:
        subject = asked.form.get("subject", "").strip()
        if not self._has_journeys:
            return Answer(404, b"There is nothing here.\n")
        if not is_reference(subject):
            return Answer(400, b"Which reference?\n")
        lines, sheet = await self._journey(subject), await self._sheet(asked)
        return Answer(200, render.journey(lines, sheet).encode(), HTML)

    async def _stream(self, asked: Asked) -> AsyncIterator[bytes]:
        """Server-sent events: what has changed since the last one, every second; ends with another map."""
        sheet = await self._sheet(asked)
        before: dict[str, Any] = {}
        quiet_s = 0.0
        while True:
            if sheet.site is not self._lookout.assembly.site:
                yield b"event: map\ndata: another\n\n"
                return
            vitals = await self._recent()
            now: dict[str, Any] = {
                "parts": render.parts(vitals, sheet),
                "counts": vitals.counts,
                "dead": sorted(r.id for r in vitals.receivers if r.is_dead),
            }
            changed = _changed(before, now)
            before = now
            quiet_s = 0.0 if changed else quiet_s + STREAM_S
            if changed:
                yield b"data: " + msgspec.json.encode(changed) + b"\n\n"
            elif quiet_s >= BEAT_S:
                quiet_s = 0.0
                yield b": nothing new\n\n"
            await asyncio.sleep(STREAM_S)

    async def _recent(self) -> Vitals:
        """One look for all readers of this half second."""
        now = asyncio.get_running_loop().time()
        if self._newest is None or now - self._newest[0] >= STREAM_S / 2:
            self._newest = (now, await self._lookout.look())
        return self._newest[1]

    async def _sheet(self, asked: Asked) -> render.Sheet:
        """Drawn anew when the map has changed, beside the event loop: a large map takes a while."""
        wanted = language_of(asked.query.get("lang"), asked.headers.get("accept-language", ""))
        site, sheet = self._lookout.assembly.site, self._sheets.get(wanted)
        if sheet is None or sheet.site is not site:
            sheet = self._sheets[wanted] = await asyncio.to_thread(
                render.Sheet, site, WORDS[wanted], is_shown=self._is_shown, has_journeys=self._has_journeys
            )
        return sheet

    def _version(self, sheet: render.Sheet) -> str:
        return sheet.words["version"].format(version=self._lookout.version, core=self._lookout.core_form)


def _changed(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """Of `parts` only those that differ; of the others all, where they differ."""
    changed: dict[str, Any] = {key: value for key, value in now.items() if before.get(key) != value}
    if "parts" in changed:
        old = before.get("parts", {})
        changed["parts"] = {key: text for key, text in now["parts"].items() if old.get(key) != text}
    return changed
