"""The plan of a site as SVG: floors in metres, fences as outlines in metres apart. Pure: map in, text out."""

from gateway.drawing.plan import panels, plan
from gateway.drawing.sheet import Panel, escaped
from gateway.drawing.style import STYLE
from gateway.drawing.words import PLAN_WORDS, PlanWords

__all__ = ["PLAN_WORDS", "STYLE", "Panel", "PlanWords", "escaped", "panels", "plan"]
