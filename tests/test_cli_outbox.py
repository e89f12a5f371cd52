"""`gateway outbox …` as an operator types it: with a gateway that delivers, one whose broker is away, and none."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from daemons import Place, consent, consuming
from mosquitto import Mosquitto
from receiver_model import Receiver
from withdrawals import reads_socket, stock

from gateway.queues import Queue, Queues
from gateway.verbs.outbox import age, told

pytestmark = pytest.mark.timeout(180)
N = 20
"""Events in stock. With a gateway there is one more before long: their stay was open, and is over."""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with Mosquitto(tmp_path / "broker") as broker:
        made = Place(tmp_path, broker)
        made.enrol(consent("anna", "vehicle:fleet/golf"))
        yield made


def command(place: Place, *words: str) -> list[str]:
    return [sys.executable, "-m", "gateway", "outbox", *words, "--config", str(place.config)]


async def verb(place: Place, *words: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    process = await asyncio.create_subprocess_exec(
        *command(place, *words), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    said, complained = await process.communicate()
    return process.returncode or 0, said.decode(), complained.decode()


async def assert_story(place: Place, story: list[tuple[str, int, str, str]]) -> None:
    for words, code, pattern, complaint in story:
        found, said, complained = await verb(place, *words.split())
        assert re.search(pattern, said, re.DOTALL), f"{words}: {said}{complained}"
        assert re.fullmatch(complaint, complained.rstrip("\n"), re.DOTALL), f"{words}: {complained}"
        assert found == code, words


async def test_without_a_gateway(place: Place) -> None:
    await stock(place, ["anna"], N, time.time())
    await assert_story(
        place,
        [
            ("status", 0, r"^generation [0-9a-f]{16}, .*\npartner: nothing waits, 0 given so far; link: none\n"
             r"platform: 20 wait, [0-9.]+ kB, sequence 1 to 20 of 20, the oldest for \d+ s; link: none\n$", ""),
            ("drain", 1, "^$", r"gateway: no gateway runs in .*: nothing carries what waits there"),
        ],
    )  # fmt: skip


async def test_while_the_broker_is_away(place: Place) -> None:
    await stock(place, ["anna"], N, time.time() - 7_300)
    place.broker.kill()
    async with place.daemon() as daemon:
        await reads_socket(daemon, place.state)
        await daemon.says("sink local: down")
        await assert_story(
            place,
            [
                ("status", 0, r"platform: 2[01] wait, .*; link: down \(.*Connection refused.*\)", ""),
                ("drain --timeout 0.1", 1, "^$", r"after 0\.1 s there still waits: 2[01] for platform\n"
                 r"  platform: down \(.*Connection refused.*\)"),
                ("drain --timeout 0 --recipient partner", 0, r"^partner: everything up to sequence 0 has left", ""),
                ("drain --recipient nobody", 1, "^$", r"gateway: gateway\.yaml has no recipient nobody"),
            ],
        )  # fmt: skip
        await asyncio.sleep(3.0)  # the one more
        code, said, _ = await verb(place, "status", "--json")
        queues = {q["recipient"]: q for q in json.loads(said)["queues"]}
        assert code == 0
        assert {k: queues["platform"][k] for k in ("waiting", "first", "last", "last_sequence", "link")} == {
            "waiting": N + 1, "first": 1, "last": N + 1, "last_sequence": N + 1, "link": "down"
        }  # fmt: skip
        assert queues["platform"]["body_bytes"] > 100 * N

        draining = asyncio.create_task(verb(place, "drain", "--timeout", "60"))
        await asyncio.sleep(1.0)
        place.broker.start()
        async with consuming(Receiver, place, "platform") as at:
            code, said, complained = await draining
            assert (code, complained) == (0, "")
            assert "platform: everything up to sequence 21 has left" in said
            at.assert_complete(N + 1)
        await assert_story(place, [("status", 0, r"platform: nothing waits, 21 given so far; link: up", "")])
        assert await daemon.stop() < 5


async def test_what_was_sent_and_not_acknowledged_has_not_left(place: Place) -> None:
    await stock(place, ["anna"], N, time.time())
    async with consuming(Receiver, place, "platform"):
        pass  # the broker keeps its session
    async with place.daemon() as daemon:
        await daemon.says("recipient platform: up")  # the broker has acknowledged, no platform has
        await assert_story(
            place,
            [
                ("status", 0, r"platform: 2[01] wait, .*, 2[01] sent and not acknowledged; link: up", ""),
                ("drain --timeout 1", 1, "^$", r"after 1 s there still waits: 2[01] for platform\n  platform: up.*"),
            ],
        )  # fmt: skip
        await daemon.stop()


async def test_progress_is_shown_on_a_terminal(place: Place) -> None:
    await stock(place, ["anna"], N, time.time())
    place.broker.kill()
    async with place.daemon() as daemon:
        await reads_socket(daemon, place.state)
        ours, theirs = pty.openpty()
        process = await asyncio.create_subprocess_exec(
            *command(place, "drain", "--timeout", "1"), stderr=theirs
        )
        assert await process.wait() == 1
        shown = os.read(ours, 1 << 16).decode()
        os.close(ours)
        os.close(theirs)
        assert re.search(
            r"\x1b\[2K2[01] for platform.*\r\x1b\[2Kafter 1 s there still waits", shown, re.DOTALL
        )
        await daemon.stop()


def a_queue(**changes: Any) -> Queue:
    plain = Queue(
        "r", last_sequence=11, waiting=3, tombstones=0, body_bytes=1_500, oldest_stored_s=0.0, first=4, last=9,
        sent=0, oldest_s=3_725.0, link="up", detail="",
    )  # fmt: skip
    return msgspec.structs.replace(plain, **changes)


TOLD = [
    (a_queue(), "r: 3 wait, 1.5 kB, sequence 4 to 9 of 11, the oldest for 1 h 2 min; link: up"),
    (a_queue(tombstones=1, sent=2, detail="h:1"), "r: 3 wait, 1.5 kB, sequence 4 to 9 of 11, the oldest for 1 h 2 min, "
     "1 of them tombstones, 2 sent and not acknowledged; link: up (h:1)"),
    (a_queue(waiting=0, oldest_s=None), "r: nothing waits, 11 given so far; link: up"),
]  # fmt: skip


@pytest.mark.parametrize(("queue", "line"), TOLD)
def test_how_a_queue_reads(queue: Queue, line: str) -> None:
    assert told(Queues("now", "g", 0, 0, [queue])) == ["generation g, now", line]
    assert told(Queues("now", "g", 7, 1, []))[1:] == [
        "7 transactions wait for the disk",
        "1 damaged stores lie aside",
    ]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (59, "59 s"), (60, "1 min"), (3_600, "1 h"), (90_061, "1 d 1 h"), (86_461, "1 d 1 min")],
)
def test_how_an_age_reads(seconds: float, words: str) -> None:
    assert age(seconds) == words
