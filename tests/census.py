"""What a running gateway holds: its own tables by name, and memory as each of its allocators sees it.

    PYTHONPATH=tests python -m census run --config DIR …     the gateway's command line, with a window into it

With `GATEWAY_CENSUS` set to a file, SIGUSR1 appends one line to it: `{"tables": {"Crowd._who": 12, …}, "memory":
{…}}`. With `GATEWAY_TRACED` set besides, the line also says which lines of code hold more than at the first one.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import os
import signal
import sys
import tracemalloc
from array import array
from collections import Counter, deque
from collections.abc import Sequence
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import msgspec

CONTAINERS = (dict, list, set, frozenset, deque, array, bytearray)
NO_WAY = (type, ModuleType, FunctionType)
DEEP = 4
"""Containers within containers that are looked into; what other objects hold is counted as theirs."""


def tables(*roots: object) -> Counter[str]:
    """Entries of every container that an object of the gateway holds, by class and attribute, over all objects of
    that class; `len(Class)`: how many of these there are.

    Of what the `roots` lead to, or without any of all that there is, the modules too. Compiled classes hide their
    attributes: theirs are numbered by type.
    """
    found = Counter[str]()
    for holder in _reached(roots) if roots else _everything():
        kind = type(holder)
        if str(kind.__module__).startswith("gateway.") and not isinstance(holder, type):
            found[f"len({kind.__name__})"] += 1
            for name, value in _held_by(holder):
                found[f"{kind.__name__}.{name}"] += _entries(value, DEEP)
    for name, module in [] if roots else list(sys.modules.items()):
        if name.startswith("gateway."):
            for attribute, value in vars(module).items():
                if isinstance(value, CONTAINERS) and not attribute.startswith("__"):
                    found[f"{name}:{attribute}"] += _entries(value, DEEP)
                elif hasattr(value, "cache_info"):
                    found[f"{name}:{attribute}"] += value.cache_info().currsize
    return found


def _everything() -> list[object]:
    gc.collect()
    return gc.get_objects()


def _reached(roots: Sequence[object]) -> list[object]:
    """All objects that these lead to, but not by way of types, modules and the globals of functions."""
    known = {id(root): root for root in roots}
    unseen = list(roots)
    while unseen:
        for other in gc.get_referents(unseen.pop()):
            if id(other) not in known and not isinstance(other, NO_WAY):
                known[id(other)] = other
                unseen.append(other)
    return list(known.values())


def _held_by(holder: Any) -> list[tuple[str, Any]]:
    names = [*getattr(holder, "__dict__", {}), *getattr(holder, "__struct_fields__", ())]
    for kind in type(holder).__mro__:
        slots = getattr(kind, "__slots__", ())
        names += [slots] if isinstance(slots, str) else slots
    named = [(n, getattr(holder, n, None)) for n in dict.fromkeys(names)]
    held = [(name, value) for name, value in named if isinstance(value, CONTAINERS)]
    if not named:
        hidden = [value for value in gc.get_referents(holder) if isinstance(value, CONTAINERS)]
        held = [(f"{type(value).__name__} {n}", value) for n, value in enumerate(hidden)]
    return held


def _entries(container: Any, deep: int) -> int:
    n = len(container)
    if deep and not isinstance(container, array | bytearray):
        inner = list(container.values() if isinstance(container, dict) else container)
        n += sum(_entries(value, deep - 1) for value in inner if isinstance(value, CONTAINERS))
    return n


class _MallInfo(ctypes.Structure):
    """struct mallinfo2 of glibc (mallinfo(3)), bytes."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()
    ]


def memory() -> dict[str, int]:
    """Bytes by who has them, but for `python_blocks` (pieces of up to 512 bytes) and `collected` (objects)."""
    said: dict[str, int] = {
        "rss": int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"),
        "python_blocks": sys.getallocatedblocks(),
        "collected": len(gc.get_objects()),
        "modules": len(sys.modules),
    }
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallinfo2"):
        libc.mallinfo2.restype = _MallInfo
        info = libc.mallinfo2()
        said |= {"malloc_used": info.uordblks + info.hblkhd, "malloc_free": info.fordblks}
    said["sqlite"] = _sqlite_bytes()
    return said


def _sqlite_bytes() -> int:
    """What SQLite has allocated, its page caches included."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        if "libsqlite3" in line:
            library = ctypes.CDLL(line.split(maxsplit=5)[-1])
            library.sqlite3_memory_used.restype = ctypes.c_int64
            return int(library.sqlite3_memory_used())
    return 0


class Window:
    """Answers SIGUSR1 with a line."""

    def __init__(self, file: Path, *, traced: bool) -> None:
        self._file, self._traced = file, traced
        self._first: tracemalloc.Snapshot | None = None
        if traced:
            tracemalloc.start(8)

    def write(self, *_: object) -> None:
        line: dict[str, Any] = {"tables": dict(tables()), "memory": memory()}
        line["types"] = dict(Counter(type(o).__qualname__ for o in gc.get_objects()).most_common(60))
        with contextlib.suppress(RuntimeError):
            line["tables"]["asyncio.all_tasks"] = len(asyncio.all_tasks(asyncio.get_running_loop()))
        if self._traced:
            line["grown"] = self._grown()
        with self._file.open("ab") as out:
            out.write(msgspec.json.encode(line) + b"\n")

    def _grown(self) -> list[str]:
        own = [tracemalloc.Filter(False, tracemalloc.__file__), tracemalloc.Filter(False, __file__)]
        now = tracemalloc.take_snapshot().filter_traces(own)
        if self._first is None:
            self._first = now
        grown = now.compare_to(self._first, "traceback")
        return [
            f"{g.size_diff:+} B, {g.count_diff:+}: " + " < ".join(
                f"{'/'.join(f.filename.split('/')[-2:])}:{f.lineno}" for f in reversed(g.traceback)
            )
            for g in grown[:40]
        ]  # fmt: skip


if __name__ == "__main__":
    if place := os.environ.get("GATEWAY_CENSUS"):
        window = Window(Path(place), traced=bool(os.environ.get("GATEWAY_TRACED")))
        signal.signal(signal.SIGUSR1, window.write)
    from gateway.cli import main

    main()
