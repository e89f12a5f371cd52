"""What pyproject.toml cannot say: folders outside the package that belong to it, and the compiled core.

The modules of COMPILED are compiled with Cython where a compiler is at hand, and installed as plain Python
where it is not or GATEWAY_PURE=1 is set; one line says so. The source is the same.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext

DATA = {"gateway.firmware_profiles": "firmware_profiles", "gateway.demo_config": "config/demo"}
CORE = (
    "rows agenda loss cells sums geometry edges bands raster index fences tracks judgement moments "
    "table stays vehicles arrivals health listening learned belief moving crowd core"
)
COMPILED = ("reading", *(f"core.{name}" for name in CORE.split()), "profiles.flat")
FLAGS = [] if sys.platform == "win32" else ["-O3", "-g0", "-ffp-contract=off"]
"""No fused operations: plain and compiled give the same bits, on every processor."""
SHARED = "gateway._cython"
"""What Cython would put into every module, once: a third of the time to compile."""


def compilers() -> int:
    """So many at once: one a core, as far as there is memory, of which each takes up to 170 MB."""
    try:
        found = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    except OSError:
        found = None
    cores = os.cpu_count() or 1
    return max(1, min(cores, int(found[1]) // 200_000)) if found else cores


def extensions() -> list[Any]:
    if os.environ.get("GATEWAY_PURE") == "1":
        return []
    try:
        from Cython.Build import cythonize  # noqa: PLC0415 - absent where building is not isolated
    except ImportError:
        _plain("Cython is not installed")
        return []
    sources = [
        Extension(f"gateway.{m}", [f"gateway/{m.replace('.', '/')}.py"], extra_compile_args=FLAGS)
        for m in COMPILED
    ]
    sources.append(Extension(SHARED, ["gateway/_cython.c"], extra_compile_args=FLAGS))
    directives = {"language_level": 3, "boundscheck": False, "wraparound": False, "cdivision": True,
                  "initializedcheck": False, "embedsignature": True, "annotation_typing": False}  # fmt: skip
    return list(
        cythonize(
            sources,
            compiler_directives=directives,
            build_dir="build/cython",
            quiet=True,
            shared_utility_qualified_name=SHARED,
        )
    )


class CompileIfPossible(build_ext):
    def finalize_options(self) -> None:
        super().finalize_options()
        self.parallel = self.parallel or compilers()

    def run(self) -> None:
        try:
            super().run()
        except Exception as error:
            _plain(str(error).splitlines()[0])
            self.extensions = []


def _plain(why: str) -> None:
    print(f"warning: the core is installed as plain Python, which is slower: {why}", file=sys.stderr)


setup(
    packages=[*find_packages(include=["gateway*"]), *DATA],
    package_dir=DATA,
    package_data={
        "gateway": ["*.pxd", "*/*.pxd", "*/*.css", "*/*.js", "*/*.html"],
        **{name: ["*.yaml"] for name in DATA},
    },
    ext_modules=extensions(),
    cmdclass={"build_ext": CompileIfPossible},
)
