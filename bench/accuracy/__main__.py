"""Figures of arrivals and of radio zones against the stored baselines.

python -m bench.accuracy                figures of every case beside the baseline, and a reliability table;
                                        exit code 1 on a regression
python -m bench.accuracy --store        make today's figures the baseline
python -m bench.accuracy --full         ten times the drives, three times the hours, other seeds; prints only
python -m bench.accuracy --report DIR   radio zones as Markdown and pictures
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from bench.accuracy import baseline, report, zones
from bench.accuracy.baseline import ARRIVALS, ZONES, Figures, regressions


def main(arguments: list[str]) -> int:
    if "--report" in arguments:
        report.write(Path(arguments[arguments.index("--report") + 1]))
        return 0
    full = "--full" in arguments
    judged: list[tuple[float, bool]] = []
    suites: list[tuple[Path, Callable[[], Figures]]] = [
        (ARRIVALS, lambda: {n: baseline.measure(n, times=10 if full else 1) for n in baseline.CASES}),
        (ZONES, lambda: _zones(3 if full else 1, judged)),
    ]
    worse: list[str] = []
    for path, measure in suites:
        figures = measure()
        if "--store" in arguments:
            path.write_text(json.dumps(figures, indent=1) + "\n")
            continue
        stored = json.loads(path.read_text())
        for name, case in figures.items():
            print(name)
            for figure, value in case.items():
                print(f"  {figure:22} {value:8} baseline {stored[name][figure]:8}")
        worse += [] if full else regressions(figures, stored)
    print(*zones.reliability(judged), sep="\n")
    print("\n".join(worse), file=sys.stderr)
    return 1 if worse else 0


def _zones(times: int, judged: list[tuple[float, bool]]) -> Figures:
    """Figures of each case; what its events claimed and whether it was right is added to `judged`."""
    figures = {}
    for name in zones.CASES:
        played = zones.played(name, times=times)
        figures[name] = zones.score(played)
        judged += played.judged
    return figures


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
