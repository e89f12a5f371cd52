"""One subject's enrolment and consents as a feed or the local file says them (DESIGN §6.3).

Terms: ISO/IEC TS 27560:2023 (consent record: id, status, event time, notice) and the W3C Data Privacy
Vocabulary 2 (`dpv:` purposes; its consent statuses, such as ConsentGiven).
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeGuard

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
)

from gateway.located import load
from gateway.validated import validate

RELEASING = frozenset({"ConsentGiven", "RenewedConsentGiven"})
"""The only consent statuses that let anything leave."""
NOT_RELEASING = ["ConsentRefused", "ConsentWithdrawn", "ConsentRevoked", "ConsentExpired"]
"""Others that are proposed to who writes a record; one that is not listed denies too."""

MAX_IDENTITIES = 100
MAX_CONSENTS = 100

RFC_3339: Final = (
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})$"
)
"""A moment with its zone, as a pattern of JSON Schema."""


def _moment(text: Any) -> Any:
    """A number would pass for seconds since 1970, and make a consent older than it is."""
    if not isinstance(text, datetime) and not (isinstance(text, str) and re.fullmatch(RFC_3339, text)):
        raise ValueError("expected a time with its zone, such as 2025-12-01T09:30:00Z")
    return text


MAX_REFERENCE = 128
"""Characters of a reference: a subject, a record id, an identity."""

Reference = Annotated[str, Field(min_length=1, max_length=MAX_REFERENCE)]
Moment = Annotated[
    AwareDatetime,
    BeforeValidator(_moment),
    WithJsonSchema({"type": "string", "format": "date-time", "pattern": RFC_3339}),
]
Version = Annotated[int, Field(ge=1, le=2**63 - 1, strict=True)]


class _Strict(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, str_strip_whitespace=False, use_attribute_docstrings=True
    )


class ConsentEntry(_Strict):
    """One consent of one subject. Anything in doubt denies; an entry never widens another."""

    record_id: Reference
    version: Version
    status: Annotated[Reference, Field(examples=sorted(RELEASING) + NOT_RELEASING)]
    """A DPV consent status; all but `ConsentGiven` and `RenewedConsentGiven` deny."""
    purposes: tuple[Reference, ...] = Field(min_length=1, max_length=100)
    recipients: tuple[Reference, ...] = Field(min_length=1, max_length=100)
    zones: Literal["all"] | tuple[Reference, ...]
    event_time: Moment
    """When the subject decided; valid from then on."""
    valid_until: Moment | None = None
    notice: Reference | None = None
    """Which notice the subject was shown."""

    @property
    def from_s(self) -> float:
        return self.event_time.timestamp()

    @property
    def until_s(self) -> float:
        return self.valid_until.timestamp() if isinstance(self.valid_until, datetime) else float("inf")


class SubjectRecord(_Strict):
    """All that is known of one subject; `version` rises with each change."""

    subject: Reference
    version: Version
    identities: tuple[Reference, ...] = Field(default=(), max_length=MAX_IDENTITIES)
    consents: tuple[ConsentEntry, ...] = Field(default=(), max_length=MAX_CONSENTS)
    age: Literal["adult", "minor", "unknown"] | None = None
    """None: the record does not say; a purpose marked `profiling` then denies."""
    erased: Annotated[bool, Field(strict=True)] = False
    event_time: Moment | None = None
    """Of an erasure: consents given before it are dead, in whatever record."""


def is_reference(value: object) -> TypeGuard[str]:
    """Whether it can name anybody at all."""
    return isinstance(value, str) and 1 <= len(value) <= MAX_REFERENCE


def parse_record(raw: Any) -> SubjectRecord | None:
    """The record, or None where it is malformed (which denies)."""
    try:
        return SubjectRecord.model_validate(raw)
    except (ValidationError, RecursionError):
        return None


def load_deny_list(path: Path, name: str | None = None) -> list[str]:
    """Subjects and identities that no consent can release. ConfigError with every problem of the file, which
    is called `name` there."""
    document = load(path, name=name, top=list)
    validate(document, list[Reference], private=True)
    listed: list[str] = document.data
    return listed


def load_consent_file(path: Path, name: str | None = None) -> list[dict[str, Any]]:
    """The records of a local file, complete in itself. ConfigError as above.

    Returned unparsed, because the register takes records from a file and from a feed alike.
    """
    document = load(path, name=name, top=list)
    validate(document, list[SubjectRecord], private=True)
    records: list[dict[str, Any]] = document.data
    return records
