"""`gateway check`: every problem and every doubt of a configuration in one run, for people or as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from gateway import assembly, review, settings
from gateway.assembly import Configuration
from gateway.calibration.remarks import remarks
from gateway.errors import ConfigError, Problem
from gateway.profiles import Profiles, profiles_of
from gateway.review.secrets import Secrets, secrets
from gateway.settings.gateway_checks import shared_zones
from gateway.translation.language import Language
from gateway.translation.sentences import told, translated

NAMED = 5
"""Zones that one line names."""

Say = Callable[[str], None]


class Found(Struct):
    """What one run has to say; `summary`, by names in the plural, only where there is no problem."""

    directory: str
    fine: bool
    problems: list[Problem]
    warnings: list[Problem]
    notes: list[str]
    """What concerns no line of a file."""
    summary: dict[str, int | str] | None
    unseen: list[str] = []
    """Secrets that this user could not look at: they are for the service."""

    def text(self, language: Language = "en") -> Iterator[str]:
        """For a person, the summary last; problems and warnings of all files in the order of their places."""
        for problem in sorted([*self.problems, *self.warnings]):
            yield told(problem, language)
        for note in self.notes:
            yield f"{self.directory}: {translated(note, language)}"
        counted = [_counted(len(self.problems), "problems")] if self.problems else []
        counted += [_counted(len(self.warnings), "warnings")] if self.warnings else []
        if counted:
            yield translated(f"{', '.join(counted)} found", language)

    def line(self, language: Language = "en") -> str:
        """The last line where a gateway would start: all is fine, or there are warnings."""
        summary = self.summary or {}
        facts = [_counted(n, what) for what, n in summary.items() if isinstance(n, int)]
        facts = [translated(fact, language) for fact in (*facts, str(summary.get("consents", "")))]
        unseen = f"Not looked at, only the service may: {', '.join(self.unseen)}"
        verdict = "no problem" if self.warnings else "fine"
        sentences = [translated(verdict, language), ", ".join(facts)]
        sentences += [translated(unseen, language)] if self.unseen else []
        return f"{self.directory}: {'. '.join(sentences)}."

    def json(self) -> bytes:
        """`problems` and `warnings` as mappings of file, line, column, key, text and source."""
        return msgspec.json.encode(self)


def check(directory: Path, *, as_json: bool, language: Language, say: Say, tell: Say) -> bool:
    """`say` gets the result, `tell` what is wrong; True: nothing keeps a gateway from starting. JSON is for
    programs and always English."""
    found = look(directory)
    if as_json:
        say(found.json().decode())
        return found.fine
    for text in found.text(language):
        tell(text)
    if found.fine:
        say(found.line(language))
    return found.fine


def look(directory: Path, profiles: Profiles | None = None) -> Found:
    """`profiles`: those that are loaded already; None: the shipped ones and those of the directory."""
    try:
        profiles = profiles_of(directory) if profiles is None else profiles
    except ConfigError as error:
        return Found(str(directory), False, list(error.problems), [], [], None)
    both = settings.look(directory, profiles=profiles.subscribable)
    doubts = review.warnings(directory, both)
    kept = secrets(both.own, datetime.now(UTC))
    absent = [msgspec.structs.replace(problem, is_warning=True) for problem in kept.missing]
    problems, doubts = list(kept.problems), [*doubts, *kept.warnings, *absent]
    notes: list[str] = []
    configuration: Configuration | None = None
    try:
        configuration = assembly.read_configuration(directory, profiles=profiles, found=both)
        notes = [*_without_key(configuration, kept), *_notes(configuration)]
    except ConfigError as error:
        problems += error.problems
    if configuration is None or problems:
        return Found(str(directory), False, problems, doubts, [], None)
    return Found(str(directory), True, [], doubts, notes, _summary(configuration), kept.unseen)


def _summary(found: Configuration) -> dict[str, int | str]:
    site = found.site
    return {
        "zones": len(site.zones),
        "receivers": len(site.receivers),
        "beacons": len(site.beacons),
        "fences": len(site.fences),
        "recipients": len(found.settings.recipients),
        "consents": assembly.consent_words(found),
    }


def _without_key(found: Configuration, kept: Secrets) -> Iterator[str]:
    """ConfigError where the file of identity keys, which can be read, has problems."""
    secret = found.settings.identity_keys
    wrong = [*kept.problems, *kept.missing]
    if secret in kept.unseen or any(problem.key == "identity_keys" for problem in wrong):
        return
    if missing := assembly.without_key(found, assembly.identity_keys_of(found.settings)):
        yield f"{missing} irk: or eid: identities have no key and identify nobody"


def _notes(found: Configuration) -> Iterator[str]:
    yield from remarks(found.site)
    for (one, other), shared in shared_zones(found.settings, found.site).items():
        yield (
            f"{one} and {other} may both hear of {_named(shared)}; by zone and time alone they "
            "find out who is the same person: docs/privacy.md"
        )


def _named(names: list[str]) -> str:
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def _counted(n: int, what: str) -> str:
    return f"{n} {what.removesuffix('s') if n == 1 else what}"
