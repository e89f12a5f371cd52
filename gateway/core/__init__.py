"""The pure heart: observations in, presence out; no clock, no I/O, no chance."""

from gateway.core.belief import prepare
from gateway.core.core import Core
from gateway.core.holding import Holding

__all__ = ["Core", "Holding", "prepare"]
