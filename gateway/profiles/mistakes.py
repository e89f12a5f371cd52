"""How mistakes in a profile are told, and what identities of both kinds of profile have to keep to."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from gateway.located import did_you_mean
from gateway.profiles.templates import IdentityTemplate

Place = tuple[str | int, ...]
Mistake = tuple[Place, str]
"""Place in the file, and what is wrong there."""


def identity_mistakes(
    text: str, place: Place, known: Collection[str], schemes: Collection[str]
) -> Iterator[Mistake]:
    template = IdentityTemplate(text)
    if template.scheme not in schemes:
        yield place, f"expected an identity that begins with one of {', '.join(s + ':' for s in schemes)}"
    for name in template.names:
        if name not in known:
            yield place, f"there is no {name} here{did_you_mean(name, known)}"
