"""What a soak found, as docs/soak.md has it, and what of it is wrong.

python bench/soak_report.py RUN.json       once more, from what `bench/soak.py --keep RUN.json` measured
"""

from __future__ import annotations

import os
import platform as machine
import statistics
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

START_S = 1_766_361_600.0  # 2025-12-22T00:00:00Z
DAY_S, SAMPLE_S = 86_400.0, 1_800.0
SHOWN_DAYS, SHOWN_TABLES = 10, 12
LONG_D, SETTLED_MIB_D = 9, 0.1
"""After so many days only what is kept for 90 days may be more each day: by so much in memory."""


class Sample(msgspec.Struct):
    t_s: float
    rss_bytes: int
    descriptors: int
    threads: int
    wal_bytes: int
    database_bytes: int
    state_bytes: int
    cpu_s: float
    events: int


class Told(msgspec.Struct):
    """What the platform knows in the end."""

    events: int
    """Different ids."""
    sequences: int
    highest: int
    through: int
    """Every sequence up to this one has come, or a tombstone stands for it."""
    tombstones: int
    redelivered: int
    given_twice: int
    """Events that came under a sequence of another one."""


class Run(msgspec.Struct):
    samples: list[Sample]
    censuses: list[dict[str, Any]]
    """One for each night, and one at the end."""
    told: Told
    counted: dict[str, dict[str, int]]
    lines: list[str]
    """Of the log, without their time."""
    rate: float
    took_s: float


MEASURED = [
    ("memory (RSS), MiB", "rss_bytes", 2**20, 0.10),
    ("file descriptors", "descriptors", 1, 0.10),
    ("threads", "threads", 1, 0.34),
    ("write-ahead log, kB", "wal_bytes", 1000, 0.25),
    ("database, kB", "database_bytes", 1000, 0.25),
]
"""What, member, unit, and by what share the last day's highest may lie above the second's (of two days or
one: the second half above the first).
"""


