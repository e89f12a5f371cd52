"""From what is sent to a typed fix: CPU time of ours and of pydantic and aiomqtt, as ratios of one run.

    python bench/ingest.py                 both parts, about a minute; needs mosquitto
    python bench/ingest.py --quick         the first part alone, some seconds

Every contender takes the same payloads, in turn, and the best of several rounds counts. What each one does:

ours                        finds the reader of the topic in a dict, makes a `Fix` of the bytes; all checks
with topic look-up, count   the same through `Profiles.read`, as the pipeline calls it
pydantic to the same fix    `model_validate_json` with all checks, then a `Fix` of the model, asserted equal
its bare validation         `model_validate_json` of a model of types and ranges alone; no `Fix` comes of it,
                            and unknown accuracy, speed and heading, 0/0 and a fix ahead of its time pass

The pydantic models check what the profile checks: type of message, ranges, finite numbers, numbers sent as
text.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import aiomqtt
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from mosquitto import Mosquitto

from gateway.counts import Counts
from gateway.lanes import Lanes
from gateway.located import load
from gateway.model import Fix, Message
from gateway.mqtt_client import Endpoint
from gateway.profiles import flat, load_profiles, shipped_directory
from gateway.profiles.schema_mqtt import MqttProfile
from gateway.profiles.typed import typed
from gateway.sources.mqtt import MqttSource, Subscription
from gateway.validated import validate

T_S = 1766397602.0
PAYLOADS = 2_000
ROUNDS = 10
REPEATS = 5
RATES = {1_000: 5_000, 5_000: 10_000, 20_000: 20_000}
"""Messages a second, and how many in all."""
VEHICLES = 50


def payloads(*, as_text: bool) -> list[bytes]:
    """OwnTracks locations, their members in the order of the booklet's example."""
    rng, sent = random.Random(3), []
    for _ in range(PAYLOADS):
        numbers: dict[str, Any] = {
            "lat": round(50.9 + rng.random() / 10, 6),
            "lon": round(6.9 + rng.random() / 10, 6),
            "tst": int(T_S) - rng.randrange(10),
            "acc": rng.randrange(0, 40),
            "vel": rng.randrange(-1, 130),
            "cog": rng.randrange(-1, 361),
        }
        if as_text:
            numbers = {name: str(n) for name, n in numbers.items()}
        members = {
            "cog": 0,
            "batt": 41,
            "lon": 0,
            "acc": 0,
            "p": 100.71,
            "vel": 0,
            "vac": 21,
            "lat": 0,
            "t": "u",
        }
        members |= {"tst": 0, "alt": 167, "_type": "location", "conn": "m", "tid": "JJ"} | numbers
        sent.append(json.dumps(members, separators=(",", ":")).encode())
    return sent


# --- pydantic ---


def _positive(value: float | None) -> float | None:
    return value if value is not None and value > 0 else None


def _not_negative(value: float | None) -> float | None:
    return value if value is not None and value >= 0 else None


def _compass(value: float | None) -> float | None:
    return value % 360 if value is not None and 0 <= value <= 360 else None


def _recent(value: float) -> float:
    if value > T_S + 86_400:
        raise ValueError("ahead of its reception")
    return value


Finite = Annotated[float, Field(allow_inf_nan=False)]


class Location(BaseModel):
    """The idiomatic form: what a value means stands at its member."""

    model_config = ConfigDict(extra="ignore")
    type: Literal["location"] = Field(alias="_type")
    lat: float = Field(ge=-90, le=90, allow_inf_nan=False)
    lon: float = Field(ge=-180, le=180, allow_inf_nan=False)
    tst: Annotated[float, Field(ge=946_684_800), AfterValidator(_recent)]
    acc: Annotated[Finite | None, AfterValidator(_positive)] = None
    vel: Annotated[Finite | None, AfterValidator(_not_negative)] = None
    cog: Annotated[Finite | None, AfterValidator(_compass)] = None
    ign: bool | None = None


