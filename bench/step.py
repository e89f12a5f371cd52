"""The full vehicle step against plain Python objects: `.venv/bin/python bench/step.py`, about a minute.

From a fix to events: index, state table, arrivals, dwell thresholds. A town of 1,000 fences, cars that drive
from one to the next and stop at some, batches of 256 fixes, CPU time, contenders in turn in one run, medians.
The run ends with an error if one event differs. The objects (bench/objects) do all of it in plain Python,
geometry and index included; they make the evidence of an event only when there is one.
"""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from time import process_time

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.objects import Objects
from gateway.core import Core
from gateway.core.form import core_form
from gateway.model import Fence, Fix, Presence, SiteMap
from gateway.sim.town import parked, town, traffic

BATCH, ROUNDS = 256, 3
Step = Callable[[Sequence[Fix]], list[Presence]]


def main() -> None:
    fences = town(1_000)
    fixes = traffic(fences, cars=300, seconds=120)
    contenders: dict[str, Callable[[], Step]] = {
        "plain Python objects": lambda: Objects(fences).observe,
        "core, one fix a call": lambda: _one_by_one(Core(SiteMap("town", fences=fences))),
        f"core ({core_form()})": lambda: Core(SiteMap("town", fences=fences)).observe,
    }
    events = {name: run(make(), fixes)[1] for name, make in contenders.items()}
    first, *others = events.values()
    assert all(other == first for other in others), "the contenders' events differ"
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, make in contenders.items():
            taken[name].append(run(make(), fixes)[0])
    best = median(list(taken.values())[-1])
    print(f"1,000 fences, {len(fixes):,} fixes in batches of {BATCH}, {len(first):,} events, the same of all")
    for name, times in taken.items():
        each_us = median(times) / len(fixes) * 1e6
        print(f"  {name:26} {each_us:8.2f} µs a fix {median(times) / best:8.1f}")
    memory()


def run(step: Step, fixes: Sequence[Fix]) -> tuple[float, list[Presence]]:
    """CPU seconds, and the events."""
    events: list[Presence] = []
    begin = process_time()
    for first in range(0, len(fixes), BATCH):
        events += step(fixes[first : first + BATCH])
    return process_time() - begin, events


def _one_by_one(core: Core) -> Step:
    return lambda batch: [event for fix in batch for event in core.observe_one(fix)]


def memory(cars: int = 20_000) -> None:
    """Of a car park full of cars, each subject with one car: a pair, a record, a track, two deadlines."""
    fence: Fence = town(1)[0]
    arriving = parked(fence, cars)
    tracemalloc.start()
    core = Core(SiteMap("park", fences=(fence,)))
    before, _ = tracemalloc.get_traced_memory()
    entered = sum(event.change == "entered" for event in core.observe(arriving))
    after, _ = tracemalloc.get_traced_memory()
    assert entered == cars, f"{entered} of {cars} cars entered"
    pairs, records = core.table.pairs, core.table.records
    print(f"state of a (device, zone) pair, its links included: {row_nbytes(pairs)} bytes")
    print(f"  of a (subject, zone) record: {row_nbytes(records)} bytes")
    print(f"  of a parked car with its last fixes, names and deadlines: {(after - before) / cars:.0f} bytes")


def row_nbytes(rows: object) -> int:
    """Of one row: an item of each column, a pointer where that is a list."""
    columns = [getattr(rows, name) for name in dir(rows) if not name.startswith("_")]
    buffers = [c for c in columns if hasattr(c, "nbytes") or _is_array(c)]
    return sum(memoryview(c).itemsize for c in buffers) + 8 * sum(
        isinstance(column, list) for column in columns
    )


def _is_array(column: object) -> bool:
    return type(column).__name__ == "array"


if __name__ == "__main__":
    main()
