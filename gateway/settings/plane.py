"""Places on earth as places on a plane, for the few kilometres of a site."""

from __future__ import annotations

import math

from gateway.model import Point

DEGREE_M = 111_195.08
"""One degree of latitude on a ball of the mean radius R1, IUGG."""


def metres(place: Point, origin: Point) -> Point:
    """(east, north) of a (latitude, longitude), on a plane that touches the ball where `origin` is."""
    scale = math.cos(math.radians(origin[0])) * DEGREE_M
    return turn_deg(place[1] - origin[1]) * scale, (place[0] - origin[0]) * DEGREE_M


def turn_deg(degrees: float) -> float:
    """The short way around, across the antimeridian: -180 to 180."""
    return (degrees + 180.0) % 360.0 - 180.0


def apart_deg(a: Point, b: Point) -> float:
    """The greater of the differences in latitude and longitude."""
    return max(abs(a[0] - b[0]), abs(turn_deg(a[1] - b[1])))
