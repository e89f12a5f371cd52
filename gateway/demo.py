"""`gateway demo`: the whole path on one machine, from advertisement bytes to events that somebody receives.

An embedded broker, simulated signals on it, the real daemon as a child process, and a subscriber that prints
and acknowledges what arrives. Nothing leaves loopback and nothing is left behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any, Final, TextIO

import msgspec
from ruamel.yaml import YAML

from gateway.demo_words import Words
from gateway.errors import GatewayError
from gateway.settings import load_site
from gateway.sim import scenes
from gateway.sim.broker import EmbeddedBroker
from gateway.sim.publish import publish
from gateway.sim.recorded import signals
from gateway.sim.subscriber import Subscriber

RATE: Final = 20.0
START_S: Final = scenes.START_S - 60.0
LEAD_S: Final = 1.0
"""Real time from the daemon's first word to the start of the scene."""
SETTLE_S: Final = 40.0
"""Pipeline time for the last stays to end by silence."""
QUIET_S: Final = 2.0
"""Real time without an event after which the last has arrived and is acknowledged."""
READY_S: Final = 30.0
STOP_S: Final = 10.0
PACKAGE: Final = Path(__file__).parent
CONFIG: Final = next(
    (path for path in (PACKAGE / "demo_config", PACKAGE.parent / "config" / "demo") if path.is_dir()), PACKAGE
)
"""Inside the package when installed, beside it in a checkout."""


async def demo(out: TextIO, *, rate: float = RATE) -> int:
    """Prints to `out`; 0 when everything that there is to see has been seen. `rate`: how fast time goes.

    GatewayError when the broker or the daemon does not run. Ctrl-C stops everything.
    """
    playing = asyncio.create_task(_demo(out, rate))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, playing.cancel)
    try:
        return await playing
    except asyncio.CancelledError:
        print("\nstopped; nothing is left behind", file=out)
        return 1


async def _demo(out: TextIO, rate: float) -> int:
    with EmbeddedBroker() as broker, tempfile.TemporaryDirectory(prefix="gateway-demo-") as folder:
        directory, log = Path(folder) / "config", Path(folder) / "gateway.log"
        _configure(directory, broker.port)
        words = Words(load_site(directory), out)
        words.introduce(broker.port, rate)
        subscriber = Subscriber(broker.endpoint(), words.site.site, words.event, acknowledging=["platform"])
        async with subscriber, _daemon(directory, log, rate) as daemon:
            await _while(daemon, log, _play(subscriber, broker, words))
            await _stop(daemon, log)
        return words.summarise(subscriber, _counted(log))


async def _play(subscriber: Subscriber, broker: EmbeddedBroker, words: Words) -> None:
    try:
        async with asyncio.timeout(READY_S):
            pace = await subscriber.pace
    except TimeoutError:
        raise GatewayError(f"the daemon said nothing for {READY_S:g} s") from None
    start_s = math.ceil(pace.now_s() + LEAD_S * pace.rate)
    words.heading()
    scene = signals(scenes.demo(words.site, start_s=start_s))
    await publish(scene, broker.endpoint(), words.site.site, pace=pace)
    await asyncio.sleep(pace.until_s(start_s + scenes.DEMO_S + SETTLE_S))
    await subscriber.quiet(QUIET_S)


def _configure(directory: Path, port: int) -> None:
    """A copy of config/demo with the broker's port; the state directory is relative and so comes inside."""
    shutil.copytree(CONFIG, directory)
    settings, yaml = directory / "gateway.yaml", YAML()
    content = yaml.load(settings)
    content["brokers"]["local"]["port"] = port
    yaml.dump(content, settings)


@contextlib.asynccontextmanager
async def _daemon(directory: Path, log: Path, rate: float) -> AsyncIterator[asyncio.subprocess.Process]:
    with log.open("wb") as file:
        # In a session of its own: a Ctrl-C is for us, who stop it in order.
        daemon = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway", "run", "--config", str(directory)),
            *("--clock", f"{START_S},{rate}"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    try:
        yield daemon
    finally:
        if daemon.returncode is None:
            daemon.kill()
            await daemon.wait()


async def _while(daemon: asyncio.subprocess.Process, log: Path, work: Coroutine[Any, Any, None]) -> None:
    """Sees `work` through; GatewayError with the daemon's own words when that ends first."""
    working, ending = asyncio.ensure_future(work), asyncio.ensure_future(daemon.wait())
    try:
        await asyncio.wait({working, ending}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise GatewayError(f"the daemon ended by itself, exit code {daemon.returncode}:\n{_said(log)}")
        working.result()
    finally:
        working.cancel()
        ending.cancel()
        await asyncio.gather(working, ending, return_exceptions=True)


async def _stop(daemon: asyncio.subprocess.Process, log: Path) -> None:
    daemon.terminate()
    try:
        async with asyncio.timeout(STOP_S):
            code = await daemon.wait()
    except TimeoutError:
        raise GatewayError(f"the daemon did not stop within {STOP_S:g} s:\n{_said(log)}") from None
    if code != 0:
        raise GatewayError(f"the daemon stopped with exit code {code}:\n{_said(log)}")


def _said(log: Path) -> str:
    return log.read_text(errors="replace").strip()


def _counted(log: Path) -> dict[str, dict[str, int]]:
    """The counts with which the daemon takes its leave; empty when it said none."""
    _, found, counts = _said(log).rpartition("counted: ")
    return msgspec.json.decode(counts.splitlines()[0], type=dict[str, dict[str, int]]) if found else {}
