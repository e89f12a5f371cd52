"""Firmware profiles: how bytes, or a topic and payload, become sightings, fixes and identities.

A profile is a YAML file; this room validates, compiles and applies it. It knows no firmware by name.
"""

from gateway.profiles.assembler import Assembler
from gateway.profiles.loading import load_profiles, profiles_of, shipped_directory
from gateway.profiles.outcome import Outcome
from gateway.profiles.parts import Part
from gateway.profiles.profiles import Profiles
from gateway.profiles.states import StateReader, Word
from gateway.profiles.vectors import VectorResult, check_vectors

__all__ = [
    "Assembler",
    "Outcome",
    "Part",
    "Profiles",
    "StateReader",
    "VectorResult",
    "Word",
    "check_vectors",
    "load_profiles",
    "profiles_of",
    "shipped_directory",
]
