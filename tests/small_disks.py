"""Real file systems that are small or turn read-only; mounting takes root, and where it is refused tests skip."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def tmpfs(directory: Path, size_mb: int) -> Iterator[Path]:
    directory.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={size_mb}m", "none", str(directory))
    try:
        yield directory
    finally:
        unmount(directory)


@contextmanager
def ext4(directory: Path, image: Path, size_mb: int = 16) -> Iterator[Path]:
    """On a file; `image` can be mounted again afterwards."""
    directory.mkdir(exist_ok=True)
    if not image.exists():
        with image.open("wb") as file:
            file.truncate(size_mb << 20)
        if shutil.which("mkfs.ext4") is None:
            pytest.skip("there is no mkfs.ext4 (Debian package e2fsprogs)")
        subprocess.run(["mkfs.ext4", "-q", image], capture_output=True, check=True)
    _mount("-o", "loop", str(image), str(directory))
    try:
        yield directory
    finally:
        unmount(directory)


def remount(directory: Path, options: str) -> None:
    _mount("-o", f"remount,{options}", str(directory))


def unmount(directory: Path) -> None:
    subprocess.run(["umount", "--lazy", directory], capture_output=True, check=True)


def repair(image: Path) -> None:
    """What a start of the machine does."""
    subprocess.run(["e2fsck", "-p", "-f", image], capture_output=True, check=False)


def fill(directory: Path) -> Path:
    """A file that takes all the room there is."""
    filler = directory / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    return filler


def _mount(*words: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting a file system needs root")
    mounted = subprocess.run(["mount", *words], capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"mounting is not permitted here: {mounted.stderr.strip()}")
