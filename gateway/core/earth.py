"""The Earth as a ball."""

EARTH_M = 6_371_008.8
"""Mean radius R1, IUGG."""
RADIAN = 0.017453292519943295
"""One degree."""
DEGREE_M = EARTH_M * RADIAN
"""One degree of latitude."""
