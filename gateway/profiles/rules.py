"""What every fix has to keep to, whatever the firmware that sent it."""

from __future__ import annotations

from gateway.profiles.outcome import Outcome, RejectedError

MAX_PAYLOAD_BYTES = 64 * 1024
EARLIEST_S = 946_684_800.0
"""2000: a device that says less has no clock yet."""
LATEST_S = 4_102_444_800.0
"""2100: a device that says more speaks another unit."""
MOST_AHEAD_S = 86_400.0
"""A device that is further ahead of the reception has a wrong clock."""


def checked_time_s(fix_t_s: float, received_s: float) -> float:
    """RejectedError for a moment before 2000 or after 2100, or more than a day after its reception."""
    if not EARLIEST_S <= fix_t_s <= LATEST_S:
        raise RejectedError(Outcome.OUT_OF_RANGE)
    if fix_t_s > received_s + MOST_AHEAD_S:
        raise RejectedError(Outcome.FUTURE)
    return fix_t_s


def check_place(lat_deg: float, lon_deg: float) -> None:
    """RejectedError for what is nowhere on earth, and for 0/0, where receivers without a fix say they are."""
    if not (-90 <= lat_deg <= 90 and -180 <= lon_deg <= 180):
        raise RejectedError(Outcome.OUT_OF_RANGE)
    if lat_deg == 0 and lon_deg == 0:
        raise RejectedError(Outcome.NULL_ISLAND)


def known_accuracy_m(accuracy_m: float | None) -> float | None:
    """A reported 0 means unknown."""
    return accuracy_m if accuracy_m is not None and accuracy_m > 0 else None


def known_speed_kmh(speed_kmh: float | None) -> float | None:
    return speed_kmh if speed_kmh is not None and speed_kmh >= 0 else None


def known_heading_deg(heading_deg: float | None) -> float | None:
    return heading_deg % 360 if heading_deg is not None and 0 <= heading_deg <= 360 else None
