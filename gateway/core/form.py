"""Which form of the core runs."""

from gateway.core import (
    agenda,
    arrivals,
    core,
    fences,
    geometry,
    index,
    judgement,
    moments,
    raster,
    rows,
    stays,
    table,
    tracks,
    vehicles,
)

MODULES = (
    rows,
    agenda,
    geometry,
    raster,
    index,
    fences,
    tracks,
    judgement,
    moments,
    table,
    stays,
    vehicles,
    arrivals,
    core,
)
"""Those that the build compiles where it can."""


def core_form() -> str:
    """`compiled`, `plain Python`, or which modules are compiled if not all of one installation are."""
    compiled = [m.__name__ for m in MODULES if not str(m.__file__).endswith(".py")]
    if not compiled:
        return "plain Python"
    return "compiled" if len(compiled) == len(MODULES) else f"compiled in part ({', '.join(compiled)})"
