"""After an erasure no byte of a subject is left: not in the store or its free pages, not in recordings, also one
that another process is writing, not in the log, and nothing of it on the wire."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import signal
import sys
import time
from pathlib import Path

import pytest
from daemons import TAG, Place, advertisement, consent, heard, raw, sender, until
from withdrawals import CARRIED_S, gate, reads_socket, receiver, stock, traces, verb

from gateway import recordings
from gateway.model import Sighting
from gateway.mqtt import Connection
from gateway.recording import format_line

ANNA = "card-4711-anna"
MAC = "a4:cf:12:9e:01:77"
RECORD_ID = f"{ANNA}/c-1"
TRACES = (
    ANNA,
    RECORD_ID,
    TAG.format(n=1),
    advertisement(1),
    bytes.fromhex(advertisement(1)),
    MAC,
    MAC.replace(":", ""),
    MAC.replace(":", "-"),
    bytes.fromhex(MAC.replace(":", "")),
    bytes.fromhex(MAC.replace(":", ""))[::-1],
    ANNA.encode().hex(),
    "vehicle:anna/golf",
    "anna/golf",
)
"""What nobody may find: the reference, identities, addresses as text and as bytes in both orders."""


LONG = [pytest.mark.slow, pytest.mark.timeout(600)]
ENROLLED = (
    consent(ANNA, TAG.format(n=1), f"mac:{MAC}", "vehicle:anna/golf", partner=True),
    consent("ben", TAG.format(n=2)),
)


def content_of(path: Path) -> bytes:
    """As anybody would read it, and the raw bytes as well; nothing where there is no such file."""
    data = path.read_bytes() if path.exists() else b""
    return data + (gzip.decompress(data) if path.suffix == ".gz" else b"")


def found_in(content: bytes) -> list[str | bytes]:
    lower = content.lower()
    return [t for t in TRACES if (t if isinstance(t, bytes) else t.encode()).lower() in lower]


def recorded() -> bytes:
    """Lines of both, by tag and by address."""
    now_s = time.time()
    lines = [
        Sighting(now_s, "pi-01", MAC, "public", -45, b"\x02\x01\x06"),
        Sighting(now_s, "pi-01", "c3:00:00:25:ef:6a", "random", -45, bytes.fromhex(advertisement(1))),
        Sighting(now_s, "pi-01", "c3:00:00:25:ef:6b", "random", -45, bytes.fromhex(advertisement(2))),
    ]
    return b"".join(map(format_line, lines)) * 50


@pytest.mark.parametrize("each", [200, pytest.param(5_000, marks=LONG)])
async def test_no_trace(place: Place, each: int) -> None:
    """Long form: 10,000 queued events, and a recording that `gateway record` writes meanwhile."""
    is_recording = each > 200
    plain, packed, growing = (place.folder / name for name in ("a.jsonl", "b.jsonl.gz", "c.jsonl.gz"))
    plain.write_bytes(recorded())
    packed.write_bytes(gzip.compress(recorded()) * 2)
    async with gate(place) as link, receiver(place) as at, sender(place) as s:
        await stock(place, [ANNA, "ben"], each, time.time())
        for path in (plain, packed):
            recordings.enlist(place.state, path)
        async with place.daemon() as daemon:
            recorder = await recording(place, growing) if is_recording else None
            await reads_socket(daemon, place.state)
            await daemon.says("source local: up")
            speaking = asyncio.create_task(keep_speaking(s))
            await until(lambda: not is_recording or bool(found_in(content_of(growing))))
            before = traces(place, *TRACES)
            assert (
                str(place.state / "outbox.sqlite") in before
                or str(place.state / "outbox.sqlite-wal") in before
            )

            began_s = time.monotonic()
            code, said, complained = await verb(place, "erase", ANNA)
            assert code == 0
            assert re.fullmatch(r"(left: \d+ lines of recordings\n)?", complained)  # that grow
            assert "1 record" in said and "lines of recordings" in said
            assert traces(place, *TRACES) == {}
            assert [path.name for path in (plain, packed) if found_in(content_of(path))] == []
            await until(lambda: not found_in(content_of(growing)), 60 - (time.monotonic() - began_s))
            for _ in range(3):  # and it stays so, while she is still heard
                await asyncio.sleep(1)
                assert traces(place, *TRACES) == {}
            link.open()
            await until(lambda: bool(at.removed) and not at.missing, CARRIED_S)
            speaking.cancel()
            if recorder is not None:
                recorder.send_signal(signal.SIGTERM)
                _, complained_too = await asyncio.wait_for(recorder.communicate(), 60)
                assert found_in(complained_too) == []
            await daemon.stop()
    assert traces(place, *TRACES) == {}
    assert found_in(bytes(link.passed)) == []
    assert found_in(json.dumps(list(at.events.values())).encode()) == []
    assert found_in(content_of(growing)) == []
    assert not is_recording or advertisement(2).encode() in content_of(growing)
    assert content_of(packed).count(advertisement(2).encode()) == 100  # of the others nothing went
    assert plain.read_text().count(advertisement(2)) == 50
    assert found_in((place.config / "consent.yaml").read_bytes()) == []


async def recording(place: Place, out: Path) -> asyncio.subprocess.Process:
    command = (sys.executable, "-m", "gateway", "record", "--config", str(place.config), "--out", str(out))
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    assert process.stderr is not None
    async with asyncio.timeout(60):
        while b"source local: up" not in await process.stderr.readline():
            pass
    return process


async def keep_speaking(s: Connection) -> None:
    while True:
        await heard(s, "pi-01", raw(1, -45), raw(2, -45))
        await asyncio.sleep(0.2)
