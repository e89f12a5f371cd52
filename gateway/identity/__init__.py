"""From what was heard to whom it concerns: enrolled devices go on, everything else ends here."""

from gateway.identity.identification import NO_KEYS, Enrolment, EveryDevice, Identification, Item

__all__ = ["NO_KEYS", "Enrolment", "EveryDevice", "Identification", "Item"]
