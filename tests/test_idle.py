"""What a daemon with plain settings does not carry about: libraries that only keys, writing or webhooks need."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

STORE = Path(__file__).parent.parent / "config" / "store"
UNNEEDED = ["cryptography", "ruamel.yaml", "httpx", "numpy", "iotcore", "uvicorn", "starlette", "rich"]
PROGRAM = """
import json, sys
from pathlib import Path
import gateway.cli, gateway.daemon
from gateway.assembly import assemble, read_configuration
from gateway.consent import Keys
assemble(read_configuration(Path(sys.argv[1])), Keys(bytes(32)))
print(json.dumps(sorted(sys.modules)))
"""


def test_libraries_are_loaded_where_they_are_needed() -> None:
    """Together they are 20 MiB; `bench/memory.py` measures the whole."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(STORE)], capture_output=True, text=True, check=True
    )
    loaded = json.loads(done.stdout)
    assert "aiomqtt" in loaded
    assert [name for name in UNNEEDED if name in loaded] == []
