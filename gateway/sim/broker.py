"""A real broker without an installation: rumqttd, embedded by iotcore, in a child process on loopback.

For the demo, first steps and quick tests. What it lacks against a broker for production: it keeps nothing on
disk (sessions, retained messages and queues end with the process), no users and no TLS, at most
`INFLIGHT` unacknowledged messages to a client whatever that client allows, and old messages of a session go
when `LOG_BYTES` are full. QoS 1, retained messages, last wills, persistent sessions, redelivery of what was
not acknowledged, and the MQTT 5 properties that this program uses are there, and tested.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Final, Self

from iotcore import IotCoreBroker

from gateway.errors import GatewayError
from gateway.mqtt_client import Endpoint

INFLIGHT: Final = 100
LOG_BYTES: Final = 10 * 10_485_760
START_S: Final = 15.0
STOP_S: Final = 3.0

# rumqttd speaks one version of MQTT a listener, so there are two ports for one router behind them.
_CONFIG: Final = """\
id = 0
[router]
id = 0
max_connections = 1000
max_outgoing_packet_count = 200
max_segment_size = {segment_bytes}
max_segment_count = 10
"""
_LISTENER: Final = """\
[{version}.1]
name = "{version}"
listen = "127.0.0.1:{port}"
next_connection_delay_ms = 1
[{version}.1.connections]
connection_timeout_ms = 60000
max_payload_size = 1048576
max_inflight_count = {inflight}
dynamic_filters = true
"""


class EmbeddedBroker:
    """Context manager: a broker for the length of the `with` block, and never longer than this process."""

    def __init__(self) -> None:
        self.port = 0
        """MQTT 5; free, chosen when the block is entered."""
        self.port_v3 = 0
        """MQTT 3.1.1; the same topics and retained messages."""
        self._exit = contextlib.ExitStack()

    def endpoint(self, name: str = "embedded", *, version: int = 5) -> Endpoint:
        """Where a client of that MQTT version (5, or 3 for 3.1.1) connects."""
        return Endpoint(name, "127.0.0.1", self.port if version == 5 else self.port_v3, version=version)

    def __enter__(self) -> Self:
        """GatewayError when the broker does not come up within `START_S`."""
        with contextlib.ExitStack() as cleanup:
            directory = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="gateway-broker-")))
            self.port, self.port_v3 = _free_ports()
            config = directory / "rumqttd.toml"
            config.write_text(
                _CONFIG.format(segment_bytes=LOG_BYTES // 10)
                + _LISTENER.format(version="v4", port=self.port_v3, inflight=INFLIGHT)
                + _LISTENER.format(version="v5", port=self.port, inflight=INFLIGHT)
            )
            log = cleanup.enter_context((directory / "log").open("w+b"))
            # In a session of its own: a Ctrl-C at the terminal is for us, who stop the clients first.
            child = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "gateway.sim.broker", str(config)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            cleanup.callback(_stop, child)
            self._wait_until_listening(child, directory / "log")
            self._exit = cleanup.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def _wait_until_listening(self, child: subprocess.Popen[bytes], log: Path) -> None:
        until_s = time.monotonic() + START_S
        while not all(_listens(port) for port in (self.port, self.port_v3)):
            if child.poll() is not None or time.monotonic() > until_s:
                said = log.read_text(errors="replace").strip()
                raise GatewayError(f"the embedded broker did not start: {said or 'it said nothing'}")
            time.sleep(0.02)


def _free_ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=0.5).close()
    except OSError:
        return False
    return True


def _stop(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(STOP_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    if child.stdin is not None:
        child.stdin.close()


def _serve(config: str) -> None:
    """The child: a broker until the parent's end of our standard input closes, however the parent ends.

    iotcore's own child process would share our terminal, its Ctrl-C and its standard error.
    """

    def end_with_parent() -> None:
        sys.stdin.buffer.read()
        os._exit(0)

    threading.Thread(target=end_with_parent, daemon=True).start()
    IotCoreBroker(config_path=config).run_forever()


if __name__ == "__main__":
    _serve(sys.argv[1])
