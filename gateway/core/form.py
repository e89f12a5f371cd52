"""Which form of the core runs."""

from importlib import import_module

NAMES = (
    "rows agenda geometry edges bands raster index fences tracks judgement moments "
    "table stays vehicles arrivals health listening learned belief moving crowd core"
).split()
MODULES = [import_module(f"gateway.{name}") for name in ("reading", *(f"core.{name}" for name in NAMES))]
"""Those that the build compiles where it can."""


def core_form() -> str:
    """`compiled`, `plain Python`, or which modules are compiled if not all of one installation are."""
    compiled = [m.__name__ for m in MODULES if not str(m.__file__).endswith(".py")]
    if not compiled:
        return "plain Python"
    return "compiled" if len(compiled) == len(MODULES) else f"compiled in part ({', '.join(compiled)})"
