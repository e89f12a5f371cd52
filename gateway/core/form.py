"""Which form of the core runs."""

from gateway.core import belief, crowd, geometry, health, index, listening, raster

MODULES = (geometry, raster, index, health, listening, belief, crowd)
"""Those that the build compiles where it can."""


def core_form() -> str:
    """`compiled`, `plain Python`, or which modules are compiled if not all of one installation are."""
    compiled = [m.__name__ for m in MODULES if not str(m.__file__).endswith(".py")]
    if not compiled:
        return "plain Python"
    return "compiled" if len(compiled) == len(MODULES) else f"compiled in part ({', '.join(compiled)})"
