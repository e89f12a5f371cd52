"""The status page in a headless Chromium, with a real gateway behind it: what somebody sees, on a desk and on a phone.

Run by scripts/test-page; without Chromium or Playwright skipped, and tests/test_daemon_page.py asks the same page over HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from daemons import Place, sender
from test_daemon_page import (
    ENROLLED,  # noqa: F401 - the fixture `place` reads it
    TOKEN,
    Pages,
    both_park_and_shop,
    offered,
)

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

FIRST_PAINT_S = 1.0
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]"
DESK, PHONE = (1280, 900), (390, 844)


@pytest.fixture
def playwright() -> Any:
    if CHROMIUM is None:
        pytest.skip("no chromium here: scripts/test-page installs it")
    return pytest.importorskip(
        "playwright.async_api", reason="no playwright here: scripts/test-page installs it"
    )


@contextlib.asynccontextmanager
async def browser(playwright: Any) -> AsyncIterator[Any]:
    async with playwright.async_playwright() as engine:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        chromium = await engine.chromium.launch(executable_path=CHROMIUM, args=arguments)
        try:
            yield chromium
        finally:
            await chromium.close()


@contextlib.asynccontextmanager
async def opened(
    chromium: Any, pages: Pages, size: tuple[int, int] = DESK, *, dark: bool = False, locale: str = "en-GB",
    script: bool = True,
) -> AsyncIterator[Any]:  # fmt: skip
    """The page as opened anew; what its console says or its script breaks on fails the test."""
    context = await chromium.new_context(
        viewport={"width": size[0], "height": size[1]}, locale=locale, java_script_enabled=script,
        color_scheme="dark" if dark else "light", http_credentials={"username": "x", "password": TOKEN},
    )  # fmt: skip
    said: list[str] = []
    page = await context.new_page()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    foreign: list[str] = []
    page.on(
        "request", lambda request: None if request.url.startswith(pages.url) else foreign.append(request.url)
    )
    await page.goto(pages.url + "/")
    yield page
    assert (said, foreign) == ([], [])
    await context.close()


@contextlib.asynccontextmanager
async def busy_gateway(place: Place) -> AsyncIterator[tuple[Any, Pages]]:
    """Anna and Ben are here; only Anna agreed to be shown."""
    async with offered(place) as pages, place.daemon() as daemon, sender(place) as s:
        await daemon.says("page: up")
        await daemon.ready()
        await both_park_and_shop(s)
        yield daemon, pages
        if daemon.process.returncode is None:
            await daemon.stop()


async def test_zones_light_up_and_a_journey_is_shown_by_keyboard_alone(place: Place, playwright: Any) -> None:
    async with (
        busy_gateway(place) as (_, pages),
        browser(playwright) as chromium,
        opened(chromium, pages) as page,
    ):
        await page.wait_for_selector('[data-zone="car-park"][data-lit="1"]', state="attached")
        assert await page.locator('[data-count="car-park"]').text_content() == " 1"
        await page.locator("#subject").focus()
        await page.keyboard.type("anna")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#journey li")
        assert "car-park" in await page.locator("#journey").inner_text()
        assert "anna" not in page.url
        reached = set()
        await page.evaluate("document.activeElement.blur()")
        for _ in range(8):
            await page.keyboard.press("Tab")
            reached.add(await page.evaluate("document.activeElement.id || document.activeElement.className"))
        assert {"skip", "plan", "subject"} <= reached


async def test_first_paint_within_a_second(place: Place, playwright: Any) -> None:
    async with busy_gateway(place) as (_, pages), browser(playwright) as chromium:
        took_s = []
        for _ in range(3):
            async with opened(chromium, pages) as page:
                async with asyncio.timeout(30):
                    # The page's policy forbids what Playwright waits with.
                    while (paint_ms := await page.evaluate(f"{PAINT}?.startTime")) is None:  # noqa: ASYNC110
                        await asyncio.sleep(0.05)
                took_s.append(paint_ms / 1000)
        print(f"first contentful paint: {min(took_s):.2f} to {max(took_s):.2f} s")
        assert min(took_s) < FIRST_PAINT_S


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize(("size", "name"), [(DESK, "desk"), (PHONE, "phone")], ids=["desk", "phone"])
async def test_nothing_is_cut_off_and_text_has_contrast(
    place: Place, playwright: Any, size: tuple[int, int], name: str, dark: bool
) -> None:
    async with (
        busy_gateway(place) as (_, pages),
        browser(playwright) as chromium,
        opened(chromium, pages, size, dark=dark, locale="de-DE") as page,
    ):
        await page.wait_for_selector('[data-zone="car-park"][data-lit]', state="attached")
        wide = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide[0] <= wide[1], "the page itself does not scroll sideways"
        assert await page.evaluate("document.documentElement.lang") == "de"
        assert await page.evaluate(CONTRASTS) == []
        if folder := os.environ.get("GATEWAY_SCREENSHOTS"):
            shot = Path(folder) / f"{name}-{'dark' if dark else 'light'}.png"
            await page.screenshot(path=shot, full_page=True)


CONTRASTS = """() => {
  const channels = (text) => text.match(/[\\d.]+/g).map(Number);
  const lightness = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const found = channels(getComputedStyle(e).backgroundColor);
      if (found.length < 4 || found[3] > 0) return found;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const element of document.querySelectorAll("h1,h2,p,td,th,li,a,label,button,time,b,span,input")) {
    if (!element.textContent.trim() || element.closest("[hidden]")) continue;
    const pair = [channels(getComputedStyle(element).color), ground(element)].map(lightness).sort();
    const ratio = (pair[1] + 0.05) / (pair[0] + 0.05);
    if (ratio < 4.5) poor.push(element.tagName + " " + element.textContent.slice(0, 30) + " " + ratio.toFixed(1));
  }
  return poor;
}"""
"""WCAG 2.2, success criterion 1.4.3: what has less than 4.5."""


async def test_everything_has_a_name_and_one_heading(place: Place, playwright: Any) -> None:
    async with (
        busy_gateway(place) as (_, pages),
        browser(playwright) as chromium,
        opened(chromium, pages) as page,
    ):
        assert await page.locator("h1").count() == 1
        nameless = await page.evaluate(
            "[...document.querySelectorAll('input,button,a,svg[role],section,[tabindex]')].filter((e) => "
            "!(e.textContent.trim() || e.getAttribute('aria-label') || e.getAttribute('aria-labelledby') "
            "|| document.querySelector(`label[for='${e.id}']`))).map((e) => e.outerHTML)"
        )
        assert nameless == []
        ids = await page.evaluate("[...document.querySelectorAll('[id]')].map((e) => e.id)")
        assert len(ids) == len(set(ids))


async def test_a_gateway_that_went_is_told_and_comes_back(place: Place, playwright: Any) -> None:
    async with busy_gateway(place) as (daemon, pages), browser(playwright) as chromium:
        context = await chromium.new_context(http_credentials={"username": "x", "password": TOKEN})
        page = await context.new_page()
        await page.goto(pages.url + "/")
        await page.wait_for_selector("#lost", state="hidden")
        daemon.process.send_signal(signal.SIGKILL)
        await page.wait_for_selector("#lost", state="visible")
        await daemon.process.wait()
        async with place.daemon() as again:
            await again.says("page: up")
            await page.wait_for_selector("#lost", state="hidden", timeout=20_000)
            await again.stop()
        await context.close()


async def test_it_is_read_without_a_script(place: Place, playwright: Any) -> None:
    async with (
        busy_gateway(place) as (_, pages),
        browser(playwright) as chromium,
        opened(chromium, pages, script=False) as page,
    ):
        assert "car-park" in await page.locator("#zones").inner_text()
        assert await page.locator("meta[http-equiv=refresh]").count() == 1


async def test_what_it_says_of_others_is_nothing(place: Place, playwright: Any) -> None:
    async with (
        busy_gateway(place) as (_, pages),
        browser(playwright) as chromium,
        opened(chromium, pages) as page,
    ):
        await page.wait_for_selector('[data-zone="car-park"][data-lit]', state="attached")
        await asyncio.sleep(1.5)
        assert re.findall("anna|ben|golf|polo", await page.content()) == []
        await page.fill("#subject", "ben")
        await page.click("button")
        await page.wait_for_selector("#journey p")
        assert await page.locator("#journey li").count() == 0


async def test_what_a_reload_refused_is_told_at_the_top_and_in_german(place: Place, playwright: Any) -> None:
    site = place.config / "site.yaml"
    async with (
        busy_gateway(place) as (daemon, pages),
        browser(playwright) as chromium,
        opened(chromium, pages, PHONE, dark=True, locale="de-DE") as page,
    ):
        assert await page.locator("#state").inner_text() == "● Alles läuft."
        site.write_text(site.read_text().replace("kind: shelf", "kind: shelve", 1))
        daemon.process.send_signal(signal.SIGHUP)
        await page.wait_for_selector("#state a[href='#h-reload']")
        assert await page.locator("#state").inner_text() == "▲ Läuft. Anzusehen: Zuletzt gelesen"
        told = await page.locator("#reload li").inner_text()
        assert "hier steht 'shelve'; ist shelf gemeint?" in told
        wide = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide[0] <= wide[1]
        inside = await page.evaluate(
            "(() => { const c = document.querySelector('#reload li').getBoundingClientRect(); "
            "return c.right <= innerWidth && c.left >= 0; })()"
        )
        assert inside, "the place of the mistake can be read whole"
        assert await page.evaluate(CONTRASTS) == []
        if folder := os.environ.get("GATEWAY_SCREENSHOTS"):
            await page.screenshot(path=Path(folder) / "phone-dark-refused.png", full_page=True)
