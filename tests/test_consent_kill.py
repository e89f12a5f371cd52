"""kill -9 at every named step of a withdrawal: the next start has it done before anything else is sent."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from pathlib import Path

import pytest
from daemons import TAG, Daemon, Place, advertisement, consent, until
from withdrawal_child import BEFORE_COMMIT, STEPS
from withdrawals import Receiver, gate, reads_socket, receiver, stock, traces, verb

from gateway import recordings
from gateway.model import Sighting
from gateway.recording import format_line

CHILD = Path(__file__).with_name("withdrawal_child.py")
EACH = 300


def steps(*short: str) -> list[object]:
    return [name if name in short else pytest.param(name, marks=pytest.mark.slow) for name in STEPS]


def recorded(place: Place) -> Path:
    """Ten lines of each, in a recording that the state directory knows."""
    path = place.folder / "recording.jsonl"
    lines = [
        format_line(
            Sighting(
                time.time(), "pi-01", "c3:00:00:25:ef:6a", "random", -45, bytes.fromhex(advertisement(n))
            )
        )
        for n in (1, 2)
    ]
    path.write_bytes(b"".join(lines) * 10)
    recordings.enlist(place.state, path)
    return path


def lines_of(recording: Path, n: int) -> int:
    return recording.read_text().count(advertisement(n))


async def doomed(place: Place, step: str) -> asyncio.subprocess.Process:
    with place.log.open("ab") as log:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, str(CHILD), step, "--config", str(place.config)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


async def ends_clean(place: Place, at: Receiver, recording: Path) -> None:
    """Everything of ben's came, of anna's there are tombstones and nothing else."""
    await until(lambda: len(at.removed) == EACH and not at.missing)
    await until(lambda: not traces(place, b'"anna"', advertisement(1)))
    await until(lambda: not lines_of(recording, 1))
    assert at.subjects == {"ben"}
    assert len(at.of("ben")) >= EACH  # and the end of the stay that was open
    assert lines_of(recording, 2) == 10
    assert {path.name for path in recording.parent.glob(".recording*")} == set()


@pytest.mark.parametrize("step", steps("before the commit", "after the commit, before the checkpoint"))
async def test_a_withdrawal_by_the_consent_file(place: Place, step: str) -> None:
    """The file says it, whatever the process lived to see of that."""
    async with gate(place) as link, receiver(place) as at:
        await stock(place, ["anna", "ben"], EACH, time.time())
        recording = recorded(place)
        process = await doomed(place, step)
        await reads_socket(Daemon(process, place.log), place.state)
        place.enrol(consent("anna", TAG.format(n=1), status="ConsentWithdrawn") | {"version": 2},
                    consent("ben", TAG.format(n=2)))  # fmt: skip
        process.send_signal(signal.SIGHUP)
        assert await asyncio.wait_for(process.wait(), 60) == -signal.SIGKILL
        link.open()
        async with place.daemon() as daemon:
            await ends_clean(place, at, recording)
            assert b'"anna"' not in link.passed
            await daemon.stop()


@pytest.mark.parametrize("step", steps("in the rewriting of a recording"))
async def test_an_erasure_over_the_socket(place: Place, step: str) -> None:
    """Who asked is told that there was no answer; from the commit on it holds all the same, before that it is
    asked again."""
    async with gate(place) as link, receiver(place) as at:
        await stock(place, ["anna", "ben"], EACH, time.time())
        recording = recorded(place)
        process = await doomed(place, step)
        await reads_socket(Daemon(process, place.log), place.state)
        code, said, complained = await verb(place, "erase", "anna")
        assert (code, said) == (1, "")
        assert "no answer" in complained
        assert await process.wait() == -signal.SIGKILL
        if step in BEFORE_COMMIT:
            code, said, complained = await verb(place, "erase", "anna")  # on the store itself
            assert (code, complained) == (0, "")
        link.open()
        async with place.daemon() as daemon:
            await ends_clean(place, at, recording)
            assert b'"anna"' not in link.passed
            code, said, _ = await verb(place, "show", "anna")
            assert "erased: consents of before are dead" in said
            await daemon.stop()
