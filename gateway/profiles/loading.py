"""Profile files to profiles: all problems of all files at once."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

from gateway.errors import ConfigError, Problem
from gateway.located import Document, did_you_mean, load
from gateway.profiles.checks import meet, mistakes, shadowed
from gateway.profiles.profiles import Profiles
from gateway.profiles.schema_ble import BleProfile
from gateway.profiles.schema_mqtt import MqttProfile
from gateway.profiles.vectors import check_vectors
from gateway.validated import validate

_Loaded = tuple[Document, BleProfile | MqttProfile]


def shipped_directory() -> Path:
    """The profiles that come with the program: beside the package in a checkout, inside it when installed."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "firmware_profiles"
    return inside if inside.is_dir() else package.parent / "firmware_profiles"


def profiles_of(configuration: Path | None) -> Profiles:
    """The shipped profiles, and those in a configuration's folder `profiles`. ConfigError as below."""
    return load_profiles(own=configuration and configuration / "profiles")


def load_profiles(directory: Path | None = None, *, own: Path | None = None) -> Profiles:
    """Every `*.yaml` of a directory (None: the shipped ones) and of `own`, which need not exist; compiled.

    ConfigError with all problems: mistakes in a file, a vector that does not hold, two profiles of one name
    or that could claim the same payload. A profile of `own` may stand for one of the others (`replaces`).
    Vectors of the shipped ones are not tried again at each start: the tests and `gateway profiles test` do.
    """
    place = directory or shipped_directory()
    problems: list[Problem] = []
    loaded = _all_of(place, problems, has_to_prove=directory is not None)
    if not loaded and not problems:
        problems.append(Problem(str(place), 1, 1, "", "no profiles (*.yaml) here"))
    if own is not None:
        theirs = _all_of(own, problems, has_to_prove=True)
        names = [profile.profile for _, profile in loaded]
        for document, profile in theirs:
            if profile.replaces and profile.replaces not in names:
                text = f"there is no profile {profile.replaces}{did_you_mean(profile.replaces, names)}"
                problems.append(document.problem(("replaces",), text))
        replaced = {profile.replaces for _, profile in theirs}
        loaded = [(d, p) for d, p in loaded if p.profile not in replaced] + theirs
    for first, second in combinations(loaded, 2):
        problems += _clashes(first, second)
    if problems:
        raise ConfigError(problems)
    return Profiles(profile for _, profile in loaded)


def _all_of(place: Path, problems: list[Problem], *, has_to_prove: bool) -> list[_Loaded]:
    loaded: list[_Loaded] = []
    for path in sorted(place.glob("*.yaml")):
        try:
            loaded.append(_one(path, f"{place.name}/{path.name}", has_to_prove=has_to_prove))
        except ConfigError as e:
            problems += e.problems
    return loaded


def _one(path: Path, name: str, *, has_to_prove: bool) -> _Loaded:
    document = load(path, name=name)
    match = document.data.get("match")
    over_mqtt = isinstance(match, dict) and "topic" in match
    profile = validate(document, MqttProfile) if over_mqtt else validate(document, BleProfile)
    found = [document.problem(place, text) for place, text in mistakes(profile)]
    for one, two in shadowed(profile):
        there = document.problem(one, "", at_key=True)
        text = f"could claim what {there.key} (line {there.line}) claims"
        found.append(document.problem(two, text, at_key=True))
    if not found and has_to_prove:
        for result in check_vectors(profile):
            if result.problem:
                found.append(
                    document.problem(("vectors", result.number - 1), f"the vector fails: {result.problem}")
                )
    if found:
        raise ConfigError(found)
    return document, profile


def _clashes(first: _Loaded, second: _Loaded) -> list[Problem]:
    (one, a), (two, b) = first, second
    if a.profile == b.profile:
        there = one.problem(("profile",), "")
        return [two.problem(("profile",), f"{there.file}:{there.line} has this name already")]
    if meet(a, b):
        there = one.problem(("match",), "", at_key=True)
        text = f"could claim what {a.profile} ({there.file}:{there.line}) claims"
        return [two.problem(("match",), text, at_key=True)]
    return []
