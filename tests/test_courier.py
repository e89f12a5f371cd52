"""The courier with a real outbox and a sink of forty lines: what is sent, sent again, and removed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from consents import NOON_S, entry, record
from couriers import Bench, until

from gateway.counts import Counts
from gateway.errors import StoreError
from gateway.outbox import Outbox, Row
from gateway.sinks import courier

Open = Callable[[Literal["platform", "puback"]], Awaitable[Bench]]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Open]:
    counts = Counts()
    async with contextlib.AsyncExitStack() as stack:
        outbox = await stack.enter_async_context(
            Outbox(tmp_path / "outbox.sqlite", ["platform"], commit_delay_s=0.005, counts=counts)
        )

        async def make(mode: Literal["platform", "puback"]) -> Bench:
            made = Bench(outbox, mode, counts)
            task = asyncio.create_task(made.courier.run())
            stack.callback(task.cancel)
            return made

        yield make


async def test_puback_deletes_what_the_transport_confirmed(bench: Open) -> None:
    at = await bench("puback")
    await at.happen(250)

    async def emptied() -> bool:
        return await at.left() == 0

    await until(emptied)
    assert at.sink.sent == list(range(1, 251))


async def test_a_store_that_cannot_be_read_for_a_while_ends_nothing(
    bench: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "full_jitter", lambda: iter(lambda: 0.01, None))
    at = await bench("puback")
    read, refusals = at.outbox.pending, iter(range(3))

    async def pending(*which: Any) -> list[Row]:
        for _ in refusals:
            raise StoreError("cannot be used now")
        return await read(*which)

    monkeypatch.setattr(at.outbox, "pending", pending)
    await at.happen(3)
    await until(lambda: at.sink.sent == [1, 2, 3])
    assert next(refusals, None) is None


async def test_the_application_acknowledges_by_ranges(bench: Open) -> None:
    at = await bench("platform")
    await at.happen(10)
    await until(lambda: len(at.sink.sent) == 10)
    assert await at.left() == 10  # a PUBACK is not delivery
    await at.acknowledge(through=4, also=[[6, 7], [10, 10]])
    while await at.left() == 10:  # noqa: ASYNC110 - it goes with the next commit, or within two seconds
        await asyncio.sleep(0.05)
    assert await at.left() == 3
    at.sink.connection = 2  # a new connection: what is not acknowledged comes again, and nothing else
    await until(lambda: at.sink.sent[10:] == [5, 8, 9])


@pytest.mark.parametrize(
    ("payload", "retained", "counted"),
    [
        (b"{", False, ("acks", "malformed")),
        (b"\xff", False, ("acks", "malformed")),
        (b'{"generation":"x"', False, ("acks", "malformed")),
        (b'{"generation":"GEN","through":"5"}', False, ("acks", "malformed")),
        (b'{"generation":"other","through":5}', False, ("outbox", "ack_wrong_generation")),
        (b'{"generation":"GEN","through":99}', False, ("outbox", "ack_out_of_range")),
        (b'{"generation":"GEN","also":[[3,1]]}', False, ("outbox", "ack_out_of_range")),
        (b'{"generation":"GEN","through":5}', True, ("acks", "retained")),
    ],
)
async def test_a_wrong_acknowledgement_is_counted_and_ignored(
    bench: Open, payload: bytes, retained: bool, counted: tuple[str, str]
) -> None:
    at = await bench("platform")
    await at.happen(5)
    await until(lambda: len(at.sink.sent) == 5)
    at.courier.acknowledge(payload.replace(b"GEN", at.outbox.generation.encode()), retained=retained)
    assert await at.left() == 5
    assert at.counts.of(*counted) == 1


async def test_a_break_in_the_middle_sends_again_what_was_not_confirmed(bench: Open) -> None:
    at = await bench("puback")
    at.sink.cut_after = 30
    await at.happen(100)
    await until(lambda: len(at.sink.sent) == 30)
    await asyncio.sleep(0.05)
    at.sink.cut_after = None

    async def emptied() -> bool:
        return await at.left() == 0

    await until(emptied)
    assert sorted(set(at.sink.sent)) == list(range(1, 101))


async def test_a_refusal_keeps_the_event_says_so_and_does_not_hammer(bench: Open) -> None:
    at = await bench("puback")
    at.sink.refuses = True
    await at.happen(3)
    await until(lambda: at.counts.of("refused", "platform") >= 3)
    await asyncio.sleep(0.2)
    assert at.counts.of("refused", "platform") <= 30
    assert "Not authorized" in at.courier.link.detail
    assert await at.left() == 3
    at.sink.refuses = False
    await until(lambda: at.sink.sent == [1, 2, 3])
    await until(lambda: at.courier.link.state == "up")


async def test_what_was_withdrawn_meanwhile_leaves_as_a_tombstone_only(bench: Open) -> None:
    at = await bench("platform")
    at.sink.connection = 1
    await at.happen(0)
    at.say(record("card-1234", entry(version=2, status="ConsentWithdrawn"), version=2))
    # released before the withdrawal was known to the screen that stored it
    early = Bench(at.outbox, "platform", at.counts)
    await early.happen(3)
    await until(lambda: len(at.sink.payloads) == 1)
    (tombstone,) = at.sink.payloads
    assert tombstone["type"] == "presence.removed.v1"
    assert tombstone["data"] == {"ranges": [[1, 3]], "reason": "withdrawn"}
    assert tombstone["sequence"] == f"{4:020d}"
    assert "subject" not in tombstone


async def test_what_waited_through_its_expiry_does_not_leave(bench: Open) -> None:
    at = await bench("platform")
    at.now_s = NOON_S + 400 * 86_400
    await at.happen(2)
    await until(lambda: len(at.sink.payloads) == 1)
    assert at.sink.payloads[0]["data"] == {"ranges": [[1, 2]], "reason": "expired"}


async def test_delivery_attributes(bench: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier, "LIVE_S", -1.0)
    at = await bench("puback")
    await at.happen(1)
    await until(lambda: len(at.sink.payloads) == 1)
    said = at.sink.payloads[0]
    assert said["sequence"] == "00000000000000000001"
    assert said["generation"] == at.outbox.generation
    assert said["historical"] is True
    assert said["recordedtime"].endswith("Z")
    assert said["subject"] == "card-1234"


async def test_silence_of_the_application_sends_again(bench: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier, "RESEND_S", 0.05)
    monkeypatch.setattr(courier, "LOOK_AGAIN_S", 0.02)
    at = await bench("platform")
    await at.happen(2)
    await until(lambda: len(at.sink.sent) >= 4)
    assert at.sink.sent[:4] == [1, 2, 1, 2]


async def test_no_more_than_the_window_waits_for_the_application(
    bench: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "OUTSTANDING", 10)
    at = await bench("platform")
    await at.happen(25)
    await until(lambda: len(at.sink.sent) == 10)
    await asyncio.sleep(0.1)
    assert len(at.sink.sent) == 10
    await at.acknowledge(through=10)
    await until(lambda: len(at.sink.sent) == 20)


async def test_a_tombstone_passes_the_window_so_that_counting_through_goes_on(
    bench: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "OUTSTANDING", 10)
    at = await bench("platform")
    await at.happen(25)
    await until(lambda: len(at.sink.sent) == 10)
    await at.outbox.remove("platform", [1], "capped")  # nobody can say 1 to 10 any more without its tombstone
    await until(lambda: len(at.sink.sent) == 12)
    await asyncio.sleep(0.3)
    assert at.sink.sent == [*range(1, 12), 26]  # the one that was removed made room for one more
    await at.acknowledge(through=10)
    await until(lambda: len(at.sink.sent) >= 20)


async def test_a_tombstone_passes_a_backlog_that_waits_for_acknowledgement(
    bench: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an outage all of it is backlog, the tombstone of its first events stands at its end."""
    monkeypatch.setattr(courier, "OUTSTANDING", 10)
    monkeypatch.setattr(courier, "LIVE_S", -1.0)
    at = await bench("platform")
    at.sink.refuses = True
    await at.happen(25)
    await at.outbox.remove("platform", [1], "capped")
    at.sink.refuses = False
    await until(lambda: 26 in at.sink.sent)
    assert set(at.sink.sent) == {2, 3, 4, 5, 6, 26}, "half of the room, and the tombstone"
    await at.acknowledge(through=6)
    await until(lambda: 11 in at.sink.sent)
