"""What numbers stand for in the rows of the core: not known, never, and what is said as bits.

Plain Python: compiled modules take these as C numbers when they are loaded.
"""

UNKNOWN = -1.0
"""A speed that is not known."""
INFINITE = float("inf")
"""A time that never comes; its negative one that never was."""

STALE, BY_RECEPTION, ASSUMED, OFF, ON = 1, 2, 4, 8, 16
"""What a fix says: it was old when it came in; its time is that of reception; its accuracy is assumed; the
ignition is off; it is on."""

SLOW, CLAIMS, HOLDS = 1, 2, 4
"""What a pair says: the last evidence inside was slow; it claims an `entering` or a stay; a stay."""

STATE, AT = 7, 8
"""Of what a pair's state consists for a vehicle: the state (visits.py), and that the last fix was inside."""
