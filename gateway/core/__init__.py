"""The pure heart: observations in, presence out; no clock, no I/O, no chance."""

from gateway.core.core import Core

__all__ = ["Core"]
