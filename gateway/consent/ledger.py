"""The local consent file, changed by a program and still an operator's file: comments stay, versions rise."""

from __future__ import annotations

import io
import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec import Struct

from gateway.consent.records import load_consent_file
from gateway.durable import replace_whole
from gateway.errors import GatewayError

Records = list[dict[str, Any]]


class Grant(Struct, frozen=True):
    purposes: Sequence[str]
    recipients: Sequence[str]
    zones: Sequence[str] | None
    """None: all."""
    identities: Sequence[str]
    """Added to those that the subject has."""
    valid_until: str | None
    notice: str | None


def grant(path: Path, subject: str, wanted: Grant, now_s: float, above: int = 0) -> str:
    """Adds a consent of the subject, given now; its record id. ConfigError when the result is not valid.

    `above`: the record's version becomes higher, as it must after an erasure.
    """
    record_id = f"local-{secrets.token_hex(8)}"

    def change(records: Records) -> bool:
        record = _of(records, subject)
        if record is None:
            record = {"subject": subject, "version": 0, "identities": [], "consents": []}
            records.append(record)
        record["version"] = max(record["version"], above) + 1
        known = record.setdefault("identities", [])
        known.extend(identity for identity in wanted.identities if identity not in known)
        entry: dict[str, Any] = {
            "record_id": record_id,
            "version": 1,
            "status": "ConsentGiven",
            "purposes": list(wanted.purposes),
            "recipients": list(wanted.recipients),
            "zones": "all" if wanted.zones is None else list(wanted.zones),
            "event_time": _moment(now_s),
        }
        optional = {"valid_until": wanted.valid_until, "notice": wanted.notice}
        record.setdefault("consents", []).append(entry | {k: v for k, v in optional.items() if v is not None})
        return True

    _change(path, change)
    return record_id


def withdraw(path: Path, subject: str, now_s: float) -> bool:
    """All consents of the subject become ConsentWithdrawn; False when the file does not know it."""

    def change(records: Records) -> bool:
        record = _of(records, subject)
        if record is None:
            return False
        record["version"] += 1
        for entry in record.get("consents", []):
            entry["version"] += 1
            entry["status"], entry["event_time"] = "ConsentWithdrawn", _moment(now_s)
        return True

    return _change(path, change)


def erase(path: Path, subject: str) -> bool:
    """The record goes, with its comments; False when the file does not know it."""

    def change(records: Records) -> bool:
        record = _of(records, subject)
        if record is None:
            return False
        records.remove(record)
        return True

    return _change(path, change)


def _of(records: Records, subject: str) -> dict[str, Any] | None:
    return next((record for record in records if record["subject"] == subject), None)


def _change(path: Path, change: Callable[[Records], bool]) -> bool:
    """Whether anything changed. The file is replaced as a whole, once the result has been read back."""
    from ruamel.yaml import YAML  # noqa: PLC0415 - loaded only to write

    yaml = YAML()
    yaml.width = 110
    yaml.preserve_quotes = True
    yaml.indent(mapping=2, sequence=4, offset=2)
    before = path.read_text()
    records = yaml.load(before)
    load_consent_file(path)  # an operator's mistake is named before anything is touched
    if not change(records):
        return False
    written = io.StringIO()
    yaml.dump(records, written)
    # ruamel indents the outermost list like every other.
    text = "".join(line.removeprefix("  ") for line in written.getvalue().splitlines(keepends=True))
    try:
        replace_whole(path, text.encode(), path.stat().st_mode & 0o777, load_consent_file)
    except OSError as error:
        raise GatewayError(f"{path}: {error.strerror}") from None
    return True


def _moment(now_s: float) -> str:
    return datetime.fromtimestamp(now_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
