"""Fixes from parts: for firmware that sends latitude, longitude and the rest on topics of their own.

A latitude and a longitude at most `within_s` apart make a fix. Of two neighbours a half belongs to the
nearer: when a message is lost, the next pair is whole again. Speed, heading, accuracy and ignition are the
last known, `keep_s` old at most; a retained one is of unknown age and goes with a retained position only.
The time of the device is taken where it came nearer to this position than to the one before; else, and where
there is none, the moment of reception counts.

Pure: the moment of reception of each part is all the time there is, and the same parts give the same fixes.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from msgspec import Struct

from gateway.counts import Counts
from gateway.model import Fix
from gateway.profiles.outcome import Outcome, RejectedError
from gateway.profiles.parts import Part
from gateway.profiles.rules import check_place, known_accuracy_m, known_heading_deg, known_speed_kmh

VEHICLES = 10_000
"""Enrolled vehicles that send in parts and were heard within `keep_s`."""

_HALVES = {"lat_deg": "lon_deg", "lon_deg": "lat_deg"}
_NEVER = float("-inf")


class _Heard(Struct):
    t_s: float
    value: Any
    retained: bool
    gap_s: float = float("inf")
    """Of a half: how far away the one was that it made a fix with."""


class _Vehicle(Struct):
    subject: str
    t_s: float
    keep_s: float
    heard: dict[str, _Heard]
    whole_s: float = _NEVER
    """When a position came as a whole."""
    fix: Fix | None = None


class Assembler:
    """Holds parts of enrolled vehicles only; who asks has to know that."""

    def __init__(self, counts: Counts, *, vehicles: int = VEHICLES) -> None:
        self._counts = counts
        self._room_for = vehicles
        self._vehicles: OrderedDict[tuple[str, str], _Vehicle] = OrderedDict()
        """By profile and device, the one silent for longest first."""
        self._single: OrderedDict[tuple[str, str, str], float] = OrderedDict()
        """Halves without the other one and until when they wait, the oldest first."""

    def take(self, part: Part) -> Fix | None:
        """The fix that this part completes."""
        self._expire(part.t_s)
        vehicle = self._vehicle(part)
        for name, value in part.known.items():
            if name not in _HALVES:
                vehicle.heard[name] = _Heard(part.t_s, value, part.retained)
        halves = [name for name in _HALVES if name in part.known]
        if len(halves) == 2:
            return self._whole(part, vehicle)
        return self._paired(part, vehicle, halves[0]) if halves else None

    def forget(self, subject: str) -> None:
        """Nothing that was heard of this subject's vehicles is kept."""
        for key in [k for k, vehicle in self._vehicles.items() if vehicle.subject == subject]:
            self._drop(key)

    def _vehicle(self, part: Part) -> _Vehicle:
        key = (part.room, part.device)
        vehicle = self._vehicles.get(key)
        if vehicle is not None and vehicle.subject != part.subject:
            self._drop(key)
            vehicle = None
        if vehicle is None:
            if len(self._vehicles) >= self._room_for:
                self._counts.count(part.room, Outcome.EVICTED.value)
                self._drop(next(iter(self._vehicles)))
            vehicle = self._vehicles[key] = _Vehicle(part.subject, part.t_s, part.keep_s, {})
        self._vehicles.move_to_end(key)
        vehicle.t_s = part.t_s
        return vehicle

    def _whole(self, part: Part, vehicle: _Vehicle) -> Fix | None:
        """A position in one message; its halves on topics of their own say nothing new."""
        vehicle.whole_s = part.t_s
        for name in _HALVES:
            if self._single.pop((part.room, part.device, name), None):
                self._counts.count(part.room, Outcome.SUPERSEDED.value)
            vehicle.heard.pop(name, None)
        lat_deg, lon_deg = part.known["lat_deg"], part.known["lon_deg"]
        before = vehicle.fix
        if (
            before is not None
            and (before.lat_deg, before.lon_deg, before.retained) == (lat_deg, lon_deg, part.retained)
            and part.t_s - before.t_s <= part.within_s
        ):
            self._counts.count(part.room, Outcome.SUPERSEDED.value)
            return None
        return self._fix(part, vehicle, lat_deg, lon_deg, part.retained)

    def _paired(self, part: Part, vehicle: _Vehicle, name: str) -> Fix | None:
        if part.t_s - vehicle.whole_s <= part.keep_s:
            self._counts.count(part.room, Outcome.SUPERSEDED.value)
            return None
        here = (part.room, part.device, name)
        if self._single.pop(here, None):
            self._counts.count(part.room, Outcome.UNPAIRED.value)
        half = vehicle.heard[name] = _Heard(part.t_s, part.known[name], part.retained)
        other = vehicle.heard.get(_HALVES[name])
        gap_s = part.t_s - other.t_s if other is not None else float("inf")
        if other is None or gap_s > part.within_s or gap_s >= other.gap_s:
            self._single[here] = part.t_s + part.within_s
            return None
        self._single.pop((part.room, part.device, _HALVES[name]), None)
        half.gap_s = other.gap_s = gap_s
        lat, lon = (half, other) if name == "lat_deg" else (other, half)
        try:
            check_place(lat.value, lon.value)
        except RejectedError as e:
            self._counts.count(part.room, e.outcome.value)
            return None
        return self._fix(part, vehicle, lat.value, lon.value, lat.retained or lon.retained)

    def _fix(self, part: Part, vehicle: _Vehicle, lat_deg: float, lon_deg: float, retained: bool) -> Fix:
        def last(name: str) -> Any:
            heard = vehicle.heard.get(name)
            if heard is None or part.t_s - heard.t_s > part.keep_s or (heard.retained and not retained):
                return None
            return heard.value

        device_s = _device_time_s(part, vehicle, retained)
        vehicle.fix = Fix(
            t_s=part.t_s,
            fix_t_s=part.t_s if device_s is None else device_s,
            device=part.device,
            lat_deg=lat_deg,
            lon_deg=lon_deg,
            accuracy_m=known_accuracy_m(last("accuracy_m")),
            speed_kmh=known_speed_kmh(last("speed_kmh")),
            heading_deg=known_heading_deg(last("heading_deg")),
            ignition=last("ignition"),
            retained=retained,
            time_source="reception" if device_s is None else "device",
            subject=vehicle.subject,
        )
        return vehicle.fix

    def _expire(self, now_s: float) -> None:
        while self._single:
            key, until_s = next(iter(self._single.items()))
            if until_s >= now_s:
                break
            del self._single[key]
            self._counts.count(key[0], Outcome.UNPAIRED.value)
        while self._vehicles:
            oldest, vehicle = next(iter(self._vehicles.items()))
            if now_s - vehicle.t_s <= vehicle.keep_s:
                break
            self._drop(oldest)

    def _drop(self, key: tuple[str, str]) -> None:
        del self._vehicles[key]
        for name in _HALVES:
            if self._single.pop((*key, name), None):
                self._counts.count(key[0], Outcome.UNPAIRED.value)


def _device_time_s(part: Part, vehicle: _Vehicle, retained: bool) -> float | None:
    said = vehicle.heard.get("fix_t_s")
    if said is None or said.value is None or (said.retained and not retained):
        return None
    age_s = part.t_s - said.t_s
    since_before_s = said.t_s - vehicle.fix.t_s if vehicle.fix is not None else float("inf")
    if age_s > part.within_s or age_s > since_before_s:
        return None
    moment_s: float = said.value
    return moment_s
