"""calibration.yaml beside the map: what a walk has learned, written by `gateway calibrate --write`."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from pydantic import Field, model_validator

from gateway.errors import ConfigError, Problem
from gateway.located import Document, did_you_mean, load
from gateway.model import Calibration, LinkModel, SiteMap, Spot
from gateway.settings.sections import Name, Section, Words
from gateway.validated import validate

if TYPE_CHECKING:
    from ruamel.yaml import YAML

FILE: Final = "calibration.yaml"
HEADING: Final = """\
# What each receiver (or beacon) hears in each zone, learned in a walk by `gateway calibrate`.
# Per spot one value for each of `links`: mean in dBm, spread in dB, probability to be heard.
# While this file is there, zones that are not in it are not reported. Comments are kept when written anew.
"""
SD_MAX_DB = 40.0
_OUTSIDE = ""

Mean = Annotated[float, Field(strict=True, ge=-140, le=0)]
Spread = Annotated[float, Field(strict=True, gt=0, le=SD_MAX_DB)]
Share = Annotated[float, Field(strict=True, gt=0, lt=1)]


class Numbers(Section):
    mu_dbm: tuple[Mean, ...]
    sd_db: tuple[Spread, ...]
    p_hear: tuple[Share, ...]


class WalkedZone(Section):
    id: Name
    seconds: Annotated[int, Field(strict=True, ge=1)]
    spots: Annotated[tuple[Numbers, ...], Field(min_length=1)]


class About(Section):
    walked: Words
    """When the walk ended, ISO 8601."""
    devices: tuple[Words, ...]
    device_class: Literal["phone", "store_tag"]
    outside_evidence: Annotated[float, Field(strict=True, ge=-10, le=10)] = 0.0
    """Per step in favour of places where nobody walked."""
    interval_s: Annotated[float, Field(strict=True, ge=0, le=3600)] = 0.0
    """Advertising interval of the device that walked, as seen; 0: not known."""
    map: Words
    """Digest of the map that was walked."""


class CalibrationFile(Section):
    calibration: About
    links: Annotated[tuple[Name, ...], Field(min_length=1)]
    zones: Annotated[tuple[WalkedZone, ...], Field(min_length=1)]
    outside: tuple[Numbers, ...] = ()
    """Where somebody stood in no zone."""
    predicted: tuple[Numbers, ...] = ()
    """Other places in no zone, where nobody stood: `outside_evidence` is for these."""

    @model_validator(mode="after")
    def _one_value_a_link(self) -> CalibrationFile:
        unzoned = [("outside", self.outside), ("predicted", self.predicted)]
        for name, spots in [(zone.id, zone.spots) for zone in self.zones] + unzoned:
            for spot in spots:
                for key in ("mu_dbm", "sd_db", "p_hear"):
                    if len(getattr(spot, key)) != len(self.links):
                        wrong = f"{len(getattr(spot, key))} values for {len(self.links)} links"
                        raise ValueError(f"{name}: {key} has {wrong}")
        return self


def map_digest(site: SiteMap) -> str:
    """Of all that a walk depends on: zones, receivers and beacons with their places."""
    places = (
        sorted((z.id, z.floor, z.polygon, z.at, z.part_of or "") for z in site.zones),
        sorted((a.id, a.floor, a.at) for a in (*site.receivers, *site.beacons)),
    )
    return "sha256:" + hashlib.sha256(msgspec.json.encode(places)).hexdigest()[:32]


def map_changed(site: SiteMap) -> bool:
    """True: the calibration was walked on another map than this one."""
    return site.calibration is not None and site.calibration.map_digest != map_digest(site)


def walked_map(directory: Path) -> str | None:
    """Digest of the map of the last walk, whatever has become of its zones and links; None: there was none.
    ConfigError where the file cannot be read."""
    path = directory / FILE
    return validate(load(path), CalibrationFile).calibration.map if path.exists() else None


def calibrated(site: SiteMap, directory: Path) -> tuple[SiteMap, list[Problem]]:
    """The map with what calibration.yaml beside it says; the map as it is where there is no such file.

    Zones that have left the map are passed over. A link that has left it is a problem: without it the numbers
    of all others mean less than they say.
    """
    path = directory / FILE
    if not path.exists():
        return site, []
    try:
        document = load(path)
        file = validate(document, CalibrationFile)
    except ConfigError as e:
        return site, list(e.problems)
    problems = _unknown_links(document, file, site)
    return (site if problems else msgspec.structs.replace(site, calibration=_model(file))), problems


def _unknown_links(document: Document, file: CalibrationFile, site: SiteMap) -> list[Problem]:
    known = [a.id for a in (*site.receivers, *site.beacons)]
    return [
        document.problem(("links", i), f"unknown receiver or beacon '{link}'{_instead(link, known)}")
        for i, link in enumerate(file.links)
        if link not in known
    ]


def _instead(link: str, known: Sequence[str]) -> str:
    near = did_you_mean(link, known)
    return (
        f"{near} If not, calibrate again or remove the file"
        if near
        else "; calibrate again or remove the file"
    )


def _model(file: CalibrationFile) -> Calibration:
    spots = [_spot(zone.id, numbers) for zone in file.zones for numbers in zone.spots]
    spots += [_spot(_OUTSIDE, numbers) for numbers in file.outside]
    spots += [_spot(_OUTSIDE, numbers, predicted=True) for numbers in file.predicted]
    about = file.calibration
    return Calibration(file.links, tuple(spots), about.outside_evidence, about.interval_s, about.map)


def _spot(zone: str, numbers: Numbers, *, predicted: bool = False) -> Spot:
    links = zip(numbers.mu_dbm, numbers.sd_db, numbers.p_hear, strict=True)
    return Spot(zone, tuple(LinkModel(*values) for values in links), predicted)


# --- writing ---


def text(
    calibration: Calibration,
    seconds: dict[str, int],
    *,
    walked: datetime,
    devices: Sequence[str],
    device_class: str,
    before: str | None = None,
) -> str:
    """The file; `before` is the one that it replaces, whose comments stay where their keys and zones stay."""
    from ruamel.yaml import YAML  # noqa: PLC0415 - loaded only to write it

    yaml = YAML(typ="rt")
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    root: Any = yaml.load(HEADING + "calibration: {}\n" if before is None else before)
    about = root.get("calibration")
    new = {"walked": walked.isoformat(), "devices": _flow(yaml, devices), "device_class": device_class,
           "outside_evidence": calibration.outside_evidence, "interval_s": calibration.interval_s,
           "map": calibration.map_digest}  # fmt: skip
    if before is None or not isinstance(about, dict):
        root["calibration"] = about = yaml.map()
    about.update(new)
    root["links"] = _flow(yaml, calibration.links)
    old = {zone["id"]: zone for zone in root.get("zones", [])}
    zones = root.setdefault("zones", yaml.seq())
    for i in reversed(range(len(zones))):
        if zones[i]["id"] not in seconds:
            del zones[i]
    for zone, n in seconds.items():
        entry = old.get(zone)
        if entry is None:
            entry = yaml.map(id=zone)
            zones.append(entry)
        entry["seconds"] = n
        _replace(entry, "spots", _rows(yaml, calibration, zone))
    _replace(root, "outside", _rows(yaml, calibration, _OUTSIDE))
    _replace(root, "predicted", _rows(yaml, calibration, _OUTSIDE, predicted=True))
    out = io.StringIO()
    yaml.dump(root, out)
    return out.getvalue()


def _rows(yaml: YAML, calibration: Calibration, zone: str, *, predicted: bool = False) -> Any:
    spots = [spot for spot in calibration.spots if spot.zone == zone and spot.predicted == predicted]
    return yaml.seq([_numbers(yaml, spot) for spot in spots])


def _replace(entry: Any, key: str, spots: Any) -> None:
    """A comment above the next zone hangs on the end of the spots before it: it stays there."""
    old = entry.get(key)
    if not old:
        entry[key] = spots
        return
    while old:
        del old[-1]
    for spot in spots:
        old.append(spot)


def _numbers(yaml: YAML, spot: Spot) -> Any:
    return yaml.map(
        mu_dbm=_flow(yaml, [round(m.mu_dbm, 1) for m in spot.links]),
        sd_db=_flow(yaml, [round(m.sd_db, 1) for m in spot.links]),
        p_hear=_flow(yaml, [round(m.p_hear, 2) for m in spot.links]),
    )


def _flow(yaml: YAML, values: Sequence[Any]) -> Any:
    row: Any = yaml.seq(values)
    row.fa.set_flow_style()
    return row
