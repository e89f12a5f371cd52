"""The page as HTML: whole, and in the parts that change. Every value is escaped, and nobody is named."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from importlib.resources import files
from string import Template
from typing import Final
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from gateway.assembly import zone_facts
from gateway.consent.board import Line
from gateway.consent.records import MAX_REFERENCE
from gateway.drawing import PLAN_WORDS, Panel, escaped, panels
from gateway.model import SiteMap
from gateway.status.health import unready
from gateway.status.vitals import Reloaded, Vitals
from gateway.translation.language import Language
from gateway.translation.sentences import translated

Words = Mapping[str, str]
NOW_S: Final = 15.0
"""What was heard within so long was heard now: else the page would change every second."""
SECTIONS: Final = ("zones", "ticker", "links", "receivers", "queues", "calibration", "reload")
SCROLLING: Final = frozenset(["receivers"])
"""As long as a store is large: by keyboard too."""
_DOCUMENT: Final = Template(files("gateway.status").joinpath("page.html").read_text("utf-8"))


class Sheet:
    """The parts of the page that a map determines, drawn once."""

    def __init__(self, site: SiteMap, words: Words, *, is_shown: bool, has_journeys: bool) -> None:
        self.site = site
        self.words = words
        self.is_shown = is_shown
        """Whether the settings name a purpose for which somebody may be counted here."""
        self.has_journeys = has_journeys
        self.facts = zone_facts(site)
        self.pictures = "".join(_figure(panel) for panel in panels(site, PLAN_WORDS[words["lang"]]))
        self.zone = ZoneInfo(site.timezone)

    def name(self, zone: str) -> str:
        """The id of one that the map does not have any more."""
        return self.facts.get(zone, ("", zone))[1]

    def time(self, t_s: float) -> str:
        """On the store's clock."""
        return datetime.fromtimestamp(t_s, self.zone).strftime("%H:%M:%S")


def parts(vitals: Vitals, sheet: Sheet) -> dict[str, str]:
    """What changes, by the id of the element that holds it."""
    words = sheet.words
    return {
        "state": _state(vitals, words),
        "zones": _zones(vitals, sheet),
        "ticker": _ticker(vitals.ticker, sheet),
        "links": _links(vitals, words),
        "receivers": _receivers(vitals, words),
        "queues": _queues(vitals, words),
        "calibration": _calibration(vitals, sheet),
        "reload": _reload(vitals, sheet),
    }


def journey(lines: Sequence[Line], sheet: Sheet) -> str:
    """One subject's way, oldest first; the reference is not repeated."""
    if not lines:
        return _p(sheet.words["journey_none"])
    return f"<ol>{''.join(_line(line, sheet) for line in lines)}</ol>"


def page(vitals: Vitals, sheet: Sheet, version: str) -> str:
    """The whole document; without a script it is read again every ten seconds."""
    w, now = sheet.words, parts(vitals, sheet)
    listed = "".join(_section(key, now[key], w) for key in SECTIONS)
    said = {key: escaped(text) for key, text in w.items()} | {
        "name": escaped(sheet.site.name or sheet.site.site),
        "state": now["state"],
        "pictures": sheet.pictures,
        "sections": listed,
        "asking": _form(w) if sheet.has_journeys else _p(w["journey_off"]),
        "version": escaped(version),
    }
    return _DOCUMENT.substitute(said)


def _figure(panel: Panel) -> str:
    return panel.svg(label=panel.title) if panel.title else panel.svg(label="").replace(' role="img"', "")


def _section(key: str, content: str, w: Words) -> str:
    scrolls = f' tabindex="0" role="group" aria-labelledby="h-{key}"' if key in SCROLLING else ""
    return (
        f'<section aria-labelledby="h-{key}"><h2 id="h-{key}">{escaped(w[key])}</h2>'
        f'<div id="{key}"{scrolls}>{content}</div></section>'
    )


def _form(w: Words) -> str:
    return (
        f'<form id="ask" method="post" action="/journey?lang={w["lang"]}" autocomplete="off">'
        f'<p>{escaped(w["journey_hint"])}</p><label for="subject">{escaped(w["reference"])}</label> '
        f'<input id="subject" name="subject" required maxlength="{MAX_REFERENCE}" autocapitalize="none"> '
        f"<button>{escaped(w['show'])}</button></form>"
    )


