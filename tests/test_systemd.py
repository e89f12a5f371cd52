"""What is in systemd/: the unit as systemd itself judges it, the renewal of credentials, install and uninstall."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemons import TAG, Place, consent
from mosquitto import Mosquitto

from gateway.credentials import locate

ROOT = Path(__file__).parent.parent
UNIT = ROOT / "systemd" / "gateway.service"
with_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="apt-get install systemd")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user")
NOBODY = 65534


def run(*command: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=os.environ | environ, capture_output=True, text=True, check=False, timeout=600
    )


def settings(unit: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in unit.splitlines():
        if match := re.fullmatch(r"(\w+)=(.*)", line):
            found.setdefault(match[1], []).append(match[2])
    return found


@with_systemd
def test_exposure_is_1_2_at_most() -> None:
    judged = run("systemd-analyze", "security", "--offline=true", "--threshold=12", UNIT)
    assert judged.returncode == 0, judged.stdout
    assert re.search(r"exposure level for gateway.service: (0\.\d|1\.[0-2]) ", judged.stdout), judged.stdout


@with_systemd
def test_systemd_finds_nothing_to_say(tmp_path: Path) -> None:
    """With stand-ins for the two programs, which are where the installer puts them."""
    unit = UNIT.read_text()
    for program in re.findall(r"/opt/gateway/\S+/(?:gateway|renew-credentials)\b", unit):
        there = tmp_path / program.lstrip("/")
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_text("#!/bin/sh\n")
        there.chmod(0o755)
    (tmp_path / "gateway.service").write_text(unit.replace("/opt/gateway", f"{tmp_path}/opt/gateway"))
    verified = run("systemd-analyze", "verify", tmp_path / "gateway.service")
    assert (verified.returncode, verified.stderr) == (0, "")


def test_the_unit_promises_what_the_program_relies_on() -> None:
    said = settings(UNIT.read_text())
    for name, value in [
        ("Type", "notify"), ("DynamicUser", "yes"), ("StateDirectory", "gateway"), ("RuntimeDirectory", "gateway"),
        ("ConfigurationDirectory", "gateway"), ("RestartPreventExitStatus", "78 2"), ("OOMPolicy", "stop"),
        ("SystemCallErrorNumber", "EPERM"), ("LimitCORE", "0"), ("RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6"),
        ("ExecReload", "/bin/kill -HUP $MAINPID"),
    ]:  # fmt: skip
        assert said[name][-1] == value, name
    assert "bluetooth" in said["SupplementaryGroups"][0].split()
    groups = re.findall(r"^g (\S+)", (ROOT / "systemd/gateway.sysusers").read_text(), re.MULTILINE)
    assert set(said["SupplementaryGroups"][0].split()) == set(groups), "an unknown group would stop the start"
    assert int(said["WatchdogSec"][0]) >= 30
    assert said["LoadCredential"] == ["gateway:/etc/gateway/credentials"]


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (["c/pi.key"], "c/pi.key"),
        (["c/gateway_pi.key"], "c/gateway_pi.key"),
        (["c/pi.key", "c/gateway_pi.key"], "c/pi.key"),
        (["r/credentials/pi.key", "c/gateway_pi.key"], "r/credentials/pi.key"),
        ([], "c/pi.key"),
    ],
)
def test_where_a_credential_is_found(tmp_path: Path, files: list[str], found: str) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path / "c"), "RUNTIME_DIRECTORY": str(tmp_path / "r")}
    assert locate("credential:pi.key", environ) == tmp_path / found


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """One that every user may enter, unlike pytest's."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@as_root
def test_renewed_credentials_belong_to_the_service_alone(public_folder: Path) -> None:
    kept, private = public_folder / "credentials", public_folder / "private"
    kept.mkdir(mode=0o700)
    private.mkdir(mode=0o700)
    os.chown(private, NOBODY, NOBODY)
    runtime = public_folder / "run"
    runtime.symlink_to(private)  # as systemd does for DynamicUser
    for text in ("first", "second"):
        (kept / "pi 01.key").write_text(text)
        (kept / "pi 01.key").chmod(0o600)
        renewed = run(ROOT / "systemd/renew-credentials", kept, runtime)
        assert (renewed.returncode, renewed.stderr) == (0, "")
        (copy,) = private.rglob("*.key")
        status = copy.stat()
        assert (copy.read_text(), status.st_uid, stat.S_IMODE(status.st_mode)) == (text, NOBODY, 0o600)
    assert [path.name for path in private.iterdir()] == ["credentials"]


