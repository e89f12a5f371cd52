"""How much coarser a recipient sees what happened. All steps are seconds, counted from 1970 in UTC."""

from __future__ import annotations

from msgspec import Struct

DAY_S = 86_400.0


class Rounding(Struct, frozen=True):
    """Times are rounded down to whole steps; 0: not at all."""

    time_s: float
    dwell_s: float


AS_MEASURED = Rounding(0.0, 0.0)
WHOLE_MINUTES = Rounding(60.0, 60.0)


def rounded_down(t_s: float, step_s: float) -> float:
    return t_s if step_s == 0 else t_s // step_s * step_s


def partner_expiry_s(t_s: float, until_s: float, epoch_s: float) -> float:
    """When a partner's event of `t_s` is to be forgotten: never after `until_s`, the end of the consent.

    The longest of an epoch, a day, an hour and a minute, counted from the beginning of the event's day, hour
    or minute, that is over by then. The end of the consent itself would be the same at every recipient and
    known of few subjects; of this, two partners only learn how far it roughly is away. In the last minute
    it is `until_s`.
    """
    for span_s in (epoch_s, DAY_S, 3_600.0, 60.0):
        end_s = rounded_down(t_s, min(span_s, DAY_S)) + span_s
        if span_s <= epoch_s and end_s <= until_s:
            return end_s
    return until_s
