"""A gateway that is killed at a named step of a withdrawal: `STEP --config DIRECTORY`.

The hooks are put on here; the program knows nothing of them.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from gateway import cli, recordings
from gateway.custody import Custody
from gateway.lanes import Lanes
from gateway.model import ConsentSignal, ObjectionSignal, Signal
from gateway.outbox import Outbox
from gateway.outbox.store import Store

armed: list[bool] = []
"""Not before the withdrawal has come: a start does some of these steps as well."""


def arm() -> None:
    put = Lanes.control

    def control(self: Lanes, signal: Signal) -> None:
        if isinstance(signal, ConsentSignal | ObjectionSignal):
            armed.append(True)
        put(self, signal)

    Lanes.control = control  # type: ignore[method-assign]


def die() -> None:
    if armed:
        os.kill(os.getpid(), signal.SIGKILL)


def before(owner: Any, name: str) -> None:
    call = getattr(owner, name)

    def called(*args: Any, **kwargs: Any) -> Any:
        die()
        return call(*args, **kwargs)

    setattr(owner, name, called)


def after(owner: Any, name: str) -> None:
    """Dies when the call has returned."""
    call = getattr(owner, name)

    def called(*args: Any, **kwargs: Any) -> Any:
        answer = call(*args, **kwargs)
        die()
        return answer

    setattr(owner, name, called)


def half_written() -> None:
    copy = recordings._copy

    def copied(path: Any, beside: Any, part: Any) -> int:
        if armed:
            beside.write_bytes(path.read_bytes()[:100])
            die()
        return copy(path, beside, part)

    recordings._copy = copied


STEPS: dict[str, Callable[[], None]] = {
    "in the lane": lambda: after(Lanes, "control"),
    "absorbed": lambda: before(Custody, "heed"),
    "before the commit": lambda: after(Store, "purge"),
    "after the commit, before the checkpoint": lambda: before(Store, "_empty_log"),
    "after the checkpoint": lambda: after(Store, "_empty_log"),
    "in the vacuum": lambda: after(Store, "vacuum"),
    "in the rewriting of a recording": half_written,
    "before the new recording has the name": lambda: after(recordings, "_copy"),
    "when the new recording has the name": lambda: before(recordings, "sync_directory"),
    "before all is said to be done": lambda: before(Outbox, "swept"),
}
"""In their order."""
BEFORE_COMMIT = ("in the lane", "absorbed", "before the commit")

if __name__ == "__main__":
    arm()
    STEPS[sys.argv[1]]()
    cli.main(["run", *sys.argv[2:]])
