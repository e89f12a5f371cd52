"""Strength, spread and probability to be heard of every link at every spot, from a walk (DESIGN §5.1)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from gateway.calibration.clusters import partition
from gateway.calibration.loudness import offsets_db
from gateway.calibration.margin import outside_evidence
from gateway.calibration.path import Cluster, Path, cluster, fit_path, way
from gateway.calibration.walk import Sample
from gateway.core.cells import cells, leaves, unzoned
from gateway.core.loss import P_HEAR_MAX, P_HEAR_MIN, hearing_probability
from gateway.core.propagation import OUTSIDE
from gateway.model import Anchor, Calibration, LinkModel, Point, SiteMap, Spot

SPOTS = 3
SPOT_SECONDS = 8
"""Seconds of standing that a spot of its own takes."""
SHRINK_TO_LINE, SHRINK_TO_ZONE = 5.0, 15.0
"""Weights, in seconds: of the line in a zone's mean, and of the zone's mean in that of a spot."""
SHRINK_SD, SHRINK_HEARD = 5.0, 6.0
DRIFT_DB = 3.0
"""What another day, another body and another way of carrying add to the spread of a walk."""
UNHEARD_DBM = -95.0
"""Stands for a link that was not heard, where spots are told apart."""
OUTSIDE_SECONDS = 20
"""So long must somebody have stood in no zone for that to be learned."""
NEIGHBOURS_CAUTION = 0.3


class Walked(Struct, frozen=True):
    """What the walk holds of one zone."""

    zone: str
    seconds: int
    links: int
    """Receivers heard in at least half of the seconds."""
    spots: int


class Fitted(Struct, frozen=True):
    calibration: Calibration
    path: Path | None
    """None where zones or receivers have no place."""
    zones: tuple[Walked, ...]
    not_walked: tuple[str, ...]
    """Leaves of the map that have no samples: while the calibration is used they are not reported."""
    unknown: tuple[str, ...]
    """Labels that name no leaf of the map."""
    offsets_db: dict[str, float]


class _Field(Struct):
    """One zone's samples."""

    zone: str
    rows: list[tuple[float | None, ...]]
    seen: list[Cluster]
    mu_dbm: list[float] = []
    """Of the line, or of all zones where there is none."""