class BareLocation(BaseModel):
    """The quickest form: types and ranges only, in pydantic's compiled half; no fix comes of it."""

    type: Literal["location"] = Field(alias="_type")
    lat: float = Field(ge=-90, le=90, allow_inf_nan=False)
    lon: float = Field(ge=-180, le=180, allow_inf_nan=False)
    tst: float = Field(ge=946_684_800, le=4_102_444_800)
    acc: float | None = Field(None, allow_inf_nan=False)
    vel: float | None = Field(None, allow_inf_nan=False)
    cog: float | None = Field(None, allow_inf_nan=False)
    ign: bool | None = None


TOPICS = [f"owntracks/jane/car-{i}" for i in range(VEHICLES)]
DEVICES = {topic: f"vehicle:{topic.removeprefix('owntracks/')}" for topic in TOPICS}


def by_pydantic(topic: str, payload: bytes, t_s: float, *, retained: bool) -> Fix:
    location = Location.model_validate_json(payload)
    if location.lat == 0 and location.lon == 0:
        raise ValueError("null island")
    return Fix(
        t_s,
        location.tst,
        DEVICES[topic],
        location.lat,
        location.lon,
        location.acc,
        location.vel,
        location.cog,
        location.ign,
        retained,
    )


# --- payload to fix ---


def decode_speed() -> None:
    profile = validate(load(shipped_directory() / "owntracks.yaml"), MqttProfile)
    reader = typed(profile)
    assert reader is not None
    bound = {topic: reader.bind({"user": "jane", "device": topic.split("/")[2]}) for topic in TOPICS}
    profiles, counts = load_profiles().select(["owntracks"], "s"), Counts()

    def ours(m: Message) -> Any:
        return bound[m.topic](m)

    def whole_room(m: Message) -> Any:
        return profiles.read(m, counts)[0]

    def to_fix(m: Message) -> Any:
        return by_pydantic(m.topic, m.payload, m.t_s, retained=m.retain)

    def validation(m: Message) -> Any:
        return BareLocation.model_validate_json(m.payload)

    form = "compiled" if flat.COMPILED else "plain Python"
    print(f"payload to typed fix ({form}), OwnTracks, one call each, {PAYLOADS} payloads; CPU time")
    for as_text in (False, True):
        messages = [Message(T_S, TOPICS[i % VEHICLES], p) for i, p in enumerate(payloads(as_text=as_text))]
        fixes = [to_fix(m) for m in messages]
        assert [ours(m) for m in messages] == fixes == [whole_room(m) for m in messages]
        took = in_turn([ours, whole_room, to_fix, validation], messages)
        us = [t / PAYLOADS * 1e6 for t in took]
        kind = "numbers as text" if as_text else "numbers"
        print(f"  {kind}: ours {us[0]:.2f} µs, with topic look-up and count {us[1]:.2f} µs")
        for what, it in (("pydantic to the same fix", us[2]), ("its bare validation, no fix", us[3])):
            print(f"    {what} {it:.2f} µs: ours is 1/{it / us[0]:.1f}, with look-up 1/{it / us[1]:.1f}")


def in_turn(contenders: Sequence[Callable[[Message], Any]], messages: Sequence[Message]) -> list[float]:
    """The best CPU time of each, seconds for all messages."""
    best = [float("inf")] * len(contenders)
    for _ in range(ROUNDS):
        for i, contender in enumerate(contenders):
            began = time.process_time()
            for _ in range(REPEATS):
                for message in messages:
                    contender(message)
            best[i] = min(best[i], (time.process_time() - began) / REPEATS)
    return best


# --- message to fix ---

PUBLISHER = """
import socket, sys, time
port, per_s = int(sys.argv[1]), float(sys.argv[2])
lines = [line.rstrip(b"\\n").split(b"\\t") for line in sys.stdin.buffer]
def packet(kind, body):
    n, length = len(body), b""
    while True:
        length += bytes([n % 128 | (128 if n > 127 else 0)])
        n //= 128
        if not n:
            return bytes([kind]) + length + body
with socket.create_connection(("127.0.0.1", port)) as broker:
    broker.sendall(packet(0x10, b"\\0\\4MQTT\\4\\2\\0\\0\\0\\1p"))
    broker.recv(4)
    packets = [packet(0x30, len(t).to_bytes(2, "big") + t + p) for t, p in lines]
    began, step = time.monotonic(), max(1, int(per_s / 200))
    for i in range(0, len(packets), step):
        broker.sendall(b"".join(packets[i : i + step]))
        time.sleep(max(0.0, began + (i + step) / per_s - time.monotonic()))
    time.sleep(30)
"""

