"""What the plan says, in the languages of its readers."""

from __future__ import annotations

from typing import Final

from msgspec import Struct


class PlanWords(Struct, frozen=True):
    kinds: dict[str, str]
    receiver: str
    beacon: str
    parent: str
    outside: str
    north: str
    unplaced: str
    """Before the names of what has no place on the map."""
    more: str
    """`{n}` fences that are not drawn."""


ENGLISH: Final = PlanWords(
    kinds={
        "shelf": "shelf", "aisle": "aisle", "entrance": "entrance", "checkout": "checkout",
        "car_park": "car park", "drive_through": "drive-through", "pump": "pump", "perimeter": "perimeter",
    },
    receiver="receiver", beacon="beacon", parent="zone made of parts", outside="Outside", north="N",
    unplaced="without a place", more="and {n} more fences",
)  # fmt: skip
GERMAN: Final = PlanWords(
    kinds={
        "shelf": "Regal", "aisle": "Gang", "entrance": "Eingang", "checkout": "Kasse",
        "car_park": "Parkplatz", "drive_through": "Drive-in", "pump": "Zapfsäule", "perimeter": "Umkreis",
    },
    receiver="Empfänger", beacon="Sender", parent="Zone aus Teilen", outside="Außen", north="N",
    unplaced="ohne Ort", more="und {n} weitere Zäune",
)  # fmt: skip
PLAN_WORDS: Final = {"en": ENGLISH, "de": GERMAN}
