"""The connections of a server: none is held by who takes nothing, and none is left at the end."""

from __future__ import annotations

import asyncio
import gc
import warnings

from daemons import until

from gateway.conversations import Conversations

MUCH = b"x" * (16 << 20)
"""More than the kernel takes in for somebody who does not read."""


async def test_one_that_has_not_begun_is_closed_at_the_end() -> None:
    begun: list[asyncio.StreamWriter] = []

    async def note(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        begun.append(writer)

    conversations = Conversations(note)
    ended = asyncio.get_running_loop().create_future()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended.set_result((asyncio.create_task(conversations.end()), writer))  # its turn comes first
        conversations.begin(reader, writer)

    server = await asyncio.start_server(begin, "127.0.0.1", 0)
    _, client = await asyncio.open_connection(*server.sockets[0].getsockname())
    ending, writer = await ended
    await ending
    assert (len(conversations), begun, writer.is_closing()) == (0, [], True)
    client.close()
    await client.wait_closed()
    server.close()


async def test_who_takes_nothing_is_counted_until_it_is_broken_off() -> None:
    async def tell(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(MUCH)

    conversations = Conversations(tell, taken_s=0.3)
    server = await asyncio.start_server(conversations.begin, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname(), limit=1)
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    await until(lambda: len(conversations) == 1)
    await asyncio.sleep(0.1)
    assert len(conversations) == 1, "it is written to"
    await until(lambda: len(conversations) == 0)
    writer.transport.resume_reading()  # type: ignore[attr-defined]
    taken = 0
    try:
        while more := await reader.read(1 << 16):
            taken += len(more)
    except ConnectionError:
        pass
    assert taken < len(MUCH)
    writer.close()
    server.close()


async def test_nothing_is_left_open() -> None:
    async def listen(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    conversations = Conversations(listen)
    server = await asyncio.start_server(conversations.begin, "127.0.0.1", 0)
    writers = [(await asyncio.open_connection(*server.sockets[0].getsockname()))[1] for _ in range(20)]
    await until(lambda: len(conversations) == 20)
    server.close()
    await conversations.end()
    assert len(conversations) == 0
    for writer in writers:
        writer.close()
        await writer.wait_closed()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        gc.collect()
    assert [warning for warning in said if "unclosed" in str(warning.message)] == []