def spans(samples: list[Sample]) -> list[list[Sample]]:
    by_day: dict[int, list[Sample]] = {}
    for s in samples:
        by_day.setdefault(int((s.t_s - START_S) // DAY_S), []).append(s)
    if len(by_day) >= 3:
        return list(by_day.values())
    half = len(samples) // 2
    return [samples[:half], samples[:half], samples[half:]]


def rose_mib(days: list[list[Sample]]) -> float:
    """From the second day to the last, by the medians."""
    second, last = (statistics.median(s.rss_bytes for s in day) for day in (days[1], days[-1]))
    return (last - second) / 2**20


def rises_on_mib(days: list[list[Sample]]) -> float:
    """From the middle third of all days to the last, by the medians: when what fills up is full."""
    third = len(days) // 3
    middle, last = (
        statistics.median(s.rss_bytes for day in part for s in day)
        for part in (days[third : 2 * third], days[2 * third :])
    )
    return (last - middle) / 2**20


def report(run: Run) -> tuple[str, list[str]]:
    days, told = spans(run.samples), run.told
    wrong = [words for what in MEASURED if (words := _growth(days, *what))]
    if len(days) >= LONG_D and rises_on_mib(days) > SETTLED_MIB_D * len(days) / 3:
        wrong.append(f"memory rises on: by {rises_on_mib(days):.1f} MiB from the middle third to the last")
    if missing := told.highest - told.through:
        wrong.append(f"up to {missing} sequences are missing")
    if told.given_twice:
        wrong.append(f"{told.given_twice} events came under a sequence of another one")
    if told.events != told.sequences:
        wrong.append("an event came under two sequences")
    simulated_d = (run.samples[-1].t_s + SAMPLE_S - START_S) / DAY_S
    facts = {
        "simulated": f"{simulated_d:.1f} days at {run.rate:g} times real time, {run.took_s / 60:.0f} minutes",
        "machine": f"{machine.machine()}, {os.cpu_count()} cores, Python {machine.python_version()}",
        "events": f"{told.events:,}, of them {told.tombstones} tombstones; sequence complete through "
        f"{told.through:,}; {told.redelivered} came again after a break, under their ids",
        "heard": f"{run.counted['profiles.generic-raw']['matched']:,} advertisements, "
        f"{run.counted['identity']['enrolled']:,} of them and of positions of who is enrolled",
        "memory": f"{rose_mib(days):+.2f} MiB from the second day to the last, by the medians, "
        f"{rises_on_mib(days):+.2f} from the middle third to the last",
        "CPU of the daemon": f"{run.samples[-1].cpu_s:.0f} s",
        "log": f"{len(run.lines)} lines, {len(set(run.lines))} different but for their time",
    }
    text = "\n".join(
        [
            "# Soak", "",
            "A store through the real daemon and a real broker: `python bench/soak.py` (its head says what",
            "happens). Medians of simulated days, in brackets the highest. Flat is what is wanted.", "",
            *_by_day(days), "",
            *(f"- {name}: {words}" for name, words in facts.items()),
            f"- verdict: {'; '.join(wrong) or _fine(days)}", "",
            "## Who has the memory", "", *_attributed(run.censuses[:-1] or run.censuses), "",
        ]
    )  # fmt: skip
    return text, wrong


def _fine(days: Sequence[Sequence[Sample]]) -> str:
    grows = f"nothing grows by {SETTLED_MIB_D} MiB a day" if len(days) >= LONG_D else "nothing grows"
    return f"nothing lost, nothing twice, {grows}"


def _growth(days: Sequence[Sequence[Sample]], words: str, member: str, unit: int, share: float) -> str:
    """Empty where it does not grow."""
    second, last = (max(getattr(s, member) for s in day) / unit for day in (days[1], days[-1]))
    if last <= second * (1 + share) + 1:
        return ""
    return f"{words} grows: {second:.1f} on the second day, {last:.1f} on the last"


def _picked(n: int) -> list[int]:
    """The first two, the last, and others evenly between."""
    evenly = (round(i * (n - 1) / (SHOWN_DAYS - 1)) for i in range(SHOWN_DAYS))
    return sorted({0, 1, n - 1, *evenly} & {*range(n)})


def _by_day(days: Sequence[Sequence[Sample]]) -> list[str]:
    heads = [*(words for words, *_ in MEASURED), "events"]
    rows = [f"| day | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for n in _picked(len(days)):
        cells = []
        for _, member, unit, _ in MEASURED:
            values = [getattr(s, member) / unit for s in days[n]]
            cells.append(f"{statistics.median(values):,.4g} ({max(values):,.4g})")
        cells.append(f"{days[n][-1].events - days[n][0].events:,}")
        rows.append(f"| {n + 1} | {' | '.join(cells)} |")
    return rows


HOLDERS = [
    ("RSS, MiB", "rss", 2**20),
    ("malloc in use, MiB", "malloc_used", 2**20),
    ("malloc free, MiB", "malloc_free", 2**20),
    ("SQLite (part of malloc), MiB", "sqlite", 2**20),
    ("small pieces of Python, thousands", "python_blocks", 1000),
    ("objects of Python, thousands", "collected", 1000),
    ("modules", "modules", 1),
]


def _attributed(censuses: Sequence[dict[str, Any]]) -> list[str]:
    """By night: memory by allocator; and which tables are longer at the end than half way."""
    picked = _picked(len(censuses))
    rows = [f"| night | {' | '.join(words for words, *_ in HOLDERS)} |", "|---" * (len(HOLDERS) + 1) + "|"]
    for n in picked:
        cells = [f"{censuses[n]['memory'].get(name, 0) / unit:,.4g}" for _, name, unit in HOLDERS]
        rows.append(f"| {n + 1} | {' | '.join(cells)} |")
    n = len(censuses)
    nights = [censuses[at] for at in (min(1, n - 1), n // 2, -1)]
    for pair, words in zip(pairwise(nights), SPANS, strict=True):
        rows += ["", _sentence(*pair, *words)]
    rows.append("")
    first, half, last = (Counter(night["tables"]) for night in nights)
    longer = sorted(((last[t] - half[t], t) for t in last if last[t] > half[t]), reverse=True)
    rows += ["Tables with more entries in the last night than half way (second night, half way, last night);"]
    rows += ["where each ends is said in [memory.md](memory.md):", ""]
    rows += [f"- `{t}`: {first[t]:,}, {half[t]:,}, {last[t]:,}" for _, t in longer[:SHOWN_TABLES]]
    return rows


SPANS = [("Second night", "half way"), ("Half way", "last night")]


def _sentence(before: dict[str, Any], after: dict[str, Any], since: str, until: str) -> str:
    """What of the change of RSS is whose."""
    more = Counter(after["memory"])
    more.subtract(before["memory"])
    mib = {name: n / 2**20 for name, n in more.items()}
    return (
        f"{since} to {until}: RSS {mib['rss']:+.2f} MiB. malloc has {mib['malloc_used']:+.2f} MiB in use "
        f"({mib['sqlite']:+.2f} of it SQLite's pages) and holds {mib['malloc_free']:+.2f} free, Python has "
        f"{more['python_blocks'] / 1000:+.1f} thousand small pieces."
    )


if __name__ == "__main__":
    print(report(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Run))[0], end="")