Receive = Callable[[int, int, Callable[[], None]], Awaitable[list[Fix]]]
"""From a broker's port, so many fixes; calls when it is ready."""


async def by_aiomqtt(port: int, count: int, ready: Callable[[], None]) -> list[Fix]:
    fixes: list[Fix] = []
    async with aiomqtt.Client("127.0.0.1", port, identifier="peer") as client:
        await client.subscribe("owntracks/+/+")
        ready()
        async for m in client.messages:
            assert isinstance(m.payload, bytes)
            fixes.append(by_pydantic(str(m.topic), m.payload, T_S, retained=m.retain))
            if len(fixes) == count:
                break
    return fixes


async def by_gateway(port: int, count: int, ready: Callable[[], None]) -> list[Fix]:
    counts, profiles = Counts(), load_profiles().select(["owntracks"], "s")
    lanes = Lanes(counts, fixes=10**6)
    source = MqttSource(
        Endpoint("store", "127.0.0.1", port, version=3),
        "gateway",
        [Subscription("owntracks/+/+", is_vehicle=False)],
        lanes,
        is_vehicle_topic=profiles.is_vehicle_topic,
        clock=lambda: T_S,
        persistent=False,
    )
    running = asyncio.create_task(source.run())
    while source.link.state != "up":  # noqa: ASYNC110 - the link has no event
        await asyncio.sleep(0.01)
    ready()
    fixes: list[Any] = []
    while len(fixes) < count:
        await lanes.wait(None)
        for arrival in lanes.drain(256):
            assert isinstance(arrival.signal, Message)
            fixes += profiles.read(arrival.signal, counts)
        await asyncio.sleep(0)
    running.cancel()
    return fixes


def hand_over_speed(rounds: int) -> None:
    print("MQTT message to typed fix, QoS 0, loopback mosquitto; CPU of this process")
    with tempfile.TemporaryDirectory() as folder, Mosquitto(Path(folder) / "broker") as broker:
        for per_s, count in RATES.items():
            sent = (payloads(as_text=False) * (count // PAYLOADS + 1))[:count]
            topics = [TOPICS[i % VEHICLES] for i in range(count)]
            lines = [t.encode() + b"\t" + p + b"\n" for t, p in zip(topics, sent, strict=True)]
            expected = [by_pydantic(t, p, T_S, retained=False) for t, p in zip(topics, sent, strict=True)]
            best = [float("inf")] * 2
            for _ in range(rounds):
                for i, receive in enumerate((by_gateway, by_aiomqtt)):
                    took, fixes = _received(receive, broker.port, lines, per_s)
                    assert fixes == expected
                    best[i] = min(best[i], took)
            us = [t / count * 1e6 for t in best]
            print(
                f"  {per_s:,} a second, {count:,} messages: ours {us[0]:.1f} µs, "
                f"aiomqtt and pydantic {us[1]:.1f} µs: 1/{best[1] / best[0]:.1f}",
                flush=True,
            )


def _received(receive: Receive, port: int, lines: list[bytes], per_s: float) -> tuple[float, list[Fix]]:
    began = 0.0
    publisher = subprocess.Popen(  # noqa: S603 - this interpreter
        [sys.executable, "-c", PUBLISHER, str(port), str(per_s)], stdin=subprocess.PIPE
    )
    pipe = publisher.stdin
    assert pipe is not None

    def ready() -> None:
        nonlocal began
        gc.collect()
        pipe.write(b"".join(lines))
        pipe.close()
        began = time.process_time()

    try:
        fixes = asyncio.run(asyncio.wait_for(receive(port, len(lines), ready), 120))
        return time.process_time() - began, fixes
    finally:
        publisher.kill()
        publisher.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=2, help="of the second part")
    options = parser.parse_args()
    decode_speed()
    if not options.quick:
        hand_over_speed(options.rounds)


if __name__ == "__main__":
    main()
