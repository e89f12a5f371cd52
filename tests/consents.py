"""Consent records for tests: the smallest that works, changed by keyword."""

from __future__ import annotations

from typing import Any

DAY = 86_400.0
NOON_S = 1_766_404_800.0  # 2025-12-22T12:00:00Z
PURPOSE = "dpv:PersonalisedBenefits"


def entry(**changes: Any) -> dict[str, Any]:
    return {
        "record_id": "c-1",
        "version": 1,
        "status": "ConsentGiven",
        "purposes": [PURPOSE],
        "recipients": ["platform"],
        "zones": "all",
        "event_time": "2025-12-01T00:00:00Z",
        "valid_until": "2026-12-01T00:00:00Z",
        "notice": "door-2025-11",
    } | changes


def record(subject: str = "card-1234", *consents: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "subject": subject,
        "version": 1,
        "identities": ["ibeacon:e2c56db5-dffb-48d2-b060-d0f5a71096e0:1:17"],
        "consents": list(consents) or [entry()],
    } | changes
