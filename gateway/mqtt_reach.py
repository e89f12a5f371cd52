"""The way to a broker, as far as TCP."""

from __future__ import annotations

import asyncio
import os
import socket

CONNECT_TIMEOUT_S = 10.0
"""For each address, and once more for TLS: a line of 2 s each way gives its first answer after 4 s."""


async def reach(host: str, port: int) -> socket.socket:
    """Connected to the first address that answers. OSError: of the last one.

    Unlike paho's own way, in a thread, this can be cancelled: a stop need not wait for a slow line.
    """
    loop = asyncio.get_running_loop()
    failed: OSError = OSError(f"{host} has no address")
    for family, kind, protocol, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        opened = socket.socket(family, kind, protocol)
        opened.setblocking(False)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await loop.sock_connect(opened, address)
        except OSError as error:  # TimeoutError is one
            opened.close()
            words = os.strerror(error.errno) if error.errno else f"no answer within {CONNECT_TIMEOUT_S:g} s"
            failed = OSError(words)
        except BaseException:
            opened.close()
            raise
        else:
            return opened
    raise failed
