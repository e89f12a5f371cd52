"""The outline of a fence: corners in the map itself, or a GeoJSON file (RFC 7946) beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gateway.model import Point, Ring
from gateway.settings.rings import around, open_ring, ring_mistake

MAX_BYTES = 4 << 20
Polygons = tuple[tuple[Ring, ...], ...]


def place_mistake(lat: float, lon: float, order: str = "[latitude, longitude]") -> str:
    """What is wrong with a place on earth; empty when nothing is. `order` is how this file writes a pair."""
    if abs(lat) <= 90 and abs(lon) <= 180:
        return ""
    if abs(lon) <= 90 < abs(lat) <= 180:
        return f"latitude {lat:g} is beyond ±90; the two look swapped: write {order}"
    what = f"latitude {lat:g} is beyond ±90" if abs(lat) > 90 else f"longitude {lon:g} is beyond ±180"
    return f"{what}; write {order}"


def of_rings(rings: Sequence[Sequence[Point]]) -> tuple[Ring, ...]:
    """An outer ring and its holes, opened. ValueError when one is no polygon or a hole lies outside."""
    if not rings:
        raise ValueError("a polygon needs three corners or more that differ")
    opened = tuple(open_ring(r) for r in rings)
    for number, ring in enumerate(opened):
        mistake = ring_mistake(around(ring) if ring else ring)
        if mistake:
            raise ValueError(f"hole {number}: {mistake}" if number else mistake)
    outer = around(opened[0])
    for number, hole in enumerate(opened[1:], 1):
        # A hole is judged around the outline's first corner, so that both count longitudes alike.
        inner = around((opened[0][0], *hole))[1:]
        for axis in (0, 1):
            values = [p[axis] for p in outer]
            if not all(min(values) <= p[axis] <= max(values) for p in inner):
                raise ValueError(f"hole {number} reaches outside the outline")
    return opened


def of_geojson(path: Path) -> Polygons:
    """The Polygon or MultiPolygon of a GeoJSON file, longitude first there. ValueError when it has none."""
    name = path.name
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"{name} is larger than 4 MiB")
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ValueError(f"no file {name} beside the map") from None
    except OSError as e:
        raise ValueError(f"{name} cannot be read: {e.strerror}") from None
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):
        raise ValueError(f"{name} is not JSON") from None
    geometry = _geometry(found)
    kind = geometry.get("type")
    if kind not in ("Polygon", "MultiPolygon"):
        raise ValueError(f"{name}: expected one GeoJSON Polygon or MultiPolygon")
    bodies = [geometry.get("coordinates")] if kind == "Polygon" else geometry.get("coordinates")
    try:
        if not isinstance(bodies, list) or not bodies:
            raise ValueError("expected coordinates")
        return tuple(of_rings([[_place(p) for p in ring] for ring in _list(body)]) for body in bodies)
    except ValueError as e:
        raise ValueError(f"{name}: {e}") from None


def _geometry(found: Any) -> dict[str, Any]:
    """The geometry of a bare geometry, a Feature, or a FeatureCollection of one feature."""
    if isinstance(found, dict) and found.get("type") == "FeatureCollection":
        features = found.get("features")
        found = features[0] if isinstance(features, list) and len(features) == 1 else None
    if isinstance(found, dict) and found.get("type") == "Feature":
        found = found.get("geometry")
    return found if isinstance(found, dict) else {}


def _list(value: Any) -> list[list[Any]]:
    if not isinstance(value, list) or not all(isinstance(ring, list) for ring in value):
        raise ValueError("expected a list of rings, each a list of [longitude, latitude]")
    return value


def _place(pair: Any) -> Point:
    numbers = isinstance(pair, list) and len(pair) >= 2 and all(type(v) in (int, float) for v in pair)
    if not numbers or not all(abs(v) < float("inf") for v in pair):
        raise ValueError("expected [longitude, latitude] as numbers")
    lon, lat = float(pair[0]), float(pair[1])
    mistake = place_mistake(lat, lon, "[longitude, latitude] in GeoJSON")
    if mistake:
        raise ValueError(mistake)
    return lat, lon
