"""What the sections of both files are made of: strict models, ids, numbers."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

NAME_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"


class Section(BaseModel):
    """A mapping of the configuration: no unknown keys, not changed after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


def _topic_safe(name: str) -> str:
    # Ids become levels of MQTT topics: none of + # / and nothing that a shell or a log would have to quote.
    if re.fullmatch(NAME_PATTERN, name) is None:
        raise ValueError(
            "not usable as an id: 1 to 64 letters, digits, dots, dashes, underscores; a letter or digit first"
        )
    return name


Name = Annotated[
    str, AfterValidator(_topic_safe), WithJsonSchema({"type": "string", "pattern": NAME_PATTERN})
]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Positive = Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0)]
Whole = Annotated[int, Field(strict=True)]
Words = Annotated[str, Field(min_length=1)]
LegalBasis = Annotated[Words, Field(examples=["eu-gdpr:A6-1-a", "eu-gdpr:A6-1-b", "eu-gdpr:A6-1-f"])]
"""Free text, best a term of DPV's extension for the GDPR: consent, contract, legitimate interest."""


def _term(text: str) -> str:
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9.-]*:[A-Za-z0-9._-]+", text) is None:
        raise ValueError("expected a purpose as a term with its prefix, such as dpv:PersonalisedBenefits")
    return text


Term = Annotated[str, AfterValidator(_term)]
"""A purpose."""
