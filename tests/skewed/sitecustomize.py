"""Put before a child's path: its wall clock is off by what the file SKEW_FILE says, in seconds.

Only what Python calls the time is moved, as if somebody had set the clock; the monotonic one goes on. The kernel
may not be asked whether its clock is right, as in the service (ProtectClock=), so timedated is.
"""

import os
import time
from pathlib import Path

_file = Path(os.environ["SKEW_FILE"])
_time = time.time


def _skewed() -> float:
    return _time() + float(_file.read_text() or 0)


time.time = _skewed

import gateway.clock  # noqa: E402

gateway.clock.kernel_synchronised = lambda: None
