"""The daemon's socket: who may ask, and what comes of nonsense, of half a question, of many at once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import stat
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway import control
from gateway.control import ControlServer, RefusalError, Request
from gateway.control.server import PATIENCE_S
from gateway.control.wire import near
from gateway.errors import GatewayError


async def echo(request: Request) -> dict[str, Any]:
    if request.subject == "nobody":
        raise GatewayError("nobody is nobody")
    await asyncio.sleep(1 if request.subject == "slow" else 0)
    return {"of": request.subject}


@contextlib.asynccontextmanager
async def server(folder: Path) -> AsyncIterator[Path]:
    task = asyncio.create_task(ControlServer(folder, echo).run())
    async with asyncio.timeout(5):
        while not await answers(folder):  # noqa: ASYNC110 - the server is another task
            await asyncio.sleep(0.01)
    try:
        yield folder
    finally:
        task.cancel()
        began_s = time.monotonic()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert time.monotonic() - began_s < PATIENCE_S, "an open connection holds up the stop"
        await asyncio.sleep(0.05)  # transports close one turn of the loop later


async def answers(folder: Path) -> bool:
    try:
        with near(folder) as path:
            _, writer = await asyncio.open_unix_connection(path)
    except OSError:
        return False
    writer.close()
    return True


async def said(folder: Path, question: bytes, *, ends: bool = True) -> dict[str, Any]:
    reader, writer = await asyncio.open_unix_connection(str(folder / "gateway.sock"))
    with contextlib.suppress(ConnectionError):
        writer.write(question)
        if ends:
            writer.write_eof()
        await writer.drain()
    try:
        answer: dict[str, Any] = json.loads(await reader.read())
    finally:
        writer.close()
    return answer


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (b'{"do":"show","subject":"anna"}\n', {"said": {"of": "anna"}}),
        (b'{"do":"show","subject":"anna"}', {"said": {"of": "anna"}}),
        (b'{"do":"show","subject":"nobody"}\n', {"refused": "nobody is nobody"}),
        (b"", "not understood"),
        (b"\n", "not understood"),
        (b"hello\n", "not understood"),
        (b'{"do":"dance"}\n', "not understood"),
        (b'{"do":"show","subject":7}\n', "not understood"),
        (b"\xff\xfe\n", "not understood"),
        (b'{"do":"show","subject":"\xff"}\n', "not understood"),
        (b'{"x":' + b"[" * 50_000 + b"\n", "not understood"),
        (b'{"do":"show","subject":"' + b"a" * 200_000 + b'"}\n', "not understood"),
    ],
    ids=lambda value: repr(value[:30]) if isinstance(value, bytes) else "",
)
async def test_questions_and_answers(tmp_path: Path, question: bytes, answer: Any) -> None:
    async with server(tmp_path):
        got = await said(tmp_path, question)
        if isinstance(answer, str):
            assert got["refused"].startswith(answer)
        else:
            assert got == answer
        assert await said(tmp_path, b'{"do":"show","subject":"ben"}\n') == {"said": {"of": "ben"}}


async def test_half_a_question_and_silence(tmp_path: Path) -> None:
    """Others are answered meanwhile; patience ends; a stop does not wait for it."""
    async with server(tmp_path):
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "gateway.sock"))
        writer.write(b'{"do":"sh')
        began_s = time.monotonic()
        assert await said(tmp_path, b'{"do":"show","subject":"ben"}\n') == {"said": {"of": "ben"}}
        assert await reader.read() == b""
        assert PATIENCE_S - 0.5 < time.monotonic() - began_s < PATIENCE_S + 20
        writer.close()
    async with server(tmp_path):
        _, writer = await asyncio.open_unix_connection(str(tmp_path / "gateway.sock"))
        writer.write(b'{"do":"sh')
        await asyncio.sleep(0.05)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    writer.close()


async def test_two_at_once(tmp_path: Path) -> None:
    async with server(tmp_path):
        began_s = time.monotonic()
        questions = [b'{"do":"show","subject":"slow"}\n'] * 2 + [b'{"do":"show","subject":"ben"}\n']
        answers = await asyncio.gather(*(said(tmp_path, question) for question in questions))
        assert [answer["said"]["of"] for answer in answers] == ["slow", "slow", "ben"]
        assert time.monotonic() - began_s < 1.9


async def test_it_replaces_the_socket_of_a_run_that_was_cut_off_and_leaves_none(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "gateway.sock"))
    async with server(tmp_path):
        assert await asyncio.to_thread(control.ask, tmp_path, Request("show", "anna")) == {"of": "anna"}
        mode = (tmp_path / "gateway.sock").stat().st_mode
        assert (stat.S_ISSOCK(mode), stat.S_IMODE(mode)) == (True, 0o600)
    assert not (tmp_path / "gateway.sock").exists()


async def test_a_long_path(tmp_path: Path) -> None:
    """Longer than the 108 bytes that an address may have (unix(7))."""
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    async with server(deep):
        assert await asyncio.to_thread(control.ask, deep, Request("show", "anna")) == {"of": "anna"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("mode", [0o600, 0o666], ids=["as it is", "even if it were open to all"])
async def test_another_user_is_refused(tmp_path: Path, mode: int) -> None:
    """By the mode of the file, and by the answering side as well."""
    other = (
        "import os, socket, sys; s = socket.socket(socket.AF_UNIX); os.chdir(sys.argv[1]); os.setuid(65534)\n"
        "try: s.connect('gateway.sock')\n"
        "except PermissionError: print('no way in'); sys.exit()\n"
        's.sendall(b\'{"do":"show","subject":"anna"}\\n\'); print(s.recv(4096).decode())'
    )
    async with server(tmp_path):
        os.chmod(tmp_path, 0o711)  # noqa: PTH101, S103 - the way to the socket
        os.chmod(tmp_path / "gateway.sock", mode)  # noqa: PTH101
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", other, str(tmp_path), stdout=asyncio.subprocess.PIPE
        )
        answer, _ = await process.communicate()
    assert b"anna" not in answer
    assert (b"no way in" if mode == 0o600 else b"refused") in answer


@pytest.mark.parametrize(
    ("there", "complaint"),
    [(None, "has no socket"), ("file", "no answer"), ("dead socket", "no answer")],
)
def test_nobody_answers(tmp_path: Path, there: str | None, complaint: str) -> None:
    if there == "file":
        (tmp_path / "gateway.sock").touch()
    if there == "dead socket":
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(tmp_path / "gateway.sock"))
    with pytest.raises(RefusalError, match=complaint):
        control.ask(tmp_path, Request("show", "anna"))
