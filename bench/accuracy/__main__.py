"""Arrival figures against the stored baseline.

python -m bench.accuracy            figures of every case beside the baseline; exit code 1 on a regression
python -m bench.accuracy --store    make today's figures the baseline
python -m bench.accuracy --full     ten times the drives and other seeds; prints only
"""

from __future__ import annotations

import json
import sys

from bench.accuracy.baseline import BASELINE, CASES, measure, regressions


def main(arguments: list[str]) -> int:
    times = 10 if "--full" in arguments else 1
    figures = {name: measure(name, times=times) for name in CASES}
    if "--store" in arguments:
        BASELINE.write_text(json.dumps(figures, indent=1) + "\n")
        return 0
    stored = json.loads(BASELINE.read_text())
    for name, case in figures.items():
        print(name)
        for figure, value in case.items():
            print(f"  {figure:22} {value:8} baseline {stored[name][figure]:8}")
    worse = [] if times > 1 else regressions(figures, stored)
    print("\n".join(worse), file=sys.stderr)
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
