"""A real mosquitto on a loopback port of its own, that can be killed and started again."""

from __future__ import annotations

import contextlib
import getpass
import itertools
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

from authority import Authority

DOCUMENTED = Path(__file__).parent.parent / "systemd" / "mosquitto"
PASSWORD = "known to the gateway"  # noqa: S105 - of tests
CONFIG = """\
listener {port} {host}
allow_anonymous true
user {me}
persistence true
persistence_location {folder}/
autosave_interval 1
autosave_on_changes false
max_queued_messages {queue}
max_inflight_messages 1000
log_type error
log_type warning
"""
AS_IT_COMES = """\
listener {port} {host}
allow_anonymous true
user {me}
"""


_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 16
_PORTS = itertools.cycle(random.sample(range(10_240 + _WORKER, 32_768, 16), 1_408))


def free_port() -> int:
    """Below those that outgoing connections get (32768 on, ip_local_port_range), so that it stays free while shut;
    no two workers give the same, nor does one of them soon again.
    """
    for port in itertools.islice(_PORTS, 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("a hundred ports tried, none is free")


class Mosquitto:
    """Use as a context manager. `queue`: messages kept for a client that is away; 0: no limit.

    `readable_only`: a topic filter under which nobody may publish. `as_it_comes`: with mosquitto's own defaults,
    which keep nothing on disk. `more`: further lines of its configuration.
    """

    def __init__(
        self,
        folder: Path,
        *,
        queue: int = 0,
        readable_only: str = "",
        as_it_comes: bool = False,
        host: str = "127.0.0.1",
        more: str = "",
    ) -> None:
        program = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
        if program is None:
            raise RuntimeError(
                "mosquitto is not installed; `apt-get install mosquitto` (scripts/test does it)"
            )
        self.host, self.port = host, free_port()
        self._folder = folder
        self._config = folder / "mosquitto.conf"
        folder.mkdir(parents=True, exist_ok=True)
        me = getpass.getuser()  # else, started by root, it becomes a user who may not write here
        config = AS_IT_COMES if as_it_comes else CONFIG
        self._config.write_text(config.format(port=self.port, host=host, folder=folder, queue=queue, me=me))
        if more:
            self._config.write_text(f"{more}\n{self._config.read_text()}")
        if readable_only:
            rules = folder / "acl"
            rules.write_text(f"topic readwrite #\ntopic deny {readable_only}\n")
            self._config.write_text(self._config.read_text() + f"acl_file {rules}\n")
        self._command = [program, "-c", str(self._config)]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)

    def start(self) -> None:
        log = (self._folder / "mosquitto.log").open("ab")
        self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        log.close()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex((self.host, self.port)) == 0:
                    return
            time.sleep(0.02)
        raise RuntimeError(f"mosquitto did not start: {(self._folder / 'mosquitto.log').read_text()}")

    def kill(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(10)


class Documented(Mosquitto):
    """With a configuration of systemd/mosquitto; only ports and places differ. `port` is the one with TLS."""

    def __init__(self, folder: Path, name: str, authority: Authority) -> None:
        super().__init__(folder)
        certificates = folder / "certs"
        certificates.mkdir()
        self.plain_port, self._certificates = free_port(), certificates
        self.trust(authority)
        shutil.copy(DOCUMENTED / f"{name}.acl", folder / "gateway.acl")
        passwords = folder / "gateway.passwd"
        passwords.touch(0o600)
        subprocess.run(
            ["mosquitto_passwd", "-b", str(passwords), "gateway", PASSWORD], check=True, capture_output=True
        )
        config = (DOCUMENTED / f"{name}.conf").read_text()
        for documented in ("/etc/mosquitto/", "/var/lib/mosquitto/"):
            config = config.replace(documented, f"{folder}/")
        ports = {"8883": f"{self.port} 127.0.0.1", "1883": str(self.plain_port)}
        config = re.sub(r"(?<=^listener )\d+", lambda found: ports[found[0]], config, flags=re.MULTILINE)
        self._config.write_text(f"user {getpass.getuser()}\n{config}")

    def trust(self, authority: Authority) -> None:
        """From the next start on."""
        certificate, key = authority.issue("broker")
        shutil.copy(authority.ca, self._certificates / "ca.pem")
        shutil.copy(certificate, self._certificates / "broker.pem")
        shutil.copy(key, self._certificates / "broker.key")
