#!/usr/bin/env python3
"""A platform's consumer: every event once, or a tombstone that says why not, and proof of it (README.md)."""

import argparse
import asyncio
import json
import sqlite3

import aiomqtt

TABLES = """
CREATE TABLE IF NOT EXISTS events (id PRIMARY KEY, event);
CREATE TABLE IF NOT EXISTS sequences (generation, sequence INTEGER, id, UNIQUE (generation, sequence));
CREATE TABLE IF NOT EXISTS removed (generation, first INTEGER, last INTEGER, reason, UNIQUE (generation, first, last));
CREATE TABLE IF NOT EXISTS accounted (generation PRIMARY KEY, ranges);
"""  # noqa: E501
KEEP = "INSERT OR IGNORE INTO {} VALUES ({})"
IS_REMOVED = "SELECT 1 FROM removed WHERE generation = ? AND ? BETWEEN first AND last"
REMOVE = """DELETE FROM events WHERE id IN
            (SELECT id FROM sequences WHERE generation = ? AND sequence BETWEEN ? AND ?)"""


def merged(ranges, first, last):
    """Sorted ranges without gaps or overlaps between them, with one more taken in."""
    apart = [r for r in ranges if r[1] < first - 1 or r[0] > last + 1]
    near = [r for r in ranges if r not in apart]
    return sorted([*apart, [min([first, *(r[0] for r in near)]), max([last, *(r[1] for r in near)])]])


def take(db, event):
    """Stores one event, or heeds one tombstone, and accounts for its sequence; in one transaction."""
    generation, sequence, data = event["generation"], int(event["sequence"]), event["data"]
    gone = data["ranges"] if event["type"] == "presence.removed.v1" else []
    with db:
        for first, last in gone:  # also of events that are still to come: a tombstone may overtake them
            db.execute(KEEP.format("removed", "?, ?, ?, ?"), (generation, first, last, data["reason"]))
            db.execute(REMOVE, (generation, first, last))
        if not gone and not db.execute(IS_REMOVED, (generation, sequence)).fetchone():
            db.execute(KEEP.format("sequences", "?, ?, ?"), (generation, sequence, event["id"]))
            db.execute(KEEP.format("events", "?, ?"), (event["id"], json.dumps(event)))
        ranges = accounted(db, generation)
        for first, last in [*gone, [sequence, sequence]]:
            ranges = merged(ranges, first, last)
        db.execute("REPLACE INTO accounted VALUES (?, ?)", (generation, json.dumps(ranges)))
    return generation


def accounted(db, generation):
    row = db.execute("SELECT ranges FROM accounted WHERE generation = ?", (generation,)).fetchone()
    return json.loads(row[0]) if row else []


def acknowledgement(generation, ranges):
    through = ranges[0][1] if ranges and ranges[0][0] == 1 else 0
    also = [r for r in ranges if r[0] > through]
    return json.dumps({"generation": generation, "through": through, "also": also})


async def keep_acknowledging(client, topic, db, heard, every_s):
    while True:
        await asyncio.sleep(every_s)
        while heard:  # only what is committed, so that a crash here costs a redelivery and nothing else
            generation = heard.pop()
            await client.publish(topic, acknowledgement(generation, accounted(db, generation)), qos=1)


async def run(db, given):
    base, heard = f"presence/v1/{given.site}/{given.gateway}/{given.recipient}", set()
    name = f"{given.recipient}-consumer"
    client = aiomqtt.Client(given.host, given.port, identifier=name, clean_session=False)
    async with client, asyncio.TaskGroup() as group:
        await client.subscribe(f"{base}/+", qos=1)
        group.create_task(keep_acknowledging(client, f"{base}/ack", db, heard, given.ack_every))
        async for message in client.messages:
            if not message.topic.matches(f"{base}/ack"):
                heard.add(take(db, json.loads(message.payload)))


def report(db):
    """By generation: how far, what is missing, what was removed. Nothing missing proves completeness."""
    for generation, text in db.execute("SELECT generation, ranges FROM accounted").fetchall():
        ends = [0, *(number for r in json.loads(text) for number in r)]
        missing = [[a + 1, b - 1] for a, b in zip(ends[::2], ends[1::2], strict=False) if b > a + 1]
        found = db.execute("SELECT first, last, reason FROM removed WHERE generation = ?", (generation,))
        said = {"through": ends[-1], "missing": missing, "removed": found.fetchall()}
        print(json.dumps({"generation": generation, **said}))


if __name__ == "__main__":
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("site")
    words.add_argument("gateway")
    words.add_argument("--recipient", default="platform")
    words.add_argument("--host", default="127.0.0.1")
    words.add_argument("--port", type=int, default=1883)
    words.add_argument("--store", default="events.sqlite")
    words.add_argument("--ack-every", type=float, default=0.5, metavar="SECONDS")
    words.add_argument("--report", action="store_true", help="say what is missing and stop")
    given = words.parse_args()
    store = sqlite3.connect(given.store)
    store.executescript(TABLES)
    report(store) if given.report else asyncio.run(run(store, given))
