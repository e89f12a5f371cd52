"""Which form of the core the tests run: compiled where it is, or with GATEWAY_PURE=1 plain Python."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

CORE = Path(__file__).parent.parent / "gateway" / "core"


class PlainCore(MetaPathFinder):
    """Finds the source of a module of the core even where a compiled one lies beside it."""

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        source = CORE / f"{fullname.removeprefix('gateway.core.')}.py"
        if not fullname.startswith("gateway.core.") or not source.exists():
            return None
        return spec_from_file_location(fullname, source)


def pytest_configure() -> None:
    if os.environ.get("GATEWAY_PURE") == "1":
        sys.meta_path.insert(0, PlainCore())
        return
    for compiled in CORE.glob("*.so"):
        source = compiled.with_name(compiled.name.partition(".")[0] + ".py")
        if source.stem.startswith("_"):  # what Cython shares among its modules has no source here
            continue
        if max(source.stat().st_mtime, source.with_suffix(".pxd").stat().st_mtime) > compiled.stat().st_mtime:
            raise pytest.UsageError(f"{source.name} is newer than its compiled form: run scripts/setup")