def fit(walk: Sequence[Sample], site: SiteMap, links: Sequence[str]) -> Fitted:
    """ValueError where no sample stands in a leaf of the map."""
    leaf = [zone.id for zone in leaves(site)]
    known = [sample for sample in walk if sample.zone in leaf or sample.zone == OUTSIDE]
    offsets = offsets_db([s for s in known if s.zone != OUTSIDE])
    plain = [_without_offset(sample, offsets) for sample in known]
    spots, inside, path = _learn(plain, site, links)
    if not inside:
        raise ValueError("no label of the recording names a zone of the map while its device is heard")
    predicts = any(spot.predicted for spot in spots)
    favour = outside_evidence(plain, lambda part: _learn(part, site, links)[0]) if predicts else 0.0
    intervals_s = sorted(sample.interval_s for sample in known)
    return Fitted(
        Calibration(tuple(links), tuple(spots), favour, round(intervals_s[len(intervals_s) // 2], 3)),
        path,
        tuple(_walked(field, spots) for field in inside),
        tuple(zone for zone in leaf if zone not in {f.zone for f in inside}),
        tuple(sorted({s.zone for s in walk} - {*leaf, OUTSIDE})),
        offsets,
    )


def _learn(
    walk: Sequence[Sample], site: SiteMap, links: Sequence[str]
) -> tuple[list[Spot], list[_Field], Path | None]:
    """Spots of the zones that were walked and of the ground outside; nothing where nobody walked."""
    fields = [_field(zone, walk, len(links)) for zone in (*(z.id for z in leaves(site)), OUTSIDE)]
    inside = [field for field in fields if field.rows and field.zone != OUTSIDE]
    if not inside:
        return [], [], None
    ground = _Ground(site, links, inside)
    spots, sd_db = _spots([*inside, *_stood_outside(fields, inside)], ground)
    return spots + ground.outside(sd_db), inside, ground.path


def _without_offset(sample: Sample, offsets: dict[str, float]) -> Sample:
    off_db = offsets.get(sample.device, 0.0)
    rssi_dbm = tuple(None if v is None else v - off_db for v in sample.rssi_dbm)
    return replace(sample, rssi_dbm=rssi_dbm)


def _walked(field: _Field, spots: Sequence[Spot]) -> Walked:
    steady = sum(2 * c.count >= len(field.rows) for c in field.seen)
    return Walked(field.zone, len(field.rows), steady, sum(s.zone == field.zone for s in spots))


def _field(zone: str, walk: Sequence[Sample], links: int) -> _Field:
    rows = [s.rssi_dbm for s in walk if s.zone == zone]
    return _Field(zone, rows, _seen(rows, links))


def _seen(rows: Sequence[tuple[float | None, ...]], links: int) -> list[Cluster]:
    return [cluster([v for row in rows if (v := row[r]) is not None]) for r in range(links)]


def _stood_outside(fields: Sequence[_Field], inside: Sequence[_Field]) -> list[_Field]:
    out = [f for f in fields if f.zone == OUTSIDE and len(f.rows) >= OUTSIDE_SECONDS]
    for field in out:
        columns = zip(*(f.mu_dbm for f in inside), strict=True)
        field.mu_dbm = [sum(column) / len(inside) for column in columns]
    return out


class _Ground:
    """What the map and the walk together say of places where nobody stood."""

    def __init__(self, site: SiteMap, links: Sequence[str], inside: Sequence[_Field]) -> None:
        anchors = {a.id: a for a in (*site.receivers, *site.beacons)}
        self._anchors = [anchors[link] for link in links]
        self._all, self._gap_m = cells(site)
        self._cells = {cell.zone: cell for cell in self._all}
        self._inside = inside
        self.path: Path | None = None
        if all(f.zone in self._cells for f in inside) and all(a.at for a in self._anchors):
            ways = [self._ways(self._cells[f.zone].points) for f in inside]
            self.path = fit_path(ways, [f.seen for f in inside], [len(f.rows) for f in inside])
        for field in inside:
            field.mu_dbm = self._expected(field)

    def _ways(self, points: Sequence[Point]) -> list[float]:
        return [way(points, anchor) for anchor in self._anchors]

    def _expected(self, field: _Field) -> list[float]:
        if self.path is not None:
            ways = self._ways(self._cells[field.zone].points)
            return [self.path.mu_dbm(way, r) for r, way in enumerate(ways)]
        return [_pooled([f.seen[r] for f in self._inside]) for r in range(len(self._anchors))]

    def outside(self, sd_db: float) -> list[Spot]:
        """Zones that were not walked, and receivers without a zone: somebody there is in no walked zone."""
        if self.path is None:
            return []
        walked = {f.zone for f in self._inside}
        lone = unzoned(self._anchors, self._all, self._gap_m)
        places: list[tuple[Point, tuple[Point, ...]]] = [
            (cell.centre, part) for cell in self._all if cell.zone not in walked for part in cell.quarters()
        ]
        places += [(centre, _ring(centre, self._gap_m)) for a in lone if (centre := _ground_point(a))]
        spread_db = math.hypot(sd_db, self.path.sd_db)
        links = range(len(self._anchors))
        return [
            Spot(OUTSIDE, tuple(self._predicted(centre, points, r, spread_db) for r in links), predicted=True)
            for centre, points in places
        ]

    def _predicted(self, centre: Point, points: Sequence[Point], r: int, sd_db: float) -> LinkModel:
        """The line, corrected by what the walked zones around differ from it."""
        assert self.path is not None  # noqa: S101 - asked only where there is one
        differs = weight = 0.0
        for field in self._inside:
            if field.seen[r].count > SHRINK_TO_LINE:
                near = math.exp(-math.dist(centre, self._cells[field.zone].centre) / self._gap_m)
                differs += near * (field.seen[r].mean_dbm - field.mu_dbm[r])
                weight += near
        mu_dbm = self.path.mu_dbm(way(points, self._anchors[r]), r) + differs / (weight + NEIGHBOURS_CAUTION)
        return LinkModel(mu_dbm, sd_db, hearing_probability(mu_dbm))


def _ground_point(anchor: Anchor) -> Point | None:
    return None if anchor.at is None else (anchor.at[0], anchor.at[1])


def _ring(centre: Point, gap_m: float) -> tuple[Point, ...]:
    """Points of a cell of this spacing around a place."""
    x, y = centre
    turns = [math.tau * k / 8 for k in range(8)]
    around = [(x + s * gap_m * math.cos(a), y + s * gap_m * math.sin(a)) for s in (0.25, 0.45) for a in turns]
    return (centre, *around)


def _pooled(seen: Sequence[Cluster]) -> float:
    count = sum(c.count for c in seen)
    return sum(c.count * c.mean_dbm for c in seen) / count if count else UNHEARD_DBM


def _spots(fields: Sequence[_Field], ground: _Ground) -> tuple[list[Spot], float]:
    """The spots of all fields, and the usual spread of a link at one."""
    parts: list[tuple[_Field, list[Cluster], int, list[float]]] = []
    for field in fields:
        zone_dbm = [_shrunk(c, to, SHRINK_TO_LINE) for c, to in zip(field.seen, field.mu_dbm, strict=True)]
        low = [min(mu, UNHEARD_DBM) for mu in zone_dbm]
        vectors = [
            tuple(lo if v is None else v for v, lo in zip(row, low, strict=True)) for row in field.rows
        ]
        wanted = max(1, min(SPOTS, len(vectors) // SPOT_SECONDS))
        part = partition(vectors, wanted)
        for k in sorted(set(part)):
            rows = [row for row, p in zip(field.rows, part, strict=True) if p == k]
            if len(rows) * 2 >= SPOT_SECONDS or wanted == 1:
                parts.append((field, _seen(rows, len(zone_dbm)), len(rows), zone_dbm))
    square = sum(c.square_db2 for _, seen, _, _ in parts for c in seen)
    freedom = sum(max(c.count - 1, 0) for _, seen, _, _ in parts for c in seen)
    sd_db = math.sqrt(square / max(freedom, 1))
    usual = _Usual(sd_db, ground.path.sd_db if ground.path else 2 * sd_db)
    spots = []
    for field, seen, seconds, zone_dbm in parts:
        links = zip(seen, zone_dbm, field.mu_dbm, strict=True)
        spots.append(Spot(field.zone, tuple(_link(c, seconds, to, line, usual) for c, to, line in links)))
    return spots, sd_db


class _Usual(NamedTuple):
    sd_db: float
    """Of a link at one spot."""
    line_sd_db: float
    """Of a zone around the line."""


def _link(seen: Cluster, seconds: int, zone_dbm: float, line_dbm: float, usual: _Usual) -> LinkModel:
    variance_db2 = (seen.square_db2 + SHRINK_SD * usual.sd_db**2) / (seen.count + SHRINK_SD) + DRIFT_DB**2
    if not seen.count:
        variance_db2 += usual.line_sd_db**2
    p_hear = (seen.count + SHRINK_HEARD * hearing_probability(line_dbm)) / (seconds + SHRINK_HEARD)
    return LinkModel(
        _shrunk(seen, zone_dbm, SHRINK_TO_ZONE),
        math.sqrt(variance_db2),
        min(max(p_hear, P_HEAR_MIN), P_HEAR_MAX),
    )


def _shrunk(seen: Cluster, to_dbm: float, weight: float) -> float:
    return (seen.count * seen.mean_dbm + weight * to_dbm) / (seen.count + weight)