@as_root
def test_a_link_laid_by_the_service_leads_root_nowhere(public_folder: Path) -> None:
    kept, runtime, elsewhere = (public_folder / name for name in ("credentials", "run", "elsewhere"))
    for folder in (kept, runtime, elsewhere):
        folder.mkdir()
    os.chown(runtime, NOBODY, NOBODY)
    (kept / "pi.key").write_text("secret")
    (runtime / "credentials").symlink_to(elsewhere)
    (runtime / "credentials.new").symlink_to(elsewhere)
    assert run(ROOT / "systemd/renew-credentials", kept, runtime).returncode == 0
    assert [*elsewhere.iterdir()] == []


def tree(root: Path) -> dict[str, object]:
    """Every file but the program's own: mode, content, and which file it is."""
    return {
        str(path.relative_to(root)): (
            stat.S_IMODE(path.lstat().st_mode),
            path.read_bytes() if path.is_file() else None,
            (path.lstat().st_ino, path.lstat().st_mtime_ns) if not path.is_dir() else None,
        )
        for path in sorted(root.rglob("*"))
        if "/venv" not in str(path)
    }


def fingerprint(checkout: Path = ROOT) -> str:
    words = (ROOT / "systemd/install.sh").read_text()
    functions = words[words.index("sources() {") : words.index("# A virtual environment cannot")]
    script = f"set -euo pipefail; cd {checkout}; python={sys.executable}\n{functions}fingerprint"
    return run("bash", "-c", script).stdout.strip()


@pytest.mark.parametrize(
    ("changed", "another"),
    [
        ("gateway/core/core.py", True),
        ("gateway/core/core.pxd", True),
        ("gateway/status/page.css", True),
        ("firmware_profiles/ruuvi.yaml", True),
        ("config/demo/site.yaml", True),
        ("systemd/requirements.lock", True),
        ("gateway/core/core.cpython-313-aarch64-linux-gnu.so", False),
        ("gateway/core/core.c", False),
        ("gateway/core/__pycache__/core.cpython-313.pyc", False),
        ("config/store/site.yaml", False),
        ("docs/radio.md", False),
    ],
)
def test_what_makes_another_program(tmp_path: Path, changed: str, another: bool) -> None:
    for name in (
        "pyproject.toml",
        "setup.py",
        "README.md",
        "systemd/requirements.lock",
        "gateway/core/core.py",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("before")
    for name in ("firmware_profiles", "config/demo"):
        (tmp_path / name).mkdir(parents=True)
    before = fingerprint(tmp_path)
    assert re.fullmatch("[0-9a-f]{12}", before)
    (tmp_path / changed).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / changed).write_text("after")
    assert (fingerprint(tmp_path) != before) is another


