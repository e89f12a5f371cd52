"""One subject's enrolment and consents as the feed or the local file says them (DESIGN §6.3).

Terms: ISO/IEC TS 27560:2023 (consent record: id, status, event time, notice) and the W3C Data Privacy
Vocabulary (`dpv:` purposes, status names such as ConsentGiven).
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from gateway.located import load
from gateway.validated import validate

RELEASING = frozenset({"ConsentGiven", "RenewedConsentGiven"})
"""The only DPV consent statuses that let anything leave."""

MAX_IDENTITIES = 100
MAX_CONSENTS = 100

Reference = Annotated[str, Field(min_length=1, max_length=128)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=False)


class ConsentEntry(_Strict):
    """One consent of one subject. Anything in doubt denies; an entry never widens another."""

    record_id: Reference
    version: int = Field(ge=1)
    status: Reference
    """A DPV consent status; all but `ConsentGiven` and `RenewedConsentGiven` deny."""
    purposes: tuple[Reference, ...] = Field(min_length=1, max_length=100)
    recipients: tuple[Reference, ...] = Field(min_length=1, max_length=100)
    zones: Literal["all"] | tuple[Reference, ...]
    event_time: AwareDatetime
    """When the subject decided; valid from then on."""
    valid_until: AwareDatetime | None = None
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
    version: int = Field(ge=1)
    identities: tuple[Reference, ...] = Field(default=(), max_length=MAX_IDENTITIES)
    consents: tuple[ConsentEntry, ...] = Field(default=(), max_length=MAX_CONSENTS)
    erased: bool = False
    event_time: AwareDatetime | None = None


def parse_record(raw: Any) -> SubjectRecord | None:
    """The record, or None where it is malformed (which denies)."""
    try:
        return SubjectRecord.model_validate(raw)
    except ValidationError:
        return None


def load_consent_file(path: Path) -> list[dict[str, Any]]:
    """The records of a local file, complete in itself. ConfigError with every problem of the file.

    Returned unparsed, because the register takes records from a file and from a feed alike.
    """
    document = load(path, top=list)
    validate(document, list[SubjectRecord])
    records: list[dict[str, Any]] = document.data
    return records
