"""The radio figures as a report: Markdown, a confusion matrix and a timeline as SVG, nothing else needed."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from bench.accuracy.zones import CASES, Second, confusion, play, reliability, score

CELL, EDGE, ROW, SECOND = 34, 90, 46, 2
COLOURS = "4e79a7 f28e2b e15759 76b7b2 59a14f edc948 b07aa1 ff9da7 9c755f bab0ac 86bcb6 d37295 fabfd2".split()


def write(folder: Path) -> None:
    """`zones.md` and two pictures a case."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["# Radio zones on simulated stores", ""]
    judged: list[tuple[float, bool]] = []
    for number, (name, case) in enumerate(CASES.items(), 1):
        played = play(case)
        judged += played.judged
        lines += [f"## {name}", "", "| figure | value |", "|---|---|"]
        lines += [f"| {figure} | {value} |" for figure, value in score(played).items()]
        for kind, picture in (("confusion", matrix(played.seconds)), ("timeline", timeline(played.seconds))):
            path = folder / f"{kind}-{number}.svg"
            path.write_text(picture)
            lines += ["", f"![{kind}]({path.name})"]
        lines.append("")
    lines += ["## Reliability of the confidence", "", *reliability(judged), ""]
    (folder / "zones.md").write_text("\n".join(lines))


def matrix(seconds: Sequence[Second]) -> str:
    """Rows: where they were; columns: what was said; shares of each row."""
    counts = confusion(seconds)
    zones = sorted({zone for pair in counts for zone in pair}, key=lambda z: (z == "-", len(z), z))
    parts = []
    for y, true in enumerate(zones):
        total = sum(counts[true, said] for said in zones)
        parts.append(_text(EDGE - 6, EDGE + CELL * (y + 0.6), true, "end"))
        for x, said in enumerate(zones):
            share = counts[true, said] / total if total else 0.0
            left, top = EDGE + CELL * x, EDGE + CELL * y
            grey = round(255 - 200 * share)
            fill = f"rgb({grey},{round(255 - 90 * share)},255)"
            parts.append(f'<rect x="{left}" y="{top}" width="{CELL}" height="{CELL}" fill="{fill}"/>')
            if share >= 0.005:
                parts.append(_text(left + CELL / 2, top + CELL * 0.6, f"{share:.0%}", "middle"))
    parts += [_text(EDGE + CELL * (x + 0.5), EDGE - 8, zone, "middle") for x, zone in enumerate(zones)]
    parts.append(_text(8, 20, "true zone (rows) against reported zone (columns)", "start"))
    side = EDGE + CELL * len(zones) + 10
    return _svg(side, side, parts)


def timeline(seconds: Sequence[Second]) -> str:
    """Per device the truth above what was said; blank is outside or on the way."""
    zones = sorted(
        {z for s in seconds for z in (s.truth, s.said) if z and z != "-"}, key=lambda z: (len(z), z)
    )
    colour = {zone: f"#{COLOURS[i % len(COLOURS)]}" for i, zone in enumerate(zones)}
    first_s = min(s.t_s for s in seconds)
    devices = list(dict.fromkeys(s.device for s in seconds))
    parts = []
    for second in seconds:
        top = 30 + ROW * devices.index(second.device)
        left = EDGE + SECOND * (second.t_s - first_s)
        for zone, y in ((second.truth, top), (second.said, top + 16)):
            if zone in colour:
                parts.append(
                    f'<rect x="{left:g}" y="{y}" width="{SECOND}" height="14" fill="{colour[zone]}"/>'
                )
    for i in range(len(devices)):
        parts += [_text(EDGE - 6, 41 + ROW * i, "true", "end"), _text(EDGE - 6, 57 + ROW * i, "said", "end")]
    for i, zone in enumerate(zones):
        parts.append(f'<rect x="{EDGE + 56 * i}" y="6" width="12" height="12" fill="{colour[zone]}"/>')
        parts.append(_text(EDGE + 56 * i + 16, 16, zone, "start"))
    width = EDGE + SECOND * int(max(s.t_s for s in seconds) - first_s) + 10
    return _svg(max(width, EDGE + 56 * len(zones)), 40 + ROW * len(devices), parts)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(width: float, height: float, parts: Sequence[str]) -> str:
    size = f'width="{width:g}" height="{height:g}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="10">'
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *parts, "</svg>", ""])
