"""The whole plan: floors, what lies outside, and what the signs mean."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.drawing.floors import RIGHT_PX, WIDTH_PX, floor_panels, unplaced
from gateway.drawing.labels import width_px
from gateway.drawing.marks import LEFT_PX, diamond, triangle
from gateway.drawing.outside import outside_panels
from gateway.drawing.sheet import Panel, escaped, number, path, tag
from gateway.drawing.style import STYLE
from gateway.drawing.words import ENGLISH, PlanWords
from gateway.model import SiteMap

ROW_PX = 22.0


def panels(site: SiteMap, words: PlanWords = ENGLISH) -> list[Panel]:
    """Floors first, then what lies outside, then the signs."""
    outside, left_out = outside_panels(site, words)
    return [*floor_panels(site), *outside, _legend(site, words, left_out)]


def plan(site: SiteMap, words: PlanWords = ENGLISH) -> str:
    """One SVG document with its own style, for light and dark."""
    drawn = panels(site, words)
    body, y = "", 0.0
    for panel in drawn:
        body += tag("g", panel.body, transform=f"translate(0 {number(y)})")
        y += panel.height_px
    sheet = Panel(site.name or site.site, WIDTH_PX, y, body)
    return sheet.svg(label=site.name or site.site, style=STYLE) + "\n"


def _legend(site: SiteMap, words: PlanWords, left_out: int) -> Panel:
    kinds = list(dict.fromkeys(place.kind for place in site.zones if place.polygon or place.at))
    fences = list(dict.fromkeys(fence.kind for fence in site.fences))
    signs = [(_swatch(kind), words.kinds[kind]) for kind in kinds]
    signs += [(_swatch(f"fence {kind}"), words.kinds[kind]) for kind in fences]
    if any(zone.part_of for zone in site.zones):
        signs.append(('<rect class="parent" x="1" y="-8" width="16" height="11"/>', words.parent))
    if site.receivers:
        signs.append((tag("path", class_="receiver", d=path([triangle((9, -3))])), words.receiver))
    if site.beacons:
        signs.append((tag("path", class_="beacon", d=path([diamond((9, -3))])), words.beacon))
    body, y = _rows(signs)
    for line in _remarks(site, words, left_out):
        y += ROW_PX
        body += tag("text", escaped(line), class_="small", font_size=11.0, x=LEFT_PX, y=y)
    height_px = y + 14
    return Panel(
        "", WIDTH_PX, height_px, tag("rect", class_="ground", width=WIDTH_PX, height=height_px) + body
    )


def _rows(signs: Sequence[tuple[str, str]]) -> tuple[str, float]:
    """The signs from left to right, in as many rows as they need, and where the last one stands."""
    body, x, y = "", LEFT_PX, 18.0
    for sign, said in signs:
        wide = 26 + width_px(said, 12.0) + 14
        if x + wide > WIDTH_PX - RIGHT_PX and x > LEFT_PX:
            x, y = LEFT_PX, y + ROW_PX
        body += tag("g", sign + tag("text", escaped(said), class_="small", font_size=11.0, x=24, y=0),
                    transform=f"translate({number(x)} {number(y)})")  # fmt: skip
        x += wide
    return body, y


def _remarks(site: SiteMap, words: PlanWords, left_out: int) -> list[str]:
    lines = []
    if names := unplaced(site):
        listed = f"{words.unplaced}: {', '.join(names)}"
        lines.append(listed if len(listed) <= 130 else listed[:129] + "…")
    if left_out:
        lines.append(words.more.format(n=left_out))
    return lines


def _swatch(kind: str) -> str:
    return tag("rect", class_=f"zone {kind}", x=1, y=-8, width=16, height=11)
