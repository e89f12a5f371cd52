"""How the plan looks; plan.css is part of the package."""

from importlib.resources import files
from typing import Final

STYLE: Final = files("gateway.drawing").joinpath("plan.css").read_text("utf-8")