def _p(text: str, kind: str = "") -> str:
    return f'<p class="{kind}">{escaped(text)}</p>' if kind else f"<p>{escaped(text)}</p>"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Cells are HTML."""
    head = "".join(f'<th scope="col">{escaped(text)}</th>' for text in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _mark(is_fine: bool, text: str) -> str:
    """Said in words and by a sign, not by colour alone."""
    return f'<span class="{"fine" if is_fine else "bad"}">{"●" if is_fine else "▲"} {escaped(text)}</span>'


def why_unready(vitals: Vitals, w: Words) -> list[str]:
    """In words; empty: it is ready."""
    about = {"consent": f" ({vitals.doubt})"}
    return [w[f"because_{reason}"] + about.get(reason, "") for reason in unready(vitals)]


def _state(vitals: Vitals, w: Words) -> str:
    """What keeps it from its work; else what somebody should look at: what waits is not lost."""
    if reasons := why_unready(vitals, w):
        return _mark(False, f"{w['unready']} {'; '.join(reasons)}.")
    doubts = {
        "links": any(state != "up" for _, state, _ in vitals.links),
        "receivers": any(receiver.is_dead for receiver in vitals.receivers),
        "reload": vitals.reload.has_failed,
    }
    places = [f'<a href="#h-{key}">{escaped(w[key])}</a>' for key, holds in doubts.items() if holds]
    return f"{_mark(False, w['look'])} {', '.join(places)}" if places else _mark(True, w["ready"])


def _zones(vitals: Vitals, sheet: Sheet) -> str:
    w = sheet.words
    if not sheet.is_shown:
        return _p(w["not_shown"])
    if not vitals.counts:
        return _p(w["nobody"])
    kinds = PLAN_WORDS[w["lang"]].kinds
    rows = [
        (escaped(name), escaped(kinds[kind]), str(vitals.counts[zone]))
        for zone, (kind, name) in sheet.facts.items()
        if zone in vitals.counts
    ]
    return _table((w["zone"], w["kind"], w["here"]), rows)


def _ticker(lines: Sequence[Line], sheet: Sheet) -> str:
    if not lines:
        return _p(sheet.words["nothing"] if sheet.is_shown else sheet.words["not_shown"])
    return f"<ol>{''.join(_line(line, sheet) for line in lines)}</ol>"


def _line(line: Line, sheet: Sheet) -> str:
    w = sheet.words
    span = w.get(f"{line.change}_for", "").format(span=_span(line.dwell_s))
    said = f"{w[line.change]} {span}".rstrip()
    name = sheet.name(line.zone)
    return f"<li><time>{sheet.time(line.t_s)}</time> <b>{escaped(name)}</b> {escaped(said)}</li>"


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _links(vitals: Vitals, w: Words) -> str:
    rows = [
        (escaped(_called(name, w)), _mark(state == "up", w[state]), escaped(detail))
        for name, state, detail in vitals.links
    ]
    return _table((w["name"], w["state"], w["detail"]), rows)


def _called(link: str, w: Words) -> str:
    """What a link is for, in the reader's language, and its name in the settings."""
    what, space, name = link.partition(" ")
    return w.get(what, what) + space + name


def _receivers(vitals: Vitals, w: Words) -> str:
    """The silent ones first."""
    rows = [
        (
            escaped(r.id),
            _mark(not r.is_dead, w["dead" if r.is_dead else "unheard" if r.heard_s is None else "alive"]),
            escaped(_heard(r.heard_s, vitals.t_s, w)),
        )
        for r in sorted(vitals.receivers, key=lambda r: not r.is_dead)
    ]
    return _table((w["receiver"], w["state"], w["heard"]), rows)


def _heard(heard_s: float | None, now_s: float, w: Words) -> str:
    if heard_s is None:
        return w["never"]
    ago_s = max(now_s - heard_s, 0.0)
    if ago_s < NOW_S:
        return w["ago_now"]
    if ago_s < 60:
        return w["ago_s"].format(n=int(ago_s // 15 * 15))
    return (
        w["ago_min"].format(n=int(ago_s // 60)) if ago_s < 5400 else w["ago_h"].format(n=int(ago_s // 3600))
    )


def _queues(vitals: Vitals, w: Words) -> str:
    waits = [(f"{w['recipient']} {name}", n) for name, n in sorted(vitals.queued.items())]
    waits += [(f"{w['lane']} {w.get(name, name)}", n) for name, n in vitals.lanes.items()]
    waits.append((w["disk"], vitals.uncommitted))
    return _table((w["queue"], w["waits"]), [(escaped(name), str(n)) for name, n in waits])


def _calibration(vitals: Vitals, sheet: Sheet) -> str:
    w, found = sheet.words, vitals.accuracy
    if found is None:
        return _p(w["no_calibration"])
    said = w["accuracy"].format(
        mean=f"{found.mean:.0%}",
        worst=f"{found.worst.accuracy:.0%}",
        zone=sheet.name(found.worst.zone),
        neighbour=sheet.name(found.worst.neighbour),
    )
    return _p(said) + (_p(w["outdated"], "bad") if found.is_outdated else "")


def _reload(vitals: Vitals, sheet: Sheet) -> str:
    w = sheet.words
    at, found = sheet.time(vitals.reload.at_s), vitals.reload
    key, kind = ("reload_failed", "bad") if found.has_failed else ("reload_fine", "")
    said = _p(w[key].format(at=at), kind) + _listed([*_problems(found, w), *found.refused])
    return said + (_p(w["waiting"]) + _listed(found.waiting) if found.waiting else "")


def _problems(found: Reloaded, w: Words) -> Iterator[str]:
    language: Language = "de" if w["lang"] == "de" else "en"
    return (str(replace(problem, text=translated(problem.text, language))) for problem in found.problems)


def _listed(lines: Sequence[str]) -> str:
    return (
        f"<ul>{''.join(f'<li><code>{escaped(line)}</code></li>' for line in lines[:20])}</ul>"
        if lines
        else ""
    )
