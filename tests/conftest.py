"""Which form of the core the tests run (compiled where it is, or with GATEWAY_PURE=1 plain Python), and a radio."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import hypothesis
import pytest
from fake_bluez import FakeBluez, private_bus

if TYPE_CHECKING:
    from daemons import Place

ROOT = Path(__file__).parent.parent
# The same examples each time, however slow the machine.
hypothesis.settings.register_profile("suite", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("suite")
os.environ["LC_ALL"] = "C.UTF-8"  # what is said to the operator of this machine may be German


class PlainSources(MetaPathFinder):
    """Finds the source of a module that can be compiled even where its compiled form lies beside it."""

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        source = ROOT.joinpath(*fullname.split(".")).with_suffix(".py")
        if not fullname.startswith("gateway.") or not source.with_suffix(".pxd").exists():
            return None
        return spec_from_file_location(fullname, source)


def pytest_configure() -> None:
    if os.environ.get("GATEWAY_PURE") == "1":
        sys.meta_path.insert(0, PlainSources())
        return
    for compiled in (ROOT / "gateway").rglob("*.so"):
        source = compiled.with_name(compiled.name.partition(".")[0] + ".py")
        if source.stem.startswith("_"):  # what Cython shares among its modules has no source here
            continue
        if max(source.stat().st_mtime, source.with_suffix(".pxd").stat().st_mtime) > compiled.stat().st_mtime:
            raise pytest.UsageError(f"{source.name} is newer than its compiled form: run scripts/setup")


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """A verb that a test runs in this process has its say on standard error, and the next test is not in it."""
    root = logging.getLogger()
    level, before = root.level, root.handlers[:]
    yield
    root.setLevel(level)
    for handler in root.handlers[:]:
        if handler not in before and type(handler) is logging.StreamHandler:
            root.removeHandler(handler)


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """A broker and the files of a gateway; a module's ENROLLED says who is enrolled, else anna and ben are."""
    from daemons import TAG, Place, consent
    from mosquitto import Mosquitto

    usual = (consent("anna", TAG.format(n=1)), consent("ben", TAG.format(n=2)))
    with Mosquitto(tmp_path / "broker") as broker:
        made = Place(tmp_path, broker)
        made.enrol(*getattr(request.module, "ENROLLED", usual))
        yield made


@pytest.fixture
async def bus(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[None]:
    async with private_bus(tmp_path_factory.mktemp("bus") / "s") as address:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
        yield


@pytest.fixture
async def bluez(bus: None) -> AsyncIterator[FakeBluez]:  # noqa: ARG001 - the bus must be there
    async with FakeBluez("hci0") as fake:
        yield fake


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ordinary pauses between connects are short, so that a loop would be seen; slow ones are as slow as ever."""
    from gateway import links, mqtt_pace

    monkeypatch.setattr(mqtt_pace, "full_jitter", lambda: links.full_jitter(0.01, 0.05))