def install(root: Path, script: str = "install.sh", *arguments: str) -> str:
    done = run(
        ROOT / "systemd" / script, *arguments, DESTDIR=str(root), PYTHON=sys.executable, GATEWAY_PURE="1"
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def installed_twice_and_taken_off(root: Path) -> None:
    first = install(root)
    assert "an example is in" in first
    before = tree(root)
    assert stat.S_IMODE((root / "etc/gateway/credentials").stat().st_mode) == 0o700
    assert stat.S_IMODE((root / "etc/gateway").stat().st_mode) == 0o750
    assert "up to date" in install(root)
    assert tree(root) == before, "the second time changes nothing"

    mine = root / "etc/gateway/gateway.yaml"
    mine.write_text("mine: {}\n")
    queue = root / "var/lib/private/gateway/outbox.sqlite"
    queue.parent.mkdir(parents=True)
    queue.write_bytes(b"events")
    (root / "var/lib/gateway").symlink_to("private/gateway")
    (root / "opt/gateway/venv-before").mkdir()
    (root / "etc/systemd/system/gateway.service").write_text("of an earlier version")
    assert "an example" not in install(root)
    assert (mine.read_text(), queue.read_bytes()) == ("mine: {}\n", b"events")
    assert (root / "etc/systemd/system/gateway.service").read_text() == UNIT.read_text()
    assert not (root / "opt/gateway/venv-before").exists()

    for _ in range(2):
        install(root, "uninstall.sh")
        assert not (root / "opt/gateway").exists()
        assert not (root / "etc/systemd/system/gateway.service").exists()
        assert not (root / "usr/local/bin/gateway").is_symlink()
        assert (mine.read_text(), queue.read_bytes()) == ("mine: {}\n", b"events")
    install(root, "uninstall.sh", "--purge")
    assert [str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()] == []


def test_install_again_upgrade_and_uninstall_with_a_program_that_is_there(tmp_path: Path) -> None:
    program = tmp_path / "opt/gateway" / f"venv-{fingerprint()}" / "bin/gateway"
    program.parent.mkdir(parents=True)
    program.symlink_to(Path(sys.executable).with_name("gateway"))
    (program.parents[1] / "complete").touch()
    installed_twice_and_taken_off(tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_install_builds_a_program_that_runs(tmp_path: Path) -> None:
    install(tmp_path)
    program = tmp_path / "opt/gateway/venv/bin/gateway"
    checked = run(program, "check", ROOT / "config/demo")
    assert checked.returncode == 0, checked.stderr
    assert run(program, "profiles", "test").returncode == 0
    shutil.rmtree(tmp_path / "etc")
    installed_twice_and_taken_off(tmp_path)


def test_an_unknown_word_takes_nothing_off(tmp_path: Path) -> None:
    (tmp_path / "opt/gateway").mkdir(parents=True)
    wrong = run(ROOT / "systemd/uninstall.sh", "--purg", DESTDIR=str(tmp_path))
    assert wrong.returncode == 2
    assert (tmp_path / "opt/gateway").exists()


@as_root
async def test_root_finds_a_service_and_what_root_writes_is_the_services(public_folder: Path) -> None:
    """As DynamicUser= lays it out: /var/lib/gateway is a link, the socket is in the runtime directory."""
    with Mosquitto(public_folder / "broker") as broker:
        place = Place(public_folder, broker)
        place.enrol(consent("card-1", TAG.format(n=1)))
        private, runtime = public_folder / "private", public_folder / "runtime"
        for folder in (private, runtime):
            folder.mkdir(mode=0o700)
        place.state.symlink_to(private)
        ask = (sys.executable, "-m", "gateway", "consent")
        rest = ("card-1", "--config", str(place.config))
        async with place.daemon(RUNTIME_DIRECTORY=str(runtime)) as daemon:
            await daemon.ready()
            assert (runtime / "gateway.sock").is_socket()
            shown = await asyncio.to_thread(
                run, *ask, "show", *rest, "--json", RUNTIME_DIRECTORY=str(runtime)
            )
            assert shown.returncode == 0, shown.stderr
            assert json.loads(shown.stdout)["subject"] == "card-1"
            await daemon.stop()
        for path in [private, *private.rglob("*")]:
            os.chown(path, NOBODY, NOBODY)
        erased = await asyncio.to_thread(run, *ask, "erase", *rest)
        assert erased.returncode == 0, erased.stderr
        assert {path.lstat().st_uid for path in private.rglob("*")} == {NOBODY}
