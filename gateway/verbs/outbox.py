"""`gateway outbox …`: what waits for whom, and waiting until it has left."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import msgspec

from gateway import assembly, control
from gateway.control import Request
from gateway.counts import Counts
from gateway.daemon import only_one
from gateway.errors import GatewayError
from gateway.progress import Line
from gateway.queues import Queue, Queues, queues_of
from gateway.settings import GatewaySettings
from gateway.verbs.live import hand_over, live_settings

Say = Callable[[str], None]

LOOK_S = 0.5
"""Between two looks; of a long queue that takes its time, ten times as long as the look took."""


def status(directory: Path, *, as_json: bool, say: Say) -> None:
    """Of the running gateway; without one, of the store."""
    settings = live_settings(directory)
    if control.is_running(settings.gateway.state_dir):
        queues = _ask(settings.gateway.state_dir)
    else:
        queues = asyncio.run(_of_the_store(settings))
    if as_json:
        say(msgspec.json.encode(queues).decode())
        return
    for line in told(queues):
        say(line)


def drain(directory: Path, recipients: Collection[str], timeout_s: float, *, say: Say, tell: Say) -> bool:
    """Whether all that was queued when this was asked has left within the time. GatewayError where no gateway
    runs, or there is no such recipient.
    """
    settings = live_settings(directory)
    state_dir = settings.gateway.state_dir
    if unknown := sorted(set(recipients) - set(settings.recipients)):
        raise GatewayError(f"gateway.yaml has no recipient {', '.join(unknown)}")
    if not control.is_running(state_dir):
        raise GatewayError(f"no gateway runs in {state_dir}: nothing carries what waits there")
    wanted = set(recipients or settings.recipients)
    asked = _ask(state_dir)
    through = {queue.recipient: queue.last_sequence for queue in asked.queues if queue.recipient in wanted}
    with Line() as line:
        left = _wait(state_dir, asked.generation, through, timeout_s, line)
    if left is None:
        for name, sequence in sorted(through.items()):
            say(f"{name}: everything up to sequence {sequence} has left")
        return True
    tell(f"after {timeout_s:g} s there still waits: {_briefly(left)}")
    for queue in left:
        tell(f"  {queue.recipient}: {queue.link}{_detail(queue)}")
    return False


def _wait(
    state_dir: Path, generation: str, through: Mapping[str, int], timeout_s: float, line: Line
) -> list[Queue] | None:
    """None once all up to these sequences has left; what is left of them when the time is over."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        looked_s = time.monotonic()
        queues = _ask(state_dir)
        if queues.generation != generation:
            raise GatewayError("the store was damaged meanwhile and a new one began: ask again")
        held = [q for q in queues.queues if q.first is not None and q.first <= through.get(q.recipient, 0)]
        if not held:
            return None
        line.show(_briefly(held))
        pause_s = max(LOOK_S, 10 * (time.monotonic() - looked_s))
        if time.monotonic() + pause_s > deadline_s:
            return held
        time.sleep(pause_s)


def told(queues: Queues) -> list[str]:
    """For an operator."""
    lines = [f"generation {queues.generation}, {queues.at}"]
    if queues.uncommitted:
        lines.append(f"{queues.uncommitted} transactions wait for the disk")
    if queues.damaged_stores:
        lines.append(f"{queues.damaged_stores} damaged stores lie aside")
    for queue in queues.queues:
        lines.append(f"{queue.recipient}: {_waiting(queue)}; link: {queue.link}{_detail(queue)}")
    return lines


def _waiting(queue: Queue) -> str:
    if not queue.waiting or queue.oldest_s is None:
        return f"nothing waits, {queue.last_sequence} given so far"
    parts = [f"{queue.waiting} wait, {queue.body_bytes / 1000:,.1f} kB"]
    parts.append(f"sequence {queue.first} to {queue.last} of {queue.last_sequence}")
    parts.append(f"the oldest for {age(queue.oldest_s)}")
    if queue.tombstones:
        parts.append(f"{queue.tombstones} of them tombstones")
    if queue.sent:
        parts.append(f"{queue.sent} sent and not acknowledged")
    return ", ".join(parts)


def age(seconds: float) -> str:
    """In the two largest units."""
    units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")]
    rest = int(seconds)
    parts: list[str] = []
    for size, name in units:
        n, rest = divmod(rest, size)
        if n or (name == "s" and not parts):
            parts.append(f"{n} {name}")
    return " ".join(parts[:2])


def _briefly(queues: Collection[Queue]) -> str:
    return ", ".join(f"{queue.waiting} for {queue.recipient}" for queue in queues)


def _detail(queue: Queue) -> str:
    return f" ({queue.detail})" if queue.detail else ""


def _ask(state_dir: Path) -> Queues:
    return msgspec.convert(control.ask(state_dir, Request("outbox")), Queues)


async def _of_the_store(settings: GatewaySettings) -> Queues:
    """Of the store itself, which nobody else holds meanwhile."""
    logging.getLogger("gateway").setLevel(logging.WARNING)
    state_dir = settings.gateway.state_dir
    try:
        with only_one(state_dir):
            async with assembly.outbox_of(settings, Counts()) as outbox:
                return await queues_of(outbox, {}, time.time())
    finally:
        hand_over(state_dir)
